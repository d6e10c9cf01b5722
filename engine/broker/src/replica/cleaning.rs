//! Compaction of one log (A65, A66): which segments, and what is left of their batches. Pure; the broker reads and writes.
//!
//! A record stays if it is the last of its key among those that count; records of aborted transactions count for nothing. A tombstone, and the marker of a
//! transaction that has no record left, stay until the horizon that the first cleaning gave them (KIP-534). What a reader, a restart and a producer's
//! next batch need stays too: offsets, the last batch of each producer, and the last batch of each file, both empty if need be.

use super::Replica;
use super::log::Segment;
use super::producers::{LastOf, Producers};
use crate::batch::Batch;
use crate::note::{Content, Note};
use crate::protocol::{ErrorCode, ProducerId, Tp};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// The last offset of each key in the part that was not cleaned before.
pub(crate) type Latest = BTreeMap<Bytes, i64>;

/// One cleaning.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Up to here: of no active segment, no open transaction, no record that is too young.
    pub end: i64,
    /// Segments that were not cleaned before, by their first offset: keys are collected from them.
    pub dirty: Vec<i64>,
    /// All segments below the end, in groups of neighbours that fill one file.
    pub groups: Vec<Vec<i64>>,
    pub dirty_bytes: u64,
    pub bytes: u64,
}

impl Plan {
    /// Whether so much is dirty that cleaning is worth while.
    pub fn is_due(&self, dirty_percent_min: u8) -> bool {
        self.dirty_bytes > 0 && self.dirty_bytes * 100 >= self.bytes * u64::from(dirty_percent_min)
    }
}

/// What could be cleaned of a replica now; `None`: nothing.
pub(crate) fn plan(replica: &Replica, now_ms: i64, segment_bytes: u64, dirty_bytes_max: u64) -> Option<Plan> {
    let stable = replica.last_stable_offset();
    let lag_ms = i64::try_from(replica.config.compaction_lag_ms_min).unwrap_or(i64::MAX);
    let is_old = |segment: &&Segment| lag_ms == 0 || segment.entries.iter().all(|entry| now_ms.saturating_sub(entry.header.newest_timestamp_ms) >= lag_ms);
    let mut plan = Plan { end: 0, dirty: Vec::new(), groups: Vec::new(), dirty_bytes: 0, bytes: 0 };
    let segments = replica.log.segments().windows(2).take_while(|pair| pair[1].base <= stable && is_old(&&pair[0]));
    let mut room = 0;
    for (segment, end) in segments.map(|pair| (&pair[0], pair[1].base)) {
        if end > replica.cleaned_to {
            if plan.dirty_bytes + segment.len > dirty_bytes_max && !plan.dirty.is_empty() {
                break;
            }
            plan.dirty.push(segment.base);
            plan.dirty_bytes += segment.len;
        }
        plan.end = end;
        plan.bytes += segment.len;
        match plan.groups.last_mut().filter(|_| segment.len <= room) {
            Some(group) => group.push(segment.base),
            None => {
                plan.groups.push(vec![segment.base]);
                room = segment_bytes;
            }
        }
        room = room.saturating_sub(segment.len);
    }
    (!plan.dirty.is_empty()).then_some(plan)
}

/// Collects the keys of a dirty segment.
pub(crate) fn collect(latest: &mut Latest, batches: &[Batch], producers: &Producers) -> Result<(), ErrorCode> {
    for batch in batches.iter().filter(|batch| batch.header().control.is_none()) {
        if batch.header().transactional && producers.is_aborted(batch.header().producer_id, batch.header().base_offset) {
            continue;
        }
        latest.extend(batch.records()?.into_iter().filter_map(|record| Some((record.key?, record.offset))));
    }
    Ok(())
}

/// What was read, to be told.
pub(crate) fn read(tp: Tp, batches: &[Batch]) -> Result<Vec<Note>, ErrorCode> {
    batches.iter().map(|batch| Ok(Note::CleanerRead { tp, first: batch.header().base_offset, content: content(batch)? })).collect()
}

