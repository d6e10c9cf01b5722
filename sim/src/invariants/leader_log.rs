//! A partition's log as its leaders wrote it: what is at an offset, and how the transaction it belongs to ended. A later leader's log replaces what
//! an earlier one had from its first batch on; what a deposed leader still appends is not part of it.

use broker::Note;
use broker::batch::ControlKind;
use log::Tp;
use std::collections::BTreeMap;

/// A batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    pub first: i64,
    pub last: i64,
    pub producer_id: i64,
    pub transactional: bool,
    pub control: Option<ControlKind>,
}

#[derive(Debug, Default)]
struct Partition {
    epoch: u32,
    batches: BTreeMap<i64, Batch>,
    /// By producer: offset and kind of its markers.
    markers: BTreeMap<i64, BTreeMap<i64, ControlKind>>,
}

/// All partitions.
#[derive(Debug, Default)]
pub struct LeaderLogs(BTreeMap<Tp, Partition>);

impl LeaderLogs {
    pub fn observe(&mut self, note: &Note) {
        match note {
            Note::BecameLeader { tp, leader_epoch, end, .. } => {
                let partition = self.0.entry(*tp).or_default();
                if *leader_epoch >= partition.epoch {
                    partition.epoch = *leader_epoch;
                    partition.cut(*end);
                }
            }
            Note::Appended { tp, leader_epoch, first, last, producer_id, transactional, control, as_leader: true, .. } => {
                let partition = self.0.entry(*tp).or_default();
                if *leader_epoch < partition.epoch {
                    return;
                }
                partition.epoch = *leader_epoch;
                partition.cut(*first);
                partition
                    .batches
                    .insert(*first, Batch { first: *first, last: *last, producer_id: *producer_id, transactional: *transactional, control: *control });
                if let Some(kind) = control {
                    partition.markers.entry(*producer_id).or_default().insert(*first, *kind);
                }
            }
            _ => {}
        }
    }

    /// The highest leader epoch that has spoken.
    pub fn epoch(&self, tp: Tp) -> u32 {
        self.0.get(&tp).map_or(0, |partition| partition.epoch)
    }

    /// Has a broker said anything about this partition? A log that is not ours says nothing.
    pub fn knows(&self, tp: Tp) -> bool {
        self.0.contains_key(&tp)
    }

    /// The batch that holds an offset.
    pub fn batch_at(&self, tp: Tp, offset: i64) -> Option<Batch> {
        let (_, batch) = self.0.get(&tp)?.batches.range(..=offset).next_back()?;
        (batch.last >= offset).then_some(*batch)
    }

    /// How the transaction of a transactional batch ended: the first marker of its producer behind it. `None`: it is open.
    pub fn end_of(&self, tp: Tp, batch: Batch) -> Option<(i64, ControlKind)> {
        let markers = self.0.get(&tp)?.markers.get(&batch.producer_id)?;
        markers.range(batch.last + 1..).next().map(|(offset, kind)| (*offset, *kind))
    }
}

impl Partition {
    fn cut(&mut self, end: i64) {
        while let Some(last) = self.batches.last_entry().filter(|entry| entry.get().last >= end) {
            let batch = last.remove();
            if batch.control.is_some() {
                self.markers.get_mut(&batch.producer_id).expect("entered with its batch").remove(&batch.first);
            }
        }
    }
}
