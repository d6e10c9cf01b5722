//! Files whose changes one journal keeps in their order, as `runtime::disk::JournalDisk` does: a sync is of all of them, and a power loss leaves a prefix of
//! everything that was done, at or past the last sync. (A record of that journal is whole or not there: nothing is torn here.)
//!
//! A process whose parts act on what is only written leaves facts that never happened, if the power goes before the sync: they are held back until what was
//! written before them is on the platter, and are gone with it.

use runtime::rng::Rng;
use std::collections::{BTreeMap, VecDeque};

/// Something done to one of the files.
#[derive(Debug)]
pub enum Change {
    Append { file: String, bytes: Vec<u8> },
    Truncate { file: String, len: u64 },
    Rename { from: String, to: String },
    Remove { file: String },
}

/// A fact that is held back.
pub type Held = Box<dyn FnOnce() + Send>;

/// The files below one prefix.
pub struct Journal {
    pub prefix: String,
    platter: BTreeMap<String, Vec<u8>>,
    /// Done and not on the platter, in order; the first has number `durable`.
    since: VecDeque<Change>,
    durable: u64,
    /// With how much had been done by then, in order.
    held: VecDeque<(u64, Held)>,
}

impl Journal {
    pub fn new(prefix: &str) -> Self {
        Journal { prefix: prefix.to_owned(), platter: BTreeMap::new(), since: VecDeque::new(), durable: 0, held: VecDeque::new() }
    }

    /// How much was done.
    pub fn end(&self) -> u64 {
        self.durable + self.since.len() as u64
    }

    pub fn did(&mut self, change: Change) {
        self.since.push_back(change);
    }

    /// Holds a fact back; gives it back if nothing is amiss.
    pub fn hold(&mut self, fact: Held) -> Option<Held> {
        if self.since.is_empty() {
            return Some(fact);
        }
        self.held.push_back((self.end(), fact));
        None
    }

    /// The first `end` changes are on the platter: what may be told.
    pub fn synced(&mut self, end: u64) -> Vec<Held> {
        while self.durable < end {
            let change = self.since.pop_front().expect("a sync covers what was done");
            self.apply(change);
            self.durable += 1;
        }
        let told = self.held.iter().take_while(|(done, _)| *done <= end).count();
        self.held.drain(..told).map(|(_, fact)| fact).collect()
    }

    /// A prefix at or past the platter is left (a third each nothing more, everything, anything between): what may be told, and the files.
    pub fn power_loss(&mut self, rng: &mut Rng) -> (Vec<Held>, &BTreeMap<String, Vec<u8>>) {
        let loose = self.since.len() as u64;
        let more = match rng.below(3) {
            0 => 0,
            1 => loose,
            _ => rng.below(loose + 1),
        };
        let told = self.synced(self.durable + more);
        self.since.clear();
        self.held.clear();
        (told, &self.platter)
    }

    fn apply(&mut self, change: Change) {
        let missing = "done to a file that was there";
        match change {
            Change::Append { file, bytes } => self.platter.entry(file).or_default().extend_from_slice(&bytes),
            Change::Truncate { file, len } => self.platter.get_mut(&file).expect(missing).truncate(len as usize),
            Change::Rename { from, to } => {
                let bytes = self.platter.remove(&from).expect(missing);
                self.platter.insert(to, bytes);
            }
            Change::Remove { file } => drop(self.platter.remove(&file).expect(missing)),
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("prefix", &self.prefix).field("durable", &self.durable).field("since", &self.since.len()).finish_non_exhaustive()
    }
}
