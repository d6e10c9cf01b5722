//! The disk that the exchange writes to: what one sync of it costs.

use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// A file beside the exchange's.
pub struct Disk(File);

/// Bytes of one append: about what one batch of the log has.
const APPEND_BYTES: usize = 512;

impl Disk {
    /// A new file in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("sync");
        let file = OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
        Ok(Disk(file))
    }

    /// Nanoseconds of `count` appends that were each synced.
    pub fn syncs(&mut self, count: usize) -> Result<Vec<u64>> {
        let sync = |_| {
            let begin = Instant::now();
            self.0.write_all(&[7; APPEND_BYTES])?;
            self.0.sync_data()?;
            Ok(begin.elapsed().as_nanos() as u64)
        };
        (0..count).map(sync).collect()
    }
}
