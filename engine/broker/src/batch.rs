//! Record batches: what a producer sends, a log stores and a fetch returns. Everything that a follower, a restart or a reader needs of a stored batch
//! stands in its header.
//!
//! | offset | field | type | |
//! |---|---|---|---|
//! | 0 | base offset | i64 | set by the leader |
//! | 8 | length | u32 | bytes of the whole batch |
//! | 12 | leader epoch | u32 | set by the leader |
//! | 16 | crc | u32 | CRC-32C of all bytes from 20 on: offset and epoch are outside, a leader may set them |
//! | 20 | attributes | u16 | bit 0 transactional, bit 1 control, bit 2 commit (of a control batch), bit 3 delete horizon, bit 4 the leader's time |
//! | 22 | producer epoch | i16 | −1: none |
//! | 24 | producer id | i64 | −1: none |
//! | 32 | first sequence | i32 | −1: none |
//! | 36 | records | u32 | ≥ 1 as produced; compaction may leave none (A65) |
//! | 40 | last offset delta | u32 | last offset − base offset |
//! | 44 | coordinator epoch | u32 | of a marker: who wrote it (A40); 0 in other batches, and in markers of builds that did not tell |
//! | 48 | first timestamp | i64 | ms; with bit 3 the delete horizon instead: when its tombstones, or it as a marker, may go (KIP-534) |
//! | 56 | newest timestamp | i64 | ms |
//! | 64 | records | | each: offset delta u32, timestamp i64, key length i32 (−1 none), key, value length i32 (−1 none: a tombstone), value |
//!
//! All little-endian.

use crate::protocol::{ErrorCode, ProducerEpoch, ProducerId};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Bytes of a batch header.
pub const HEADER_LEN: usize = 64;

const DELETE_HORIZON: u16 = 8;
const LOG_APPEND_TIME: u16 = 16;

/// What a control batch (a marker) says.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlKind {
    /// The transaction's records in this partition count.
    Commit,
    /// They do not.
    Abort,
}

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes of the whole batch, header included.
    pub len: u32,
    pub leader_epoch: u32,
    pub crc: u32,
    pub transactional: bool,
    pub control: Option<ControlKind>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub first_sequence: i32,
    pub record_count: u32,
    pub last_offset_delta: u32,
    /// Of a marker: the leader epoch of the coordinator's partition, when it decided.
    pub coordinator_epoch: u32,
    /// With a delete horizon it is not known: the newest stands for it.
    pub first_timestamp_ms: i64,
    pub newest_timestamp_ms: i64,
    /// Set by the first cleaning that saw its tombstones, or it as the marker of a transaction without records.
    pub delete_horizon_ms: Option<i64>,
    /// Its timestamps are the leader's (A67).
    pub log_append_time: bool,
}

/// A record, as a producer gives it and a reader gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its offset; ignored when building.
    pub offset: i64,
    /// Milliseconds.
    pub timestamp_ms: i64,
    /// Compaction key.
    pub key: Option<Bytes>,
    /// `None`: a tombstone.
    pub value: Option<Bytes>,
}

/// Who produces, for a batch: id, epoch, sequence of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// ≥ 0, or −1 for none.
    pub id: ProducerId,
    /// ≥ 0, or −1 for none.
    pub epoch: ProducerEpoch,
    /// ≥ 0, or −1 for none.
    pub first_sequence: i32,
}

impl Producer {
    /// Neither idempotent nor transactional.
    pub const NONE: Producer = Producer { id: -1, epoch: -1, first_sequence: -1 };
}

/// A whole, checked batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    bytes: Bytes,
    header: BatchHeader,
}

impl BatchHeader {
    /// Last offset.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// One past the last offset.
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// Reads a header; `None` if there are fewer than [`HEADER_LEN`] bytes or the length is below it. Does not check the CRC.
    pub fn read(bytes: &[u8]) -> Option<BatchHeader> {
        let bytes = bytes.get(..HEADER_LEN)?;
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let i64_at = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let attributes = u16::from_le_bytes([bytes[20], bytes[21]]);
        let control = (attributes & 2 != 0).then_some(if attributes & 4 != 0 { ControlKind::Commit } else { ControlKind::Abort });
        let header = BatchHeader {
            base_offset: i64_at(0),
            len: u32_at(8),
            leader_epoch: u32_at(12),
            crc: u32_at(16),
            transactional: attributes & 1 != 0,
            control,
            producer_id: i64_at(24),
            producer_epoch: i16::from_le_bytes([bytes[22], bytes[23]]),
            first_sequence: u32_at(32) as i32,
            record_count: u32_at(36),
            last_offset_delta: u32_at(40),
            coordinator_epoch: u32_at(44),
            first_timestamp_ms: if attributes & DELETE_HORIZON != 0 { i64_at(56) } else { i64_at(48) },
            newest_timestamp_ms: i64_at(56),
            delete_horizon_ms: (attributes & DELETE_HORIZON != 0).then(|| i64_at(48)),
            log_append_time: attributes & LOG_APPEND_TIME != 0,
        };
        (header.len as usize >= HEADER_LEN).then_some(header)
    }
}

