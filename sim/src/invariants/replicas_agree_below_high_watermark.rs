//! Below the high watermark all replicas that count have the same batches (`kafka.md` A.2): a high watermark moves only over what every member of
//! the ISR has; a new leader has all of it; at the end the members of the ISR have the same.
//!
//! Where a log is compacted (A65) a replica may lack what its cleaner took out, or what the cleaner of the leader that it copied from did: a record is
//! taken out only if a later one of its key is there, or if it is of an aborted transaction, or a tombstone whose time was set; and none is changed.

use super::cleaned::Cleaned;
use super::leader_log::LeaderLogs;
use super::{Finding, Invariant, at, cite};
use crate::Entry;
use broker::protocol::NodeId;
use broker::{Content, Note};
use log::{Event, Tp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    first: i64,
    last: i64,
    crc: u32,
}

#[derive(Debug, Default)]
struct Partition {
    /// What high watermarks have moved over.
    committed: Vec<Batch>,
    replicas: BTreeMap<Arc<str>, Vec<Batch>>,
    /// What a replica had before it lost its power, until it takes part again.
    ///
    /// Seed 996, scenario `no_transactions`:
    /// 1. broker-3 has the last record of the leader, broker-1; broker-2 is dead and holds the high watermark back;
    /// 2. broker-3 loses its power and is back at once, with nothing; its former session still lives, so that nobody has heard of it;
    /// 3. broker-2's session ends, the ISR is now 1 and 3, and the high watermark moves over what broker-3 has told that it has.
    ///
    /// A real leader cannot know better. What must not come of it is a loss: `no_acknowledged_loss` judges that.
    before_power_loss: BTreeMap<Arc<str>, Vec<Batch>>,
    cleaned: Cleaned,
    isr: BTreeSet<NodeId>,
    epoch: u32,
    /// Elected, by epoch: who became leader then has that id.
    elected: BTreeMap<u32, NodeId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct ReplicasAgreeBelowHighWatermark {
    partitions: BTreeMap<Tp, Partition>,
    logs: LeaderLogs,
    names: BTreeMap<NodeId, Arc<str>>,
    finding: Finding,
}

impl Invariant for ReplicasAgreeBelowHighWatermark {
    fn name(&self) -> &'static str {
        "replicas_agree_below_high_watermark"
    }

    fn observe(&mut self, entry: &Entry) {
        let Event::Broker(note) = &entry.event else { return };
        self.logs.observe(note);
        match note {
            Note::LeaderElected { tp, leader, leader_epoch, isr, .. } => {
                let partition = self.partitions.entry(*tp).or_default();
                partition.isr = isr.iter().copied().collect();
                partition.epoch = partition.epoch.max(*leader_epoch);
                partition.elected.insert(*leader_epoch, *leader);
            }
            Note::IsrChanged { tp, isr, .. } => self.partitions.entry(*tp).or_default().isr = isr.iter().copied().collect(),
            Note::Appended { tp, first, last, crc, .. } => {
                let partition = self.partitions.entry(*tp).or_default();
                partition.before_power_loss.remove(&entry.node);
                let crc = partition.cleaned.original(*first, *crc);
                let log = self.log_of(entry, *tp);
                cut(log, *first);
                log.push(Batch { first: *first, last: *last, crc });
            }
            Note::BecameFollower { tp, .. } => drop(self.partitions.entry(*tp).or_default().before_power_loss.remove(&entry.node)),
            Note::Truncated { tp, end, .. } => cut(self.log_of(entry, *tp), *end),
            Note::Recovered { tp, end, .. } => self.recovered(entry, *tp, *end),
            Note::BecameLeader { tp, leader_epoch, end, .. } => self.became_leader(entry, *tp, *leader_epoch, *end),
            Note::HighWatermark { tp, high_watermark } => self.moved(entry, *tp, *high_watermark),
            Note::CleanerRead { tp, first, content } => self.partitions.entry(*tp).or_default().cleaned.read(*first, content, &self.logs, *tp),
            Note::BatchCleaned { tp, first, crc, left } => self.cleaned(entry, *tp, (*first, *crc), left.as_ref()),
            _ => {}
        }
    }

    fn finish(&mut self) -> Finding {
        self.compare_at_the_end();
        std::mem::take(&mut self.finding)
    }
}

impl ReplicasAgreeBelowHighWatermark {
    fn log_of(&mut self, entry: &Entry, tp: Tp) -> &mut Vec<Batch> {
        self.partitions.entry(tp).or_default().replicas.entry(entry.node.clone()).or_default()
    }

