//! Reading one replica's files after a start (A3): headers come back into memory; without a clean shutdown every batch above the recovery point is
//! checked, and the log is cut at the first that is torn or corrupt.

use super::Replica;
use super::epochs::EpochCache;
use super::log::{Entry, Segment};
use super::producers::Producers;
use crate::batch::{Batch, BatchHeader};
use crate::broker::{BrokerOutbox, DiskOp};
use crate::note::Note;
use crate::protocol::{TopicId, Tp};
use bytes::Bytes;

/// A replica's files, as the listing shows them.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// (first offset, file, length), by offset.
    pub segments: Vec<(i64, String, u64)>,
    pub epochs: Option<(String, u64)>,
}

/// A file's place in a replica, from its name.
pub(crate) enum Place {
    Segment(Tp, i64),
    Epochs(Tp),
}

/// Reads `3-0/00000000000000000042.log` or `3-0/leader-epoch-checkpoint`.
pub(crate) fn place(name: &str) -> Option<Place> {
    let (directory, file) = name.split_once('/')?;
    let (topic, partition) = directory.split_once('-')?;
    let tp = Tp { topic: TopicId(topic.parse().ok()?), partition: partition.parse().ok()? };
    if file == "leader-epoch-checkpoint" {
        return Some(Place::Epochs(tp));
    }
    Some(Place::Segment(tp, file.strip_suffix(".log")?.parse().ok()?))
}

impl Replica {
    /// Takes over one segment's bytes. False: the log ends here; what follows must go.
    pub fn recover_segment(&mut self, base: i64, file: &str, bytes: &Bytes, clean: bool, io: &mut BrokerOutbox) -> bool {
        let first = self.log.active_file().is_none();
        // A hole: the segment before lost whole batches at its end, so that it does not look torn.
        if !first && base != self.log.end() {
            io.remove(file, DiskOp::Applied);
            return false;
        }
        let mut segment = Segment { base, file: file.to_owned(), len: 0, entries: Vec::new() };
        let mut end = base;
        while let Some(header) = whole_batch(&bytes.slice(segment.len as usize..), end, clean || end < self.recovery_point) {
            segment.entries.push(Entry { header, position: segment.len });
            segment.len += u64::from(header.len);
            end = header.next_offset();
        }
        let torn = segment.len < bytes.len() as u64;
        if torn {
            io.truncate(file, segment.len, DiskOp::Applied);
        }
        self.log.recovered_segment(segment);
        !torn
    }

    /// All segments are read: epochs and producers follow from the headers.
    pub fn recovered(&mut self, epochs: EpochCache, high_watermark: i64, clean: bool, io: &mut BrokerOutbox) {
        let end = self.log.end();
        let saved = epochs.clone();
        self.epochs = epochs;
        self.epochs.truncate(end);
        for entry in self.log.entries() {
            self.epochs.assign(entry.header.leader_epoch, entry.header.base_offset);
        }
        if self.epochs != saved {
            self.checkpoint_epochs(io);
        }
        self.high_watermark = high_watermark.min(end);
        self.recovery_point = self.recovery_point.min(end);
        self.producers = Producers::rebuild(self.log.entries().map(|entry| &entry.header), self.high_watermark);
        io.note(Note::Recovered { tp: self.tp, end, clean });
    }
}

/// The header of the batch at the head of `bytes`, if it is all there, follows `end`, and (unless trusted) has the right CRC.
fn whole_batch(bytes: &Bytes, end: i64, trusted: bool) -> Option<BatchHeader> {
    let header = BatchHeader::read(bytes)?;
    if header.len as usize > bytes.len() || header.base_offset < end || header.record_count == 0 {
        return None;
    }
    if !trusted {
        Batch::check(bytes.slice(..header.len as usize)).ok()?;
    }
    Some(header)
}
