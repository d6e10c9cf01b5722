//! What a reader of an isolation level may see of fetched batches.

use crate::port::{Delivered, Next, Position};
use broker::batch::{Batch, ControlKind};
use broker::protocol::{ErrorCode, Isolation, ProducerId};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Records to hand on, and the position behind everything looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// In order; may be none.
    pub records: Vec<Delivered>,
    /// `None`: there was no batch at or behind the offset asked for.
    pub position: Option<Position>,
}

/// Filters the answer to a fetch from `from`. `aborted`: (producer, first offset) of each aborted transaction in the range (A44).
///
/// # Errors
/// `CorruptMessage`: a batch is cut short or its CRC is wrong.
pub fn visible(bytes: Bytes, from: i64, isolation: Isolation, aborted: &[(ProducerId, i64)]) -> Result<Visible, ErrorCode> {
    let mut starts: Vec<(i64, ProducerId)> = aborted.iter().map(|(producer, first)| (*first, *producer)).collect();
    starts.sort_unstable();
    let mut starts = starts.into_iter().peekable();
    let mut aborting: BTreeSet<ProducerId> = BTreeSet::new();
    let mut seen = Visible { records: Vec::new(), position: None };
    for batch in Batch::split(bytes)? {
        let header = *batch.header();
        while let Some((_, producer)) = starts.next_if(|(first, _)| *first <= header.last_offset()) {
            aborting.insert(producer);
        }
        // Whole batches come: the first may lie, or begin, below the offset asked for (A1).
        if header.last_offset() < from {
            continue;
        }
        seen.position = Some(Position { next: Next(header.next_offset()), epoch: Some(header.leader_epoch) });
        if let Some(kind) = header.control {
            if kind == ControlKind::Abort {
                aborting.remove(&header.producer_id);
            }
            continue;
        }
        if isolation == Isolation::ReadCommitted && header.transactional && aborting.contains(&header.producer_id) {
            continue;
        }
        let wanted = batch.records()?.into_iter().filter(|record| record.offset >= from);
        seen.records.extend(wanted.map(|record| Delivered { offset: record.offset, timestamp_ms: record.timestamp_ms, key: record.key, value: record.value }));
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker::batch::{Producer, Record};

    struct Log {
        bytes: Vec<u8>,
        end: i64,
    }

    impl Log {
        fn new() -> Self {
            Log { bytes: Vec::new(), end: 10 }
        }

        fn push(mut self, batch: Batch) -> Self {
            let batch = batch.assign(self.end, 3);
            self.end = batch.header().next_offset();
            self.bytes.extend_from_slice(batch.bytes());
            self
        }

        fn data(self, producer: i64, count: usize) -> Self {
            let record = Record { offset: 0, timestamp_ms: 1, key: None, value: Some(Bytes::from_static(b"v")) };
            self.push(Batch::build(&vec![record; count], Producer { id: producer, epoch: 0, first_sequence: 0 }, producer > 0))
        }

        fn marker(self, producer: i64, kind: ControlKind) -> Self {
            self.push(Batch::control(kind, producer, 0, 0, 1))
        }

        fn offsets(&self, from: i64, isolation: Isolation, aborted: &[(ProducerId, i64)]) -> (Vec<i64>, Option<i64>) {
            let seen = visible(Bytes::from(self.bytes.clone()), from, isolation, aborted).expect("whole batches");
            (seen.records.iter().map(|record| record.offset).collect(), seen.position.map(|position| position.next.0))
        }
    }

    #[test]
    fn a_batch_that_begins_below_the_offset_loses_its_prefix() {
        let log = Log::new().data(0, 3).data(0, 2);
        assert_eq!(log.offsets(11, Isolation::ReadUncommitted, &[]), (vec![11, 12, 13, 14], Some(15)));
        assert_eq!(log.offsets(13, Isolation::ReadUncommitted, &[]), (vec![13, 14], Some(15)));
        assert_eq!(log.offsets(15, Isolation::ReadUncommitted, &[]), (vec![], None));
    }

    #[test]
    fn aborted_records_are_dropped_up_to_their_marker_and_no_further() {
        let log = Log::new().data(7, 2).data(0, 1).marker(7, ControlKind::Abort).data(7, 1).marker(7, ControlKind::Commit);
        assert_eq!(log.offsets(10, Isolation::ReadCommitted, &[(7, 10)]), (vec![12, 14], Some(16)));
        assert_eq!(log.offsets(10, Isolation::ReadUncommitted, &[(7, 10)]), (vec![10, 11, 12, 14], Some(16)));
    }

    #[test]
    fn a_transaction_that_began_below_the_range_is_dropped_too() {
        let log = Log::new().data(7, 1).marker(7, ControlKind::Abort);
        assert_eq!(log.offsets(10, Isolation::ReadCommitted, &[(7, 2)]), (vec![], Some(12)));
    }

    #[test]
    fn an_abort_that_begins_later_does_not_reach_back() {
        let log = Log::new().data(7, 1).marker(7, ControlKind::Commit).data(7, 1).marker(7, ControlKind::Abort);
        assert_eq!(log.offsets(10, Isolation::ReadCommitted, &[(7, 12)]), (vec![10], Some(14)));
    }

    #[test]
    fn a_flipped_bit_is_corrupt() {
        let mut bytes = Log::new().data(0, 1).bytes;
        *bytes.last_mut().expect("not empty") ^= 1;
        assert_eq!(visible(Bytes::from(bytes), 0, Isolation::ReadCommitted, &[]), Err(ErrorCode::CorruptMessage));
    }
}
