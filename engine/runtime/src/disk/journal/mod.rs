//! A directory in which every change goes through one journal, so that a sync costs the same however many files it is for.
//!
//! An append is written twice into the page cache: at the end of its file, and as a record of the journal. A sync syncs the journal alone; the files
//! are written by the kernel when it likes, and synced in the background when a journal file is full (a checkpoint). Of the two journal files one
//! is written while the other is checkpointed. After a power loss the journal is the truth: [`recovery`] brings the files back to what it says.
//!
//! What holds at any moment, and what recovery leans on:
//! 1. The files, as they were when the generation before the current one began, and everything in them until then, are on the platter.
//! 2. Every later operation is a record of the two generations' files, in order.
//! 3. Bytes in a file's place beyond its length in the [`table`] mean nothing. A place's meaning never changes while a record about an earlier meaning
//!    could be needed: numbers are not reused, places are removed by a checkpoint only, and a file is cut only when the journal's word of it is synced.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // the production half: here files are real

mod checkpoint;
mod format;
mod record;
mod recovery;
mod slot;
mod table;
mod view;

use super::directory::{at, fail, lock, writable};
use super::{Disk, Entry, check_name};
use crate::BoxFuture;
use crate::task::off_thread;
use bytes::Bytes;
use checkpoint::{Checkpoint, Dirt};
use record::{FileId, Op};
use slot::{Header, Slot};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use table::Table;

pub use view::JournalView;

/// Most files held open; beyond it all handles are closed and opened again as needed.
const OPEN_FILES_MAX: usize = 512;

/// Where the journal is, below the directory.
const JOURNAL: &str = ".journal";

/// How a journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalConfig {
    /// Of each of the two journal files. A full one is checkpointed while the other is written; if that takes longer, the other grows.
    pub journal_bytes: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        JournalConfig { journal_bytes: 16 << 20 }
    }
}

/// A directory used as a [`Disk`], with a journal. Locked while it is open.
#[derive(Debug)]
pub struct JournalDisk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    config: JournalConfig,
    state: Mutex<State>,
    /// A sync failed: what is on the platter is not known any more, and nothing may be acknowledged by it. Set by whoever syncs, read before every change.
    failed: Arc<AtomicBool>,
    _lock: File,
}

#[derive(Debug)]
struct State {
    table: Table,
    open: BTreeMap<FileId, Arc<File>>,
    slots: [Slot; 2],
    generation: u64,
    /// Where the first record of this generation is, and its lsn.
    records_at: u64,
    start_lsn: u64,
    /// One past the last record.
    lsn: u64,
    /// Everything below is on the platter.
    durable: u64,
    dirt: Dirt,
    checkpoint: Checkpoint,
    /// For encoding, kept for its memory.
    buffer: Vec<u8>,
}

impl State {
    /// The slot that is written.
    fn slot(&self) -> &Slot {
        &self.slots[(self.generation % 2) as usize]
    }

    fn used_bytes(&self) -> u64 {
        self.records_at + self.lsn - self.start_lsn
    }

    /// Writes a record, then applies it.
    fn commit(&mut self, op: Op<'_>) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        record::encode(op, self.lsn, self.durable, &mut buffer);
        let written = self.slot().write(self.used_bytes(), &buffer);
        let bytes = buffer.len() as u64;
        self.buffer = buffer;
        written?;
        self.lsn += bytes;
        let gone = self.table.apply(op).expect("checked before it was written down");
        if let Some((file, place)) = gone.file {
            self.open.remove(&file);
            self.dirt.gone(file, place);
        }
        Ok(())
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no file {name}"))
}

impl JournalDisk {
    /// Opens (and makes) the directory, and brings its files to what the journal says. A directory that was written without a journal gets one.
    ///
    /// # Errors
    /// `WouldBlock`: another process has it open. `Unsupported`: its format is newer than this build's. `InvalidData`: it is damaged where an append had
    /// been acknowledged. Otherwise what the operating system says, with the file's name.
    pub fn open(dir: impl AsRef<Path>, config: JournalConfig) -> io::Result<Self> {
        let root = dir.as_ref().to_path_buf();
        let lock = lock(&root)?;
        let slots = format::open(&root, config)?;
        let state = recovery::recover(&root, slots)?;
        Ok(JournalDisk { shared: Arc::new(Shared { root, config, state: Mutex::new(state), failed: Arc::new(AtomicBool::new(false)), _lock: lock }) })
    }
}

impl JournalDisk {
    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// What the operating system says; nothing is written from then on.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.shared.reach_platter().await
    }

