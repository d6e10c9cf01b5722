//! From the journal's files to the state at its end. It changes nothing that doing it again would not change the same way, and may be cut short anywhere.

use super::checkpoint::{Checkpoint, Dirt};
use super::record::{self, FileId, Op};
use super::slot::{Header, Slot};
use super::table::{self, Stored, Table};
use super::{JOURNAL, State};
use crate::disk::directory::{at, walk};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Between the end of one life's journal and the begin of the next one's: what the former life wrote behind its end is never taken for the new one's.
const LIFE_GAP: u64 = 1 << 40;

/// A generation in a slot's bytes.
struct Generation<'b> {
    header: Header,
    /// From its first record to the end of the slot.
    records: &'b [u8],
}

/// What the journal says.
pub struct Replayed<'b> {
    pub table: Table,
    /// Appends to files that are there at the end, in order.
    pub appends: Vec<(FileId, u64, &'b [u8])>,
    lsn: u64,
    generation: u64,
    dirt: Dirt,
}

/// Brings the files to what the journal says, syncs them, and begins a generation.
pub fn recover(root: &Path, slots: [Slot; 2]) -> io::Result<State> {
    let bytes = [slots[0].read()?, slots[1].read()?];
    let Replayed { table, appends, lsn, generation, dirt } = replay(root, &bytes)?;
    check_places(root, &table, &appends)?;
    write_appends(root, &table, &appends)?;
    remove_strangers(root, &table)?;
    dirt.work(root, &table, slots[(generation % 2) as usize].clone()).run()?;
    let start_lsn = lsn + LIFE_GAP;
    let header = Header { generation: generation + 1, start_lsn, durable: start_lsn, complete: true, table };
    let slot = &slots[(header.generation % 2) as usize];
    let records_at = slot.begin(&header)?;
    slot.sync()?;
    Ok(State {
        table: header.table,
        open: BTreeMap::new(),
        slots,
        generation: header.generation,
        records_at,
        start_lsn,
        lsn: start_lsn,
        durable: start_lsn,
        dirt: Dirt::default(),
        checkpoint: Checkpoint::default(),
        buffer: Vec::new(),
    })
}

/// Acknowledged records are not what they were.
pub fn damaged(root: &Path, what: &str) -> io::Error {
    let text = format!("directory {} is damaged: {what}. Acknowledged records are missing: restore it from a copy; nothing was changed", root.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The generations to replay, oldest first: one, or two that follow each other.
fn generations<'b>(root: &Path, bytes: &'b [Vec<u8>; 2]) -> io::Result<Vec<Generation<'b>>> {
    let read = |slot: &'b Vec<u8>| {
        let (header, records_at) = Header::decode(slot)?;
        Some(Generation { header, records: slot.get(records_at as usize..).unwrap_or_default() })
    };
    let mut found: Vec<_> = bytes.iter().filter_map(read).collect();
    found.sort_by_key(|generation| generation.header.generation);
    if found.len() == 2 && found[1].header.complete {
        found.remove(0);
    }
    match &found[..] {
        [] => Err(damaged(root, &format!("neither file of {JOURNAL} begins with a header that can be read"))),
        [older, newer] if newer.header.generation != older.header.generation + 1 => {
            let what = format!("its journal has generations {} and {}, which do not follow each other", older.header.generation, newer.header.generation);
            Err(damaged(root, &what))
        }
        _ => Ok(found),
    }
}

/// Applies every record to the table. Where a record is torn the journal ends: nothing behind was acknowledged, or it is damage.
pub fn replay<'b>(root: &Path, bytes: &'b [Vec<u8>; 2]) -> io::Result<Replayed<'b>> {
    let found = generations(root, bytes)?;
    let Header { start_lsn, generation, ref table, .. } = found[0].header;
    let mut replayed = Replayed { table: table.clone(), appends: Vec::new(), lsn: start_lsn, generation, dirt: Dirt::default() };
    for Generation { header, records } in &found {
        if header.start_lsn != replayed.lsn {
            break;
        }
        replayed.generation = header.generation;
        replayed.take(records).map_err(|what| damaged(root, &what))?;
    }
    let acknowledged = found.iter().map(|generation| generation.header.durable).chain(bytes.iter().filter_map(|slot| newest_promise(slot, replayed.lsn))).max();
    if acknowledged.is_some_and(|durable| durable > replayed.lsn) {
        return Err(damaged(root, &format!("its journal can be read up to {} only, and had been synced further", replayed.lsn)));
    }
    let Replayed { table, appends, .. } = &mut replayed;
    appends.retain(|(file, ..)| table.stored(*file).is_some());
    Ok(replayed)
}

