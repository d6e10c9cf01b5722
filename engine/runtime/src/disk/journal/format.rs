//! Which format a directory has. 1: plain files, no journal. 2: files whose places carry a number, and a journal.

use super::recovery::damaged;
use super::slot::{Header, Slot};
use super::table::Table;
use super::{JOURNAL, JournalConfig, table};
use crate::disk::directory::{at, sync_names, walk};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Says which format the directory has; written when all else stands.
const FORMAT_FILE: &str = ".format";

/// What this build reads and writes.
const FORMAT: u32 = 2;

/// The journal's two files. A new directory, or one of format 1, is made one of this format.
pub fn open(root: &Path, config: JournalConfig) -> io::Result<[Slot; 2]> {
    let path = root.join(FORMAT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => check(root, &text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return make(root, config),
        Err(error) => return Err(at(&path, "read", error)),
    }
    look_at_slots(root)?;
    slots(root, config)
}

/// Checks it and makes nothing.
pub fn look(root: &Path) -> io::Result<()> {
    let path = root.join(FORMAT_FILE);
    check(root, &fs::read_to_string(&path).map_err(|error| at(&path, "read", error))?)?;
    look_at_slots(root)
}

/// They were written and synced before the format was.
fn look_at_slots(root: &Path) -> io::Result<()> {
    for path in [0, 1].map(|n| slot(root, n)) {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > 0 => {}
            Ok(_) => return Err(damaged(root, &format!("{} is empty", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged(root, &format!("{} is missing", path.display()))),
            Err(error) => return Err(at(&path, "look at", error)),
        }
    }
    Ok(())
}

fn slot(root: &Path, n: u64) -> PathBuf {
    root.join(JOURNAL).join(n.to_string())
}

fn slots(root: &Path, config: JournalConfig) -> io::Result<[Slot; 2]> {
    let open = |n| Slot::open(slot(root, n), config.journal_bytes);
    Ok([open(0)?, open(1)?])
}

fn check(root: &Path, text: &str) -> io::Result<()> {
    let invalid = |kind, what: String| Err(io::Error::new(kind, format!("directory {}: {what}; nothing was changed", root.display())));
    match text.trim().parse::<u32>() {
        Ok(FORMAT) => Ok(()),
        Ok(newer) if newer > FORMAT => invalid(
            io::ErrorKind::Unsupported,
            format!("its format is {newer}, this build knows formats up to {FORMAT}: use the build that wrote it, or a newer one"),
        ),
        _ => invalid(io::ErrorKind::InvalidData, format!("its file {FORMAT_FILE} holds {:?} and no format number", text.trim())),
    }
}

fn make(root: &Path, config: JournalConfig) -> io::Result<[Slot; 2]> {
    let journal = root.join(JOURNAL);
    let found = walk(root)?;
    // A copy without what begins with a dot, or somebody tidied up: as files of format 1 they would be nobody's, and the log would begin anew.
    if let Some((name, _)) = found.iter().find(|(name, _)| table::is_place(name)) {
        let what = format!("it has {name}, which a journal numbered, and no {FORMAT_FILE} (it and {JOURNAL} belong to the directory)");
        return Err(damaged(root, &what));
    }
    fs::create_dir_all(&journal).map_err(|error| at(&journal, "make directory", error))?;
    for (name, _) in &found {
        // Format 1 did not sync what it had not acknowledged.
        let path = root.join(name);
        File::open(&path).and_then(|file| file.sync_all()).map_err(|error| at(&path, "sync", error))?;
    }
    let slots = slots(root, config)?;
    // The other one, half made by an earlier try, would be taken for the generation before.
    slots[1].write(0, &[0; 8])?;
    slots[0].begin(&Header { generation: 2, start_lsn: 0, durable: 0, complete: true, table: Table::adopt(found) })?;
    slots.iter().try_for_each(Slot::sync)?;
    sync_names(&journal)?;
    write(root)?;
    Ok(slots)
}

fn write(root: &Path) -> io::Result<()> {
    let (path, temporary) = (root.join(FORMAT_FILE), root.join(".format.new"));
    let mut file = File::create(&temporary).map_err(|error| at(&temporary, "make", error))?;
    file.write_all(format!("{FORMAT}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(|error| at(&temporary, "write", error))?;
    fs::rename(&temporary, &path).map_err(|error| at(&path, "rename", error))?;
    root.ancestors().take(2).filter(|dir| !dir.as_os_str().is_empty()).try_for_each(sync_names)
}