    /// Syncs the files themselves, and begins a generation that needs no earlier one: the end of a life in good order. Whatever happens to the journal's
    /// bytes from then on, a last record that is not whole can no more be taken for one that a power loss tore. Waits for the platter.
    ///
    /// # Errors
    /// What the operating system says; the journal is as good as it was.
    pub fn rest(&self) -> io::Result<()> {
        self.shared.rest()
    }
}

impl Drop for JournalDisk {
    fn drop(&mut self) {
        let running = self.shared.state().checkpoint.take();
        if let Some(running) = running {
            // It holds the lock of the directory.
            let _ = running.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the state of the journal")
    }

    fn writable(&self) -> io::Result<()> {
        writable(&self.root, &self.failed)
    }

    /// The state, if it may be changed; with room for `bytes` more unless a checkpoint is slow.
    fn change(self: &Arc<Self>, bytes: usize) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        // A checkpoint that failed says so before it says that it has ended.
        self.writable()?;
        if state.used_bytes() + record::bytes_of(bytes) as u64 > self.config.journal_bytes && !state.checkpoint.is_running() {
            self.begin_generation(&mut state)?;
        }
        Ok(state)
    }

    /// The next slot: what it held is checkpointed. What the full one holds is checkpointed now, and then the full one is spent. The story of a start that was
    /// refused although nothing was lost, before it was:
    /// 1. Generation 8 in the one slot is checkpointed, generation 9 in the other is full.
    /// 2. Generation 10 begins over 8: its header, then records, none of them synced.
    /// 3. The power goes. The disk has written the first records of 10, and not yet its header.
    /// 4. The next life finds the header of 8, and behind it nothing of 8; so it did not come as far as the beginning of 9, which had been acknowledged.
    fn begin_generation(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let header = Header { generation: state.generation + 1, start_lsn: state.lsn, durable: state.durable, complete: false, table: state.table.clone() };
        let (full, next) = (state.slot().clone(), state.slots[(header.generation % 2) as usize].clone());
        state.records_at = next.begin(&header)?;
        (state.generation, state.start_lsn) = (header.generation, header.start_lsn);
        let work = std::mem::take(&mut state.dirt).work(&self.root, &state.table, full.clone());
        let shared = Arc::clone(self);
        state.checkpoint.start(move || {
            // One of the two has a header on the platter, always.
            let done = work.run().and_then(|()| next.sync()).and_then(|()| full.spend()).map_err(|error| fail(&shared.failed, error));
            let mut state = shared.state();
            state.checkpoint.finished();
            if done.is_ok() {
                state.durable = state.durable.max(header.start_lsn);
            }
        });
        Ok(())
    }

    /// A checkpoint of all there is.
    fn rest(&self) -> io::Result<()> {
        // It locks the state when it ends.
        let running = self.state().checkpoint.take();
        running.map_or(Ok(()), |running| running.join()).expect("a checkpoint does not panic");
        let state = &mut *self.state();
        self.writable()?;
        let work = std::mem::take(&mut state.dirt).work(&self.root, &state.table, state.slot().clone());
        work.run().map_err(|error| fail(&self.failed, error))?;
        let header = Header { generation: state.generation + 1, start_lsn: state.lsn, durable: state.lsn, complete: true, table: state.table.clone() };
        let slot = &state.slots[(header.generation % 2) as usize];
        state.records_at = slot.begin(&header)?;
        slot.sync().map_err(|error| fail(&self.failed, error))?;
        (state.generation, state.start_lsn, state.durable) = (header.generation, header.start_lsn, header.durable);
        Ok(())
    }

    /// The open handle of a file.
    fn handle(&self, state: &mut State, file: FileId) -> io::Result<Arc<File>> {
        if let Some(open) = state.open.get(&file) {
            return Ok(Arc::clone(open));
        }
        let path = self.root.join(&state.table.stored(file).expect("a known file").place);
        let open = Arc::new(OpenOptions::new().read(true).write(true).open(&path).map_err(|error| at(&path, "open", error))?);
        if state.open.len() >= OPEN_FILES_MAX {
            state.open.clear();
        }
        state.open.insert(file, Arc::clone(&open));
        Ok(open)
    }

