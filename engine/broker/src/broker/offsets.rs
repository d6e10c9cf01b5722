//! ListOffsets and OffsetForLeaderEpoch. A timestamp is looked up in the batch headers; the record itself in the one batch that is read for it.

use super::{Broker, DiskOp};
use crate::batch::Batch;
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
                let Some(entry) = replica.log.first_at_or_after(timestamp_ms, bound) else { return Ok(Some((bound, leader_epoch))) };
                if entry.header.first_timestamp_ms >= timestamp_ms {
                    return Ok(Some((entry.header.base_offset, entry.header.leader_epoch)));
                }
                let file = replica.log.file_of(entry.header.base_offset).expect("an indexed batch has a file").to_owned();
                let (position, len, leader_epoch) = (entry.position, u64::from(entry.header.len), entry.header.leader_epoch);
                self.io.read(&file, position, len, DiskOp::TimestampRead { lookup: lookup.0, part: lookup.1, timestamp_ms, leader_epoch });
                Ok(None)
            }
        }
    }

    pub(super) fn timestamp_read(&mut self, lookup: u64, part: usize, timestamp_ms: i64, leader_epoch: u32, bytes: &Bytes) {
        let Some(waiting) = self.lookups.waiting.get_mut(&lookup) else { return };
        // A truncation may have taken the batch since.
        let records = Batch::check(bytes.clone()).and_then(|batch| batch.records());
        let found = records.map(|records| records.into_iter().find(|record| record.timestamp_ms >= timestamp_ms));
        waiting.parts[part].1 = match found {
            Ok(Some(record)) => Ok((record.offset, leader_epoch)),
            _ => Err(ErrorCode::OffsetNotAvailable),
        };
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
