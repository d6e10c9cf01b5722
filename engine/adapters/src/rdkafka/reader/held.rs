//! One partition that a reader holds.

use crate::rdkafka::native::{Code, Message, Queue};
use log::{Batch, Delivered, Next, Position};
use std::collections::VecDeque;

/// Something of a partition, in order.
pub enum Item {
    /// Records; `restarted`: the first since a seek.
    Records { batch: Batch, restarted: bool },
    /// The position moved without one.
    Progress(Position),
    /// The position is outside the log; nothing more before a seek.
    OutOfRange { wanted: Position },
    /// What was read is gone; nothing more before a seek.
    Truncated { diverged_at: Position },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first seek.
    Idle,
    /// A seek waits for librdkafka, since then.
    Seeking { since_ms: u64 },
    /// Records come.
    Live,
    /// Nothing comes before a seek.
    Halted,
}

/// The partition.
pub struct Held {
    queue: Queue,
    stage: Stage,
    /// Behind the last record that the application got, or where it sought.
    position: Position,
    /// The application wants no more for now.
    pub paused: bool,
    restarted: bool,
    /// Came in the same look as what was handed out last.
    kept: VecDeque<Message>,
}

impl Held {
    /// Before the first seek.
    pub fn new(queue: Queue) -> Held {
        Held { queue, stage: Stage::Idle, position: Position::START, paused: false, restarted: true, kept: VecDeque::new() }
    }

    /// Assigned from a position, without a seek.
    pub fn begin_at(&mut self, position: Position) {
        self.stage = Stage::Live;
        self.position = position;
    }

    /// Sets the position: nothing that came before is handed out any more.
    pub fn seek(&mut self, to: Position, now_ms: u64) {
        self.stage = Stage::Seeking { since_ms: now_ms };
        self.position = to;
        self.restarted = true;
        self.kept.clear();
    }

    /// Where to, and since when it waits.
    pub fn waiting(&self) -> Option<(Position, u64)> {
        match self.stage {
            Stage::Seeking { since_ms } => Some((self.position, since_ms)),
            _ => None,
        }
    }

    /// librdkafka has it: what comes from now on is of this seek.
    pub fn seek_done(&mut self) {
        if matches!(self.stage, Stage::Seeking { .. }) {
            self.stage = Stage::Live;
        }
    }

    /// Nothing more comes before a seek.
    pub fn is_halted(&self) -> bool {
        self.stage == Stage::Halted
    }

    /// It is assigned anew: what was fetched is thrown away and fetched again. Its position; `None` before a seek.
    pub fn reassigned(&mut self) -> Option<Position> {
        self.kept.clear();
        match self.stage {
            Stage::Idle | Stage::Halted => None,
            Stage::Seeking { .. } | Stage::Live => Some(self.position),
        }
    }

    /// The next thing, if the application wants it.
    pub fn take(&mut self, limit: usize) -> Option<Item> {
        if self.paused || self.stage != Stage::Live {
            return None;
        }
        loop {
            if self.kept.is_empty() {
                self.kept.extend(self.queue.messages(limit));
            }
            let records = self.records();
            if let Some(last) = records.last() {
                self.position = Position { next: Next(last.0.offset + 1), epoch: last.1 };
                let batch = Batch { records: records.into_iter().map(|(record, _)| record).collect(), position: self.position };
                return Some(Item::Records { batch, restarted: std::mem::take(&mut self.restarted) });
            }
            // Nothing, or a word about the partition.
            let message = self.kept.pop_front()?;
            if let Some(item) = self.word(&message) {
                return Some(item);
            }
        }
    }

    /// Records up to the next word. One below the position is the head of a batch that was asked for in the middle.
    fn records(&mut self) -> Vec<(Delivered, Option<u32>)> {
        let mut records = Vec::new();
        while let Some(message) = self.kept.pop_front_if(|message| message.error == Code::NONE) {
            if message.offset >= self.position.next.0 {
                let Message { offset, timestamp_ms, key, value, epoch, .. } = message;
                records.push((Delivered { offset, timestamp_ms, key, value }, epoch));
            }
        }
        records
    }

    fn word(&mut self, message: &Message) -> Option<Item> {
        // Without an epoch: librdkafka tells none here (its accessor reads 0), and with that of the last record, or 0, a position behind what a younger
        // leader wrote would look truncated (KIP-320).
        let at = Position { next: Next(message.offset), epoch: None };
        match message.error {
            Code::PARTITION_END if at.next > self.position.next => {
                self.position = at;
                Some(Item::Progress(at))
            }
            Code::OFFSET_RESET => {
                self.stage = Stage::Halted;
                Some(Item::OutOfRange { wanted: self.position })
            }
            Code::LOG_TRUNCATION => {
                self.stage = Stage::Halted;
                Some(Item::Truncated { diverged_at: Position { next: Next(message.offset.max(0)), epoch: None } })
            }
            // Trouble that librdkafka goes on from by itself: a leader that moved, a topic that is not there yet.
            _ => None,
        }
    }
}
