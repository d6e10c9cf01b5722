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
    /// What a leader took office without, or a deposed one appended after that: a later leader may have it.
    set_aside: BTreeMap<i64, Batch>,
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
                    partition.take_back(*end);
                }
            }
            Note::Appended { tp, leader_epoch, first, last, producer_id, transactional, control, as_leader: true, .. } => {
                let partition = self.0.entry(*tp).or_default();
                let batch = Batch { first: *first, last: *last, producer_id: *producer_id, transactional: *transactional, control: *control };
                if *leader_epoch < partition.epoch {
                    partition.set_aside.entry(*first).or_insert(batch);
                    return;
                }
                partition.epoch = *leader_epoch;
                partition.cut(*first);
                partition.put(batch);
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
    fn put(&mut self, batch: Batch) {
        self.batches.insert(batch.first, batch);
        if let Some(kind) = batch.control {
            self.markers.entry(batch.producer_id).or_default().insert(batch.first, kind);
        }
    }

    fn cut(&mut self, end: i64) {
        while let Some(last) = self.batches.last_entry().filter(|entry| entry.get().last >= end) {
            let batch = last.remove();
            if batch.control.is_some() {
                self.markers.get_mut(&batch.producer_id).expect("entered with its batch").remove(&batch.first);
            }
            self.set_aside.insert(batch.first, batch);
        }
    }

    /// 1. Leader 1 appends a record; broker 2 copies it, broker 3 does not. It is not committed.
    /// 2. Leader 1 is lost; broker 3 takes office without the record, and is lost before anybody fetched from it: nobody was told to truncate.
    /// 3. Broker 2 takes office: the record is there, and in the end it is committed and read. Nothing was lost and nobody read what no leader has.
    ///
    /// Seed 160, scenario `steady_flow`, did it the other way round:
    /// 1. broker-1 takes office in epoch 2; broker-2, which has not heard of it, appends as the leader of epoch 1;
    /// 2. broker-3, which has not heard of it either, copies that;
    /// 3. broker-1 appends nothing before broker-3 takes office in epoch 5, with the record; its producer's repeat is acknowledged as a duplicate.
    fn take_back(&mut self, end: i64) {
        loop {
            let next = self.batches.last_key_value().map_or(0, |(_, batch)| batch.last + 1);
            let Some(batch) = self.set_aside.get(&next).copied().filter(|batch| batch.last < end) else { return };
            self.set_aside.remove(&next);
            self.put(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::TopicId;

    const TP: Tp = Tp { topic: TopicId(4), partition: 1 };

    fn appended(leader_epoch: u32, first: i64) -> Note {
        Note::Appended {
            tp: TP,
            leader_epoch,
            first,
            last: first,
            crc: 7,
            producer_id: 3,
            producer_epoch: 0,
            first_sequence: 0,
            transactional: false,
            control: None,
            as_leader: true,
        }
    }

    fn leads(leader_epoch: u32, end: i64) -> Note {
        Note::BecameLeader { tp: TP, leader_epoch, end, high_watermark: 0 }
    }

    #[test]
    fn a_record_that_one_leader_lacks_may_come_back_with_the_next() {
        let mut logs = LeaderLogs::default();
        for note in [leads(0, 0), appended(0, 0), appended(0, 1), leads(1, 1)] {
            logs.observe(&note);
        }
        assert_eq!(logs.batch_at(TP, 1), None, "the leader of epoch 1 does not have it");
        logs.observe(&leads(2, 2));
        assert!(logs.batch_at(TP, 1).is_some(), "the leader of epoch 2 does");
        logs.observe(&leads(3, 1));
        logs.observe(&appended(3, 1));
        logs.observe(&leads(4, 2));
        assert!(logs.batch_at(TP, 1).is_some() && logs.batch_at(TP, 2).is_none(), "overwritten, not doubled");
    }

    #[test]
    fn what_a_deposed_leader_appends_counts_when_a_later_leader_has_it() {
        let mut logs = LeaderLogs::default();
        for note in [leads(1, 0), appended(1, 0), leads(2, 1), appended(1, 1)] {
            logs.observe(&note);
        }
        assert_eq!(logs.batch_at(TP, 1), None, "the leader of epoch 2 does not have it");
        logs.observe(&leads(5, 2));
        assert!(logs.batch_at(TP, 1).is_some(), "the leader of epoch 5 copied it");
    }
}
