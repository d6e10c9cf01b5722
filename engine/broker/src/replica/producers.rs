//! What one replica knows of its producers: epoch, the last five batches (A28–A30), open transactions (A44). Everything comes from batch headers, so
//! followers, restarts and truncation have it by replaying them (A32).

use crate::batch::{BatchHeader, ControlKind};
use crate::protocol::{ErrorCode, ProducerEpoch, ProducerId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`.
const BATCHES_RETAINED: usize = 5;

#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
struct SeenBatch {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    last_offset: i64,
}

#[derive(Serialize, Deserialize, Debug, Clone)]
struct ProducerEntry {
    epoch: ProducerEpoch,
    /// Of its newest batch.
    timestamp_ms: i64,
    batches: VecDeque<SeenBatch>,
    /// First offset of the open transaction.
    open: Option<i64>,
    /// Of its last marker; 0 before the first.
    coordinator_epoch: u32,
}

/// An aborted transaction in this partition.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub producer_id: ProducerId,
    pub first: i64,
    /// Its marker.
    pub last: i64,
    /// First offset of the oldest transaction still open when it ended: no later entry begins before.
    stable: i64,
}

/// What to do with a producer's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// One of the last five again: its base offset, and its last offset, which must be replicated before the answer.
    Duplicate {
        base_offset: i64,
        last_offset: i64,
    },
}

/// Everything known of producers.
#[derive(Serialize, Deserialize, Debug, Default, Clone)]
pub(crate) struct Producers {
    entries: BTreeMap<ProducerId, ProducerEntry>,
    /// First offsets of open transactions.
    open: BTreeSet<i64>,
    /// Ended, but the marker is not below the high watermark: (marker's offset, first offset).
    unreplicated: VecDeque<(i64, i64)>,
    /// In order of their markers.
    aborted: Vec<Aborted>,
}

/// What batches below an offset say of producers, when the batches themselves are gone (A31: retention and compaction do not forget a producer,
/// KAFKA-7190). The offset is at or below the high watermark.
#[derive(Serialize, Deserialize, Debug, Clone)]
pub(crate) struct Snapshot {
    pub offset: i64,
    producers: Producers,
}

impl Snapshot {
    pub fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_stdvec(self).expect("a snapshot has no unserialisable part"))
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

/// The last of a producer that compaction must keep, else its next batch would not be known as its next (A65).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastOf {
    /// Its last data batch ends here.
    Data(i64),
    /// A marker raised its epoch since.
    Marker(ProducerEpoch),
}

/// `sequence + by`, wrapping from `i32::MAX` to 0.
fn advance(sequence: i32, by: u32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) & i64::from(i32::MAX)) as i32
}

impl Producers {
    /// Judges a producer's data batch against what is known. Offers no opinion on batches without a producer id.
    pub fn check(&self, header: &BatchHeader) -> Result<Verdict, ErrorCode> {
        let Some(entry) = self.entries.get(&header.producer_id) else { return Ok(Verdict::Append) };
        if header.producer_epoch < entry.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if header.first_sequence < 0 {
            return Ok(Verdict::Append);
        }
        if header.producer_epoch > entry.epoch {
            return if header.first_sequence == 0 { Ok(Verdict::Append) } else { Err(ErrorCode::OutOfOrderSequenceNumber) };
        }
        let last_sequence = advance(header.first_sequence, header.record_count - 1);
        let same = |seen: &&SeenBatch| seen.first_sequence == header.first_sequence && seen.last_sequence == last_sequence;
        if let Some(seen) = entry.batches.iter().find(same) {
            return Ok(Verdict::Duplicate { base_offset: seen.base_offset, last_offset: seen.last_offset });
        }
        let expected = entry.batches.back().map_or(0, |seen| advance(seen.last_sequence, 1));
        match header.first_sequence == expected {
            // Half of what a producer writes is not of its transaction: which half would be for readers to guess.
            true if entry.open.is_some() && !header.transactional => Err(ErrorCode::InvalidTxnState),
            true => Ok(Verdict::Append),
            false => Err(ErrorCode::OutOfOrderSequenceNumber),
        }
    }

    /// Judges a marker. A retried one is accepted; that of an older epoch or an older coordinator is not.
    pub fn check_marker(&self, producer_id: ProducerId, producer_epoch: ProducerEpoch, coordinator_epoch: u32) -> Result<(), ErrorCode> {
        match self.entries.get(&producer_id) {
            Some(entry) if producer_epoch < entry.epoch => Err(ErrorCode::InvalidProducerEpoch),
            Some(entry) if coordinator_epoch < entry.coordinator_epoch => Err(ErrorCode::NotCoordinator),
            _ => Ok(()),
        }
    }

    /// Judges a marker of version 2 (A42): its epoch is above that of the records it ends. Once it is written, a retry finds nothing open.
    pub fn check_raised(&self, producer_id: ProducerId, producer_epoch: ProducerEpoch) -> Result<(), ErrorCode> {
        let is_stale = |entry: &ProducerEntry| entry.open.is_some() && producer_epoch <= entry.epoch;
        if self.entries.get(&producer_id).is_some_and(is_stale) { Err(ErrorCode::InvalidProducerEpoch) } else { Ok(()) }
    }

    /// Whether anything is known of a producer.
    pub fn knows(&self, producer_id: ProducerId) -> bool {
        self.entries.contains_key(&producer_id)
    }

    /// Whether the producer has an open transaction here, of this epoch.
    pub fn is_open(&self, producer_id: ProducerId, producer_epoch: ProducerEpoch) -> bool {
        self.entries.get(&producer_id).is_some_and(|entry| entry.epoch == producer_epoch && entry.open.is_some())
    }

    /// Learns from a batch that is now in the log.
    pub fn learn(&mut self, header: &BatchHeader) {
        if header.producer_id < 0 {
            return;
        }
        let new = || ProducerEntry {
            epoch: header.producer_epoch,
            timestamp_ms: header.newest_timestamp_ms,
            batches: VecDeque::new(),
            open: None,
            coordinator_epoch: 0,
        };
        let entry = self.entries.entry(header.producer_id).or_insert_with(new);
        entry.timestamp_ms = header.newest_timestamp_ms;
        if header.producer_epoch > entry.epoch {
            entry.epoch = header.producer_epoch;
            entry.batches.clear();
        }
        if let Some(kind) = header.control {
            entry.coordinator_epoch = header.coordinator_epoch;
            self.end_transaction(header, kind);
            return;
        }
        if header.first_sequence >= 0 {
            if entry.batches.len() == BATCHES_RETAINED {
                entry.batches.pop_front();
            }
            let last_sequence = advance(header.first_sequence, header.last_offset_delta);
            let (base_offset, last_offset) = (header.base_offset, header.last_offset());
            entry.batches.push_back(SeenBatch { first_sequence: header.first_sequence, last_sequence, base_offset, last_offset });
        }
        // Compaction leaves an empty batch where all was aborted or overwritten: its marker may be gone already.
        if header.transactional && header.record_count > 0 && entry.open.is_none() {
            entry.open = Some(header.base_offset);
            self.open.insert(header.base_offset);
        }
    }

    fn end_transaction(&mut self, header: &BatchHeader, kind: ControlKind) {
        let entry = self.entries.get_mut(&header.producer_id).expect("learn made the entry");
        let Some(first) = entry.open.take() else { return };
        self.open.remove(&first);
        self.unreplicated.push_back((header.base_offset, first));
        if kind == ControlKind::Abort {
            let stable = self.open.first().copied().unwrap_or(header.next_offset());
            self.aborted.push(Aborted { producer_id: header.producer_id, first, last: header.base_offset, stable });
        }
    }

    /// Markers below the high watermark hold nobody back any more.
    pub fn replicated(&mut self, high_watermark: i64) {
        while self.unreplicated.front().is_some_and(|&(marker, _)| marker < high_watermark) {
            self.unreplicated.pop_front();
        }
    }

    /// Last stable offset (A44): the first offset of the oldest transaction that is open or whose marker is not replicated, at most `high_watermark`.
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let open = self.open.first().copied().unwrap_or(i64::MAX);
        let ending = self.unreplicated.iter().map(|&(_, first)| first).min().unwrap_or(i64::MAX);
        high_watermark.min(open).min(ending)
    }

    /// Aborted transactions with records in `from .. to`: (producer, first offset).
    pub fn aborted_in(&self, from: i64, to: i64) -> Vec<(ProducerId, i64)> {
        let start = self.aborted.partition_point(|aborted| aborted.last < from);
        let mut found = Vec::new();
        for aborted in &self.aborted[start..] {
            if aborted.first < to {
                found.push((aborted.producer_id, aborted.first));
            }
            if aborted.stable >= to {
                break;
            }
        }
        found
    }

    /// Rebuilds all of it from what is known of the batches that are gone, and the headers of the log.
    pub fn rebuild<'a>(gone: Option<&Snapshot>, headers: impl Iterator<Item = &'a BatchHeader>, high_watermark: i64) -> Self {
        let from = gone.map_or(0, |gone| gone.offset);
        let mut producers = gone.map_or_else(Producers::default, |gone| gone.producers.clone());
        for header in headers.filter(|header| header.base_offset >= from) {
            producers.learn(header);
            producers.replicated(high_watermark);
        }
        producers
    }

    /// As of `offset`, which they were rebuilt up to.
    pub fn snapshot(mut self, offset: i64) -> Snapshot {
        self.replicated(i64::MAX);
        Snapshot { offset, producers: self }
    }

    /// Producers that wrote nothing for so long, by the clock of their records, are unknown again (A31).
    pub fn forget_expired(&mut self, now_ms: i64, expiration_ms: i64) {
        self.entries.retain(|_, entry| entry.open.is_some() || now_ms.saturating_sub(entry.timestamp_ms) < expiration_ms);
    }

    /// The last that each producer wrote.
    pub fn last_of_each(&self) -> BTreeMap<ProducerId, LastOf> {
        let last = |entry: &ProducerEntry| entry.batches.back().map_or(LastOf::Marker(entry.epoch), |seen| LastOf::Data(seen.last_offset));
        self.entries.iter().map(|(&producer_id, entry)| (producer_id, last(entry))).collect()
    }

    /// Whether a batch belongs to an aborted transaction.
    pub fn is_aborted(&self, producer_id: ProducerId, offset: i64) -> bool {
        let from = self.aborted.partition_point(|aborted| aborted.last < offset);
        self.aborted[from..].iter().any(|aborted| aborted.producer_id == producer_id && aborted.first <= offset)
    }

    /// Nothing below is read any more.
    pub fn forget_aborted_before(&mut self, log_start: i64) {
        let gone = self.aborted.partition_point(|aborted| aborted.last < log_start);
        self.aborted.drain(..gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batch, Producer, Record};

    fn batch(sequence: i32, epoch: i16, offset: i64, transactional: bool) -> BatchHeader {
        let record = Record { offset: 0, timestamp_ms: 0, key: None, value: None };
        let batch = Batch::build(&[record.clone(), record], Producer { id: 7, epoch, first_sequence: sequence }, transactional);
        *batch.assign(offset, 0).header()
    }

    #[test]
    fn sequences_wrap_from_the_largest_to_zero() {
        let mut producers = Producers::default();
        producers.learn(&batch(i32::MAX - 1, 0, 0, false));
        assert_eq!(producers.check(&batch(0, 0, 2, false)), Ok(Verdict::Append));
        producers.learn(&batch(i32::MAX, 0, 2, false));
        assert_eq!(producers.check(&batch(1, 0, 4, false)), Ok(Verdict::Append));
        assert_eq!(producers.check(&batch(0, 0, 4, false)), Err(ErrorCode::OutOfOrderSequenceNumber));
    }

    #[test]
    fn an_ended_transaction_holds_the_stable_offset_until_its_marker_is_replicated() {
        let mut producers = Producers::default();
        producers.learn(&batch(0, 0, 10, true));
        assert_eq!(producers.last_stable_offset(12), 10);
        producers.learn(Batch::control(ControlKind::Abort, 7, 0, 0, 0).assign(12, 0).header());
        assert_eq!(producers.last_stable_offset(12), 10);
        producers.replicated(13);
        assert_eq!(producers.last_stable_offset(13), 13);
        assert_eq!(producers.aborted_in(0, 13), [(7, 10)]);
        assert_eq!(producers.aborted_in(13, 20), []);
        assert_eq!(producers.aborted_in(0, 10), []);
    }
}
