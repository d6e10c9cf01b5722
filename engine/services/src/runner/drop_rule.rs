//! Exactly-once does not rest on transactions: a reader drops what it has seen, by the numbers that every record carries (`design.md` 3).

use std::collections::BTreeMap;
use wire::{Source, Stamp};

/// The last that counted of every source; part of a machine's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DropRule {
    #[serde(with = "by_source")]
    sources: BTreeMap<Source, Last>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Last {
    epoch: u32,
    cause: i64,
    index: u32,
    sequence: u64,
}

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Pass,
    /// It had come before, or a former owner wrote it too late.
    Drop,
    /// Something before it is missing: broken invariant of the log or of the writer; the machine must stop here.
    Gap {
        /// The sequence that should have come.
        expected: u64,
    },
}

impl DropRule {
    /// Judges the next record of the partition and remembers it.
    ///
    /// Edges are told apart by what they say and always pass. A policy counts nothing (sequence 0): only (cause, index) must rise. A machine's
    /// claim (sequence 0, epoch ≥ 1) raises its epoch. Anything else of a machine must be of the highest epoch, above the last (cause, index), and next in sequence.
    pub fn judge(&mut self, stamp: &Stamp) -> Verdict {
        if stamp.source.service == 0 {
            return Verdict::Pass;
        }
        if stamp.sequence == 0 && stamp.epoch > 0 {
            return self.judge_claim(stamp);
        }
        let Some(last) = self.sources.get_mut(&stamp.source) else {
            self.sources.insert(stamp.source, Last { epoch: stamp.epoch, cause: stamp.cause, index: stamp.index, sequence: stamp.sequence });
            return Verdict::Pass;
        };
        if stamp.epoch < last.epoch {
            return Verdict::Drop;
        }
        last.epoch = stamp.epoch;
        if (stamp.cause, stamp.index) <= (last.cause, last.index) {
            return Verdict::Drop;
        }
        if stamp.sequence != 0 && last.sequence != 0 && stamp.sequence != last.sequence + 1 {
            return Verdict::Gap { expected: last.sequence + 1 };
        }
        *last = Last { epoch: stamp.epoch, cause: stamp.cause, index: stamp.index, sequence: stamp.sequence };
        Verdict::Pass
    }

    /// Only the first claim of an epoch counts, and none of an epoch that is over.
    fn judge_claim(&mut self, stamp: &Stamp) -> Verdict {
        let last = self.sources.entry(stamp.source).or_insert(Last { epoch: 0, cause: -1, index: 0, sequence: 0 });
        if stamp.epoch <= last.epoch {
            return Verdict::Drop;
        }
        last.epoch = stamp.epoch;
        Verdict::Pass
    }
}

/// As a list of (service, input topic, partition, last): a store may keep it as JSON, whose keys are texts.
mod by_source {
    use super::{BTreeMap, Last, Source};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Entry = (u8, u8, u16, Last);

    pub fn serialize<S: Serializer>(sources: &BTreeMap<Source, Last>, serializer: S) -> Result<S::Ok, S::Error> {
        let entries: Vec<Entry> = sources.iter().map(|(source, last)| (source.service, source.input_topic, source.partition, *last)).collect();
        entries.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Source, Last>, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        Ok(entries.into_iter().map(|(service, input_topic, partition, last)| (Source { service, input_topic, partition }, last)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Source = Source { service: 1, input_topic: 1, partition: 0 };

    fn stamp(epoch: u32, cause: i64, index: u32, sequence: u64) -> Stamp {
        Stamp { source: MACHINE, epoch, cause, index, sequence, ..Stamp::default() }
    }

    fn check(records: &[(Stamp, Verdict)]) {
        let mut rule = DropRule::default();
        for (at, (stamp, expected)) in records.iter().enumerate() {
            assert_eq!(rule.judge(stamp), *expected, "record {at}: {stamp:?}");
        }
    }

    #[test]
    fn a_new_owner_sends_again_what_the_old_one_had_sent() {
        check(&[
            (stamp(1, 10, 0, 5), Verdict::Pass),
            (stamp(1, 10, 1, 6), Verdict::Pass),
            (stamp(2, 10, 0, 5), Verdict::Drop),
            (stamp(2, 10, 1, 6), Verdict::Drop),
            (stamp(2, 11, 0, 7), Verdict::Pass),
        ]);
    }

    #[test]
    fn a_former_owner_is_too_late() {
        check(&[
            (stamp(1, 10, 0, 5), Verdict::Pass),
            (stamp(2, 11, 0, 6), Verdict::Pass),
            (stamp(1, 12, 0, 7), Verdict::Drop),
            (stamp(2, 12, 0, 7), Verdict::Pass),
        ]);
    }

    #[test]
    fn a_missing_record_stops_the_reader() {
        check(&[(stamp(1, 10, 0, 5), Verdict::Pass), (stamp(1, 12, 0, 7), Verdict::Gap { expected: 6 })]);
    }

    #[test]
    fn only_the_first_claim_of_an_epoch_counts() {
        check(&[
            (stamp(3, 7, 0, 0), Verdict::Pass),
            (stamp(3, 7, 0, 0), Verdict::Drop),
            (stamp(2, 9, 0, 4), Verdict::Drop),
            (stamp(3, 9, 0, 4), Verdict::Pass),
        ]);
    }

    #[test]
    fn a_policy_counts_nothing_but_its_causes_rise() {
        let policy = |cause, index| Stamp { source: Source { service: 3, input_topic: 5, partition: 0 }, cause, index, ..Stamp::default() };
        check(&[
            (policy(4, 0), Verdict::Pass),
            (policy(4, 2), Verdict::Pass),
            (policy(4, 1), Verdict::Drop),
            (policy(9, 0), Verdict::Pass),
            (policy(9, 0), Verdict::Drop),
        ]);
    }

    #[test]
    fn edges_always_pass() {
        let edge = Stamp { cause: -1, ..Stamp::default() };
        check(&[(edge, Verdict::Pass), (edge, Verdict::Pass)]);
    }
}
