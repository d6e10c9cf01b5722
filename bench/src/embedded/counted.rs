//! A disk that counts its syncs, and is otherwise the one below.

use bytes::Bytes;
use runtime::BoxFuture;
use runtime::disk::{Disk, Entry};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Counted<D> {
    disk: D,
    /// Raised by whoever asks for a sync, read by the measurement.
    syncs: AtomicU64,
}

impl<D> Counted<D> {
    pub fn new(disk: D) -> Self {
        Counted { disk, syncs: AtomicU64::new(0) }
    }

    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

impl<D: Disk> Disk for Counted<D> {
    fn append(&self, file: &str, bytes: &[u8]) -> io::Result<u64> {
        self.disk.append(file, bytes)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> io::Result<Bytes> {
        self.disk.read(file, offset, len)
    }

    fn truncate(&self, file: &str, len: u64) -> io::Result<()> {
        self.disk.truncate(file, len)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        self.disk.remove(file)
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Entry>> {
        self.disk.list(prefix)
    }

    fn sync<'a>(&'a self, files: &'a [String]) -> BoxFuture<'a, io::Result<()>> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.disk.sync(files)
    }

    fn keeps_order(&self) -> bool {
        self.disk.keeps_order()
    }

    fn sync_dir<'a>(&'a self, dir: &'a str) -> BoxFuture<'a, io::Result<()>> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.disk.sync_dir(dir)
    }
}
