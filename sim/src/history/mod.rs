//! The history of a run: facts in the order in which they were stated, with the time and the node. Its digest is kept as it grows.

mod digest;
mod json;

pub use digest::Digest;
pub use json::{from_json_line, to_json_line, write_json_lines};

use log::Event;
use std::sync::{Arc, Mutex, MutexGuard};

/// One fact with its time and place.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// From 0, without a gap.
    pub ordinal: u64,
    /// Simulated microseconds since the start of the run.
    pub at_us: u64,
    /// Who stated it.
    pub node: Arc<str>,
    /// The fact.
    pub event: Event,
}

/// A history that grows; clones are the same history.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    digest: Digest,
    closed: bool,
}

impl History {
    /// Takes one fact down; after [`History::close`] nothing.
    pub fn push(&self, at_us: u64, node: &Arc<str>, event: Event) {
        let mut inner = self.inner();
        if inner.closed {
            return;
        }
        let entry = Entry { ordinal: inner.entries.len() as u64, at_us, node: node.clone(), event };
        inner.digest.add(&entry);
        inner.entries.push(entry);
    }

    /// Is it still taken down?
    pub fn is_open(&self) -> bool {
        !self.inner().closed
    }

    /// Ends the history: what the end of a run shakes loose belongs to no run.
    pub fn close(&self) {
        self.inner().closed = true;
    }

    /// How many facts so far.
    pub fn len(&self) -> usize {
        self.inner().entries.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The digest so far.
    pub fn digest(&self) -> Digest {
        self.inner().digest
    }

    /// Looks at the facts from `ordinal` on; nothing may be pushed meanwhile.
    pub fn with_entries<T>(&self, from_ordinal: u64, look: impl FnOnce(&[Entry]) -> T) -> T {
        let inner = self.inner();
        look(&inner.entries[(from_ordinal as usize).min(inner.entries.len())..])
    }

    /// Takes all facts out and closes it.
    pub fn into_entries(self) -> Vec<Entry> {
        let mut inner = self.inner();
        inner.closed = true;
        std::mem::take(&mut inner.entries)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic of one seed must not hide its history.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
