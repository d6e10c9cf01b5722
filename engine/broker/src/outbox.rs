//! What a step gives out, and what the core keeps of it: operations in flight and timers.

use crate::io::{Now, Output};
use crate::note::Note;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Outputs of the running step. `D`: what a finished disk operation means to its core; `T`: what a timer does.
pub(crate) struct Outbox<D, T> {
    pub now: Now,
    pub out: Vec<Output>,
    next_op: u64,
    ops: BTreeMap<u64, D>,
    /// Those of them that append.
    appends: BTreeSet<u64>,
    timers: BTreeSet<(u64, T)>,
    /// The earliest timer the host was asked for and that has not come yet.
    armed_ms: Option<u64>,
}

impl<D, T: Ord + Copy> Outbox<D, T> {
    pub fn new() -> Self {
        Outbox {
            now: Now { monotonic_ms: 0, wall_ms: 0 },
            out: Vec::new(),
            next_op: 0,
            ops: BTreeMap::new(),
            appends: BTreeSet::new(),
            timers: BTreeSet::new(),
            armed_ms: None,
        }
    }

    pub fn note(&mut self, note: Note) {
        self.out.push(Output::Note(note));
    }

    fn op(&mut self, meaning: D) -> u64 {
        self.next_op += 1;
        self.ops.insert(self.next_op, meaning);
        self.next_op
    }

    pub fn append(&mut self, file: &str, bytes: Bytes, meaning: D) {
        let op = self.op(meaning);
        self.appends.insert(op);
        self.out.push(Output::Append { op, file: file.to_owned(), bytes });
    }

    pub fn truncate(&mut self, file: &str, len: u64, meaning: D) {
        let op = self.op(meaning);
        self.out.push(Output::Truncate { op, file: file.to_owned(), len });
    }

    pub fn replace(&mut self, file: &str, bytes: Bytes, meaning: D) {
        let op = self.op(meaning);
        self.out.push(Output::Replace { op, file: file.to_owned(), bytes });
    }

    pub fn remove(&mut self, file: &str, meaning: D) {
        let op = self.op(meaning);
        self.out.push(Output::Remove { op, file: file.to_owned() });
    }

    pub fn sync(&mut self, files: Vec<String>, meaning: D) {
        let op = self.op(meaning);
        self.out.push(Output::Sync { op, files });
    }

    pub fn read(&mut self, file: &str, offset: u64, len: u64, meaning: D) {
        let op = self.op(meaning);
        self.out.push(Output::Read { op, file: file.to_owned(), offset, len });
    }

    /// What a finished operation meant; `None` if it is none of this core's.
    pub fn finished(&mut self, op: u64) -> Option<D> {
        self.appends.remove(&op);
        self.ops.remove(&op)
    }

    /// Is there an operation in flight that means such a thing?
    pub fn is_under_way(&self, is_such: impl Fn(&D) -> bool) -> bool {
        self.ops.values().any(is_such)
    }

    /// Is anything on its way to the page cache?
    pub fn is_appending(&self) -> bool {
        !self.appends.is_empty()
    }

    pub fn set_timer(&mut self, at_ms: u64, timer: T) {
        self.timers.insert((at_ms, timer));
    }

    pub fn set_timer_in(&mut self, delay_ms: u64, timer: T) {
        self.set_timer(self.now.monotonic_ms + delay_ms, timer);
    }

    pub fn cancel_timer(&mut self, at_ms: u64, timer: T) {
        self.timers.remove(&(at_ms, timer));
    }

    /// Takes one timer that is due.
    pub fn due_timer(&mut self) -> Option<T> {
        let &(at_ms, timer) = self.timers.first()?;
        if at_ms > self.now.monotonic_ms {
            return None;
        }
        self.timers.remove(&(at_ms, timer));
        Some(timer)
    }

    /// At the end of a step: asks the host for the next timer unless an earlier one is on its way.
    pub fn arm(&mut self) {
        if self.armed_ms.is_some_and(|at_ms| at_ms <= self.now.monotonic_ms) {
            self.armed_ms = None;
        }
        if let Some(&(at_ms, _)) = self.timers.first()
            && self.armed_ms.is_none_or(|armed_ms| at_ms < armed_ms)
        {
            self.armed_ms = Some(at_ms);
            self.out.push(Output::Timer { at_ms });
        }
    }
}
