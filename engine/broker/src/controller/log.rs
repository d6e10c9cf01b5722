//! The metadata log's file: frames of length (u32), CRC-32C of the body (u32) and body, an encoded entry. Little-endian. A torn tail is cut at start; an
//! entry that does not count yet was told to nobody. Alone, what is synced counts; in a quorum, what a majority has synced.

use super::{Controller, Phase, quorum};
use crate::io::{DiskAnswer, DiskError, Output};
use crate::metadata::{MetadataRecord, decode_entry, encode_entry};
use crate::note::Note;
use bytes::{BufMut, Bytes, BytesMut};

const FILE: &str = "__cluster_metadata/00000000000000000000.log";

/// What a finished operation was for.
#[derive(Debug)]
pub(super) enum DiskOp {
    Read,
    /// The quorum's state.
    ReadState,
    Applied,
    /// Synced up to here, unless the log was cut since.
    Sync {
        end: u64,
        cuts: u64,
    },
    /// The quorum's state is on the platter.
    State,
}

/// The log: entries in memory, the file for restarts.
#[derive(Default)]
pub(super) struct MetadataLog {
    entries: Vec<Bytes>,
    /// (epoch, its first entry), as entries tell it; 0 before the first.
    epochs: Vec<(u32, u64)>,
    synced: u64,
    committed: u64,
    syncing: bool,
    /// How often it was cut.
    cuts: u64,
    /// Files that are being read at start.
    reads: u32,
}

