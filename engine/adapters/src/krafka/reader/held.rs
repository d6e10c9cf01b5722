//! One partition that a reader holds.

use log::{Batch, Delivered, Next, Position};
use std::collections::VecDeque;

/// Something of a partition, in order.
pub enum Item {
    /// Records; `restarted`: the first since a seek.
    Records { batch: Batch, restarted: bool },
    /// The position moved without one.
    Progress(Position),
}

/// What krafka's position says about the partition.
pub enum Moved {
    /// Nothing new.
    No,
    /// It lies behind the log's end, and krafka has set it back without a word.
    OutOfRange { wanted: Position },
    /// What was read is gone; krafka would go on from here.
    Truncated { diverged_at: Position },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first seek.
    Idle,
    /// Records come.
    Live,
    /// Nothing comes before a seek.
    Halted,
}

/// The partition.
pub struct Held {
    stage: Stage,
    /// Behind the last record that krafka handed out, or where it sought.
    position: Position,
    /// The application wants no more for now.
    pub paused: bool,
    restarted: bool,
    /// Nothing was read since the seek.
    untouched: bool,
    /// Handed out by krafka, and not yet by the reader.
    ready: VecDeque<Item>,
}

impl Held {
    /// Before the first seek.
    pub fn new() -> Held {
        Held { stage: Stage::Idle, position: Position::START, paused: false, restarted: true, untouched: true, ready: VecDeque::new() }
    }

    /// Sets the position: nothing that came before is handed out any more.
    pub fn seek(&mut self, to: Position) {
        *self = Held { stage: Stage::Live, position: to, paused: self.paused, ..Held::new() };
    }

    /// Nothing more comes before a seek.
    pub fn halt(&mut self) {
        self.stage = Stage::Halted;
        self.ready.clear();
    }

    pub fn is_halted(&self) -> bool {
        self.stage == Stage::Halted
    }

    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Where it is.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Records of one answer, with their epochs.
    pub fn arrive(&mut self, records: Vec<(Delivered, Option<u32>)>) {
        let new = records.into_iter().filter(|(record, _)| self.stage == Stage::Live && record.offset >= self.position.next.0);
        let (records, epochs): (Vec<Delivered>, Vec<Option<u32>>) = new.unzip();
        let (Some(last), Some(epoch)) = (records.last(), epochs.last()) else { return };
        self.position = Position { next: Next(last.offset + 1), epoch: *epoch };
        self.untouched = false;
        let batch = Batch { records, position: self.position };
        self.ready.push_back(Item::Records { batch, restarted: std::mem::take(&mut self.restarted) });
    }

    /// krafka's position, after it handed out all that it had.
    pub fn look(&mut self, next: i64) -> Moved {
        // Without an epoch: krafka tells none here, and with that of the last record a position behind what a younger leader wrote would look truncated.
        let at = Position { next: Next(next), epoch: None };
        match at.next.cmp(&self.position.next) {
            _ if self.stage != Stage::Live => Moved::No,
            std::cmp::Ordering::Equal => Moved::No,
            std::cmp::Ordering::Greater => {
                self.position = at;
                self.ready.push_back(Item::Progress(at));
                Moved::No
            }
            std::cmp::Ordering::Less if self.untouched && self.position.epoch.is_none() => Moved::OutOfRange { wanted: self.position },
            std::cmp::Ordering::Less => Moved::Truncated { diverged_at: at },
        }
    }

    /// The next thing, if the application wants it.
    pub fn take(&mut self) -> Option<Item> {
        if self.paused || self.stage != Stage::Live { None } else { self.ready.pop_front() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: i64, epoch: Option<u32>) -> Position {
        Position { next: Next(next), epoch }
    }

    fn records(offsets: std::ops::Range<i64>) -> Vec<(Delivered, Option<u32>)> {
        offsets.map(|offset| (Delivered { offset, timestamp_ms: 0, key: None, value: None }, Some(4))).collect()
    }

    fn sought(to: Position) -> Held {
        let mut held = Held::new();
        held.seek(to);
        held
    }

    #[test]
    fn records_below_the_position_are_not_handed_out() {
        let mut held = sought(at(5, None));
        held.arrive(records(3..7));
        let Some(Item::Records { batch, restarted: true }) = held.take() else { panic!("two records") };
        assert_eq!(batch.records.iter().map(|record| record.offset).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(batch.position, at(7, Some(4)));
        assert!(held.take().is_none());
    }

    #[test]
    fn nothing_comes_before_a_seek_nor_while_paused_nor_of_before_a_seek() {
        let mut held = Held::new();
        held.arrive(records(0..2));
        assert!(held.take().is_none(), "nobody sought");
        held.seek(at(0, None));
        held.arrive(records(0..2));
        held.paused = true;
        assert!(held.take().is_none());
        held.paused = false;
        held.seek(at(1, None));
        assert!(held.take().is_none(), "it came before the seek");
    }

    /// What krafka passed without a record comes after what it handed out.
    #[test]
    fn a_position_ahead_is_progress() {
        let mut held = sought(at(0, None));
        held.arrive(records(0..2));
        assert!(matches!(held.look(4), Moved::No));
        assert!(matches!(held.take(), Some(Item::Records { .. })));
        assert!(matches!(held.take(), Some(Item::Progress(position)) if position == at(4, None)));
        assert!(matches!(held.look(4), Moved::No));
        assert!(held.take().is_none(), "it is told once");
    }

    /// krafka goes back without a word, both from above the end and from what was truncated (KIP-320).
    #[test]
    fn a_position_behind_is_out_of_range_or_truncated() {
        let wanted = at(1_000, None);
        assert!(matches!(sought(wanted).look(10), Moved::OutOfRange { wanted: told } if told == wanted));
        // It was there once.
        assert!(matches!(sought(at(1_000, Some(3))).look(10), Moved::Truncated { diverged_at } if diverged_at == at(10, None)));
        let mut read = sought(at(0, None));
        read.arrive(records(0..20));
        assert!(matches!(read.look(10), Moved::Truncated { diverged_at } if diverged_at == at(10, None)));
        read.halt();
        assert!(read.take().is_none(), "nothing more comes of it");
        assert!(matches!(read.look(10), Moved::No));
    }
}