impl Batch {
    /// Builds a data batch of at least one record, with base offset 0 and leader epoch 0: the leader sets both.
    pub fn build(records: &[Record], producer: Producer, transactional: bool) -> Batch {
        assert!(!records.is_empty(), "a batch has at least one record");
        Self::assemble(records, producer, u16::from(transactional), 0)
    }

    /// Builds a marker, as the coordinator of this epoch asks for it.
    pub fn control(kind: ControlKind, producer_id: ProducerId, producer_epoch: ProducerEpoch, coordinator_epoch: u32, timestamp_ms: i64) -> Batch {
        let record = Record { offset: 0, timestamp_ms, key: None, value: None };
        let attributes = 1 | 2 | if kind == ControlKind::Commit { 4 } else { 0 };
        Self::assemble(&[record], Producer { id: producer_id, epoch: producer_epoch, first_sequence: -1 }, attributes, coordinator_epoch)
    }

    fn assemble(records: &[Record], producer: Producer, attributes: u16, coordinator_epoch: u32) -> Batch {
        let mut body = BytesMut::with_capacity(HEADER_LEN + records.iter().map(encoded_len).sum::<usize>());
        body.put_bytes(0, HEADER_LEN);
        for (delta, record) in records.iter().enumerate() {
            put_record(&mut body, u32::try_from(delta).expect("a batch is small"), record);
        }
        let len = u32::try_from(body.len()).expect("a batch is below 4 GiB");
        let count = u32::try_from(records.len()).expect("a batch is small");
        let newest = records.iter().map(|record| record.timestamp_ms).max().expect("at least one record");
        body[8..12].copy_from_slice(&len.to_le_bytes());
        body[20..22].copy_from_slice(&attributes.to_le_bytes());
        body[22..24].copy_from_slice(&producer.epoch.to_le_bytes());
        body[24..32].copy_from_slice(&producer.id.to_le_bytes());
        body[32..36].copy_from_slice(&producer.first_sequence.to_le_bytes());
        body[36..40].copy_from_slice(&count.to_le_bytes());
        body[40..44].copy_from_slice(&(count - 1).to_le_bytes());
        body[44..48].copy_from_slice(&coordinator_epoch.to_le_bytes());
        body[48..56].copy_from_slice(&records[0].timestamp_ms.to_le_bytes());
        body[56..64].copy_from_slice(&newest.to_le_bytes());
        let crc = crc32c::crc32c(&body[20..]);
        body[16..20].copy_from_slice(&crc.to_le_bytes());
        Batch::check(body.freeze()).expect("a batch just built is whole")
    }

    /// Takes exactly one batch: length, counts and CRC are checked.
    pub fn check(bytes: Bytes) -> Result<Batch, ErrorCode> {
        let header = BatchHeader::read(&bytes).ok_or(ErrorCode::CorruptMessage)?;
        let whole = header.len as usize == bytes.len() && header.last_offset_delta >= header.record_count.saturating_sub(1);
        if !whole || crc32c::crc32c(&bytes[20..]) != header.crc {
            return Err(ErrorCode::CorruptMessage);
        }
        Ok(Batch { bytes, header })
    }

    /// Splits a run of whole batches; stops with an error at the first that is cut short or corrupt.
    pub fn split(mut bytes: Bytes) -> Result<Vec<Batch>, ErrorCode> {
        let mut batches = Vec::new();
        while !bytes.is_empty() {
            let header = BatchHeader::read(&bytes).ok_or(ErrorCode::CorruptMessage)?;
            if header.len as usize > bytes.len() {
                return Err(ErrorCode::CorruptMessage);
            }
            batches.push(Batch::check(bytes.split_to(header.len as usize))?);
        }
        Ok(batches)
    }

    /// The leader's part: base offset and leader epoch, which the CRC does not cover.
    pub fn assign(self, base_offset: i64, leader_epoch: u32) -> Batch {
        let mut bytes = BytesMut::from(&self.bytes[..]);
        bytes[0..8].copy_from_slice(&base_offset.to_le_bytes());
        bytes[12..16].copy_from_slice(&leader_epoch.to_le_bytes());
        Batch { bytes: bytes.freeze(), header: BatchHeader { base_offset, leader_epoch, ..self.header } }
    }

    /// The same batch with its leader's time in every record (A67).
    pub fn stamped(&self, timestamp_ms: i64) -> Result<Batch, ErrorCode> {
        let records: Vec<Record> = self.records()?.into_iter().map(|record| Record { timestamp_ms, ..record }).collect();
        let Batch { bytes, header } = self;
        let attributes = u16::from_le_bytes([bytes[20], bytes[21]]) | LOG_APPEND_TIME;
        let producer = Producer { id: header.producer_id, epoch: header.producer_epoch, first_sequence: header.first_sequence };
        Ok(Self::assemble(&records, producer, attributes, header.coordinator_epoch))
    }

