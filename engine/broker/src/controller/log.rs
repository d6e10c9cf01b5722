//! The metadata log's file: frames of length (u32), CRC-32C of the body (u32) and body, an encoded entry. Little-endian. A torn tail is cut at start; an
//! entry that was not synced was told to nobody.

use super::{Controller, Phase};
use crate::io::{DiskAnswer, DiskError, Output};
use crate::metadata::{MetadataRecord, decode_entry, encode_entry};
use bytes::{BufMut, Bytes, BytesMut};

const FILE: &str = "__cluster_metadata/00000000000000000000.log";

/// What a finished operation was for.
#[derive(Debug)]
pub(super) enum DiskOp {
    Read,
    Applied,
    /// Committed up to here.
    Sync {
        end: u64,
    },
}

/// The log: entries in memory, the file for restarts.
#[derive(Default)]
pub(super) struct MetadataLog {
    entries: Vec<Bytes>,
    committed: u64,
    syncing: bool,
}

impl MetadataLog {
    /// Entries that are synced.
    pub fn committed(&self) -> u64 {
        self.committed
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
        match listing.iter().find(|(name, _)| name == FILE) {
            Some(&(_, len)) => self.io.read(FILE, 0, len, DiskOp::Read),
            None => self.run(),
        }
    }

    fn recover(&mut self, bytes: &Bytes) {
        let mut rest = bytes.clone();
        while let Some(body) = unframe(&mut rest) {
            let Ok(entry) = decode_entry(&body) else { break };
            self.image.apply(&entry);
            self.log.entries.push(body);
        }
        if !rest.is_empty() {
            self.io.truncate(FILE, (bytes.len() - rest.len()) as u64, DiskOp::Applied);
        }
        // What a kill left in the page cache counts only when it is on the platter.
        self.sync();
        self.restate_isrs();
        self.run();
    }

    fn run(&mut self) {
        self.phase = Phase::Running;
        self.begin_sessions();
        if self.image.end == 0 && self.config.transaction_version > 1 {
            self.decide(vec![MetadataRecord::TransactionVersion { version: self.config.transaction_version }], Vec::new());
        }
        self.fence_former_resident();
    }

    pub(super) fn append_entry(&mut self, entry: &[MetadataRecord]) {
        let body = encode_entry(entry);
        self.io.append(FILE, frame(&body), DiskOp::Applied);
        self.log.entries.push(body);
        self.sync();
    }

    /// One sync in flight covers all that was appended before it; the next follows it.
    fn sync(&mut self) {
        let end = self.log.entries.len() as u64;
        if !self.log.syncing && self.log.committed < end {
            self.log.syncing = true;
            self.io.sync(vec![FILE.to_owned()], DiskOp::Sync { end });
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
            (DiskOp::Read, DiskAnswer::Bytes(bytes)) => self.recover(&bytes),
            (DiskOp::Read, DiskAnswer::Done) => unreachable!("a read gives bytes"),
            (DiskOp::Applied, _) => {}
            (DiskOp::Sync { end }, _) => {
                self.log.syncing = false;
                self.log.committed = end;
                self.sync();
                self.committed();
            }
        }
    }
}
