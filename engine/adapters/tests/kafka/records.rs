//! Record batches, from our form to Kafka's (magic 2) and back.

use super::codec::{put_zigzag, take_zigzag};
use bytes::Bytes;
use sim::conformance::log::asked::{Batch, ControlKind, Producer, Record};

/// Bytes of Kafka's batch header up to the records.
const HEADER: usize = 61;

/// Every batch of `ours`, as Kafka has it.
pub fn to_kafka(ours: &Bytes) -> Vec<u8> {
    Batch::split(ours.clone()).expect("a request has whole batches").iter().flat_map(one_to_kafka).collect()
}

fn one_to_kafka(batch: &Batch) -> Vec<u8> {
    let header = batch.header();
    let records = batch.records().expect("a whole batch");
    let mut body = Vec::new();
    for (delta, record) in (0i64..).zip(&records) {
        let mut bytes = vec![0];
        put_zigzag(&mut bytes, record.timestamp_ms - header.first_timestamp_ms);
        put_zigzag(&mut bytes, delta);
        for field in [&record.key, &record.value] {
            put_zigzag(&mut bytes, field.as_ref().map_or(-1, |field| field.len() as i64));
            bytes.extend(field.iter().flatten());
        }
        put_zigzag(&mut bytes, 0);
        put_zigzag(&mut body, bytes.len() as i64);
        body.extend(bytes);
    }
    // From the attributes on: what the checksum covers.
    let mut covered = Vec::new();
    covered.extend((if header.transactional { 16i16 } else { 0 }).to_be_bytes());
    covered.extend((header.last_offset_delta as i32).to_be_bytes());
    covered.extend(header.first_timestamp_ms.to_be_bytes());
    covered.extend(header.newest_timestamp_ms.to_be_bytes());
    covered.extend(header.producer_id.to_be_bytes());
    covered.extend(header.producer_epoch.to_be_bytes());
    covered.extend(header.first_sequence.to_be_bytes());
    covered.extend((records.len() as i32).to_be_bytes());
    covered.extend(body);
    let mut bytes = 0i64.to_be_bytes().to_vec();
    // Leader epoch, magic, checksum, and what it covers.
    bytes.extend((9 + covered.len() as i32).to_be_bytes());
    bytes.extend((-1i32).to_be_bytes());
    bytes.push(2);
    bytes.extend(crc32c::crc32c(&covered).to_be_bytes());
    bytes.extend(covered);
    bytes
}

/// The whole batches of an answer, in our form; one that is cut short ends it.
pub fn to_ours(mut kafka: &[u8]) -> Bytes {
    let mut ours = Vec::new();
    while kafka.len() >= HEADER {
        let len = 12 + i32_at(kafka, 8) as usize;
        if kafka.len() < len {
            break;
        }
        let (batch, rest) = kafka.split_at(len);
        ours.extend_from_slice(one_to_ours(batch).bytes());
        kafka = rest;
    }
    ours.into()
}

fn one_to_ours(batch: &[u8]) -> Batch {
    let (base_offset, epoch) = (i64_at(batch, 0), i32_at(batch, 12));
    let attributes = i16::from_be_bytes([batch[21], batch[22]]);
    assert!(attributes & 7 == 0, "nobody compresses here");
    let first_timestamp_ms = i64_at(batch, 27);
    let producer = Producer { id: i64_at(batch, 43), epoch: i16::from_be_bytes([batch[51], batch[52]]), first_sequence: i32_at(batch, 53) };
    let mut rest = &batch[HEADER..];
    let records: Vec<Record> = (0..i32_at(batch, 57)).map(|_| record(&mut rest, first_timestamp_ms)).collect();
    let built = match attributes & 32 != 0 {
        // A marker's key: version i16, type i16: 0 abort, 1 commit.
        true => {
            let key = records[0].key.as_ref().expect("a marker has a key");
            let kind = if key[3] == 1 { ControlKind::Commit } else { ControlKind::Abort };
            Batch::control(kind, producer.id, producer.epoch, 0, first_timestamp_ms)
        }
        false => Batch::build(&records, producer, attributes & 16 != 0),
    };
    built.assign(base_offset, u32::try_from(epoch).unwrap_or(0))
}

fn record(rest: &mut &[u8], first_timestamp_ms: i64) -> Record {
    let _len = take_zigzag(rest);
    *rest = &rest[1..];
    let timestamp_ms = first_timestamp_ms + take_zigzag(rest);
    let offset = take_zigzag(rest);
    let mut field = || {
        let len = usize::try_from(take_zigzag(rest)).ok()?;
        let (bytes, behind) = rest.split_at(len);
        *rest = behind;
        Some(Bytes::copy_from_slice(bytes))
    };
    let (key, value) = (field(), field());
    assert_eq!(take_zigzag(rest), 0, "nobody sends headers here");
    Record { offset, timestamp_ms, key, value }
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
