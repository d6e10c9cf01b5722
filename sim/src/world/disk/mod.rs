//! The simulated disk of one node. It outlives the node's lives: a kill leaves the page cache as it is, a power loss leaves what the platter has and
//! perhaps some of the rest.

mod file;
mod journal;
mod names;

use file::File;
use journal::{Change, Held, Journal};
use names::Names;
use runtime::BoxFuture;
use runtime::disk::{Disk, Entry, check_name, directory};
use runtime::rng::Rng;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Shortest sync, and the width of the draw on top of it.
const SYNC_US: std::ops::Range<u64> = 1_000..3_000;

/// What can be wrong with a disk, until [`SimulatedDisk::heal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskFault {
    /// Appends and syncs fail (EIO). A sync that failed has lost the bytes it could not write: later syncs say nothing about them.
    Eio,
    /// Appends fail (ENOSPC), nothing of them is written.
    Full,
    /// A sync takes this long.
    SlowSync {
        /// Simulated milliseconds.
        ms: u64,
    },
    /// One bit of one file is flipped, at once and for good.
    BitFlip,
}

/// What a power loss did to one file, for the story of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerLoss {
    /// Bytes written but not synced that are gone.
    pub lost_bytes: u64,
    /// Names created, renamed or removed but not synced that are as before.
    pub lost_names: u64,
}

/// One node's disk.
#[derive(Debug)]
pub struct SimulatedDisk {
    seed: u64,
    node: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    files: BTreeMap<u64, File>,
    names: Names,
    journal: Option<Journal>,
    next_inode: u64,
    eio: bool,
    full: bool,
    slow_sync_ms: u64,
    events: u64,
    syncs: Rng,
}

impl SimulatedDisk {
    /// An empty disk. What it draws is keyed by seed and node.
    pub fn new(seed: u64, node: &str) -> Arc<Self> {
        let state = State {
            files: BTreeMap::new(),
            names: Names::default(),
            journal: None,
            next_inode: 0,
            eio: false,
            full: false,
            slow_sync_ms: 0,
            events: 0,
            syncs: Rng::keyed(seed, &["disk", node, "sync"]),
        };
        Arc::new(SimulatedDisk { seed, node: node.to_string(), state: Mutex::new(state) })
    }

    /// The disk as one life of the node sees it: when `alive` is cleared every call fails.
    pub fn of_life(self: &Arc<Self>, alive: Arc<AtomicBool>) -> Arc<dyn Disk> {
        Arc::new(LifeDisk { disk: self.clone(), alive })
    }

    /// From the first write on, one journal keeps the order of what is done to files below `prefix`.
    pub fn keep_order(&self, prefix: &str) {
        let mut state = self.state();
        if state.journal.is_none() {
            assert!(state.names.below(prefix).next().is_none(), "before the first write");
            state.journal = Some(Journal::new(prefix));
        }
    }

    /// See [`SimulatedDisk::keep_order`].
    pub fn keeps_order(&self) -> bool {
        self.state().journal.is_some()
    }

    /// Runs what states a fact: when all that was written until now is on the platter, never if it is lost; at once without a journal.
    pub fn once_durable(&self, fact: Held) {
        let now = match &mut self.state().journal {
            Some(journal) => journal.hold(fact),
            None => Some(fact),
        };
        if let Some(fact) = now {
            fact();
        }
    }

    /// A process has ended and its machine has not: the journal is synced before anybody reads it again.
    pub fn process_ended(&self) {
        let told = self.state().journal.as_mut().map(|journal| journal.synced(journal.end())).unwrap_or_default();
        told.into_iter().for_each(|fact| fact());
    }

