//! The Disk port's contract on both of its halves.

use runtime::disk::{Disk, JournalConfig, JournalDisk, RealDisk};
use sim::conformance::disk as contract;
use sim::world::{DiskFault, SimulatedDisk};
use std::collections::BTreeSet;
use std::future::Future;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Runs a body under this build's runtime: real time in the ordinary build, simulated time under madsim.
fn block_on<T: Send + 'static>(body: impl Future<Output = T> + Send + 'static) -> T {
    #[cfg(madsim)]
    return madsim::runtime::Runtime::new().block_on(body);
    #[cfg(not(madsim))]
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(body)
}

fn simulated(seed: u64) -> (Arc<SimulatedDisk>, Arc<dyn Disk>) {
    let disk = SimulatedDisk::new(seed, "broker-1");
    let life = disk.of_life(alive());
    (disk, life)
}

fn alive() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(true))
}

#[test]
fn simulated_disk_keeps_the_contract() {
    block_on(contract::all(simulated(1).1));
}

#[test]
fn real_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path()).unwrap());
    block_on(contract::all(disk));
}

#[test]
fn journal_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    block_on(contract::all(Arc::new(JournalDisk::open(dir.path(), JournalConfig { journal_bytes: 1 << 16 }).unwrap())));
}

#[test]
fn journal_disk_is_the_same_when_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| -> Arc<dyn Disk> { Arc::new(JournalDisk::open(path, JournalConfig { journal_bytes: 1 << 16 }).unwrap()) };
    let (disk, path) = (open(dir.path()), dir.path().to_path_buf());
    block_on(contract::a_kill_keeps_the_page_cache(disk, move |old| {
        drop(old);
        open(&path)
    }));
}

#[test]
fn simulated_disk_keeps_the_page_cache_over_a_kill() {
    let (disk, life) = simulated(1);
    block_on(contract::a_kill_keeps_the_page_cache(life, move |_| disk.of_life(alive())));
}

#[test]
fn real_disk_is_the_same_when_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&path).unwrap());
    block_on(contract::a_kill_keeps_the_page_cache(disk, move |old| {
        drop(old);
        Arc::new(RealDisk::open(&path).unwrap())
    }));
}

#[test]
fn simulated_disk_keeps_what_was_synced_over_a_power_loss() {
    let left: BTreeSet<u64> = (0..40)
        .map(|seed| {
            let (disk, life) = simulated(seed);
            block_on(contract::a_power_loss_keeps_what_was_synced(life, move |_| {
                disk.power_loss();
                disk.of_life(alive())
            }))
        })
        .collect();
    assert!(left.contains(&0) && left.contains(&3_000) && left.len() > 5, "nothing, everything and parts are lost: {left:?}");
}

#[test]
fn names_that_were_not_synced_may_go_with_the_power() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..40 {
        let names = block_on(async move {
            let (disk, life) = simulated(seed);
            life.append("a", b"1").unwrap();
            life.append("b", b"2").unwrap();
            life.sync(&["a".to_string(), "b".to_string()]).await.unwrap();
            life.sync_dir("").await.unwrap();
            life.rename("a", "b").unwrap();
            life.append("c", b"3").unwrap();
            disk.power_loss();
            disk.of_life(alive()).list("").unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
        });
        outcomes.insert(names);
    }
    // The journal keeps its order: c without the rename cannot be.
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), ["a b", "b", "b c"]);
}

#[test]
fn a_cut_that_was_not_synced_may_come_back_whole_but_never_mixed() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..60 {
        let text = block_on(async move {
            let (disk, life) = simulated(seed);
            life.append("log", b"aaaaaaaa").unwrap();
            life.sync(&["log".to_string()]).await.unwrap();
            life.sync_dir("").await.unwrap();
            life.truncate("log", 4).unwrap();
            life.append("log", b"bb").unwrap();
            disk.power_loss();
            String::from_utf8(disk.of_life(alive()).read("log", 0, 99).unwrap().to_vec()).unwrap()
        });
        outcomes.insert(text);
    }
    for text in &outcomes {
        assert!(text == "aaaaaaaa" || "aaaabb".starts_with(text.trim_end_matches('\0')), "{text:?}");
    }
    assert!(outcomes.contains("aaaaaaaa") && outcomes.contains("aaaa") && outcomes.contains("aaaabb"), "{outcomes:?}");
}

