//! The log cleaner (A65, A66): one log at a time, one file at a time, the filthiest first. Each replica by itself.
//!
//! 1. The keys of the dirty segments are collected.
//! 2. What the batches say of producers is written down: some will go.
//! 3. Neighbouring segments are cleaned into the file of the first; when that is on the platter the others' files go. A crash in between leaves files
//!    that recovery knows as merged already.
//! 4. How far the log is clean is written down; if that is lost, it is cleaned once more.

use super::checkpoints::SideFile;
use super::{Broker, DiskOp, Timer};
use crate::batch::Batch;
use crate::note::Note;
use crate::protocol::Tp;
use crate::replica::cleaning::{self, Cleaner, Latest, Plan};
use bytes::Bytes;
use std::collections::VecDeque;

/// Most bytes whose keys are held in memory at a time.
const DIRTY_BYTES_MAX: u64 = 64 << 20;

/// A cleaning under way.
#[derive(Debug)]
pub(super) struct Cleaning {
    tp: Tp,
    /// What comes late of an earlier cleaning counts for nothing.
    id: u64,
    plan: Plan,
    /// Segments still to be read, by first offset.
    unread: VecDeque<i64>,
    latest: Latest,
    /// Since all keys are known.
    cleaner: Option<Cleaner>,
    groups: VecDeque<Vec<i64>>,
    /// Of the first group.
    cleaned: Vec<Batch>,
    /// Files that go when the one that replaces them is durable.
    merged: Vec<String>,
    bytes: u64,
}

/// What runs only while somebody asks for it.
#[derive(Debug, Default)]
pub(super) struct Watches {
    pub retention: bool,
    pub cleaner: bool,
    /// Expired producers were looked for (A31).
    pub producers_looked_at_ms: Option<u64>,
    cleaning: Option<Cleaning>,
    last: u64,
}

impl Broker {
    /// A compacted log may have got a segment that can be cleaned.
    pub(super) fn watch_cleaner(&mut self, tp: Tp) {
        let is_dirty = |replica: &crate::replica::Replica| replica.compacted && replica.log.active_base().is_some_and(|base| base > replica.cleaned_to);
        if self.config.log_cleaner && !self.watches.cleaner && self.replicas.get(&tp).is_some_and(is_dirty) {
            self.watches.cleaner = true;
            self.io.set_timer_in(self.config.cleaner_backoff_ms, Timer::Cleaner);
        }
    }

    pub(super) fn clean(&mut self) {
        self.watches.cleaner = false;
        if self.watches.cleaning.is_some() {
            return;
        }
        let now_ms = self.wall_ms();
        let plan_of = |replica: &crate::replica::Replica| {
            let segment_bytes = replica.config.segment_bytes.unwrap_or(self.config.segment_bytes);
            let plan = cleaning::plan(replica, now_ms, segment_bytes, DIRTY_BYTES_MAX)?;
            plan.is_due(replica.config.dirty_percent_min).then_some((replica.tp, plan))
        };
        let due = self.replicas.values().filter(|replica| replica.compacted).filter_map(plan_of);
        match due.max_by_key(|(_, plan)| plan.dirty_bytes * 1_000 / plan.bytes.max(1)) {
            Some((tp, plan)) => self.begin_cleaning(tp, plan),
            None => {
                let tps: Vec<Tp> = self.replicas.keys().copied().collect();
                tps.into_iter().for_each(|tp| self.watch_cleaner(tp));
            }
        }
    }

    fn begin_cleaning(&mut self, tp: Tp, plan: Plan) {
        self.watches.last += 1;
        let cleaning = Cleaning {
            tp,
            id: self.watches.last,
            unread: plan.dirty.iter().copied().collect(),
            groups: plan.groups.iter().cloned().collect(),
            plan,
            latest: Latest::new(),
            cleaner: None,
            cleaned: Vec::new(),
            merged: Vec::new(),
            bytes: 0,
        };
        self.watches.cleaning = Some(cleaning);
        self.read_to_clean();
    }

    fn read_to_clean(&mut self) {
        let cleaning = self.watches.cleaning.as_ref().expect("a cleaning is under way");
        let Some(&base) = cleaning.unread.front() else { return self.go_on_cleaning() };
        let segment = self.replicas[&cleaning.tp].log.segments().iter().find(|segment| segment.base == base).expect("it is not given up while it is cleaned");
        self.io.read(&segment.file, 0, segment.len, DiskOp::CleanerRead { id: cleaning.id });
    }

