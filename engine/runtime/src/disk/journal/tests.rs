//! Power losses: whatever part of what was not synced reaches the platter, the next life finds the files as they were after some operation, and none
//! before the last sync.

use super::*;
use crate::rng::Rng;
use std::collections::BTreeSet;

/// So small that a few dozen operations fill it.
const SMALL: JournalConfig = JournalConfig { journal_bytes: 12 << 10 };

/// What a disk tears: nothing smaller.
const SECTOR_BYTES: usize = 512;

type Files = BTreeMap<String, Vec<u8>>;

fn open(dir: &Path) -> JournalDisk {
    JournalDisk::open(dir, SMALL).expect("opens")
}

fn block_on<T>(body: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime").block_on(body)
}

fn files_of(disk: &JournalDisk) -> Files {
    let read = |(name, len): Entry| (name.clone(), disk.read(&name, 0, len as usize).expect("listed").to_vec());
    disk.list("").expect("lists").into_iter().map(read).collect()
}

/// Every file below `dir`, the journal's too.
fn bytes_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("is there").map(|entry| entry.expect("readable").path()) {
            if entry.is_dir() {
                dirs.push(entry);
            } else {
                found.insert(entry.clone(), fs::read(&entry).expect("readable"));
            }
        }
    }
    found
}

fn is_of_journal(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == JOURNAL)
}

/// One of the files of a log, done something to, as the model and the disk understand it.
fn operate(disk: &JournalDisk, model: &mut Files, rng: &mut Rng) {
    const NAMES: [&str; 6] = ["3-0/0.log", "3-0/1.log", "3-1/0.log", "checkpoint", "checkpoint.tmp", "4-0/0.log"];
    let name = *rng.pick(&NAMES);
    match rng.below(10) {
        0 if model.contains_key(name) => {
            let len = rng.below(model[name].len() as u64 + 1) as usize;
            disk.truncate(name, len as u64).expect("cuts");
            model.get_mut(name).expect("there").truncate(len);
        }
        1 if model.contains_key(name) => {
            disk.remove(name).expect("removes");
            model.remove(name);
        }
        2 if model.contains_key(name) => {
            let to = *rng.pick(&NAMES);
            disk.rename(name, to).expect("renames");
            let bytes = model.remove(name).expect("there");
            model.insert(to.to_owned(), bytes);
        }
        _ => {
            let bytes: Vec<u8> = (0..rng.below(700)).map(|_| rng.below(256) as u8).collect();
            disk.append(name, &bytes).expect("appends");
            model.entry(name.to_owned()).or_default().extend(bytes);
        }
    }
}

/// What a crash leaves: of every sector the old bytes or the new ones.
fn torn(old: Option<&Vec<u8>>, new: Option<&Vec<u8>>, rng: &mut Rng) -> Option<Vec<u8>> {
    let (Some(old), Some(new)) = (old, new) else { return if rng.chance(1, 2) { old.or(new).cloned() } else { old.cloned() } };
    let len = if rng.chance(1, 2) { old.len() } else { new.len() };
    let sector = |at: usize, bytes: &[u8]| -> Vec<u8> { (at..(at + SECTOR_BYTES).min(len)).map(|at| bytes.get(at).copied().unwrap_or(0)).collect() };
    let mode = rng.below(3);
    let take_new = |rng: &mut Rng| mode == 2 || (mode == 1 && rng.chance(1, 2));
    Some((0..len).step_by(SECTOR_BYTES).flat_map(|at| if take_new(rng) { sector(at, new) } else { sector(at, old) }).collect())
}

/// An append to a file that is not there makes it first, in a record of its own: what stands between the two, if `next` came so.
fn made(state: &Files, next: &Files) -> Option<Files> {
    let name = next.keys().find(|name| !state.contains_key(*name))?;
    let mut made = state.clone();
    made.insert(name.clone(), Vec::new());
    made.keys().eq(next.keys()).then_some(made)
}

/// What is on the platter when a checkpoint has come so far: 0 nothing of it, 1 the full slot, 2 the files, 3 the header of the next slot, 4 all of it: the
/// full one is spent. Cut short, what the page cache has.
fn checkpoint_reached(stage: u64, disk: &JournalDisk, platter: &mut BTreeMap<PathBuf, Vec<u8>>) -> Option<BTreeMap<PathBuf, Vec<u8>>> {
    let state = disk.shared.state();
    let [full, next] = [state.generation + 1, state.generation].map(|slot| state.slots[(slot % 2) as usize].path().to_path_buf());
    let mut cache = bytes_below(&disk.shared.root);
    if stage < 3 {
        // It had its header still.
        cache.get_mut(&full).expect("there")[..8].copy_from_slice(&fs::read(&next).expect("there")[..8]);
    }
    if stage >= 1 {
        platter.insert(full.clone(), cache[&full].clone());
    }
    if stage >= 2 {
        platter.retain(|path, _| is_of_journal(path));
        platter.extend(cache.clone().into_iter().filter(|(path, _)| !is_of_journal(path)));
    }
    if stage >= 3 {
        let header = state.records_at as usize;
        platter.get_mut(&next).expect("there")[..header].copy_from_slice(&cache[&next][..header]);
        // Before it is spent.
        platter.get_mut(&full).expect("there")[..8].copy_from_slice(&cache[&next][..8]);
    }
    if stage >= 4 {
        platter.get_mut(&full).expect("there")[..8].copy_from_slice(&cache[&full][..8]);
    }
    (stage < 4).then_some(cache)
}

