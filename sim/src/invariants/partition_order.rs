//! A partition is one sequence (Jepsen's inconsistent-offsets, nonmonotonic-poll, poll-skip, duplicate; `kafka.md` B.2): one offset holds one value
//! for all readers and for ever; a reader goes forwards only and skips nothing that another reader of committed records was given; in a replica's
//! log the sequences of a producer rise with the offsets.
//!
//! A topic that is compacted while it is read is outside.

use super::runs::Runs;
use super::{Finding, Invariant, at, cite};
use crate::Entry;
use broker::Note;
use log::{Event, Isolation, Tp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// First offset, producer epoch, first sequence of each batch of one producer in one replica's log.
type Batches = Vec<(i64, i16, i32)>;

/// See the module.
#[derive(Debug, Default)]
pub struct PartitionOrder {
    runs: Runs,
    /// Offsets given to readers of committed records.
    committed: BTreeMap<Tp, BTreeMap<i64, ()>>,
    replicas: BTreeMap<(Arc<str>, Tp), BTreeMap<i64, Batches>>,
    finding: Finding,
}

impl Invariant for PartitionOrder {
    fn name(&self) -> &'static str {
        "partition_order"
    }

    fn observe(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Delivered { reader, tp, isolation, restarted, records, .. } => {
                let last = self.runs.last_of(&entry.node, *reader, *tp).filter(|_| !*restarted);
                self.delivered(entry, *tp, last, records);
                if *isolation == Isolation::ReadCommitted {
                    self.committed.entry(*tp).or_default().extend(records.iter().map(|(offset, _)| (*offset, ())));
                }
            }
            Event::Broker(note) => self.note(entry, note),
            _ => {}
        }
        self.runs.observe(entry);
    }

    fn finish(&mut self) -> Finding {
        self.find_skips();
        std::mem::take(&mut self.finding)
    }
}

impl PartitionOrder {
    fn delivered(&mut self, entry: &Entry, tp: Tp, last: Option<i64>, records: &[(i64, u32)]) {
        let mut last = last;
        for (offset, crc) in records {
            self.finding.checked += 1;
            if let Some(before) = last.filter(|before| before >= offset) {
                let facts = || vec![cite(entry, format_args!("was given offset {offset} after offset {before}, without being set there"))];
                self.finding.violated(|| format!("a reader of {} went backwards at {}", entry.node, at(tp, *offset)), facts);
            }
            last = Some(*offset);
            if let Some(other) = self.runs.crc_of(tp, *offset).filter(|other| other != crc) {
                let facts = || vec![cite(entry, format_args!("was given value {crc:08x}")), format!("another reader was given value {other:08x}")];
                self.finding.violated(|| format!("two values at {}", at(tp, *offset)), facts);
            }
        }
    }

    fn note(&mut self, entry: &Entry, note: &Note) {
        match note {
            Note::Appended { tp, first, producer_id, producer_epoch, first_sequence, control, .. } => {
                self.cut(entry, *tp, *first);
                // Positions that a coordinator writes for a transaction carry its producer but no sequence.
                if *producer_id >= 0 && *first_sequence >= 0 && control.is_none() {
                    self.appended(entry, *tp, *producer_id, (*first, *producer_epoch, *first_sequence));
                }
            }
            Note::Truncated { tp, end, .. } | Note::Recovered { tp, end, .. } => self.cut(entry, *tp, *end),
            _ => {}
        }
    }

    fn cut(&mut self, entry: &Entry, tp: Tp, end: i64) {
        let Some(producers) = self.replicas.get_mut(&(entry.node.clone(), tp)) else { return };
        for batches in producers.values_mut() {
            while batches.last().is_some_and(|(first, ..)| *first >= end) {
                batches.pop();
            }
        }
    }

    fn appended(&mut self, entry: &Entry, tp: Tp, producer_id: i64, batch: (i64, i16, i32)) {
        let (first, epoch, sequence) = batch;
        self.finding.checked += 1;
        let batches = self.replicas.entry((entry.node.clone(), tp)).or_default().entry(producer_id).or_default();
        if let Some((before, _, at_least)) = batches.last().filter(|(_, of, last)| epoch < *of || (epoch == *of && sequence <= *last)) {
            let facts = || {
                vec![cite(entry, format_args!("appended epoch {epoch} sequence {sequence} at offset {first}, behind sequence {at_least} at offset {before}"))]
            };
            self.finding.violated(|| format!("producer {producer_id} is out of order or doubled at {} on {}", at(tp, first), entry.node), facts);
        }
        batches.push(batch);
    }

    /// A reader of committed records has as many records between its first and its last as all of them together.
    fn find_skips(&mut self) {
        for tp in self.runs.partitions() {
            let Some(committed) = self.committed.get(&tp) else { continue };
            let offsets: Vec<i64> = committed.keys().copied().collect();
            for run in self.runs.of(tp).filter(|run| run.isolation == Isolation::ReadCommitted) {
                let there = offsets.partition_point(|offset| *offset <= run.last) - offsets.partition_point(|offset| *offset < run.first);
                self.finding.checked += 1;
                if there as u64 != run.records {
                    let headline = || {
                        format!(
                            "{} skipped {} record(s) of topic {} partition {}",
                            run.reader,
                            there as u64 - run.records.min(there as u64),
                            tp.topic.0,
                            tp.partition
                        )
                    };
                    let facts = || {
                        vec![format!("it read offsets {} to {} and was given {} records, others were given {there} there", run.first, run.last, run.records)]
                    };
                    self.finding.violated(headline, facts);
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
    fn rejects_a_reader_that_goes_back_and_two_values_at_one_offset() {
        let back = vec![("wallet-1", delivered(1, true, &[(5, 1)])), ("wallet-1", delivered(1, false, &[(5, 1)]))];
        assert_eq!(rejects(PartitionOrder::default(), back), "a reader of wallet-1 went backwards at topic 1 partition 0 offset 5");
        let two = vec![("wallet-1", delivered(1, true, &[(5, 1)])), ("wallet-2", delivered(1, true, &[(5, 2)]))];
        assert!(rejects(PartitionOrder::default(), two).contains("two values"));
    }

    #[test]
    fn rejects_a_skip_and_a_batch_that_came_twice() {
        let skip = vec![("wallet-1", delivered(1, true, &[(5, 1), (7, 1)])), ("wallet-2", delivered(1, true, &[(6, 1)]))];
        assert!(rejects(PartitionOrder::default(), skip).contains("wallet-1 reader 1 skipped 1 record(s)"));
        let twice = vec![("broker-1", produced(0, 4, (7, 0, 0))), ("broker-1", produced(5, 9, (7, 0, 0)))];
        assert!(rejects(PartitionOrder::default(), twice).contains("doubled"));
    }

    #[test]
    fn accepts_sparse_offsets_a_seek_back_and_a_retry_after_its_first_copy_was_truncated() {
        let facts = vec![
            ("broker-1", produced(0, 4, (7, 0, 0))),
            ("broker-1", produced(5, 9, (7, 0, 5))),
            ("broker-1", truncated(5)),
            ("broker-1", produced(6, 10, (7, 0, 5))),
            ("broker-1", produced(11, 12, (7, 1, 0))),
            ("wallet-1", delivered(1, true, &[(0, 1), (9, 1)])),
            ("wallet-1", delivered(1, true, &[(0, 1), (9, 1), (30, 2)])),
            ("wallet-2", delivered(1, true, &[(9, 1), (30, 2)])),
        ];
        accepts(PartitionOrder::default(), facts);
    }
}