    fn recovered(&mut self, entry: &Entry, tp: Tp, end: i64) {
        let log = self.log_of(entry, tp);
        if end < end_of(log) {
            let before = log.clone();
            cut(log, end);
            self.partitions.entry(tp).or_default().before_power_loss.insert(entry.node.clone(), before);
        }
    }

    fn became_leader(&mut self, entry: &Entry, tp: Tp, leader_epoch: u32, end: i64) {
        cut(self.log_of(entry, tp), end);
        let partition = self.partitions.get_mut(&tp).expect("made a line above");
        partition.before_power_loss.remove(&entry.node);
        if let Some(id) = partition.elected.get(&leader_epoch) {
            self.names.insert(*id, entry.node.clone());
        }
        // A broker that applies the controller's log late may take up an office that is no longer its.
        if leader_epoch < partition.epoch {
            return;
        }
        partition.epoch = leader_epoch;
        let log = &partition.replicas[&entry.node];
        self.finding.checked += partition.committed.len() as u64;
        if let Some((committed, own)) = first_difference(&partition.committed, log, &partition.cleaned) {
            let headline = || format!("the new leader {} has not what was committed at {}", entry.node, at(tp, committed.first));
            let facts = || {
                vec![
                    say("committed", Some(committed)),
                    say(&entry.node, own),
                    cite(entry, format_args!("leads from epoch {leader_epoch}, its log ends at {end}")),
                ]
            };
            self.finding.violated(headline, facts);
        }
    }

    fn cleaned(&mut self, entry: &Entry, tp: Tp, (first, crc): (i64, u32), left: Option<&Content>) {
        let partition = self.partitions.entry(tp).or_default();
        self.finding.checked += 1;
        let original = partition.cleaned.original(first, crc);
        let log = partition.replicas.get(&entry.node).map(Vec::as_slice).unwrap_or_default();
        let own = log.get(log.partition_point(|own| own.first < first)).filter(|own| own.first == first).copied();
        let judged = match own {
            Some(own) if own.crc == original => partition.cleaned.take_out(first, crc, left, &self.logs, tp),
            _ => Err("cleaned what it does not have".to_owned()),
        };
        if let Err(why) = judged {
            let headline = || format!("{} {why} at {}", entry.node, at(tp, first));
            self.finding.violated(headline, || {
                vec![say(&entry.node, own), cite(entry, format_args!("cleaned batch {first}, crc {crc:08x}, of which is left {left:?}"))]
            });
        }
    }

    fn moved(&mut self, entry: &Entry, tp: Tp, high_watermark: i64) {
        let partition = self.partitions.entry(tp).or_default();
        let committed_end = end_of(&partition.committed);
        let log = partition.replicas.entry(entry.node.clone()).or_default();
        let from = log.partition_point(|batch| batch.first < committed_end);
        let news: Vec<Batch> = log[from..].iter().copied().take_while(|batch| batch.last < high_watermark).collect();
        self.finding.checked += 1 + news.len() as u64;
        partition.committed.extend(&news);
        for id in &partition.isr {
            let Some(name) = self.names.get(id) else { continue };
            let log = partition.before_power_loss.get(name).or_else(|| partition.replicas.get(name)).map(Vec::as_slice).unwrap_or_default();
            let missing = news.iter().find(|batch| !log.contains_near_end(batch));
            let short = end_of(log) < high_watermark;
            if missing.is_some() || short {
                let headline = || {
                    format!(
                        "{} moved the high watermark of topic {} partition {} to {high_watermark}, which {name} of the ISR does not have",
                        entry.node, tp.topic.0, tp.partition
                    )
                };
                let facts = || {
                    vec![
                        cite(entry, format_args!("high watermark {high_watermark}")),
                        format!("{name}: its log ends at {}", end_of(log)),
                        say("missing", missing.copied()),
                    ]
                };
                self.finding.violated(headline, facts);
            }
        }
    }

    fn compare_at_the_end(&mut self) {
        for (tp, partition) in &self.partitions {
            for name in partition.isr.iter().filter_map(|id| self.names.get(id)) {
                let Some(log) = partition.replicas.get(name) else { continue };
                self.finding.checked += 1;
                let held = end_of(log);
                let committed: Vec<Batch> = partition.committed.iter().copied().filter(|batch| batch.last < held).collect();
                if let Some((committed, own)) = first_difference(&committed, log, &partition.cleaned) {
                    let headline = || format!("{name} of the ISR differs from what was committed at {}", at(*tp, committed.first));
                    self.finding.violated(headline, || vec![say("committed", Some(committed)), say(name, own)]);
                }
            }
        }
    }
}