/// A life of `operations`, then a power loss; the index of the operation that the next life goes on from, and how many were synced.
fn lose_power(dir: &Path, before: &Files, rng: &mut Rng) -> (usize, usize, Files) {
    let disk = open(dir);
    assert_eq!(files_of(&disk), *before, "a life begins with what the one before had");
    let mut platter = bytes_below(dir);
    let mut states = vec![before.clone()];
    let (mut synced, mut cut_short) = (0, None);
    for n in 1..=rng.range(1..200) as usize {
        let generation = disk.shared.state().generation;
        let mut model = states[n - 1].clone();
        operate(&disk, &mut model, rng);
        states.push(model);
        if disk.shared.state().generation > generation {
            let running = disk.shared.state().checkpoint.take().expect("a full journal is checkpointed");
            running.join().expect("no panic");
            let stage = if rng.chance(1, 6) { rng.below(4) } else { 4 };
            if let Some(cache) = checkpoint_reached(stage, &disk, &mut platter) {
                if rng.chance(1, 2) {
                    // Somebody was acknowledged meanwhile.
                    platter.extend(cache.clone().into_iter().filter(|(path, _)| is_of_journal(path)));
                    synced = n;
                }
                cut_short = Some(cache);
                break;
            }
        }
        if rng.chance(1, 8) {
            block_on(disk.sync(&[])).expect("syncs");
        }
        let is_synced = {
            let state = disk.shared.state();
            state.durable == state.lsn
        };
        if is_synced {
            synced = n;
            platter.extend(bytes_below(dir).into_iter().filter(|(path, _)| is_of_journal(path)));
        }
        if rng.chance(1, 80) {
            disk.rest().expect("comes to rest");
            (platter, synced) = (bytes_below(dir), n);
        }
    }
    if cut_short.is_none() && rng.chance(1, 4) {
        // Cut short as it writes the new header.
        let generation = disk.shared.state().generation as usize;
        let torn = disk.shared.state().slots[(generation + 1) % 2].path().to_path_buf();
        let bytes = fs::read(&torn).expect("there");
        disk.rest().expect("comes to rest");
        (platter, synced) = (bytes_below(dir), states.len() - 1);
        platter.insert(torn, bytes);
    }
    let cache = cut_short.unwrap_or_else(|| bytes_below(dir));
    drop(disk);
    for path in platter.keys().chain(cache.keys()).collect::<BTreeSet<_>>() {
        match torn(platter.get(path), cache.get(path), rng) {
            Some(bytes) => fs::write(path, bytes).expect("ours"),
            None => drop(fs::remove_file(path)),
        }
    }
    let found = files_of(&open(dir));
    let is_found = |n: &usize| states[*n] == found || states.get(n + 1).and_then(|next| made(&states[*n], next)).is_some_and(|made| made == found);
    let at = (0..states.len()).rev().find(is_found).unwrap_or_else(|| panic!("no state of this life: {:?}", found.keys()));
    (at, synced, found)
}

#[test]
fn a_power_loss_leaves_a_state_at_or_behind_the_last_sync() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..30 {
        let dir = tempfile::tempdir().expect("a directory");
        let mut rng = Rng::from_seed(seed);
        let mut files = Files::new();
        for life in 0..3 {
            let (at, synced, found) = lose_power(dir.path(), &files, &mut rng);
            assert!(at >= synced, "seed {seed}, life {life}: operation {synced} was synced, the next life knows {at}");
            files = found;
            kept += usize::from(at > synced);
            lost += usize::from(at == synced);
        }
    }
    assert!(lost > 5 && kept > 5, "tails were lost {lost} times, and kept in part {kept} times");
}

/// The bytes that are cut may be older than the journal: overwritten by the next append, nothing brings them back.
#[test]
fn a_cut_is_on_the_platter_before_anything_can_overwrite_what_was_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = open(dir.path());
    disk.append("a", b"acknowledged").expect("appends");
    let durable = disk.shared.state().durable;
    disk.truncate("a", 3).expect("cuts");
    let state = disk.shared.state();
    assert!(durable < state.lsn && state.durable == state.lsn, "{durable} before, then {} of {}", state.durable, state.lsn);
}

