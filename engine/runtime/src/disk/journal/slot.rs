//! One of the two files that the journal is written to in turn. Its bytes are allocated and written once, when the directory is made: a sync of bytes
//! that are overwritten in place does not wait for the file system's own journal.

use super::record::{u32_at, u64_at};
use super::table::Table;
use crate::disk::directory::at;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"LSJRNL02";

/// Of the header, before the table.
const FIXED_BYTES: usize = 48;

/// Records begin at a multiple of this.
const PAGE_BYTES: u64 = 4_096;

/// What stands at the head of a slot: a generation begins, with the files as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// One more than that of the slot filled before.
    pub generation: u64,
    /// Of its first record.
    pub start_lsn: u64,
    /// Known to be on the platter when it was written.
    pub durable: u64,
    /// Everything before it is in the files, synced: no earlier generation is needed.
    pub complete: bool,
    pub table: Table,
}

impl Header {
    /// Magic, crc u32 of all that follows, table bytes u32, generation u64, first lsn u64, durable u64, complete u64 (0 or 1), table.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0; 8]);
        for number in [self.generation, self.start_lsn, self.durable, u64::from(self.complete)] {
            bytes.extend(number.to_le_bytes());
        }
        self.table.encode(&mut bytes);
        let table_bytes = u32::try_from(bytes.len() - FIXED_BYTES).expect("a table is below 4 GiB");
        bytes[12..16].copy_from_slice(&table_bytes.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the head of a slot, and where its records begin. `None`: not there, or torn.
    pub fn decode(bytes: &[u8]) -> Option<(Header, u64)> {
        let fixed = bytes.get(..FIXED_BYTES).filter(|fixed| fixed.starts_with(MAGIC))?;
        let len = FIXED_BYTES.checked_add(u32_at(fixed, 12) as usize)?;
        let whole = bytes.get(..len)?;
        if crc32c::crc32c(&whole[12..]) != u32_at(fixed, 8) {
            return None;
        }
        let table = Table::decode(&whole[FIXED_BYTES..])?;
        let complete = u64_at(fixed, 40) == 1;
        let header = Header { generation: u64_at(fixed, 16), start_lsn: u64_at(fixed, 24), durable: u64_at(fixed, 32), complete, table };
        Some((header, (len as u64).next_multiple_of(PAGE_BYTES)))
    }
}

/// An open slot.
#[derive(Debug, Clone)]
pub struct Slot {
    file: Arc<File>,
    path: PathBuf,
}

impl Slot {
    /// Opens one of `bytes` bytes, all written; makes it if it is shorter.
    pub fn open(path: PathBuf, bytes: u64) -> io::Result<Slot> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(|error| at(&path, "open", error))?;
        let mut len = file.metadata().map_err(|error| at(&path, "look at", error))?.len();
        let zeros = vec![0; 1 << 20];
        while len < bytes {
            let part = (bytes - len).min(zeros.len() as u64);
            file.write_all_at(&zeros[..part as usize], len).map_err(|error| at(&path, "make room in", error))?;
            len += part;
        }
        Ok(Slot { file: Arc::new(file), path })
    }

    #[cfg(test)]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// All of it.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let len = self.file.metadata().map_err(|error| at(&self.path, "look at", error))?.len();
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0).map_err(|error| at(&self.path, "read", error))?;
        Ok(bytes)
    }

    /// Begins a generation; gives the place of its first record.
    pub fn begin(&self, header: &Header) -> io::Result<u64> {
        let bytes = header.encode();
        self.write(0, &bytes)?;
        Ok((bytes.len() as u64).next_multiple_of(PAGE_BYTES))
    }

    pub fn write(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, position).map_err(|error| at(&self.path, "append to", error))
    }

    /// Takes its header away, for good: nobody needs what it holds, and it may be written over.
    pub fn spend(&self) -> io::Result<()> {
        self.write(0, &[0; MAGIC.len()])?;
        self.sync()
    }

    /// Waits for the platter.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| at(&self.path, "sync", error))
    }
}
