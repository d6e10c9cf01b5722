//! One replica's log: segments of whole batches (A1). Headers are indexed in memory, records stay in the files.

use crate::batch::{Batch, BatchHeader};
use crate::config::FsyncPolicy;
use crate::protocol::Tp;
use std::collections::VecDeque;

/// One stored batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub header: BatchHeader,
    /// In its segment's file.
    pub position: u64,
}

/// A file of batches from `base` on.
#[derive(Debug)]
pub(crate) struct Segment {
    pub base: i64,
    pub file: String,
    pub len: u64,
    pub entries: Vec<Entry>,
}

/// Where whole batches stand, in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    pub file: String,
    pub position: u64,
    pub len: u32,
    /// One past the last offset in it.
    pub next_offset: i64,
}

/// What a truncation must do to the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// (file, length) to cut.
    pub truncate: Option<(String, u64)>,
    pub remove: Vec<String>,
    /// Records that went.
    pub removed: u64,
}

/// The log. Ends rise in this order: `end` (asked to be written), `written` (in the page cache), `synced` (on the platter).
#[derive(Debug)]
pub(crate) struct Log {
    tp: Tp,
    segments: Vec<Segment>,
    /// Records below are gone, or may go with their segment (A64).
    start: i64,
    end: i64,
    written: i64,
    synced: i64,
    /// Appends in flight, oldest first: (operation's ticket, end after it, done).
    in_flight: VecDeque<(u64, i64, bool)>,
    next_ticket: u64,
}

/// `3-0/00000000000000000042.log`: topic incarnation, partition, first offset.
pub(crate) fn segment_file(tp: Tp, base: i64) -> String {
    format!("{}-{}/{base:020}.log", tp.topic.0, tp.partition)
}

impl Log {
    pub fn new(tp: Tp) -> Self {
        Log { tp, segments: Vec::new(), start: 0, end: 0, written: 0, synced: 0, in_flight: VecDeque::new(), next_ticket: 0 }
    }

    /// First offset kept.
    pub fn start(&self) -> i64 {
        self.start
    }

    pub fn end(&self) -> i64 {
        self.end
    }

    /// One past the last record in the page cache.
    pub fn written(&self) -> i64 {
        self.written
    }

    /// One past the last record that counts under `fsync`.
    pub fn durable(&self, fsync: FsyncPolicy) -> i64 {
        match fsync {
            FsyncPolicy::Never => self.written,
            FsyncPolicy::Always => self.synced,
        }
    }

    pub fn synced(&self) -> i64 {
        self.synced
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().flat_map(|segment| &segment.entries)
    }