/// What became of what was read, to be told.
pub(crate) fn taken_out(tp: Tp, before: &[Batch], after: &[Batch]) -> Result<Vec<Note>, ErrorCode> {
    let mut told = Vec::new();
    for batch in before {
        let header = batch.header();
        let left = after.iter().find(|left| left.header().base_offset == header.base_offset);
        if left.is_none_or(|left| left.header().crc != header.crc) {
            told.push(Note::BatchCleaned { tp, first: header.base_offset, crc: header.crc, left: left.map(content).transpose()? });
        }
    }
    Ok(told)
}

fn content(batch: &Batch) -> Result<Content, ErrorCode> {
    let crc_of = |bytes: &Bytes| crc32c::crc32c(bytes);
    let records = batch.records()?.into_iter().map(|record| (record.offset, record.key.as_ref().map_or(0, crc_of), record.value.as_ref().map(crc_of)));
    Ok(Content { crc: batch.header().crc, has_horizon: batch.header().delete_horizon_ms.is_some(), records: records.collect() })
}

/// What goes through the whole of a cleaning, from the log's first batch on.
#[derive(Debug)]
pub(crate) struct Cleaner {
    latest: Latest,
    last_of_each: BTreeMap<ProducerId, LastOf>,
    /// Their transaction has a record left.
    with_records: BTreeSet<ProducerId>,
    now_ms: i64,
    horizon_ms: i64,
}

impl Cleaner {
    pub fn new(latest: Latest, producers: &Producers, now_ms: i64, delete_retention_ms: u64) -> Self {
        let horizon_ms = now_ms.saturating_add(i64::try_from(delete_retention_ms).unwrap_or(i64::MAX));
        Cleaner { latest, last_of_each: producers.last_of_each(), with_records: BTreeSet::new(), now_ms, horizon_ms }
    }

    /// What is left of a segment; `ends_file`: its last batch ends the file that is written, and stays.
    pub fn clean(&mut self, batches: &[Batch], ends_file: bool, producers: &Producers) -> Result<Vec<Batch>, ErrorCode> {
        let mut kept = Vec::with_capacity(batches.len());
        for (at, batch) in batches.iter().enumerate() {
            let must_stay = self.is_last_of_producer(batch) || (ends_file && at + 1 == batches.len());
            let cleaned = if batch.header().control.is_some() { self.clean_marker(batch)? } else { self.clean_data(batch, producers)? };
            if cleaned.header().record_count > 0 || must_stay {
                kept.push(cleaned);
            }
        }
        Ok(kept)
    }

    fn is_last_of_producer(&self, batch: &Batch) -> bool {
        let header = batch.header();
        match self.last_of_each.get(&header.producer_id) {
            Some(LastOf::Data(offset)) => header.control.is_none() && header.last_offset() == *offset,
            Some(LastOf::Marker(epoch)) => header.control.is_some() && header.producer_epoch == *epoch,
            None => false,
        }
    }

    /// A marker goes, once its horizon has passed, if no record of its transaction is left.
    fn clean_marker(&mut self, batch: &Batch) -> Result<Batch, ErrorCode> {
        if self.with_records.remove(&batch.header().producer_id) {
            return Ok(batch.clone());
        }
        let is_over = batch.header().delete_horizon_ms.is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        // A marker that must stay after its time stays whole: an empty one would say nothing.
        let stays = !is_over || self.is_last_of_producer(batch);
        batch.cleaned(|_| stays, Some(self.horizon_ms))
    }

    fn clean_data(&mut self, batch: &Batch, producers: &Producers) -> Result<Batch, ErrorCode> {
        let header = batch.header();
        if header.transactional && producers.is_aborted(header.producer_id, header.base_offset) {
            return batch.cleaned(|_| false, None);
        }
        let tombstones_go = header.delete_horizon_ms.is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        let is_latest = |offset: i64, key: &Option<Bytes>| key.as_ref().is_some_and(|key| self.latest.get(key).is_none_or(|&latest| latest <= offset));
        let keeps = |record: &crate::batch::Record| is_latest(record.offset, &record.key) && (record.value.is_some() || !tombstones_go);
        let has_tombstone = batch.records()?.iter().any(|record| record.value.is_none() && keeps(record));
        let cleaned = batch.cleaned(keeps, has_tombstone.then_some(self.horizon_ms))?;
        if header.transactional && cleaned.header().record_count > 0 {
            self.with_records.insert(header.producer_id);
        }
        Ok(cleaned)
    }
}