    /// The machine loses its power: what one journal keeps is a prefix of what was done; per other file a prefix at or past the platter is left, its last write perhaps torn; per directory a prefix of what
    /// was done to its names.
    pub fn power_loss(&self) -> PowerLoss {
        let mut state = self.state();
        state.events += 1;
        let nth = state.events.to_string();
        let draw = |what: &str, which: &str| Rng::keyed(self.seed, &["disk", &self.node, "power_loss", &nth, what, which]);
        let told = state.journal_loses_power(&mut draw("journal", ""));
        let lost_names = state.names.power_loss(|dir| draw("names", dir));
        let mut lost_bytes = 0;
        let kept = state.names.durable();
        state.files.retain(|inode, _| kept.contains_key(inode));
        for (inode, name) in kept {
            let file = state.files.get_mut(&inode).expect("every name has its file");
            lost_bytes += file.power_loss(&mut draw("file", &name));
        }
        drop(state);
        told.into_iter().for_each(|fact| fact());
        PowerLoss { lost_bytes, lost_names }
    }

    /// Makes something wrong.
    pub fn fault(&self, fault: DiskFault) {
        let mut state = self.state();
        match fault {
            DiskFault::Eio => state.eio = true,
            DiskFault::Full => state.full = true,
            DiskFault::SlowSync { ms } => state.slow_sync_ms = ms,
            DiskFault::BitFlip => {
                state.events += 1;
                let mut rng = Rng::keyed(self.seed, &["disk", &self.node, "bit_flip", &state.events.to_string()]);
                let inodes: Vec<u64> = state.files.iter().filter(|(_, file)| file.len() > 0).map(|(inode, _)| *inode).collect();
                if !inodes.is_empty() {
                    let inode = *rng.pick(&inodes);
                    state.files.get_mut(&inode).expect("picked from the list").flip_bit(&mut rng);
                }
            }
        }
    }

    /// Makes everything right again but flipped bits.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.eio, state.full, state.slow_sync_ms) = (false, false, 0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds a disk")
    }

    /// Starts a sync: how long it takes, and the inodes with the lengths it will cover.
    fn begin_sync(&self, files: &[String]) -> io::Result<(Duration, Covered)> {
        let mut state = self.state();
        let files_covered = files.iter().map(|name| state.names.inode(name).map(|inode| (inode, state.files[&inode].len()))).collect::<io::Result<Vec<_>>>()?;
        let is_of = |journal: &&Journal| files.is_empty() || files.iter().any(|file| file.starts_with(&journal.prefix));
        let covered = Covered { files: files_covered, journal: state.journal.as_ref().filter(is_of).map(Journal::end) };
        let us = state.syncs.range(SYNC_US) + state.slow_sync_ms * 1_000;
        Ok((Duration::from_micros(us), covered))
    }

    fn end_sync(&self, covered: &Covered) -> io::Result<()> {
        let mut state = self.state();
        let failed = state.eio;
        for (inode, len) in &covered.files {
            // A file removed meanwhile needs no platter.
            let Some(file) = state.files.get_mut(inode) else { continue };
            if failed { file.sync_failed() } else { file.synced(*len) }
        }
        if failed {
            return Err(eio("sync"));
        }
        let told = state.journal_synced(covered.journal);
        drop(state);
        told.into_iter().for_each(|fact| fact());
        Ok(())
    }
}

/// How far a sync that began covers what.
struct Covered {
    /// Inodes and lengths.
    files: Vec<(u64, u64)>,
    /// What is done to the journal's files.
    journal: Option<u64>,
}

impl State {
    /// Takes a change of a file of the journal down.
    fn did(&mut self, file: &str, change: impl FnOnce() -> Change) {
        if let Some(journal) = self.journal.as_mut().filter(|journal| file.starts_with(&journal.prefix)) {
            journal.did(change());
        }
    }

    /// A life may have ended, and all that it wrote have become durable, since that sync began.
    fn journal_synced(&mut self, end: Option<u64>) -> Vec<Held> {
        self.journal.as_mut().zip(end).map(|(journal, end)| journal.synced(end)).unwrap_or_default()
    }