#[test]
fn a_kill_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rng = Rng::from_seed(1);
    let mut model = Files::new();
    for _ in 0..20 {
        let disk = open(dir.path());
        assert_eq!(files_of(&disk), model);
        for _ in 0..60 {
            operate(&disk, &mut model, &mut rng);
        }
    }
    assert_eq!(files_of(&open(dir.path())), model);
}

/// A directory with one synced record behind another, and the place of the first in the journal.
fn two_synced(dir: &Path) -> (PathBuf, u64) {
    let disk = open(dir);
    let at = disk.shared.state().used_bytes();
    disk.append("a", b"acknowledged").expect("appends");
    block_on(disk.sync(&[])).expect("syncs");
    disk.append("a", b"this record knows that the one before was synced").expect("appends");
    (disk.shared.state().slot().path().to_path_buf(), at)
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).expect("there");
    bytes[at as usize] ^= 1;
    fs::write(path, bytes).expect("ours");
}

#[test]
fn damage_to_what_was_acknowledged_is_told_and_nothing_is_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (slot, at) = two_synced(dir.path());
    flip(&slot, at + 48);
    let before = bytes_below(dir.path());
    let error = JournalDisk::open(dir.path(), SMALL).expect_err("damaged");
    assert!(error.kind() == io::ErrorKind::InvalidData && error.to_string().contains("had been synced further"), "{error}");
    assert_eq!(bytes_below(dir.path()), before);
    flip(&slot, at + 48);
    assert_eq!(files_of(&open(dir.path())).len(), 1);
}

/// The header is all that says where a life's records begin: without it the journal seems to end where the life before did.
#[test]
fn a_journal_that_lost_the_header_of_this_life_is_told_and_nothing_is_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (slot, _) = two_synced(dir.path());
    let intact = fs::read(&slot).expect("there");
    for (what, words) in [("flipped", "had been synced further"), ("empty", "is empty"), ("gone", "is missing")] {
        match what {
            "flipped" => flip(&slot, 20),
            "empty" => fs::write(&slot, b"").expect("ours"),
            _ => fs::remove_file(&slot).expect("there"),
        }
        let before = bytes_below(dir.path());
        let error = JournalDisk::open(dir.path(), SMALL).expect_err(what);
        assert!(error.kind() == io::ErrorKind::InvalidData && error.to_string().contains(words), "{what}: {error}");
        assert!(JournalView::open(dir.path()).is_err(), "{what}");
        assert_eq!(bytes_below(dir.path()), before, "{what}");
        fs::write(&slot, &intact).expect("ours");
    }
    assert_eq!(files_of(&open(dir.path())).len(), 1);
}

/// A life that ends in good order leaves a journal that nobody needs. Without that its last record, flipped, was taken for one that a power loss tore, and
/// what it held was gone without a word.
#[test]
fn what_stands_in_the_journal_of_a_life_that_ended_well_may_be_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = open(dir.path());
    disk.append("a", b"acknowledged").expect("appends");
    block_on(disk.sync(&[])).expect("syncs");
    disk.rest().expect("comes to rest");
    let ends_at = disk.shared.state().slots.each_ref().map(|slot| slot.path().to_path_buf());
    let files = files_of(&disk);
    drop(disk);
    for slot in ends_at {
        let intact = fs::read(&slot).expect("there");
        let used = intact.iter().rposition(|byte| *byte != 0).expect("a header at least") as u64;
        for at in (0..=used).step_by(131).chain([used]) {
            flip(&slot, at);
            let both = bytes_below(dir.path());
            assert_eq!(files_of(&open(dir.path())), files, "{} at {at}", slot.display());
            for (path, bytes) in both {
                fs::write(path, bytes).expect("ours");
            }
            fs::write(&slot, &intact).expect("ours");
        }
    }
}

/// It goes on: rest is no end.
#[test]
fn after_a_rest_a_kill_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rng = Rng::from_seed(2);
    let mut model = Files::new();
    for _ in 0..20 {
        let disk = open(dir.path());
        assert_eq!(files_of(&disk), model);
        for _ in 0..20 {
            for _ in 0..rng.range(0..9) {
                operate(&disk, &mut model, &mut rng);
            }
            disk.rest().expect("comes to rest");
        }
        for _ in 0..rng.range(0..9) {
            operate(&disk, &mut model, &mut rng);
        }
    }
    assert_eq!(files_of(&open(dir.path())), model);
}

