//! The Disk port: files of bytes that grow at the end. What `append` wrote is in the page cache: it survives a kill, not a power loss, until
//! `sync` returns.
//!
//! File names are relative, `/`-separated (`order_commands-0/00000000000000000000.log`); directories come into being with their first file.
//! A file's existence (creation, rename, removal) is durable only after `sync_dir` of its directory.

use crate::BoxFuture;
use bytes::Bytes;
use std::io;

mod directory;
mod journal;
mod real;

pub use journal::{JournalConfig, JournalDisk, JournalView};
pub use real::RealDisk;

/// A file and its length in bytes.
pub type Entry = (String, u64);

/// One node's disk. All calls but the syncs are page-cache operations and do not wait.
pub trait Disk: Send + Sync + 'static {
    /// Writes at the end, creating the file; returns the offset of the first byte.
    fn append(&self, file: &str, bytes: &[u8]) -> io::Result<u64>;
    /// Up to `len` bytes from `offset`; fewer at the end of the file. `NotFound` if there is no such file.
    fn read(&self, file: &str, offset: u64, len: usize) -> io::Result<Bytes>;
    /// Cuts the file to `len` bytes; `InvalidInput` if it has fewer, `NotFound` if there is none.
    fn truncate(&self, file: &str, len: u64) -> io::Result<()>;
    /// Atomically, replacing `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; `NotFound` if there is none.
    fn remove(&self, file: &str) -> io::Result<()>;
    /// Every file whose name starts with `prefix` (`""`: all), sorted by name.
    fn list(&self, prefix: &str) -> io::Result<Vec<Entry>>;
    /// Makes the bytes and lengths of these files durable; one round for all. After an error nothing is known about any of them (a kernel forgets
    /// the pages it could not write), so the caller must stop writing and start again from what `read` gives after a restart.
    fn sync<'a>(&'a self, files: &'a [String]) -> BoxFuture<'a, io::Result<()>>;
    /// One journal keeps all changes in their order: a power loss leaves a prefix of them, and a sync, of whatever files or of none, is of everything.
    fn keeps_order(&self) -> bool {
        false
    }
    /// Makes the names in this directory (`""`: the root) durable, and the directory itself.
    fn sync_dir<'a>(&'a self, dir: &'a str) -> BoxFuture<'a, io::Result<()>>;
}

/// Checks a file's name: relative, `/`-separated, no empty, `.` or `..` part, no part that begins with a dot.
pub fn check_name(file: &str) -> io::Result<()> {
    if file.is_empty() || file.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        let text = format!("file name {file:?}: it must be relative, without empty parts or parts that begin with a dot");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

/// The directory part of a file's name (`""`: the root).
pub fn directory(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(dir, _)| dir)
}
