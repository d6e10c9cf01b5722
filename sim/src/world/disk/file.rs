//! One file: the bytes in the page cache, and how many of them are on the platter.

use bytes::Bytes;
use runtime::rng::Rng;
use std::io;

/// What a torn write is torn to.
const SECTOR_BYTES: usize = 512;

/// Three cursors: `cached.len()` is the end of the page cache (what was written, and what a kill leaves), `platter` the end of what is durable;
/// between a cut and its sync the platter still has `cut_off` behind it.
#[derive(Debug, Default)]
pub struct File {
    cached: Vec<u8>,
    platter: usize,
    cut_off: Vec<u8>,
    /// A sync failed: the kernel has forgotten that bytes past the platter are dirty.
    forgotten: bool,
}

impl File {
    pub fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    pub fn append(&mut self, bytes: &[u8]) -> u64 {
        let at = self.len();
        self.cached.extend_from_slice(bytes);
        at
    }

    pub fn read(&self, offset: u64, len: usize) -> Bytes {
        let from = (offset as usize).min(self.cached.len());
        let to = from.saturating_add(len).min(self.cached.len());
        Bytes::copy_from_slice(&self.cached[from..to])
    }

    pub fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        if len > self.len() {
            let text = format!("file {name} has {} bytes, it cannot be cut to {len}", self.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let len = len as usize;
        if len < self.platter {
            let mut cut_off = self.cached[len..self.platter].to_vec();
            cut_off.append(&mut self.cut_off);
            self.cut_off = cut_off;
            self.platter = len;
        }
        self.cached.truncate(len);
        Ok(())
    }

    /// A sync that began when the file had `len` bytes has ended.
    pub fn synced(&mut self, len: u64) {
        if self.forgotten {
            return;
        }
        self.platter = self.platter.max((len as usize).min(self.cached.len()));
        self.cut_off.clear();
    }

    /// With these bytes, on the platter.
    pub fn durable(bytes: Vec<u8>) -> Self {
        File { platter: bytes.len(), cached: bytes, ..File::default() }
    }

    pub fn sync_failed(&mut self) {
        self.forgotten = true;
    }

    /// Leaves what a power loss leaves; how many bytes are gone.
    pub fn power_loss(&mut self, rng: &mut Rng) -> u64 {
        let had = self.cached.len();
        if !self.cut_off.is_empty() && rng.chance(1, 2) {
            // The cut itself never reached the platter.
            self.cached.truncate(self.platter);
            self.cached.append(&mut self.cut_off);
        } else {
            let kept = self.draw_kept(rng);
            self.cached.truncate(kept);
            self.tear(rng);
        }
        self.cut_off.clear();
        self.platter = self.cached.len();
        self.forgotten = false;
        (had as u64).saturating_sub(self.len())
    }

    /// A prefix at or past the platter: a third each nothing more, everything, anything between.
    fn draw_kept(&self, rng: &mut Rng) -> usize {
        let loose = (self.cached.len() - self.platter) as u64;
        let more = match rng.below(3) {
            0 => 0,
            1 => loose,
            _ => rng.below(loose + 1),
        };
        self.platter + more as usize
    }

    /// In one of four losses the length was written before the last sector's bytes.
    fn tear(&mut self, rng: &mut Rng) {
        if self.cached.len() > self.platter && rng.chance(1, 4) {
            let from = (self.cached.len() - 1) / SECTOR_BYTES * SECTOR_BYTES;
            let from = from.max(self.platter);
            self.cached[from..].fill(0);
        }
    }

    pub fn flip_bit(&mut self, rng: &mut Rng) {
        let at = rng.below(self.len()) as usize;
        self.cached[at] ^= 1 << rng.below(8);
    }
}
