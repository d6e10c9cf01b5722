//! At most one node's records take effect per partition and ownership epoch, epochs never go back, and with transactions nothing of a former owner is
//! visible at all (I10, I-L3).

use super::{Finding, Invariant, Notes};
use crate::evidence::Evidence;
use crate::sieve::Fate;
use std::collections::{BTreeMap, BTreeSet};
use wire::{AccountEvent, Body, OrderEvent, Source, Topic};

/// See the module.
pub struct SingleWriter;

impl Invariant for SingleWriter {
    fn name(&self) -> &'static str {
        "single_writer"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        one_node_per_epoch(evidence, &mut finding);
        claims_come_first(evidence, &mut finding);
        if evidence.transactions {
            let of_machines = evidence.dropped.iter().filter(|dropped| dropped.stamp.epoch > 0 && !matches!(dropped.fate, Fate::Gap { .. }));
            for dropped in of_machines {
                let ((topic, partition), stamp) = (dropped.place, dropped.stamp);
                let headline =
                    format!("a committed record of a former owner: {}-{partition}@{} epoch {} ({:?})", topic.name(), dropped.offset, stamp.epoch, dropped.fate);
                finding.violated(headline, Vec::new());
            }
        }
        finding
    }
}

/// A checksum may by chance belong to several senders; the sets of an epoch's records must still have one sender in all of them.
fn one_node_per_epoch(evidence: &Evidence, finding: &mut Finding) {
    let mut writers: BTreeMap<(Source, u32), (BTreeSet<&str>, String)> = BTreeMap::new();
    for ((topic, partition), log) in &evidence.logs {
        for read in log.iter().filter(|read| read.stamp.epoch > 0) {
            let senders: BTreeSet<&str> = evidence.senders.get(&read.crc).into_iter().flatten().map(String::as_str).collect();
            let here = format!("{}-{partition}@{} sent by {senders:?}", topic.name(), read.offset);
            if senders.is_empty() {
                finding.violated(format!("{}-{partition}@{} was sent by nobody", topic.name(), read.offset), Vec::new());
                continue;
            }
            finding.count();
            match writers.get_mut(&(read.stamp.source, read.stamp.epoch)) {
                None => {
                    writers.insert((read.stamp.source, read.stamp.epoch), (senders, here));
                }
                Some((all, there)) => {
                    let both: BTreeSet<&str> = all.intersection(&senders).copied().collect();
                    if both.is_empty() {
                        let headline = format!("two nodes wrote as {:?} in epoch {}", read.stamp.source, read.stamp.epoch);
                        finding.violated(headline, vec![there.clone(), here]);
                    } else {
                        *all = both;
                    }
                }
            }
        }
    }
}

/// In a journal each epoch begins with its claim, one above the last.
fn claims_come_first(evidence: &Evidence, finding: &mut Finding) {
    for topic in [Topic::AccountEvents, Topic::OrderEvents] {
        for (partition, log) in evidence.partitions(topic) {
            let mut claimed = 0;
            for read in log.iter().filter(|read| read.stamp.epoch > 0) {
                finding.count();
                let epoch = match &read.body {
                    Body::AccountEvent(AccountEvent::Owned { epoch, .. }) | Body::OrderEvent(OrderEvent::Owned { epoch, .. }) => Some(*epoch),
                    _ => None,
                };
                let here = || format!("{}-{partition}@{}", topic.name(), read.offset);
                match epoch {
                    Some(epoch) if epoch == claimed + 1 => claimed = epoch,
                    Some(epoch) => finding.violated(format!("{} claims epoch {epoch} after epoch {claimed}", here()), Vec::new()),
                    None if read.stamp.epoch == claimed => {}
                    None => finding.violated(format!("{} is of epoch {}, claimed is {claimed}", here(), read.stamp.epoch), Vec::new()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::a_day;

    #[test]
    fn two_nodes_in_one_epoch_are_found() {
        let mut day = a_day();
        day.writer("account-2");
        day.journal(AccountEvent::AccountIs { account: day.buyer, balances: Vec::new() });
        let violation = SingleWriter.check(&day.evidence).violation.expect("account-2 never claimed the partition");
        assert!(violation.headline.starts_with("two nodes wrote as "), "{}", violation.headline);
    }

    #[test]
    fn a_zombies_record_is_dropped_without_transactions_and_a_violation_with_them() {
        let mut day = a_day();
        day.writer("account-2");
        day.claim(2);
        day.zombie(1);
        assert!(SingleWriter.check(&day.evidence).violation.expect("it was committed").headline.starts_with("a committed record of a former owner"));
        day.evidence.transactions = false;
        assert_eq!(SingleWriter.check(&day.evidence).violation, None);
    }
}
