//! The contract of `runtime::disk::Disk`, each promise of its documentation one function. [`all`] runs those that hold without a crash on any disk;
//! those about a kill and a power loss take what makes one.

use runtime::disk::Disk;
use std::io::ErrorKind;
use std::sync::Arc;

/// Everything that can be asked of a disk that stays up. The disk must be empty.
pub async fn all(disk: Arc<dyn Disk>) {
    appends_give_the_offset_of_the_first_byte(&*disk);
    reads_end_at_the_end_of_the_file(&*disk);
    truncate_cuts_and_the_next_append_follows(&*disk);
    rename_replaces(&*disk);
    remove_removes(&*disk);
    list_is_sorted_and_filtered(&*disk);
    bad_names_are_refused(&*disk);
    syncs_cover_several_files(&*disk).await;
}

fn appends_give_the_offset_of_the_first_byte(disk: &dyn Disk) {
    let offsets = [disk.append("append/log", b"abc").unwrap(), disk.append("append/log", b"").unwrap(), disk.append("append/log", b"de").unwrap()];
    assert_eq!(offsets, [0, 3, 3]);
    assert_eq!(&disk.read("append/log", 0, 99).unwrap()[..], b"abcde");
}

fn reads_end_at_the_end_of_the_file(disk: &dyn Disk) {
    disk.append("read/log", b"0123456789").unwrap();
    assert_eq!(&disk.read("read/log", 2, 3).unwrap()[..], b"234");
    assert_eq!(&disk.read("read/log", 8, 100).unwrap()[..], b"89");
    assert_eq!(disk.read("read/log", 10, 1).unwrap().len(), 0);
    assert_eq!(disk.read("read/log", 1_000, 1).unwrap().len(), 0);
    assert_eq!(disk.read("read/none", 0, 1).unwrap_err().kind(), ErrorKind::NotFound);
}

fn truncate_cuts_and_the_next_append_follows(disk: &dyn Disk) {
    disk.append("truncate/log", b"0123456789").unwrap();
    disk.truncate("truncate/log", 4).unwrap();
    assert_eq!(disk.append("truncate/log", b"x").unwrap(), 4);
    assert_eq!(&disk.read("truncate/log", 0, 99).unwrap()[..], b"0123x");
    disk.truncate("truncate/log", 5).unwrap();
    assert_eq!(disk.truncate("truncate/log", 6).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(disk.truncate("truncate/none", 0).unwrap_err().kind(), ErrorKind::NotFound);
}

fn rename_replaces(disk: &dyn Disk) {
    disk.append("rename/new", b"new").unwrap();
    disk.append("rename/old", b"old one").unwrap();
    disk.rename("rename/new", "rename/old").unwrap();
    assert_eq!(&disk.read("rename/old", 0, 99).unwrap()[..], b"new");
    assert_eq!(disk.read("rename/new", 0, 1).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.append("rename/old", b"!").unwrap(), 3);
    // The old name is free again.
    assert_eq!(disk.append("rename/new", b"second").unwrap(), 0);
    assert_eq!(disk.rename("rename/none", "rename/old").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(&disk.read("rename/old", 0, 99).unwrap()[..], b"new!");
}

fn remove_removes(disk: &dyn Disk) {
    disk.append("remove/log", b"abc").unwrap();
    disk.remove("remove/log").unwrap();
    assert_eq!(disk.read("remove/log", 0, 1).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.remove("remove/log").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.append("remove/log", b"x").unwrap(), 0);
}

fn list_is_sorted_and_filtered(disk: &dyn Disk) {
    for name in ["list/b/2", "list/b/1", "list/a", "list/bb"] {
        disk.append(name, name.as_bytes()).unwrap();
    }
    let below = |prefix: &str| disk.list(prefix).unwrap().into_iter().map(|(name, len)| format!("{name} {len}")).collect::<Vec<_>>();
    assert_eq!(below("list/"), ["list/a 6", "list/b/1 8", "list/b/2 8", "list/bb 7"]);
    assert_eq!(below("list/b/"), ["list/b/1 8", "list/b/2 8"]);
    assert_eq!(below("list/none"), [""; 0]);
    assert!(below("").len() > 4, "an empty prefix lists everything");
}

fn bad_names_are_refused(disk: &dyn Disk) {
    for name in ["", "/etc/passwd", "../up", "a/../b", "a//b", ".hidden", "a/"] {
        assert_eq!(disk.append(name, b"x").unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(disk.read(name, 0, 1).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
    }
}

async fn syncs_cover_several_files(disk: &dyn Disk) {
    disk.append("sync/a", b"abc").unwrap();
    disk.append("sync/b", b"def").unwrap();
    disk.sync(&["sync/a".to_string(), "sync/b".to_string()]).await.unwrap();
    disk.sync_dir("sync").await.unwrap();
    disk.sync_dir("").await.unwrap();
    disk.sync(&[]).await.unwrap();
    let error = disk.sync(&["sync/none".to_string()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(&disk.read("sync/b", 0, 99).unwrap()[..], b"def");
}

/// What was appended is there after a kill (`reopen` gives the disk of the next life). The disk must be empty.
pub async fn a_kill_keeps_the_page_cache(disk: Arc<dyn Disk>, reopen: impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk>) {
    disk.append("log/0", b"synced").unwrap();
    disk.sync(&["log/0".to_string()]).await.unwrap();
    disk.append("log/0", b" not").unwrap();
    disk.append("log/1", b"new").unwrap();
    let disk = reopen(disk);
    assert_eq!(disk.list("").unwrap(), [("log/0".to_string(), 10), ("log/1".to_string(), 3)]);
    assert_eq!(&disk.read("log/0", 0, 99).unwrap()[..], b"synced not");
    assert_eq!(disk.append("log/0", b"!").unwrap(), 10);
}

/// What was synced, bytes and name, is there after a power loss; of the rest a prefix, perhaps torn. The disk must be empty; the bytes that were
/// left of those not synced.
pub async fn a_power_loss_keeps_what_was_synced(disk: Arc<dyn Disk>, reopen: impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk>) -> u64 {
    let synced: Vec<u8> = (0..1_000u32).map(|n| (n % 251) as u8 + 1).collect();
    let loose: Vec<u8> = (0..3_000u32).map(|n| (n % 251) as u8 + 1).collect();
    disk.append("log/0", &synced).unwrap();
    disk.sync(&["log/0".to_string()]).await.unwrap();
    disk.sync_dir("log").await.unwrap();
    disk.append("log/0", &loose).unwrap();
    disk.append("log/temporary", b"whole").unwrap();
    disk.sync(&["log/temporary".to_string()]).await.unwrap();
    disk.rename("log/temporary", "log/checkpoint").unwrap();
    disk.sync_dir("log").await.unwrap();
    let disk = reopen(disk);
    assert_eq!(&disk.read("log/checkpoint", 0, 99).unwrap()[..], b"whole");
    let left = disk.read("log/0", 0, 99_999).unwrap();
    assert!(left.starts_with(&synced), "what was synced is gone");
    assert!(left.len() <= 4_000);
    let (tail, wanted) = (&left[1_000..], &loose[..left.len() - 1_000]);
    let good = tail.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    assert!(tail[good..].iter().all(|byte| *byte == 0) && tail.len() - good <= 512, "only the last sector may be torn, to zeros");
    tail.len() as u64
}
