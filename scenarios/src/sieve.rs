//! The drop rule as the checker knows it (`design.md` 3), written a second time on purpose: the services' own is one of the things on trial.

use std::collections::BTreeMap;
use wire::{Source, Stamp};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A reader takes it.
    Counts,
    /// Its (cause, index) had come before.
    Repeated,
    /// A former owner wrote it after a later one had claimed the partition.
    Zombie,
    /// The second claim of one epoch.
    LateClaim,
    /// Something before it is missing: a reader stops here.
    Gap {
        /// The sequence that should have come.
        expected: u64,
    },
}

/// What a reader of one partition remembers.
#[derive(Debug, Default)]
pub struct Sieve {
    epochs: BTreeMap<Source, u32>,
    last: BTreeMap<Source, (i64, u32)>,
    sequences: BTreeMap<Source, u64>,
}

impl Sieve {
    /// Judges the next record and remembers it.
    pub fn judge(&mut self, stamp: &Stamp) -> Fate {
        if stamp.source.service == 0 {
            return Fate::Counts;
        }
        let highest = self.epochs.get(&stamp.source).copied().unwrap_or(0);
        let is_claim = stamp.epoch > 0 && stamp.sequence == 0;
        if is_claim && stamp.epoch <= highest {
            return Fate::LateClaim;
        }
        if stamp.epoch < highest {
            return Fate::Zombie;
        }
        self.epochs.insert(stamp.source, stamp.epoch);
        if is_claim {
            return Fate::Counts;
        }
        let at = (stamp.cause, stamp.index);
        if self.last.get(&stamp.source).is_some_and(|last| at <= *last) {
            return Fate::Repeated;
        }
        self.last.insert(stamp.source, at);
        if stamp.sequence == 0 {
            return Fate::Counts;
        }
        match self.sequences.insert(stamp.source, stamp.sequence) {
            Some(last) if stamp.sequence != last + 1 => Fate::Gap { expected: last + 1 },
            None if stamp.sequence != 1 => Fate::Gap { expected: 1 },
            _ => Fate::Counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(stamps: &[(u32, i64, u32, u64)]) -> Vec<Fate> {
        let source = Source { service: 2, input_topic: 3, partition: 1 };
        let mut sieve = Sieve::default();
        stamps.iter().map(|&(epoch, cause, index, sequence)| sieve.judge(&Stamp { source, epoch, cause, index, sequence, ..Stamp::default() })).collect()
    }

    #[test]
    fn a_former_owners_record_and_a_repeat_are_told_apart() {
        let fates = fates(&[(1, -1, 0, 0), (1, 4, 0, 1), (2, 4, 1, 0), (2, 4, 0, 1), (1, 5, 0, 2), (2, 5, 0, 2)]);
        assert_eq!(fates, [Fate::Counts, Fate::Counts, Fate::Counts, Fate::Repeated, Fate::Zombie, Fate::Counts]);
    }

    #[test]
    fn the_loser_of_a_claim_and_a_missing_record_are_seen() {
        assert_eq!(
            fates(&[(1, -1, 0, 0), (1, -1, 0, 0), (1, 3, 0, 1), (1, 9, 0, 3)]),
            [Fate::Counts, Fate::LateClaim, Fate::Counts, Fate::Gap { expected: 2 }]
        );
    }
}
