//! A disk that gives back other bytes than it took: the next start says which file and where, and changes nothing. The broker alone would cut the log
//! there, as Kafka does, and go on without the orders behind.

use crate::process::{Exchange, Place, exchange, run};
use crate::trading::{Call, client, limit, until_told};
use std::path::{Path, PathBuf};
use wire::Side;

/// The largest file of the log whose path contains `part`.
fn largest(dir: &Path, part: &str) -> PathBuf {
    let below = |dir: &Path| std::fs::read_dir(dir).expect("there").map(|entry| entry.expect("readable").path()).collect::<Vec<_>>();
    let (mut dirs, mut files) = (vec![dir.to_path_buf()], Vec::new());
    while let Some(dir) = dirs.pop() {
        let (more, found): (Vec<_>, Vec<_>) = below(&dir).into_iter().partition(|path| path.is_dir());
        dirs.extend(more);
        files.extend(found.into_iter().filter(|path| path.to_string_lossy().contains(part)));
    }
    files.into_iter().max_by_key(|path| path.metadata().expect("there").len()).expect("one such file")
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("there");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("ours");
}

#[tokio::test]
async fn a_flipped_byte_is_told_at_the_next_start_and_nothing_is_lost_by_it() {
    let place = Place::new();
    let up = || {
        let mut up = place.up();
        up.args(["--deposit", "1:USD:1000"]);
        up
    };
    let process = Exchange::spawn(up());
    until_told(&mut client(&place.http, 1), Call::Place(&limit("mine", Side::Buy, 100, 1))).await.expect("taken");
    process.stop();
    // It stopped in good order: all of it stands in the files alone, and the last that the journal holds may be gone.
    let dump = || run(exchange("dump").arg("--records").arg(place.data())).1;
    let all = dump();
    for slot in ["0", "1"].map(|slot| place.data().join("log/.journal").join(slot)) {
        let end = std::fs::read(&slot).expect("there").iter().rposition(|byte| *byte != 0).expect("it was written");
        flip(&slot, end);
        assert!(all == dump(), "{}", slot.display());
        flip(&slot, end);
    }
    let process = Exchange::spawn(up());
    assert_eq!(until_told(&mut client(&place.http, 1), Call::Query("mine")).await.expect("known").status, "NEW");
    process.stop();

    for (part, at) in [("__cluster_metadata", 100), ("node-1/3-", 20), ("node-1/4-", 70)] {
        let file = largest(&place.data(), part);
        flip(&file, at);
        let before = std::fs::read(&file).expect("there");
        let (code, _, said) = run(&mut up());
        assert_eq!(code, Some(1), "{part}: {said}");
        assert!(said.contains("data directory") && said.contains(part) && said.contains("is damaged at byte") && said.contains("Restore it"), "{said}");
        let (code, dump, said) = run(exchange("dump").arg(place.data()));
        assert!(code == Some(1) && dump.contains(" 1 damaged"), "{part}: {dump}{said}");
        assert!(before == std::fs::read(&file).expect("there"), "{part}: nothing was changed");
        flip(&file, at);
    }
    let process = Exchange::spawn(up());
    assert_eq!(until_told(&mut client(&place.http, 1), Call::Query("mine")).await.expect("known").status, "NEW");
    process.stop();
}