    /// What compaction leaves of it: the records that pass `keeps`, with their offsets; sequences, epochs and the last offset stay as they were even if
    /// no record is left. A horizon, once set, stays.
    pub fn cleaned(&self, keeps: impl Fn(&Record) -> bool, delete_horizon_ms: Option<i64>) -> Result<Batch, ErrorCode> {
        let header = &self.header;
        let kept: Vec<Record> = self.records()?.into_iter().filter(keeps).collect();
        let horizon_ms = header.delete_horizon_ms.or(delete_horizon_ms);
        if kept.len() == header.record_count as usize && horizon_ms == header.delete_horizon_ms {
            return Ok(self.clone());
        }
        let mut body = BytesMut::from(&self.bytes[..HEADER_LEN]);
        for record in &kept {
            put_record(&mut body, u32::try_from(record.offset - header.base_offset).expect("a batch is small"), record);
        }
        let len = u32::try_from(body.len()).expect("no longer than it was");
        body[8..12].copy_from_slice(&len.to_le_bytes());
        body[36..40].copy_from_slice(&u32::try_from(kept.len()).expect("no more than there were").to_le_bytes());
        if let Some(horizon_ms) = horizon_ms {
            body[20] |= DELETE_HORIZON as u8;
            body[48..56].copy_from_slice(&horizon_ms.to_le_bytes());
        }
        let crc = crc32c::crc32c(&body[20..]);
        body[16..20].copy_from_slice(&crc.to_le_bytes());
        Batch::check(body.freeze())
    }

    /// Its header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its records with their offsets; a record that runs over the end is `CorruptMessage`.
    pub fn records(&self) -> Result<Vec<Record>, ErrorCode> {
        let mut records = Vec::with_capacity(self.header.record_count as usize);
        let mut rest = self.bytes.slice(HEADER_LEN..);
        for _ in 0..self.header.record_count {
            records.push(take_record(&mut rest, self.header.base_offset).ok_or(ErrorCode::CorruptMessage)?);
        }
        if rest.is_empty() { Ok(records) } else { Err(ErrorCode::CorruptMessage) }
    }
}

fn encoded_len(record: &Record) -> usize {
    4 + 8 + 4 + record.key.as_ref().map_or(0, Bytes::len) + 4 + record.value.as_ref().map_or(0, Bytes::len)
}

fn put_record(out: &mut BytesMut, delta: u32, record: &Record) {
    out.put_u32_le(delta);
    out.put_i64_le(record.timestamp_ms);
    for field in [&record.key, &record.value] {
        match field {
            Some(bytes) => {
                out.put_i32_le(i32::try_from(bytes.len()).expect("a field is below 2 GiB"));
                out.put_slice(bytes);
            }
            None => out.put_i32_le(-1),
        }
    }
}

fn take_record(rest: &mut Bytes, base_offset: i64) -> Option<Record> {
    let delta = u32::from_le_bytes(take(rest, 4)?[..].try_into().ok()?);
    let timestamp_ms = i64::from_le_bytes(take(rest, 8)?[..].try_into().ok()?);
    let key = take_field(rest)?;
    let value = take_field(rest)?;
    Some(Record { offset: base_offset + i64::from(delta), timestamp_ms, key, value })
}

fn take_field(rest: &mut Bytes) -> Option<Option<Bytes>> {
    let len = i32::from_le_bytes(take(rest, 4)?[..].try_into().ok()?);
    if len < 0 {
        return Some(None);
    }
    Some(Some(take(rest, len as usize)?))
}

fn take(rest: &mut Bytes, len: usize) -> Option<Bytes> {
    (rest.len() >= len).then(|| rest.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &'static str) -> Record {
        Record { offset: 0, timestamp_ms: 7, key: Some(Bytes::from_static(b"k")), value: Some(Bytes::from_static(value.as_bytes())) }
    }

    #[test]
    fn records_come_back_with_the_offsets_the_leader_gave() {
        let batch = Batch::build(&[record("a"), record("b")], Producer { id: 4, epoch: 1, first_sequence: 9 }, true).assign(40, 3);
        let again = Batch::check(batch.bytes().clone()).expect("offset and epoch are outside the CRC");
        assert_eq!(again.header().last_offset(), 41);
        assert_eq!(again.header().leader_epoch, 3);
        assert_eq!(again.records().expect("whole").iter().map(|r| r.offset).collect::<Vec<_>>(), [40, 41]);
    }

    #[test]
    fn any_flipped_bit_behind_the_crc_is_corrupt() {
        let batch = Batch::build(&[record("a")], Producer::NONE, false);
        for at in 20..batch.bytes().len() {
            let mut bytes = batch.bytes().to_vec();
            bytes[at] ^= 1;
            assert_eq!(Batch::check(Bytes::from(bytes)), Err(ErrorCode::CorruptMessage), "byte {at}");
        }
    }

    #[test]
    fn a_marker_says_what_it_is() {
        let marker = Batch::control(ControlKind::Commit, 4, 1, 9, 7);
        assert_eq!(marker.header().control, Some(ControlKind::Commit));
        assert!(marker.header().transactional);
        assert_eq!(marker.header().coordinator_epoch, 9);
    }
}