    fn create(&self, state: &mut State, name: &str) -> io::Result<FileId> {
        let file = state.table.fresh();
        let path = self.root.join(format!("{name}~{file}"));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| at(parent, "make directory", error))?;
        }
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).map_err(|error| at(&path, "make", error))?;
        state.commit(Op::Create { file, name })?;
        state.dirt.made(file);
        state.open.insert(file, Arc::new(open));
        Ok(file)
    }

    /// Until everything written so far is on the platter.
    async fn reach_platter(self: &Arc<Self>) -> io::Result<()> {
        self.writable()?;
        let (target, slots) = {
            let state = self.state();
            if state.durable >= state.lsn {
                return Ok(());
            }
            // The full one first: what the next one holds means nothing without it.
            let full = (state.durable < state.start_lsn).then(|| state.slots[((state.generation + 1) % 2) as usize].clone());
            (state.lsn, full.into_iter().chain([state.slot().clone()]).collect::<Vec<_>>())
        };
        let failed = Arc::clone(&self.failed);
        off_thread(move || slots.iter().try_for_each(Slot::sync).map_err(|error| fail(&failed, error))).await?;
        let mut state = self.state();
        state.durable = state.durable.max(target);
        Ok(())
    }
}

impl Disk for JournalDisk {
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<u64> {
        check_name(name)?;
        let state = &mut *self.shared.change(bytes.len())?;
        let file = match state.table.named(name) {
            Some(file) => file,
            None => self.shared.create(state, name)?,
        };
        let offset = state.table.stored(file).expect("just named").len;
        if !bytes.is_empty() {
            let open = self.shared.handle(state, file)?;
            open.write_all_at(bytes, offset).map_err(|error| at(&self.shared.root.join(name), "append to", error))?;
            state.commit(Op::Append { file, offset, bytes })?;
            state.dirt.wrote(file);
        }
        Ok(offset)
    }

    fn read(&self, name: &str, offset: u64, len: usize) -> io::Result<Bytes> {
        check_name(name)?;
        let (open, there) = {
            let state = &mut *self.shared.state();
            let file = state.table.named(name).ok_or_else(|| missing(name))?;
            let there = state.table.stored(file).expect("just named").len.saturating_sub(offset).min(len as u64) as usize;
            (self.shared.handle(state, file)?, there)
        };
        let mut bytes = vec![0; there];
        open.read_exact_at(&mut bytes, offset).map_err(|error| at(&self.shared.root.join(name), "read", error))?;
        Ok(bytes.into())
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        check_name(name)?;
        let state = &mut *self.shared.change(0)?;
        let file = state.table.named(name).ok_or_else(|| missing(name))?;
        let before = state.table.stored(file).expect("just named").len;
        if len > before {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("file {name} has {before} bytes, it cannot be cut to {len}")));
        }
        state.commit(Op::Truncate { file, len })?;
        state.dirt.wrote(file);
        // The next append overwrites what was cut: by then the cut must stand. It is rare enough to wait for.
        for slot in &state.slots {
            slot.sync().map_err(|error| fail(&self.shared.failed, error))?;
        }
        state.durable = state.lsn;
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let state = &mut *self.shared.change(from.len() + to.len())?;
        state.table.named(from).ok_or_else(|| missing(from))?;
        state.commit(Op::Rename { from, to })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        let state = &mut *self.shared.change(name.len())?;
        state.table.named(name).ok_or_else(|| missing(name))?;
        state.commit(Op::Remove { name })
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Entry>> {
        Ok(self.shared.state().table.list(prefix))
    }

    fn sync<'a>(&'a self, files: &'a [String]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            for name in files {
                self.shared.state().table.named(name).ok_or_else(|| missing(name))?;
            }
            self.shared.reach_platter().await
        })
    }

    fn keeps_order(&self) -> bool {
        true
    }

    fn sync_dir<'a>(&'a self, _dir: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(self.shared.reach_platter())
    }
}

#[cfg(test)]
mod tests;
