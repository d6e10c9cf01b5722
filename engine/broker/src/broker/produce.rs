//! Produce: what a leader checks before it appends, and what it then waits for (A9, A10, A28–A30).

use super::appends::{Kind, Part};
use super::verification::Parked;
use super::{Broker, Version};
use crate::batch::Batch;
use crate::coordinator::ReplyTo;
use crate::io::Output;
use crate::note::Note;
use crate::protocol::{ErrorCode, Response, TimestampType, Tp};
use crate::replica::Replica;
use crate::replica::producers::Verdict;
use bytes::Bytes;

/// What must have happened before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acks {
    None,
    Leader,
    All,
}

impl Broker {
    pub(super) fn produce(&mut self, to: ReplyTo, version: Version, acks: i8, timeout_ms: u32, transactional_id: Option<String>, partitions: Vec<(Tp, Bytes)>) {
        let acks = match acks {
            0 => Acks::None,
            1 => Acks::Leader,
            -1 => Acks::All,
            _ => return self.reply(to, Response::Error(ErrorCode::InvalidRecord)),
        };
        self.forget_expired_producers();
        self.charge_written(to, partitions.iter().map(|(_, bytes)| bytes.len()).sum());
        let id = self.appends.next_id();
        let mut parts = Vec::with_capacity(partitions.len());
        for (index, (tp, bytes)) in (0..).zip(partitions) {
            let of = transactional_id.as_deref().map(|id| (id, version));
            let part = self.produce_part((id, index), tp, bytes, acks, of).unwrap_or_else(|error| Part::Done(Err(error)));
            parts.push((tp, part));
        }
        if acks == Acks::None {
            self.io.out.push(Output::NoReply { connection: to.connection, correlation: to.correlation });
        } else {
            self.answer_when_done(id, to, Kind::Produce, parts, Some(timeout_ms));
        }
    }

