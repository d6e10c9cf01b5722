//! When a journal file is full: the files it speaks of are synced in the background, then it may be used again.

use super::record::FileId;
use super::slot::Slot;
use super::table::Table;
use crate::disk::directory::{at, sync_names};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// What a generation has done to the places on the disk.
#[derive(Debug, Default)]
pub struct Dirt {
    written: BTreeSet<FileId>,
    made: BTreeSet<FileId>,
    /// Places without a file. They go when the journal's word of it is on the platter.
    gone: Vec<String>,
}

impl Dirt {
    pub fn wrote(&mut self, file: FileId) {
        self.written.insert(file);
    }

    pub fn made(&mut self, file: FileId) {
        self.written.insert(file);
        self.made.insert(file);
    }

    pub fn gone(&mut self, file: FileId, place: String) {
        self.written.remove(&file);
        self.made.remove(&file);
        self.gone.push(place);
    }

    /// What a checkpoint has to do; `journal` holds the generation.
    pub fn work(self, root: &Path, table: &Table, journal: Slot) -> Work {
        let place = |file: &FileId| table.stored(*file).map(|stored| root.join(&stored.place));
        let made = self.made.iter().filter_map(place);
        let directories = made.flat_map(|path| path.ancestors().skip(1).take_while(|dir| dir.starts_with(root)).map(Path::to_path_buf).collect::<Vec<_>>());
        Work {
            journal,
            directories: directories.collect(),
            files: self.written.iter().filter_map(place).collect(),
            gone: self.gone.iter().map(|place| root.join(place)).collect(),
        }
    }
}

/// A checkpoint's work.
#[derive(Debug)]
pub struct Work {
    journal: Slot,
    files: Vec<PathBuf>,
    directories: BTreeSet<PathBuf>,
    gone: Vec<PathBuf>,
}

impl Work {
    /// In this order: the journal, the files and their names, then what nobody needs any more goes.
    pub fn run(&self) -> io::Result<()> {
        self.journal.sync()?;
        for path in &self.files {
            let file = File::open(path).map_err(|error| at(path, "open", error))?;
            file.sync_data().map_err(|error| at(path, "sync", error))?;
        }
        self.directories.iter().try_for_each(|dir| sync_names(dir))?;
        for path in &self.gone {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(path, "remove", error)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The one that runs, if any.
#[derive(Debug, Default)]
pub struct Checkpoint {
    running: bool,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoint {
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Starts one; `work` ends with [`Checkpoint::finished`].
    pub fn start(&mut self, work: impl FnOnce() + Send + 'static) {
        assert!(!self.running, "one at a time");
        self.running = true;
        self.thread = Some(std::thread::spawn(work));
    }

    pub fn finished(&mut self) {
        self.running = false;
    }

    /// The thread, to be waited for.
    pub fn take(&mut self) -> Option<JoinHandle<()>> {
        self.thread.take()
    }
}