    pub fn active_file(&self) -> Option<&str> {
        self.segments.last().map(|segment| segment.file.as_str())
    }

    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(|segment| segment.file.as_str())
    }

    /// Whether a batch needs a new segment: the active one is full, or its first record too old beside this one.
    pub fn must_roll(&self, batch: &BatchHeader, segment_bytes: u64, segment_ms: Option<u64>) -> bool {
        let Some(segment) = self.segments.last() else { return true };
        let Some(first) = segment.entries.first() else { return false };
        let apart_ms = batch.newest_timestamp_ms.saturating_sub(first.header.newest_timestamp_ms);
        segment.len + u64::from(batch.len) > segment_bytes || segment_ms.is_some_and(|max_ms| apart_ms > i64::try_from(max_ms).unwrap_or(i64::MAX))
    }

    /// Where the segment begins that is appended to.
    pub fn active_base(&self) -> Option<i64> {
        self.segments.last().map(|segment| segment.base)
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Moves the start forward; returns the files of segments that are wholly below it, which are no longer part of the log. The active one stays.
    pub fn start_at(&mut self, start: i64) -> Vec<String> {
        assert!(start <= self.end, "a log starts at or before its end");
        self.start = self.start.max(start);
        let gone = self.segments.windows(2).take_while(|pair| pair[1].base <= self.start).count();
        self.segments.drain(..gone).map(|segment| segment.file).collect()
    }

    /// Drops everything and goes on at `start`, which is beyond the end; returns the files that are no longer part of the log.
    pub fn restart_at(&mut self, start: i64) -> Vec<String> {
        assert!(start > self.end, "nothing that is kept elsewhere is dropped");
        (self.start, self.end, self.written, self.synced) = (start, start, start, start);
        self.segments.drain(..).map(|segment| segment.file).collect()
    }

    /// Takes the cleaned batches of neighbouring segments for those segments (A65). The new one has the first one's file; returns the files of the
    /// others.
    pub fn replace_segments(&mut self, bases: &[i64], batches: &[Batch]) -> Vec<String> {
        let first = self.segments.iter().position(|segment| segment.base == bases[0]).expect("a segment that is cleaned is there");
        let old = &self.segments[first..first + bases.len()];
        assert!(old.iter().map(|segment| segment.base).eq(bases.iter().copied()), "segments that are cleaned together are neighbours");
        let mut segment = Segment { base: bases[0], file: old[0].file.clone(), len: 0, entries: Vec::with_capacity(batches.len()) };
        let others = old[1..].iter().map(|segment| segment.file.clone()).collect();
        for batch in batches {
            segment.entries.push(Entry { header: *batch.header(), position: segment.len });
            segment.len += u64::from(batch.header().len);
        }
        self.segments.splice(first..first + bases.len(), [segment]);
        others
    }

    /// Begins a segment at the end; returns the file of the segment before, to be made durable in the background (A2).
    pub fn roll(&mut self) -> Option<(String, i64)> {
        let rolled = self.segments.last().map(|segment| (segment.file.clone(), self.end));
        self.segments.push(Segment { base: self.end, file: segment_file(self.tp, self.end), len: 0, entries: Vec::new() });
        rolled
    }

    /// Indexes a batch at the end of the active segment and returns the ticket for [`Log::wrote`].
    pub fn append(&mut self, batch: &Batch) -> u64 {
        let header = *batch.header();
        assert!(header.base_offset >= self.end, "offsets rise: {} after {}", header.base_offset, self.end);
        let segment = self.segments.last_mut().expect("rolled before the first append");
        segment.entries.push(Entry { header, position: segment.len });
        segment.len += u64::from(header.len);
        self.end = header.next_offset();
        self.next_ticket += 1;
        self.in_flight.push_back((self.next_ticket, self.end, false));
        self.next_ticket
    }

    /// An append reached the page cache.
    pub fn wrote(&mut self, ticket: u64) {
        if let Some(append) = self.in_flight.iter_mut().find(|append| append.0 == ticket) {
            append.2 = true;
        }
        while let Some(&(_, end, true)) = self.in_flight.front() {
            self.in_flight.pop_front();
            self.written = self.written.max(end.min(self.end));
        }
        assert!(self.written <= self.end);
    }

    /// A sync that began when the log was written up to `to` has finished.
    pub fn set_synced(&mut self, to: i64) {
        self.synced = self.synced.max(to.min(self.written));
    }

    /// Takes over a segment that recovery read: it and what it holds are in the page cache.
    pub fn recovered_segment(&mut self, segment: Segment) {
        if self.segments.is_empty() {
            self.start = segment.base;
        }
        self.end = segment.entries.last().map_or(segment.base, |last| last.header.next_offset());
        self.written = self.end;
        self.segments.push(segment);
    }

    /// Removes every batch that reaches `to` or beyond.
    pub fn truncate(&mut self, to: i64) -> Cut {
        let mut cut = Cut::default();
        while let Some(segment) = self.segments.last_mut() {
            let keep = segment.entries.partition_point(|entry| entry.header.last_offset() < to);
            cut.removed += segment.entries[keep..].iter().map(|entry| u64::from(entry.header.record_count)).sum::<u64>();
            if keep == 0 && segment.base >= to && segment.base > 0 {
                cut.remove.push(self.segments.pop().expect("just seen").file);
                continue;
            }
            if let Some(entry) = segment.entries.get(keep) {
                segment.len = entry.position;
                segment.entries.truncate(keep);
                cut.truncate = Some((segment.file.clone(), segment.len));
            }
            break;
        }
        self.end = self.segments.last().map_or(to, |segment| segment.entries.last().map_or(segment.base, |entry| entry.header.next_offset()));
        self.start = self.start.min(self.end);
        self.written = self.written.min(self.end);
        self.synced = self.synced.min(self.end);
        for append in &mut self.in_flight {
            append.1 = append.1.min(self.end);
        }
        cut
    }

    /// Whole batches of one file from the one that holds `from` (or the next one after it) up to `bound`: at least one, then at most `bytes_max`.
    pub fn slice(&self, from: i64, bound: i64, bytes_max: u32) -> Option<Slice> {
        let at = self.segments.partition_point(|segment| segment.entries.last().is_none_or(|last| last.header.last_offset() < from));
        let segment = self.segments.get(at)?;
        let first = segment.entries.partition_point(|entry| entry.header.last_offset() < from);
        let mut slice: Option<Slice> = None;
        for entry in &segment.entries[first..] {
            let len = slice.as_ref().map_or(0, |slice| slice.len) + entry.header.len;
            if entry.header.last_offset() >= bound || (slice.is_some() && len > bytes_max) {
                break;
            }
            let slice = slice.get_or_insert_with(|| Slice { file: segment.file.clone(), position: entry.position, len: 0, next_offset: 0 });
            slice.len = len;
            slice.next_offset = entry.header.next_offset();
        }
        slice
    }

    /// The first batch with records from `from` on, below `bound`, whose header tells of a timestamp at or after `timestamp_ms`.
    pub fn first_at_or_after(&self, timestamp_ms: i64, from: i64, bound: i64) -> Option<&Entry> {
        let is_there = |header: &BatchHeader| header.last_offset() >= from && header.record_count > 0;
        let mut below = self.entries().take_while(|entry| entry.header.last_offset() < bound);
        below.find(|entry| is_there(&entry.header) && entry.header.newest_timestamp_ms >= timestamp_ms)
    }

    pub fn file_of(&self, offset: i64) -> Option<&str> {
        let at = self.segments.partition_point(|segment| segment.base <= offset);
        Some(self.segments.get(at.checked_sub(1)?)?.file.as_str())
    }

    /// Files that hold something at or after `from`.
    pub fn files_from(&self, from: i64) -> Vec<String> {
        let first = self.segments.partition_point(|segment| segment.base <= from).saturating_sub(1);
        self.segments[first..].iter().map(|segment| segment.file.clone()).collect()
    }

    /// Leader epoch of the last batch.
    pub fn last_epoch(&self) -> Option<u32> {
        self.segments.iter().rev().find_map(|segment| segment.entries.last()).map(|entry| entry.header.leader_epoch)
    }
}