    fn produce_part(&mut self, part: (u64, u32), tp: Tp, bytes: Bytes, acks: Acks, of: Option<(&str, Version)>) -> Result<Part, ErrorCode> {
        // First, as in Kafka: who does not lead here may not know how large the topic's batches may be.
        self.may_append(tp, acks)?;
        let batch = self.checked_batch(tp, bytes)?;
        let batch = self.timed_batch(tp, batch)?;
        let header = *batch.header();
        if header.transactional {
            let (Acks::All, Some((transactional_id, version))) = (acks, of) else { return Err(ErrorCode::InvalidRecord) };
            // A30: a verified producer that is unknown here begins; what does not begin at zero comes late.
            let replica = &self.replicas[&tp];
            let begins = replica.leader().is_some_and(|leader| leader.verifying.contains_key(&header.producer_id));
            if version == Version::Two && header.first_sequence != 0 && !begins && !replica.producers.knows(header.producer_id) {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            if self.must_verify(tp, &batch)? {
                self.verify(tp, (header.producer_id, header.producer_epoch), transactional_id, version, Parked::Produce(part.0, part.1))?;
                return Ok(Part::Verifying(batch));
            }
        }
        self.append_checked(part, tp, batch, acks)
    }

    /// One whole data batch of dense offsets, not too large.
    fn checked_batch(&self, tp: Tp, bytes: Bytes) -> Result<Batch, ErrorCode> {
        let bytes_max = self.replicas.get(&tp).and_then(|replica| replica.config.message_bytes_max);
        if bytes.len() > bytes_max.unwrap_or(self.config.message_bytes_max) as usize {
            return Err(ErrorCode::MessageTooLarge);
        }
        let batch = Batch::check(bytes)?;
        let header = batch.header();
        let dense = header.record_count > 0 && header.last_offset_delta == header.record_count - 1;
        let of_producer = header.producer_id < 0 || (header.producer_epoch >= 0 && header.first_sequence >= 0);
        if header.control.is_some() || !dense || !of_producer || (header.transactional && header.producer_id < 0) {
            return Err(ErrorCode::InvalidRecord);
        }
        Ok(batch)
    }

    /// Its timestamps are in bounds, or the leader's (A67); in a compacted topic every record has a key.
    fn timed_batch(&self, tp: Tp, batch: Batch) -> Result<Batch, ErrorCode> {
        let replica = &self.replicas[&tp];
        let (config, now_ms) = (replica.config, self.wall_ms());
        if replica.compacted && batch.records()?.iter().any(|record| record.key.is_none()) {
            return Err(ErrorCode::InvalidRecord);
        }
        if config.timestamps == TimestampType::LogAppend {
            return batch.stamped(now_ms);
        }
        let beyond = |max_ms: Option<u64>, by_ms: i64| max_ms.is_some_and(|max_ms| by_ms > i64::try_from(max_ms).unwrap_or(i64::MAX));
        if config.timestamp_before_ms_max.is_none() && config.timestamp_after_ms_max.is_none() {
            return Ok(batch);
        }
        let is_off = |timestamp_ms: i64| {
            beyond(config.timestamp_before_ms_max, now_ms.saturating_sub(timestamp_ms))
                || beyond(config.timestamp_after_ms_max, timestamp_ms.saturating_sub(now_ms))
        };
        if batch.records()?.iter().any(|record| is_off(record.timestamp_ms)) {
            return Err(ErrorCode::InvalidTimestamp);
        }
        Ok(batch)
    }

    /// Looks for expired producers when the last look was long ago: nobody would notice without a write.
    fn forget_expired_producers(&mut self) {
        let (now_ms, wall_ms) = (self.now_ms(), self.wall_ms());
        let looked_ms = *self.watches.producers_looked_at_ms.get_or_insert(now_ms);
        if now_ms < looked_ms + self.config.producer_id_expiration_check_ms {
            return;
        }
        self.watches.producers_looked_at_ms = Some(now_ms);
        let expiration_ms = i64::try_from(self.config.producer_id_expiration_ms).unwrap_or(i64::MAX);
        self.replicas.values_mut().for_each(|replica| replica.producers.forget_expired(wall_ms, expiration_ms));
    }

    /// This broker leads, and for acks = all the ISR is large enough (A9: definite, nothing written).
    pub(super) fn may_append(&self, tp: Tp, acks: Acks) -> Result<(), ErrorCode> {
        let leader = self.leading(tp)?.leader().expect("leading");
        if acks == Acks::All && leader.isr.len() < leader.min_isr {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        Ok(())
    }

    /// The replica, if this broker leads it.
    pub(super) fn leading(&self, tp: Tp) -> Result<&Replica, ErrorCode> {
        match self.replicas.get(&tp) {
            Some(replica) if replica.leader().is_some() => Ok(replica),
            _ if self.image.partition(tp).is_some() => Err(ErrorCode::NotLeaderOrFollower),
            _ => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// The producer's part of the checks, then the append.
    pub(super) fn append_checked(&mut self, (id, part): (u64, u32), tp: Tp, batch: Batch, acks: Acks) -> Result<Part, ErrorCode> {
        let replica = self.replicas.get_mut(&tp).expect("checked: this broker leads");
        let header = *batch.header();
        let (base, last_offset) = match replica.producers.check(&header) {
            Ok(Verdict::Append) => {
                let base = replica.log.end();
                let leader_epoch = replica.leader_epoch.expect("a leader has an epoch");
                replica.append(&batch.assign(base, leader_epoch), true, self.config.segment_bytes, &mut self.io);
                (base, base + i64::from(header.last_offset_delta))
            }
            Ok(Verdict::Duplicate { base_offset, last_offset }) => {
                let (producer_id, first_sequence) = (header.producer_id, header.first_sequence);
                self.io.note(Note::DuplicateBatch { tp, producer_id, first_sequence, first: base_offset });
                (base_offset, last_offset)
            }
            Err(error) => {
                if error == ErrorCode::InvalidProducerEpoch {
                    self.io.note(Note::ProducerRefused { tp, producer_id: header.producer_id, producer_epoch: header.producer_epoch });
                }
                return Err(error);
            }
        };
        Ok(self.await_offset((id, part), tp, base, last_offset + 1, acks))
    }

    /// Waits until everything below `required` is where `acks` wants it; a repeated batch may be there already.
    pub(super) fn await_offset(&mut self, (id, part): (u64, u32), tp: Tp, base: i64, required: i64, acks: Acks) -> Part {
        let fsync = self.config.fsync;
        let replica = self.replicas.get_mut(&tp).expect("this broker leads");
        let reached = match acks {
            Acks::None => i64::MAX,
            Acks::Leader => replica.log.durable(fsync),
            Acks::All => replica.high_watermark,
        };
        if required <= reached {
            return Part::Done(Ok(base));
        }
        let leader = replica.leader_mut().expect("this broker leads");
        let waiting = if acks == Acks::All { &mut leader.replicated } else { &mut leader.stored };
        waiting.insert((required, id, part));
        Part::Appended { base }
    }
}