    pub(super) fn cleaner_read(&mut self, id: u64, bytes: &Bytes) {
        let Some(cleaning) = self.watches.cleaning.as_mut().filter(|cleaning| cleaning.id == id) else { return };
        let producers = &self.replicas[&cleaning.tp].producers;
        cleaning.unread.pop_front().expect("one was read");
        let (tp, mut told) = (cleaning.tp, Vec::new());
        let taken = Batch::split(bytes.clone()).and_then(|batches| match &mut cleaning.cleaner {
            None => {
                if self.config.log_cleaner_tells {
                    told = cleaning::read(tp, &batches)?;
                }
                cleaning::collect(&mut cleaning.latest, &batches, producers)
            }
            Some(cleaner) => {
                let cleaned = cleaner.clean(&batches, cleaning.unread.is_empty(), producers)?;
                if self.config.log_cleaner_tells {
                    told = cleaning::taken_out(tp, &batches, &cleaned)?;
                }
                cleaning.cleaned.extend(cleaned);
                Ok(())
            }
        });
        told.into_iter().for_each(|note| self.io.note(note));
        match taken {
            Ok(()) => self.read_to_clean(),
            // A batch is rotten: this log is not cleaned any more (Kafka: uncleanable), readers will hear of it.
            Err(_) => self.watches.cleaning = None,
        }
    }

    /// All that was to be read is read.
    fn go_on_cleaning(&mut self) {
        let now_ms = self.wall_ms();
        let cleaning = self.watches.cleaning.as_mut().expect("a cleaning is under way");
        if cleaning.cleaner.is_some() {
            return self.write_cleaned();
        }
        let replica = self.replicas.get_mut(&cleaning.tp).expect("it is not given up while it is cleaned");
        replica.keep_producers_of(cleaning.plan.end, &mut self.io);
        let latest = std::mem::take(&mut cleaning.latest);
        cleaning.cleaner = Some(Cleaner::new(latest, &replica.producers, now_ms, replica.config.delete_retention_ms));
        self.next_group();
    }

    fn next_group(&mut self) {
        let cleaning = self.watches.cleaning.as_mut().expect("a cleaning is under way");
        match cleaning.groups.front() {
            Some(group) => {
                cleaning.unread = group.iter().copied().collect();
                self.read_to_clean();
            }
            None => self.end_cleaning(),
        }
    }

    fn write_cleaned(&mut self) {
        let cleaning = self.watches.cleaning.as_mut().expect("a cleaning is under way");
        let group = cleaning.groups.pop_front().expect("a group was read");
        let batches = std::mem::take(&mut cleaning.cleaned);
        let bytes: Bytes = batches.iter().map(|batch| &batch.bytes()[..]).collect::<Vec<_>>().concat().into();
        cleaning.bytes += bytes.len() as u64;
        let replica = self.replicas.get_mut(&cleaning.tp).expect("it is not given up while it is cleaned");
        cleaning.merged = replica.log.replace_segments(&group, &batches);
        let file = replica.log.segments().iter().find(|segment| segment.base == group[0]).expect("just put").file.clone();
        self.io.replace(&file, bytes, DiskOp::CleanerReplaced { id: cleaning.id });
    }

    pub(super) fn cleaner_replaced(&mut self, id: u64) {
        let Some(cleaning) = self.watches.cleaning.as_mut().filter(|cleaning| cleaning.id == id) else { return };
        for file in std::mem::take(&mut cleaning.merged) {
            self.io.remove(&file, DiskOp::Applied);
        }
        self.next_group();
    }

    fn end_cleaning(&mut self) {
        let cleaning = self.watches.cleaning.take().expect("a cleaning is under way");
        let (tp, end) = (cleaning.tp, cleaning.plan.end);
        self.replicas.get_mut(&tp).expect("it is not given up while it is cleaned").cleaned_to = end;
        self.io.note(Note::Compacted { tp, end, bytes_before: cleaning.plan.bytes, bytes: cleaning.bytes });
        self.checkpoint_soon(SideFile::Cleaned);
        self.clean();
    }

    /// The log is cut, or its oldest part given up, under the cleaner's hands. Files whose content is in another one's new version go at once: nobody
    /// would know of them any more.
    pub(super) fn stop_cleaning(&mut self, tp: Tp) {
        if let Some(cleaning) = self.watches.cleaning.take_if(|cleaning| cleaning.tp == tp) {
            for file in cleaning.merged {
                self.io.remove(&file, DiskOp::Applied);
            }
            self.watch_cleaner(tp);
        }
    }
}