impl<'b> Replayed<'b> {
    fn take(&mut self, records: &'b [u8]) -> Result<(), String> {
        let mut rest = records;
        while let Some(record) = record::decode(rest).filter(|record| record.lsn == self.lsn) {
            let gone = self.table.apply(record.op)?;
            match record.op {
                Op::Create { file, .. } => self.dirt.made(file),
                Op::Append { file, offset, bytes } => {
                    self.dirt.wrote(file);
                    self.appends.push((file, offset, bytes));
                }
                _ => {}
            }
            if let Some((file, place)) = gone.file {
                self.dirt.gone(file, place);
            }
            self.lsn += record.bytes as u64;
            rest = rest.get(record.bytes..).unwrap_or_default();
        }
        Ok(())
    }
}

/// What whole records behind the end say had been synced when they were written: of this life, and of the one that a header which cannot be read began.
fn newest_promise(slot: &[u8], end_lsn: u64) -> Option<u64> {
    let span = 2 * slot.len() as u64;
    let (behind, next_life) = (end_lsn + 1..=end_lsn + span, end_lsn + LIFE_GAP..=end_lsn + LIFE_GAP + span);
    let is_newer = |lsn| behind.contains(&lsn) || next_life.contains(&lsn);
    let starts = (0..slot.len()).step_by(8).filter(|at| record::claimed_lsn(&slot[*at..]).is_some_and(is_newer));
    starts.filter_map(|at| record::decode(&slot[at..])).map(|record| record.durable).max()
}

/// Every file must have what the journal does not have of it.
pub fn check_places(root: &Path, table: &Table, appends: &[(FileId, u64, &[u8])]) -> io::Result<()> {
    let mut first = BTreeMap::new();
    for (file, offset, _) in appends {
        let first = first.entry(*file).or_insert(*offset);
        *first = (*first).min(*offset);
    }
    for (file, stored) in table.files() {
        let path = root.join(&stored.place);
        let there = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(at(&path, "look at", error)),
        };
        let wanted = first.get(&file).copied().unwrap_or(stored.len).min(stored.len);
        if there < wanted {
            return Err(damaged(root, &format!("{} has {there} bytes, {wanted} had been written", path.display())));
        }
    }
    Ok(())
}

/// Writes what the journal has into the files.
fn write_appends(root: &Path, table: &Table, appends: &[(FileId, u64, &[u8])]) -> io::Result<()> {
    let mut open = BTreeMap::new();
    for (file, offset, bytes) in appends {
        let Stored { place, .. } = table.stored(*file).expect("appends are of files that are there");
        let path = root.join(place);
        let handle = match open.entry(*file) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(open_or_make(&path)?),
        };
        handle.write_all_at(bytes, *offset).map_err(|error| at(&path, "append to", error))?;
    }
    for (file, stored) in table.files().filter(|(_, stored)| stored.len == 0) {
        if !open.contains_key(&file) {
            open_or_make(&root.join(&stored.place))?;
        }
    }
    Ok(())
}

fn open_or_make(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| at(parent, "make directory", error))?;
    }
    OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(|error| at(path, "make", error))
}

/// Places of files that the journal does not know: made by a life that ended before it could say so, or removed and not yet gone.
fn remove_strangers(root: &Path, table: &Table) -> io::Result<()> {
    let known: BTreeSet<&str> = table.files().map(|(_, stored)| stored.place.as_str()).collect();
    for (name, _) in walk(root)?.iter().filter(|(name, _)| table::is_place(name) && !known.contains(name.as_str())) {
        let path = root.join(name);
        fs::remove_file(&path).map_err(|error| at(&path, "remove", error))?;
    }
    Ok(())
}