/// Looks from the end: what a high watermark moves over is new.
trait NearEnd {
    fn contains_near_end(&self, batch: &Batch) -> bool;
}

impl NearEnd for [Batch] {
    fn contains_near_end(&self, batch: &Batch) -> bool {
        self.iter().rev().take_while(|own| own.first >= batch.first).any(|own| own == batch)
    }
}

fn cut(log: &mut Vec<Batch>, end: i64) {
    while log.last().is_some_and(|batch| batch.last >= end) {
        log.pop();
    }
}

fn end_of(log: &[Batch]) -> i64 {
    log.last().map_or(0, |batch| batch.last + 1)
}

/// The first committed batch that a log has not, and what it has there. What a cleaner took out as a whole may be missing.
fn first_difference(committed: &[Batch], log: &[Batch], cleaned: &Cleaned) -> Option<(Batch, Option<Batch>)> {
    for batch in committed {
        let own = log.get(log.partition_point(|own| own.last < batch.first));
        let may_miss = || own.is_none_or(|own| own.first > batch.last) && cleaned.is_gone(batch.first, batch.crc);
        if own != Some(batch) && !may_miss() {
            return Some((*batch, own.copied()));
        }
    }
    None
}

fn say(who: &str, batch: Option<Batch>) -> String {
    match batch {
        Some(Batch { first, last, crc }) => format!("{who}: batch {first}..={last}, crc {crc:08x}"),
        None => format!("{who}: nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    fn start() -> Vec<(&'static str, Event)> {
        let mut facts = two_that_led();
        facts.push(("broker-1", appended(1, 0, 4, 0xa, true)));
        facts
    }

    #[test]
    fn rejects_a_high_watermark_over_what_a_member_of_the_isr_has_not() {
        let mut facts = start();
        facts.push(("broker-1", high_watermark(5)));
        let headline = rejects(ReplicasAgreeBelowHighWatermark::default(), facts);
        assert_eq!(headline, "broker-1 moved the high watermark of topic 1 partition 0 to 5, which broker-2 of the ISR does not have");
    }

    #[test]
    fn rejects_a_new_leader_that_lost_or_changed_what_was_committed() {
        for end in [0, 5] {
            let mut facts = start();
            facts.push(("broker-2", appended(1, 0, 4, 0xa, false)));
            facts.push(("broker-1", high_watermark(5)));
            facts.push(("broker-2", truncated(0)));
            if end == 5 {
                facts.push(("broker-2", appended(1, 0, 4, 0xb, false)));
            }
            facts.push(("controller", elected(2, 2, &[2])));
            facts.push(("broker-2", became_leader(2, end)));
            assert!(rejects(ReplicasAgreeBelowHighWatermark::default(), facts).contains("the new leader broker-2 has not what was committed"));
        }
    }

    #[test]
    fn accepts_what_a_member_had_told_before_it_lost_its_power_and_nothing_once_it_takes_part_again() {
        let mut facts = start();
        facts.extend([("broker-2", appended(1, 0, 4, 0xa, false)), ("broker-2", recovered(0)), ("broker-1", high_watermark(5))]);
        accepts(ReplicasAgreeBelowHighWatermark::default(), facts.clone());
        facts.truncate(facts.len() - 1);
        facts.extend([("broker-2", became_follower(1, 1)), ("broker-1", high_watermark(5))]);
        assert!(rejects(ReplicasAgreeBelowHighWatermark::default(), facts).ends_with("which broker-2 of the ISR does not have"));
    }

    #[test]
    fn accepts_a_tail_that_was_never_committed_and_is_cut_off_and_a_member_that_left_the_isr() {
        let mut facts = start();
        facts.extend([
            ("broker-2", appended(1, 0, 4, 0xa, false)),
            ("broker-1", high_watermark(5)),
            ("broker-1", appended(1, 5, 5, 0xb, true)),
            ("controller", elected(2, 2, &[2])),
            ("broker-2", became_leader(2, 5)),
            ("broker-2", appended(2, 6, 7, 0xc, true)),
            ("broker-2", high_watermark(8)),
            ("broker-1", truncated(5)),
            // Late news of an old office.
            ("broker-3", became_leader(0, 0)),
        ]);
        accepts(ReplicasAgreeBelowHighWatermark::default(), facts);
    }
}