#[test]
fn a_copy_without_the_files_that_begin_with_a_dot_is_told_and_does_not_begin_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    two_synced(dir.path());
    fs::remove_file(dir.path().join(".format")).expect("there");
    fs::remove_dir_all(dir.path().join(JOURNAL)).expect("there");
    let before = bytes_below(dir.path());
    let error = JournalDisk::open(dir.path(), SMALL).expect_err("its journal is missing");
    assert!(error.kind() == io::ErrorKind::InvalidData && error.to_string().contains("it has a~0"), "{error}");
    assert_eq!(bytes_below(dir.path()), before);
}

/// A header that a power loss tore as it was written: nothing behind it was promised to anybody.
#[test]
fn a_header_that_was_torn_as_it_was_written_is_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let (slot, _) = two_synced(dir.path());
    let other = slot.with_file_name(if slot.ends_with("0") { "1" } else { "0" });
    let files = files_of(&open(dir.path()));
    // The second life has written its header, and nothing else.
    flip(&other, 20);
    assert_eq!(files_of(&open(dir.path())), files);
}

#[test]
fn a_file_that_lost_its_bytes_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    two_synced(dir.path());
    drop(open(dir.path()));
    fs::write(dir.path().join("a~0"), b"ack").expect("ours");
    let error = JournalDisk::open(dir.path(), SMALL).expect_err("damaged");
    assert!(error.to_string().contains("a~0 has 3 bytes, 60 had been written"), "{error}");
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    two_synced(dir.path());
    fs::write(dir.path().join(".format"), "3\n").expect("ours");
    let before = bytes_below(dir.path());
    let error = JournalDisk::open(dir.path(), SMALL).expect_err("newer");
    assert!(error.kind() == io::ErrorKind::Unsupported && error.to_string().contains("its format is 3, this build knows formats up to 2"), "{error}");
    assert_eq!(bytes_below(dir.path()), before);
}

#[test]
fn a_directory_without_a_journal_gets_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let old = super::super::RealDisk::open(dir.path()).expect("opens");
    old.append("3-0/0.log", b"batch").expect("appends");
    drop(old);
    for expected in [&b"batch"[..], b"batch and more"] {
        let disk = open(dir.path());
        assert_eq!(files_of(&disk), Files::from([("3-0/0.log".to_owned(), expected.to_vec())]));
        if expected.len() == 5 {
            assert_eq!(disk.append("3-0/0.log", b" and more").expect("appends"), 5);
        }
    }
}

#[test]
fn a_second_opener_is_refused_until_the_first_has_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = open(dir.path());
    let error = JournalDisk::open(dir.path(), SMALL).expect_err("in use");
    assert!(error.to_string().contains("is in use by another process"), "{error}");
    drop(first);
    open(dir.path());
}

/// Whatever the files have not got is in the journal; looking at both changes neither.
#[test]
fn a_look_finds_what_the_next_life_would_and_writes_nothing() {
    let mut without_files = 0;
    for seed in 0..40 {
        let (dir, mut rng, mut model) = (tempfile::tempdir().expect("a directory"), Rng::from_seed(seed), Files::new());
        let disk = open(dir.path());
        for _ in 0..rng.range(1..60) {
            operate(&disk, &mut model, &mut rng);
        }
        assert_eq!(JournalView::open(dir.path()).expect_err("it is open to write").kind(), io::ErrorKind::WouldBlock);
        // What the generation that is written has made would not be on the platter after a power loss.
        let unsynced: Vec<PathBuf> = disk.shared.state().table.files().map(|(_, stored)| dir.path().join(&stored.place)).collect();
        let first_generation = disk.shared.state().generation <= 3;
        drop(disk);
        if first_generation {
            unsynced.iter().for_each(|place| fs::remove_file(place).expect("there"));
            without_files += 1;
        }
        let before = bytes_below(dir.path());
        let view = JournalView::open(dir.path()).expect("readable");
        let found: Files = view.list("").into_iter().map(|(name, len)| (name.clone(), view.read(&name, 0, len as usize).expect("listed").to_vec())).collect();
        assert!(found == model, "seed {seed}");
        for (name, bytes) in &model {
            let (from, len) = (rng.below(bytes.len() as u64 + 1), rng.below(bytes.len() as u64 + 1));
            let wanted = &bytes[from as usize..bytes.len().min((from + len) as usize)];
            assert_eq!(view.read(name, from, len as usize).expect("listed"), wanted, "seed {seed}, {name} from {from}, {len}");
        }
        assert!(before == bytes_below(dir.path()), "seed {seed}: it only looks");
        drop(view);
        assert!(files_of(&open(dir.path())) == model, "seed {seed}: the next life");
    }
    assert!((5..35).contains(&without_files), "{without_files} of 40 without a file, some with what a checkpoint had synced");
}
