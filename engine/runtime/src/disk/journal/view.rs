//! A directory with a journal, looked at and left as it is: what the journal has and the files do not is laid over them as they are read.

use super::record::FileId;
use super::recovery::{self, Replayed};
use super::table::Table;
use super::{JOURNAL, format, missing};
use crate::disk::directory::{at, lock_to_look};
use crate::disk::{Entry, check_name};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The files of a directory that no process has open to write. Nobody opens it to write as long as this lives.
#[derive(Debug)]
pub struct JournalView {
    root: PathBuf,
    table: Table,
    /// What the journal has of each file, in the order in which it was appended.
    appended: BTreeMap<FileId, Vec<(u64, Bytes)>>,
    _lock: Option<File>,
}

impl JournalView {
    /// Looks at a directory; writes nothing.
    ///
    /// # Errors
    /// As of [`super::JournalDisk::open`].
    pub fn open(dir: impl AsRef<Path>) -> io::Result<Self> {
        let root = dir.as_ref().to_path_buf();
        let lock = lock_to_look(&root)?;
        format::look(&root)?;
        let slot = |n: u64| {
            let path = root.join(JOURNAL).join(n.to_string());
            fs::read(&path).map_err(|error| at(&path, "read", error))
        };
        let slots = [slot(0)?, slot(1)?];
        let Replayed { table, appends, .. } = recovery::replay(&root, &slots)?;
        recovery::check_places(&root, &table, &appends)?;
        let mut appended: BTreeMap<FileId, Vec<(u64, Bytes)>> = BTreeMap::new();
        for (file, offset, bytes) in appends {
            appended.entry(file).or_default().push((offset, Bytes::copy_from_slice(bytes)));
        }
        Ok(JournalView { root, table, appended, _lock: lock })
    }

    /// As [`crate::disk::Disk::list`].
    pub fn list(&self, prefix: &str) -> Vec<Entry> {
        self.table.list(prefix)
    }

    /// As [`crate::disk::Disk::read`].
    pub fn read(&self, name: &str, offset: u64, len: usize) -> io::Result<Bytes> {
        check_name(name)?;
        let file = self.table.named(name).ok_or_else(|| missing(name))?;
        let stored = self.table.stored(file).expect("just named");
        let mut bytes = vec![0; stored.len.saturating_sub(offset).min(len as u64) as usize];
        read_what_is_there(&self.root.join(&stored.place), offset, &mut bytes)?;
        for (from, appended) in self.appended.get(&file).into_iter().flatten() {
            lay_over(&mut bytes, offset, appended, *from);
        }
        Ok(bytes.into())
    }
}

/// A place may be shorter than its file, or not be there: then the journal has the rest.
fn read_what_is_there(path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    let place = match File::open(path) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(path, "open", error)),
    };
    let mut done = 0;
    while done < bytes.len() {
        match place.read_at(&mut bytes[done..], offset + done as u64).map_err(|error| at(path, "read", error))? {
            0 => break,
            read => done += read,
        }
    }
    Ok(())
}

/// Both begin at their offsets in the file.
fn lay_over(bytes: &mut [u8], offset: u64, appended: &[u8], from: u64) {
    let (begin, end) = (from.max(offset), (from + appended.len() as u64).min(offset + bytes.len() as u64));
    if begin < end {
        bytes[(begin - offset) as usize..(end - offset) as usize].copy_from_slice(&appended[(begin - from) as usize..(end - from) as usize]);
    }
}
