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