#[test]
fn a_dead_life_reaches_nothing() {
    let disk = SimulatedDisk::new(1, "broker-1");
    let present = alive();
    let dead = disk.of_life(present.clone());
    dead.append("log", b"abc").unwrap();
    present.store(false, Ordering::Relaxed);
    assert!(dead.append("log", b"late").is_err() && dead.read("log", 0, 1).is_err() && dead.list("").is_err());
    assert_eq!(disk.of_life(alive()).list("").unwrap(), [("log".to_string(), 3)]);
}

#[test]
fn injected_errors_are_errors_until_healed() {
    block_on(async {
        let (disk, life) = simulated(1);
        life.append("log", b"abc").unwrap();
        disk.fault(DiskFault::Full);
        assert_eq!(life.append("log", b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        disk.fault(DiskFault::Eio);
        assert!(life.sync(&["log".to_string()]).await.is_err());
        disk.heal();
        assert_eq!(life.append("log", b"d").unwrap(), 3);
        // The sync that failed has lost what it could not write: a later one says nothing about it.
        life.sync(&["log".to_string()]).await.unwrap();
        life.sync_dir("").await.unwrap();
        disk.fault(DiskFault::BitFlip);
        assert_ne!(&life.read("log", 0, 9).unwrap()[..], b"abcd");
    });
}

#[test]
fn one_journal_leaves_a_prefix_of_what_was_done_and_the_facts_of_that_prefix() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..100 {
        let (outcome, told) = block_on(async move {
            let disk = SimulatedDisk::new(seed, "broker-1");
            disk.keep_order("node-");
            let life = disk.of_life(alive());
            let told: Arc<Mutex<Vec<u32>>> = Arc::default();
            let fact = |number: u32| {
                let told = told.clone();
                disk.once_durable(Box::new(move || told.lock().unwrap().push(number)));
            };
            life.append("node-1/a", b"1").unwrap();
            fact(1);
            // A file that is not the journal's is synced by itself, and the journal without naming any file.
            life.append("rows", b"x").unwrap();
            life.sync(&["rows".to_string()]).await.unwrap();
            assert!(told.lock().unwrap().is_empty());
            life.sync(&[]).await.unwrap();
            assert_eq!(*told.lock().unwrap(), [1]);
            life.append("node-1/b", b"2").unwrap();
            fact(2);
            life.rename("node-1/b", "node-1/c").unwrap();
            life.append("node-1/a", b"3").unwrap();
            fact(3);
            disk.power_loss();
            let life = disk.of_life(alive());
            let files: Vec<String> = life.list("node-").unwrap().into_iter().map(|(name, len)| format!("{}{len}", &name[7..])).collect();
            let outcome = (files.join(" "), told.lock().unwrap().clone());
            // What comes behind the loss is kept in order again.
            life.append("node-1/a", b"4").unwrap();
            life.sync(&[]).await.unwrap();
            disk.power_loss();
            assert!(disk.of_life(alive()).read("node-1/a", 0, 9).unwrap().ends_with(b"4"));
            outcome
        });
        outcomes.insert((outcome, told));
    }
    let expected: [(&str, &[u32]); 4] = [("a1", &[1]), ("a1 b1", &[1, 2]), ("a1 c1", &[1, 2]), ("a2 c1", &[1, 2, 3])];
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), expected.map(|(files, told)| (files.to_owned(), told.to_vec())));
}

#[test]
fn a_process_that_ends_leaves_what_it_wrote() {
    let disk = SimulatedDisk::new(1, "broker-1");
    disk.keep_order("node-");
    disk.of_life(alive()).append("node-1/a", b"1").unwrap();
    let told = Arc::new(AtomicBool::new(false));
    let tell = told.clone();
    disk.once_durable(Box::new(move || tell.store(true, Ordering::Relaxed)));
    assert!(!told.load(Ordering::Relaxed));
    disk.process_ended();
    assert!(told.load(Ordering::Relaxed));
    disk.power_loss();
    assert_eq!(disk.of_life(alive()).list("").unwrap(), [("node-1/a".to_string(), 1)]);
}
