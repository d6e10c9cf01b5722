//! A directory of the machine it runs on.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // the production half: here files are real

use super::directory::{at, fail, lock, sync_names, walk, writable};
use super::{Disk, Entry, check_name};
use crate::BoxFuture;
use crate::task::off_thread;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Most files held open; beyond it all handles are closed and opened again as needed.
const OPEN_FILES_MAX: usize = 512;

/// A directory used as a [`Disk`]. Locked while it is open.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    open: Mutex<BTreeMap<String, OpenFile>>,
    /// Directories whose own names are durable; none is ever removed.
    durable_dirs: Mutex<BTreeSet<PathBuf>>,
    /// A sync failed: what is on the platter is not known any more, and nothing may be acknowledged by it.
    failed: Arc<AtomicBool>,
    _lock: File,
}

#[derive(Debug, Clone)]
struct OpenFile {
    file: Arc<File>,
    len: u64,
}

impl RealDisk {
    /// Opens (and makes) the directory. `WouldBlock` if another process has it open.
    pub fn open(dir: impl AsRef<Path>) -> io::Result<Self> {
        let root = dir.as_ref().to_path_buf();
        let lock = lock(&root)?;
        Ok(RealDisk {
            root,
            open: Mutex::new(BTreeMap::new()),
            durable_dirs: Mutex::new(BTreeSet::new()),
            failed: Arc::new(AtomicBool::new(false)),
            _lock: lock,
        })
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, OpenFile>> {
        self.open.lock().expect("no code panics while it holds the table of open files")
    }

    fn path(&self, file: &str) -> io::Result<PathBuf> {
        check_name(file)?;
        Ok(self.root.join(file))
    }

    fn writable(&self) -> io::Result<()> {
        writable(&self.root, &self.failed)
    }

    /// The open handle of a file, from `table` or opened now.
    fn handle(&self, table: &mut BTreeMap<String, OpenFile>, name: &str, create: bool) -> io::Result<OpenFile> {
        if let Some(open) = table.get(name) {
            return Ok(open.clone());
        }
        let path = self.path(name)?;
        if create && let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| at(parent, "make directory", error))?;
        }
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(&path).map_err(|error| at(&path, "open", error))?;
        let len = file.metadata().map_err(|error| at(&path, "look at", error))?.len();
        if table.len() >= OPEN_FILES_MAX {
            table.clear();
        }
        let open = OpenFile { file: Arc::new(file), len };
        table.insert(name.to_string(), open.clone());
        Ok(open)
    }

    /// The directory, and those above it: its own name stands in its parent. It ends where a name is known to be durable.
    fn until_durable(&self, path: &Path) -> Vec<PathBuf> {
        let durable = self.durable_dirs.lock().expect("no code panics while it holds this lock");
        let mut dirs = Vec::new();
        for dir in path.ancestors().take_while(|dir| dir.starts_with(&self.root)) {
            dirs.push(dir.to_path_buf());
            if durable.contains(dir) {
                break;
            }
        }
        dirs
    }
}

impl Disk for RealDisk {
    fn append(&self, file: &str, bytes: &[u8]) -> io::Result<u64> {
        self.writable()?;
        let mut table = self.table();
        let open = self.handle(&mut table, file, true)?;
        if let Err(error) = open.file.write_all_at(bytes, open.len) {
            // Part of it may be there; what was not acknowledged must not be found later behind other bytes.
            if open.file.set_len(open.len).is_err() {
                self.failed.store(true, Ordering::Release);
            }
            return Err(at(&self.root.join(file), "append to", error));
        }
        table.get_mut(file).expect("handle() put it there").len += bytes.len() as u64;
        Ok(open.len)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> io::Result<Bytes> {
        let open = self.handle(&mut self.table(), file, false)?;
        let there = open.len.saturating_sub(offset).min(len as u64) as usize;
        let mut bytes = vec![0; there];
        open.file.read_exact_at(&mut bytes, offset).map_err(|error| at(&self.root.join(file), "read", error))?;
        Ok(bytes.into())
    }

    fn truncate(&self, file: &str, len: u64) -> io::Result<()> {
        self.writable()?;
        let mut table = self.table();
        let open = self.handle(&mut table, file, false)?;
        if len > open.len {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("file {file} has {} bytes, it cannot be cut to {len}", open.len)));
        }
        open.file.set_len(len).map_err(|error| at(&self.root.join(file), "truncate", error))?;
        table.get_mut(file).expect("handle() put it there").len = len;
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        let (source, target) = (self.path(from)?, self.path(to)?);
        let mut table = self.table();
        if let Some(parent) = target.parent().filter(|_| source.exists()) {
            fs::create_dir_all(parent).map_err(|error| at(parent, "make directory", error))?;
        }
        fs::rename(&source, &target).map_err(|error| at(&source, "rename", error))?;
        table.remove(to);
        if let Some(open) = table.remove(from) {
            table.insert(to.to_string(), open);
        }
        Ok(())
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        self.writable()?;
        let path = self.path(file)?;
        let mut table = self.table();
        fs::remove_file(&path).map_err(|error| at(&path, "remove", error))?;
        table.remove(file);
        Ok(())
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Entry>> {
        let _table = self.table();
        let mut entries = walk(&self.root)?;
        entries.retain(|(name, _)| name.starts_with(prefix));
        entries.sort();
        Ok(entries)
    }

    fn sync<'a>(&'a self, files: &'a [String]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            self.writable()?;
            let handles = {
                let mut table = self.table();
                files.iter().map(|name| self.handle(&mut table, name, false)).collect::<io::Result<Vec<_>>>()?
            };
            let sync = |open: OpenFile| {
                let (root, failed) = (self.root.clone(), self.failed.clone());
                off_thread(move || open.file.sync_data().map_err(|error| fail(&failed, at(&root, "sync a file of", error))))
            };
            // All at once: a journalling file system commits them together.
            let running: Vec<_> = handles.into_iter().map(sync).collect();
            let mut outcome = Ok(());
            for sync in running {
                outcome = outcome.and(sync.await);
            }
            outcome
        })
    }

    fn sync_dir<'a>(&'a self, dir: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            self.writable()?;
            let path = if dir.is_empty() { self.root.clone() } else { self.path(dir)? };
            let dirs = self.until_durable(&path);
            let failed = self.failed.clone();
            let synced = dirs.clone();
            off_thread(move || dirs.iter().try_for_each(|dir| sync_names(dir)).map_err(|error| fail(&failed, error))).await?;
            self.durable_dirs.lock().expect("no code panics while it holds this lock").extend(synced);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opener_is_refused_until_the_first_has_closed() {
        let dir = tempfile::tempdir().unwrap();
        let first = RealDisk::open(dir.path()).unwrap();
        let error = RealDisk::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("is in use by another process"), "{error}");
        drop(first);
        RealDisk::open(dir.path()).unwrap();
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        for name in ["", "/etc/x", "../x", "a/../../x", ".lock", "a//b"] {
            assert_eq!(disk.append(name, b"x").unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
        assert_eq!(disk.list("").unwrap(), []);
    }
}
