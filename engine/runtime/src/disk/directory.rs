//! What both kinds of real disk do with the directory they live in: lock it, name it in errors, make its names durable.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // the production half: here files are real

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Guards the directory against a second process.
const LOCK_FILE: &str = ".lock";

/// Makes the directory if there is none, and locks it while the file is open. `WouldBlock` if another process has it open.
pub fn lock(root: &Path) -> io::Result<File> {
    fs::create_dir_all(root).map_err(|error| at(root, "make directory", error))?;
    let path = root.join(LOCK_FILE);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|error| at(&path, "open", error))?;
    lock.try_lock().map_err(|error| refused(root, &path, error))?;
    Ok(lock)
}

/// Keeps writers away while the file is open; makes nothing. `None`: nobody ever locked it. `WouldBlock` if a process has it open to write.
pub fn lock_to_look(root: &Path) -> io::Result<Option<File>> {
    let path = root.join(LOCK_FILE);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path, "open", error)),
    };
    lock.try_lock_shared().map_err(|error| refused(root, &path, error))?;
    Ok(Some(lock))
}

fn refused(root: &Path, path: &Path, error: fs::TryLockError) -> io::Error {
    match error {
        fs::TryLockError::WouldBlock => io::Error::new(io::ErrorKind::WouldBlock, format!("directory {} is in use by another process", root.display())),
        fs::TryLockError::Error(error) => at(path, "lock", error),
    }
}

/// Every file below, by its name relative to `root`, with its length; nothing that begins with a dot.
pub fn walk(root: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    walk_below(root, root, &mut found)?;
    Ok(found)
}

fn walk_below(root: &Path, dir: &Path, found: &mut Vec<(String, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(dir).map_err(|error| at(dir, "list", error))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk_below(root, &path, found)?;
            continue;
        }
        let name = path.strip_prefix(root).expect("a walk from the root stays below it");
        found.push((name.to_string_lossy().into_owned(), entry.metadata()?.len()));
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub fn sync_names(dir: &Path) -> io::Result<()> {
    let handle = File::open(dir).map_err(|error| at(dir, "open", error))?;
    handle.sync_all().map_err(|error| at(dir, "sync", error))
}

/// Says which file could not be dealt with, and how.
pub fn at(path: &Path, what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

/// Notes that a sync failed: what is on the platter is not known any more.
pub fn fail(failed: &AtomicBool, error: io::Error) -> io::Error {
    failed.store(true, Ordering::Release);
    error
}

/// Refuses to write after a sync that failed.
pub fn writable(root: &Path, failed: &AtomicBool) -> io::Result<()> {
    if failed.load(Ordering::Acquire) {
        return Err(io::Error::other(format!("directory {}: an earlier sync failed, restart to find out what it holds", root.display())));
    }
    Ok(())
}
