//! The disk that the log writes to: what one sync of it costs.

use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// A file beside the log's. It has its length from the start, as the log's journal has: a sync that must write a new length too costs more, and a unit
/// that is too large flatters.
pub struct Disk {
    file: File,
    at: u64,
}

/// Bytes of one write: a page.
const PAGE_BYTES: usize = 4_096;

/// Length of the file.
const FILE_BYTES: usize = 1 << 20;

impl Disk {
    /// How it is measured, as a condition.
    pub const METHOD: &str = "a page of a file that has its length overwritten, fdatasync, on the same disk";

    /// A new file in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("sync");
        let file = File::options().create(true).truncate(true).write(true).open(&path).with_context(|| path.display().to_string())?;
        file.write_all_at(&vec![1; FILE_BYTES], 0)?;
        file.sync_all()?;
        Ok(Disk { file, at: 0 })
    }

    /// Nanoseconds of `count` writes that were each synced.
    pub fn syncs(&mut self, count: usize) -> Result<Vec<u64>> {
        let sync = |_| {
            let begin = Instant::now();
            self.file.write_all_at(&[7; PAGE_BYTES], self.at)?;
            self.file.sync_data()?;
            self.at = (self.at + PAGE_BYTES as u64) % FILE_BYTES as u64;
            Ok(begin.elapsed().as_nanos() as u64)
        };
        (0..count).map(sync).collect()
    }
}
