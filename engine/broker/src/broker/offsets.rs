//! ListOffsets and OffsetForLeaderEpoch. A timestamp is looked up in the batch headers; the record itself in the one batch that is read for it.

use super::{Broker, DiskOp};
use crate::batch::{Batch, Record};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, Isolation, OffsetSpec, Response, Tp};
use bytes::Bytes;
use std::collections::BTreeMap;

/// ListOffsets requests that wait for the disk.
#[derive(Default)]
pub(super) struct Lookups {
    last: u64,
    waiting: BTreeMap<u64, Lookup>,
}

/// The first record at or after a time, in a range of offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought {
    timestamp_ms: i64,
    from: i64,
    bound: i64,
}

struct Lookup {
    to: ReplyTo,
    parts: Vec<(Tp, Result<(i64, u32), ErrorCode>)>,
    open: usize,
}

impl Broker {
    pub(super) fn list_offsets(&mut self, to: ReplyTo, isolation: Isolation, partitions: &[(Tp, OffsetSpec, Option<u32>)]) {
        self.lookups.last += 1;
        let id = self.lookups.last;
        let mut lookup = Lookup { to, parts: Vec::with_capacity(partitions.len()), open: 0 };
        for &(tp, spec, epoch) in partitions {
            let result = self.list_offset((id, lookup.parts.len()), tp, spec, epoch, isolation);
            lookup.open += usize::from(result == Ok(None));
            lookup.parts.push((tp, result.map(|found| found.unwrap_or((-1, 0)))));
        }
        self.lookups.waiting.insert(id, lookup);
        self.answer_lookup(id);
    }

    /// `None`: the disk is asked.
    fn list_offset(
        &mut self,
        lookup: (u64, usize),
        tp: Tp,
        spec: OffsetSpec,
        epoch: Option<u32>,
        isolation: Isolation,
    ) -> Result<Option<(i64, u32)>, ErrorCode> {
        let replica = self.led_in(tp, epoch)?;
        let leader_epoch = replica.leader_epoch.expect("a leader has an epoch");
        let epoch_start = replica.leader().expect("led").epoch_start;
        let bound = match isolation {
            Isolation::ReadUncommitted => replica.high_watermark,
            Isolation::ReadCommitted => replica.last_stable_offset(),
        };
        match spec {
            OffsetSpec::Earliest => Ok(Some((replica.log.start(), leader_epoch))),
            // KIP-207: a new leader's high watermark may still be behind what was told before.
            _ if replica.high_watermark < epoch_start => Err(ErrorCode::OffsetNotAvailable),
            OffsetSpec::Latest => Ok(Some((bound, leader_epoch))),
            OffsetSpec::Timestamp(timestamp_ms) => {
                let sought = Sought { timestamp_ms, from: replica.log.start(), bound };
                Ok(self.seek_time(lookup, tp, sought))
            }
        }
    }

    /// `None`: the disk is asked.
    fn seek_time(&mut self, (lookup, part): (u64, usize), tp: Tp, sought: Sought) -> Option<(i64, u32)> {
        let Sought { timestamp_ms, from, bound } = sought;
        let replica = &self.replicas[&tp];
        let Some(entry) = replica.log.first_at_or_after(timestamp_ms, from, bound) else {
            return Some((bound, replica.leader_epoch.expect("a leader has an epoch")));
        };
        let header = &entry.header;
        // What was compacted may have lost its first record, and the newest; that of a cleaned batch is not in its header either.
        let is_whole = header.record_count == header.last_offset_delta + 1 && header.delete_horizon_ms.is_none();
        if is_whole && header.base_offset >= from && header.first_timestamp_ms >= timestamp_ms {
            return Some((header.base_offset, header.leader_epoch));
        }
        let file = replica.log.file_of(header.base_offset).expect("an indexed batch has a file").to_owned();
        self.io.read(&file, entry.position, u64::from(header.len), DiskOp::TimestampRead { lookup, part, sought });
        None
    }

    pub(super) fn timestamp_read(&mut self, lookup: u64, part: usize, sought: Sought, bytes: &Bytes) {
        let Some(waiting) = self.lookups.waiting.get(&lookup) else { return };
        let tp = waiting.parts[part].0;
        let is_sought = |record: &Record| record.timestamp_ms >= sought.timestamp_ms && record.offset >= sought.from;
        let found = match Batch::check(bytes.clone()).and_then(|batch| Ok((*batch.header(), batch.records()?.into_iter().find(is_sought)))) {
            Ok((header, Some(record))) => Some(Ok((record.offset, header.leader_epoch))),
            // Its header tells of a record that compaction took.
            Ok((header, None)) if self.leading(tp).is_ok() => self.seek_time((lookup, part), tp, Sought { from: header.next_offset(), ..sought }).map(Ok),
            // A truncation may have taken the batch since.
            _ => Some(Err(ErrorCode::OffsetNotAvailable)),
        };
        let Some(found) = found else { return };
        let waiting = self.lookups.waiting.get_mut(&lookup).expect("just seen");
        waiting.parts[part].1 = found;
        waiting.open -= 1;
        self.answer_lookup(lookup);
    }

    fn answer_lookup(&mut self, id: u64) {
        if self.lookups.waiting[&id].open == 0 {
            let Lookup { to, parts, .. } = self.lookups.waiting.remove(&id).expect("just seen");
            self.reply(to, Response::ListOffsets { partitions: parts });
        }
    }

    pub(super) fn offset_for_leader_epoch(&mut self, to: ReplyTo, partitions: &[(Tp, Option<u32>, u32)]) {
        let end_of = |&(tp, current, epoch): &(Tp, Option<u32>, u32)| {
            let found = self.led_in(tp, current).and_then(|replica| replica.epochs.end_of(epoch, replica.log.end()).ok_or(ErrorCode::UnknownLeaderEpoch));
            (tp, found)
        };
        let partitions = partitions.iter().map(end_of).collect();
        self.reply(to, Response::OffsetForLeaderEpoch { partitions });
    }
}