    fn journal_loses_power(&mut self, rng: &mut Rng) -> Vec<Held> {
        let Some(journal) = &mut self.journal else { return Vec::new() };
        let prefix = journal.prefix.clone();
        let (told, files) = journal.power_loss(rng);
        let inodes: BTreeMap<String, u64> = files.keys().cloned().zip(self.next_inode + 1..).collect();
        self.files.extend(inodes.values().copied().zip(files.values().cloned().map(File::durable)));
        self.next_inode += inodes.len() as u64;
        self.names.replace_below(&prefix, inodes);
        told
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let inode = self.names.inode(name)?;
        Ok(self.files.get_mut(&inode).expect("every name has its file"))
    }

    fn file_or_new(&mut self, name: &str) -> &mut File {
        let inode = self.names.inode(name).unwrap_or_else(|_| {
            self.next_inode += 1;
            self.names.create(name, self.next_inode);
            self.next_inode
        });
        self.files.entry(inode).or_default()
    }

    /// Drops files that no name, in the cache or on the platter, leads to.
    fn forget_unnamed(&mut self) {
        let named = self.names.all_inodes();
        self.files.retain(|inode, _| named.contains(inode));
    }
}

/// A disk as one life sees it.
struct LifeDisk {
    disk: Arc<SimulatedDisk>,
    alive: Arc<AtomicBool>,
}

impl LifeDisk {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        if !self.alive.load(Ordering::Relaxed) {
            return Err(io::Error::other("this life of the node is over"));
        }
        Ok(self.disk.state())
    }
}

fn eio(what: &str) -> io::Error {
    io::Error::other(format!("cannot {what}: input/output error (injected)"))
}

impl Disk for LifeDisk {
    fn append(&self, file: &str, bytes: &[u8]) -> io::Result<u64> {
        check_name(file)?;
        let mut state = self.state()?;
        if state.eio {
            return Err(eio("append"));
        }
        if state.full {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "cannot append: no space left (injected)"));
        }
        state.did(file, || Change::Append { file: file.to_owned(), bytes: bytes.to_vec() });
        Ok(state.file_or_new(file).append(bytes))
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> io::Result<bytes::Bytes> {
        check_name(file)?;
        Ok(self.state()?.file(file)?.read(offset, len))
    }

    fn truncate(&self, file: &str, len: u64) -> io::Result<()> {
        check_name(file)?;
        let mut state = self.state()?;
        state.file(file)?.truncate(file, len)?;
        state.did(file, || Change::Truncate { file: file.to_owned(), len });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut state = self.state()?;
        state.names.rename(from, to)?;
        state.did(to, || Change::Rename { from: from.to_owned(), to: to.to_owned() });
        state.forget_unnamed();
        Ok(())
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        check_name(file)?;
        let mut state = self.state()?;
        state.names.remove(file)?;
        state.did(file, || Change::Remove { file: file.to_owned() });
        state.forget_unnamed();
        Ok(())
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Entry>> {
        let state = self.state()?;
        Ok(state.names.below(prefix).map(|(name, inode)| (name.to_string(), state.files[&inode].len())).collect())
    }

    fn sync<'a>(&'a self, files: &'a [String]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            drop(self.state()?);
            let (duration, covered) = self.disk.begin_sync(files)?;
            runtime::time::sleep(duration).await;
            drop(self.state()?);
            self.disk.end_sync(&covered)
        })
    }

    fn keeps_order(&self) -> bool {
        self.disk.state().journal.is_some()
    }

    fn sync_dir<'a>(&'a self, dir: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            drop(self.state()?);
            let (duration, journal) = self.disk.begin_sync(&[])?;
            let covered = self.disk.state().names.pending_of(dir);
            runtime::time::sleep(duration).await;
            let mut state = self.state()?;
            if state.eio {
                return Err(eio("sync a directory"));
            }
            state.names.synced(dir, covered);
            state.forget_unnamed();
            let told = state.journal_synced(journal.journal);
            drop(state);
            told.into_iter().for_each(|fact| fact());
            Ok(())
        })
    }
}

/// The directory that a file's name stands in.
fn dir_of(file: &str) -> &str {
    directory(file)
}
