//! Reading one replica's files after a start (A3): headers come back into memory; without a clean shutdown every batch above the recovery point is
//! checked, and the log is cut at the first that is torn or corrupt.

use super::Replica;
use super::epochs::EpochCache;
use super::log::{Entry, Segment};
use super::producers::Snapshot;
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
    pub producers: Option<(String, u64)>,
    pub removed: bool,
}

/// What the side files say of a replica, each with its own lag (A4).
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub epochs: EpochCache,
    pub high_watermark: i64,
    pub log_start: i64,
    pub cleaned_to: i64,
    pub gone: Option<Snapshot>,
}

/// A file's place in a replica, from its name.
pub(crate) enum Place {
    Segment(Tp, i64),
    Epochs(Tp),
    Producers(Tp),
    /// All of the others are to go.
    Removed(Tp),
}

/// Reads `3-0/00000000000000000042.log`, `3-0/leader-epoch-checkpoint`, `3-0/producers.snapshot` or `3-0/removed`.
pub(crate) fn place(name: &str) -> Option<Place> {
    let (directory, file) = name.split_once('/')?;
    let (topic, partition) = directory.split_once('-')?;
    let tp = Tp { topic: TopicId(topic.parse().ok()?), partition: partition.parse().ok()? };
    if file == "leader-epoch-checkpoint" {
        return Some(Place::Epochs(tp));
    }
    if file == "producers.snapshot" {
        return Some(Place::Producers(tp));
    }
    if file == "removed" {
        return Some(Place::Removed(tp));
    }
    Some(Place::Segment(tp, file.strip_suffix(".log")?.parse().ok()?))
}

impl Files {
    /// Every one but the mark.
    pub fn names(self) -> Vec<String> {
        let segments = self.segments.into_iter().map(|(_, name, _)| name);
        segments.chain(self.epochs.into_iter().chain(self.producers).map(|(name, _)| name)).collect()
    }
}

impl Replica {
    /// Takes over one segment's bytes. False: the log ends here; what follows must go.
    pub fn recover_segment(&mut self, base: i64, file: &str, bytes: &Bytes, clean: bool, io: &mut BrokerOutbox) -> bool {
        let first = self.log.active_file().is_none();
        // A crash came between compaction's merge of this segment into the one before and its removal.
        if !first && base < self.log.end() {
            io.remove(file, DiskOp::Applied);
            return true;
        }
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
    pub fn recovered(&mut self, saved: Saved, clean: bool, io: &mut BrokerOutbox) {
        let Saved { epochs, high_watermark, log_start, cleaned_to, gone } = saved;
        if let Some(gone) = gone.as_ref().filter(|gone| gone.offset > 0 && self.log.segments().is_empty()) {
            // Retention took all there was.
            self.log.restart_at(gone.offset);
        }
        let end = self.log.end();
        for file in self.log.start_at(log_start.min(end)) {
            io.remove(&file, DiskOp::Applied);
        }
        self.cleaned_to = cleaned_to.min(end);
        // Of a log that lost more than was replicated: nothing to go by.
        self.gone = gone.filter(|gone| gone.offset <= end);
        let saved = epochs.clone();
        self.epochs = epochs;
        self.epochs.truncate(end);
        for entry in self.log.entries() {
            self.epochs.assign(entry.header.leader_epoch, entry.header.base_offset);
        }
        if self.epochs != saved {
            self.checkpoint_epochs(io);
        }
        self.high_watermark = high_watermark.min(end).max(self.log.start());
        self.recovery_point = self.recovery_point.min(end);
        self.rebuild_producers();
        self.producers.forget_aborted_before(self.log.start());
        io.note(Note::Recovered { tp: self.tp, end, clean });
    }
}

/// The header of the batch at the head of `bytes`, if it is all there, follows `end`, and (unless trusted) has the right CRC.
fn whole_batch(bytes: &Bytes, end: i64, trusted: bool) -> Option<BatchHeader> {
    let header = BatchHeader::read(bytes)?;
    if header.len as usize > bytes.len() || header.base_offset < end {
        return None;
    }
    if !trusted {
        Batch::check(bytes.slice(..header.len as usize)).ok()?;
    }
    Some(header)
}
