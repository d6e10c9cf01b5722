//! What readers were given: the value at each offset, and the stretches that one reader read on without being set elsewhere.

use crate::Entry;
use log::{Event, Isolation, Tp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub reader: String,
    pub isolation: Isolation,
    pub first: i64,
    pub last: i64,
    pub records: u64,
}

/// A reader of a partition: node, number within that node, partition.
type Key = (Arc<str>, u64, Tp);

/// All of them.
#[derive(Debug, Default)]
pub struct Runs {
    seen: BTreeMap<Tp, BTreeMap<i64, u32>>,
    open: BTreeMap<Key, Run>,
    ended: BTreeMap<Tp, Vec<Run>>,
}

impl Runs {
    pub fn observe(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Delivered { reader, tp, isolation, restarted, records, .. } => {
                let key = (entry.node.clone(), *reader, *tp);
                if *restarted {
                    self.end(&key);
                }
                let seen = self.seen.entry(*tp).or_default();
                for (offset, crc) in records {
                    seen.entry(*offset).or_insert(*crc);
                }
                let (Some((first, _)), Some((last, _))) = (records.first(), records.last()) else { return };
                let run = self.open.entry(key).or_insert_with(|| Run {
                    reader: format!("{} reader {reader}", entry.node),
                    isolation: *isolation,
                    first: *first,
                    last: *first,
                    records: 0,
                });
                run.last = *last;
                run.records += records.len() as u64;
            }
            // The readers of a life end with it.
            Event::Service { name, up: false, .. } => {
                let keys: Vec<Key> = self.open.keys().filter(|(node, ..)| **node == **name).cloned().collect();
                keys.iter().for_each(|key| self.end(key));
            }
            _ => {}
        }
    }

    fn end(&mut self, key: &Key) {
        if let Some(run) = self.open.remove(key) {
            self.ended.entry(key.2).or_default().push(run);
        }
    }

    /// The last offset of a reader's present stretch.
    pub fn last_of(&self, node: &Arc<str>, reader: u64, tp: Tp) -> Option<i64> {
        self.open.get(&(node.clone(), reader, tp)).map(|run| run.last)
    }

    /// The value first given at an offset.
    pub fn crc_of(&self, tp: Tp, offset: i64) -> Option<u32> {
        self.seen.get(&tp)?.get(&offset).copied()
    }

    /// A stretch that goes from before an offset to behind it.
    pub fn covering(&self, tp: Tp, offset: i64) -> Option<&Run> {
        self.of(tp).find(|run| run.first < offset && offset < run.last)
    }

    /// Every stretch of a partition.
    pub fn of(&self, tp: Tp) -> impl Iterator<Item = &Run> {
        let open = self.open.iter().filter(move |((_, _, of), _)| *of == tp).map(|(_, run)| run);
        self.ended.get(&tp).into_iter().flatten().chain(open)
    }

    /// Every partition that was read.
    pub fn partitions(&self) -> Vec<Tp> {
        self.seen.keys().copied().collect()
    }
}
