//! What was acknowledged stays (Jepsen's lost-write; `kafka.md` C.1, I11): a new leader's log reaches past every acknowledged record, no reader is
//! given something else in its place, and none that reads on from before it to behind it misses it.
//!
//! Records of a transaction count once it is committed. A topic that is compacted while it is read is outside.

use super::leader_log::LeaderLogs;
use super::runs::Runs;
use super::{Finding, Invariant, at, cite};
use crate::Entry;
use broker::Note;
use broker::batch::ControlKind;
use log::history::Phase;
use log::{Event, Tp};
use std::collections::BTreeMap;

#[derive(Debug)]
struct Ack {
    crc: u32,
    cited: String,
}

/// See the module.
#[derive(Debug, Default)]
pub struct NoAcknowledgedLoss {
    logs: LeaderLogs,
    acks: BTreeMap<Tp, BTreeMap<i64, Ack>>,
    runs: Runs,
    finding: Finding,
}

impl Invariant for NoAcknowledgedLoss {
    fn name(&self) -> &'static str {
        "no_acknowledged_loss"
    }

    fn observe(&mut self, entry: &Entry) {
        self.runs.observe(entry);
        match &entry.event {
            Event::Broker(note) => {
                self.logs.observe(note);
                if let Note::BecameLeader { tp, leader_epoch, end, .. } = note {
                    self.became_leader(entry, *tp, *leader_epoch, *end);
                }
            }
            Event::Send { tp, phase: Phase::Ok, crc, offset: Some(offset), .. } => self.acknowledged(entry, *tp, *offset, *crc),
            Event::Delivered { tp, records, .. } => {
                for (offset, crc) in records {
                    self.delivered(entry, *tp, *offset, *crc);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self) -> Finding {
        self.find_passed_over();
        std::mem::take(&mut self.finding)
    }
}

impl NoAcknowledgedLoss {
    fn acknowledged(&mut self, entry: &Entry, tp: Tp, offset: i64, crc: u32) {
        self.finding.checked += 1;
        let cited = cite(entry, format_args!("was told {} is written, value {crc:08x}", at(tp, offset)));
        if let Some(other) = self.runs.crc_of(tp, offset).filter(|other| *other != crc) {
            let facts = || vec![cited.clone(), format!("readers were given value {other:08x} there")];
            self.finding.violated(|| format!("an acknowledged record is not what readers found at {}", at(tp, offset)), facts);
        }
        self.acks.entry(tp).or_default().insert(offset, Ack { crc, cited });
    }

    fn became_leader(&mut self, entry: &Entry, tp: Tp, leader_epoch: u32, end: i64) {
        // A broker that applies the controller's log late may take up an office that is no longer its.
        if leader_epoch < self.logs.epoch(tp) {
            return;
        }
        let Some(acks) = self.acks.get(&tp) else { return };
        self.finding.checked += 1;
        if let Some((offset, ack)) = acks.range(end..).next() {
            let lost = acks.range(end..).count();
            let headline = || format!("{lost} acknowledged record(s) from {} on are not in the log of the new leader {}", at(tp, *offset), entry.node);
            let facts = || vec![ack.cited.clone(), cite(entry, format_args!("leads from epoch {leader_epoch} with a log that ends at {end}"))];
            self.finding.violated(headline, facts);
        }
    }

    fn delivered(&mut self, entry: &Entry, tp: Tp, offset: i64, crc: u32) {
        let Some(ack) = self.acks.get(&tp).and_then(|acks| acks.get(&offset)) else { return };
        self.finding.checked += 1;
        if ack.crc != crc {
            let facts = || vec![ack.cited.clone(), cite(entry, format_args!("was given value {crc:08x}"))];
            self.finding.violated(|| format!("an acknowledged record was replaced at {}", at(tp, offset)), facts);
        }
    }

    /// A reader that went on from before an acknowledged record to behind it has not been given it.
    fn find_passed_over(&mut self) {
        let acks = std::mem::take(&mut self.acks);
        for (tp, acks) in acks {
            for (offset, ack) in acks {
                let counts = match self.logs.batch_at(tp, offset) {
                    Some(batch) if batch.transactional => matches!(self.logs.end_of(tp, batch), Some((_, ControlKind::Commit))),
                    _ => true,
                };
                if !counts || self.runs.crc_of(tp, offset).is_some() {
                    continue;
                }
                if let Some(run) = self.runs.covering(tp, offset) {
                    let facts = || vec![ack.cited.clone(), format!("{} read from offset {} on to {} without it", run.reader, run.first, run.last)];
                    self.finding.violated(|| format!("an acknowledged record was passed over at {}", at(tp, offset)), facts);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    #[test]
    fn rejects_a_new_leader_without_an_acknowledged_record() {
        let facts = vec![
            ("broker-1", became_leader(0, 0)),
            ("broker-1", appended(0, 0, 4, 1, true)),
            ("client-1", acked(9, 4, 0xabc)),
            ("broker-2", became_leader(1, 4)),
        ];
        let headline = rejects(NoAcknowledgedLoss::default(), facts);
        assert_eq!(headline, "1 acknowledged record(s) from topic 1 partition 0 offset 4 on are not in the log of the new leader broker-2");
    }

    #[test]
    fn rejects_a_record_replaced_or_passed_over() {
        let replaced = vec![("client-1", acked(9, 4, 0xabc)), ("wallet-1", delivered(1, true, &[(4, 0xdef)]))];
        assert!(rejects(NoAcknowledgedLoss::default(), replaced).contains("replaced"));
        let passed = vec![("wallet-1", delivered(1, true, &[(3, 1), (5, 1)])), ("client-1", acked(9, 4, 0xabc))];
        assert!(rejects(NoAcknowledgedLoss::default(), passed).contains("passed over"));
    }

    /// A client that uses a buffer again before it was sent (KAFKA-19012): both sends are acknowledged, and one partition has the other's record.
    #[test]
    fn a37_rejects_a_record_that_its_client_has_put_into_another_partition() {
        let other = Tp { partition: 1, ..TP };
        let told = |op, tp, offset, crc| Event::Send { op, tp, phase: Phase::Ok, crc, offset: Some(offset), transactional: false };
        let facts = |phantom: u32| {
            vec![("client-1", told(1, TP, 4, 0xabc)), ("client-1", told(2, other, 7, 0xdef)), ("wallet-1", delivered(1, true, &[(3, 1), (4, phantom)]))]
        };
        assert!(rejects(NoAcknowledgedLoss::default(), facts(0xdef)).contains("replaced at topic 1 partition 0 offset 4"));
        accepts(NoAcknowledgedLoss::default(), facts(0xabc));
    }

    #[test]
    fn accepts_an_unknown_that_did_not_survive_a_sparse_log_and_an_acknowledged_send_of_an_aborted_transaction() {
        let unknown = Event::Send { op: 8, tp: TP, phase: Phase::Unknown, crc: 1, offset: None, transactional: false };
        let aborted = Event::Send { op: 7, tp: TP, phase: Phase::Ok, crc: 5, offset: Some(0), transactional: true };
        let facts = vec![
            ("broker-1", became_leader(0, 0)),
            ("broker-1", transactional(0, 0, 1, None)),
            ("client-1", aborted),
            ("broker-1", transactional(0, 2, 2, Some(ControlKind::Abort))),
            ("broker-1", appended(0, 3, 3, 1, true)),
            ("client-1", acked(9, 3, 0xabc)),
            ("broker-1", appended(0, 4, 4, 1, true)),
            ("client-1", unknown),
            ("broker-2", became_leader(1, 4)),
            ("wallet-1", delivered(1, true, &[(3, 0xabc), (9, 1)])),
            // A broker that heard late of an old office has a shorter log: nothing is lost by it.
            ("broker-3", became_leader(0, 1)),
        ];
        accepts(NoAcknowledgedLoss::default(), facts);
    }
}