impl MetadataLog {
    /// Entries that count.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Entries that are on this platter.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// Entries there are.
    pub fn end(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Epoch of the entry before an offset.
    pub fn epoch_before(&self, offset: u64) -> u32 {
        self.epochs.iter().rev().find(|(_, first)| *first < offset).map_or(0, |(epoch, _)| *epoch)
    }

    /// The largest epoch here at or below one, and its end.
    pub fn end_of(&self, epoch: u32) -> (u32, u64) {
        let after = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let end = self.epochs.get(after).map_or(self.end(), |(_, first)| *first);
        (after.checked_sub(1).map_or(0, |at| self.epochs[at].0), end)
    }

    /// Entries from `from` on that a voter lacks, at most `max`.
    pub fn entries_from(&self, from: u64, max: usize) -> Vec<Bytes> {
        self.entries[from as usize..].iter().take(max).cloned().collect()
    }

    /// Every entry, decoded.
    pub fn decoded(&self) -> impl Iterator<Item = Vec<MetadataRecord>> {
        self.entries.iter().map(|body| decode_entry(body).expect("it was decoded before"))
    }

    fn push(&mut self, entry: &[MetadataRecord], body: Bytes) {
        if let [MetadataRecord::ControllerElected { epoch, .. }] = entry {
            assert!(self.epochs.last().is_none_or(|(last, _)| last < epoch), "epochs rise");
            self.epochs.push((*epoch, self.end()));
        }
        self.entries.push(body);
    }

    /// Bytes of the file up to an entry.
    fn position(&self, end: u64) -> u64 {
        self.entries[..end as usize].iter().map(|body| body.len() as u64 + 8).sum()
    }

    /// Committed entries from `from` on.
    pub fn committed_from(&self, from: u64) -> Vec<Bytes> {
        self.entries.get(from as usize..self.committed as usize).unwrap_or_default().to_vec()
    }
}

fn frame(body: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(body.len() + 8);
    bytes.put_u32_le(u32::try_from(body.len()).expect("an entry is small"));
    bytes.put_u32_le(crc32c::crc32c(body));
    bytes.put_slice(body);
    bytes.freeze()
}

/// Takes one frame's body off `rest`; `None` if it is torn or corrupt.
fn unframe(rest: &mut Bytes) -> Option<Bytes> {
    let len = u32::from_le_bytes(rest.get(0..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?);
    let body = rest.slice(8..8usize.checked_add(len).filter(|&end| end <= rest.len())?);
    if crc32c::crc32c(&body) != crc {
        return None;
    }
    *rest = rest.slice(8 + len..);
    Some(body)
}

impl Controller {
    pub(super) fn start(&mut self, listing: &[(String, u64)]) {
        let len = |file: &str| listing.iter().find(|(name, _)| name == file).map(|&(_, len)| len);
        if let (Some(len), true) = (len(quorum::FILE), self.config.quorum.is_some()) {
            self.io.read(quorum::FILE, 0, len, DiskOp::ReadState);
            self.log.reads += 1;
        }
        if let Some(len) = len(FILE) {
            self.io.read(FILE, 0, len, DiskOp::Read);
            self.log.reads += 1;
        }
        if self.log.reads == 0 {
            self.run();
        }
    }

    fn has_read(&mut self) {
        self.log.reads -= 1;
        if self.log.reads == 0 {
            self.run();
        }
    }

    fn recover(&mut self, bytes: &Bytes) {
        let mut rest = bytes.clone();
        while let Some(body) = unframe(&mut rest) {
            let Ok(entry) = decode_entry(&body) else { break };
            self.image.apply(&entry);
            self.log.push(&entry, body);
        }
        if !rest.is_empty() {
            self.io.truncate(FILE, (bytes.len() - rest.len()) as u64, DiskOp::Applied);
        }
        // What a kill left in the page cache counts only when it is on the platter.
        self.sync();
        if self.config.quorum.is_none() {
            self.restate_isrs();
        }
    }

    fn run(&mut self) {
        self.phase = Phase::Running;
        if self.config.quorum.is_some() {
            return self.begin_voting();
        }
        self.begin_sessions();
        self.begin_rebalancing();
        self.finalise_features();
        self.fence_former_resident();
    }

    /// A cluster begins with the newest version it is set to; later only an operator raises it.
    pub(super) fn finalise_features(&mut self) {
        let version = self.config.transaction_version;
        if self.image.brokers.is_empty() && version > 1 && self.image.transaction_version < version {
            self.decide(vec![MetadataRecord::TransactionVersion { version }], Vec::new());
        }
        let version = self.config.eligible_leaders_version;
        if self.image.brokers.is_empty() && version > self.image.eligible_leaders_version {
            self.decide(vec![MetadataRecord::EligibleLeadersVersion { version }], Vec::new());
        }
    }

    pub(super) fn append_entry(&mut self, entry: &[MetadataRecord]) {
        self.append_body(entry, encode_entry(entry));
    }

    pub(super) fn append_body(&mut self, entry: &[MetadataRecord], body: Bytes) {
        self.io.append(FILE, frame(&body), DiskOp::Applied);
        self.log.push(entry, body);
        self.sync();
    }

    /// Removes the entries from `end` on: another leader's log leaves this one there.
    pub(super) fn cut(&mut self, end: u64) {
        assert!(end >= self.log.committed, "what counts is never cut: {end} of {}", self.log.committed);
        if end == self.log.end() {
            return;
        }
        self.io.truncate(FILE, self.log.position(end), DiskOp::Applied);
        self.log.entries.truncate(end as usize);
        self.log.epochs.retain(|(_, first)| *first < end);
        self.log.synced = self.log.synced.min(end);
        self.log.cuts += 1;
    }

    /// More counts.
    pub(super) fn commit_to(&mut self, end: u64) {
        assert!(end >= self.log.committed && end <= self.log.end(), "what counts grows, and is here");
        if self.config.quorum.is_some() {
            for offset in self.log.committed..end {
                self.io.note(Note::MetadataCommitted { offset, crc: crc32c::crc32c(&self.log.entries[offset as usize]) });
            }
        }
        self.log.committed = end;
    }

    /// One sync in flight covers all that was appended before it; the next follows it.
    fn sync(&mut self) {
        let (end, cuts) = (self.log.end(), self.log.cuts);
        if !self.log.syncing && self.log.synced < end {
            self.log.syncing = true;
            self.io.sync(vec![FILE.to_owned()], DiskOp::Sync { end, cuts });
        }
    }

    pub(super) fn disk_done(&mut self, op: u64, result: Result<DiskAnswer, DiskError>) {
        let Some(meaning) = self.io.finished(op) else { return };
        let answer = match result {
            Ok(answer) => answer,
            Err(DiskError) => {
                self.phase = Phase::Stopped;
                return self.io.out.push(Output::Stopped);
            }
        };
        match (meaning, answer) {
            (DiskOp::Read, DiskAnswer::Bytes(bytes)) => {
                self.recover(&bytes);
                self.has_read();
            }
            (DiskOp::ReadState, DiskAnswer::Bytes(bytes)) => {
                self.recover_state(&bytes);
                self.has_read();
            }
            (DiskOp::Read | DiskOp::ReadState, DiskAnswer::Done) => unreachable!("a read gives bytes"),
            (DiskOp::Applied, _) => {}
            (DiskOp::State, _) => self.state_written(),
            (DiskOp::Sync { end, cuts }, _) => self.log_synced(end, cuts),
        }
    }

    fn log_synced(&mut self, end: u64, cuts: u64) {
        self.log.syncing = false;
        if cuts == self.log.cuts {
            self.log.synced = end;
        }
        self.sync();
        if self.config.quorum.is_some() {
            return self.voter_synced();
        }
        self.commit_to(end);
        self.committed();
    }
}
