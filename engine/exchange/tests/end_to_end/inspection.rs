//! Looking inside: topics, groups and the newest records of a running exchange, its files when it does not run, and words for whoever asks wrongly.

use crate::process::{Place, exchange, run};
use crate::trading::{Call, client, limit, until_told};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use wire::Side;

#[tokio::test]
async fn a_running_exchange_shows_its_topics_groups_and_records_and_a_closed_one_its_files() {
    let place = Place::new();
    let mut up = place.up();
    up.args(["--deposit", "1:USD:1000"]);
    let process = crate::process::Exchange::spawn(up);
    until_told(&mut client(&place.http, 1), Call::Place(&limit("mine", Side::Buy, 100, 1))).await.expect("taken");

    let look = |command: &str, more: &[&str]| run(exchange(command).args(more).args(["--log", &place.log]));
    let (code, topics, said) = look("topics", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(topics.lines().filter(|line| line.starts_with("account_commands ")).count() == 2, "{topics}");
    let (code, groups, said) = look("groups", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(groups.contains("instance account-1") && groups.contains("account_commands-") && groups.contains("lag "), "{groups}");
    let (code, tail, said) = look("tail", &["account_commands", "--last", "1000"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(tail.contains("AccountCommand(Place") && tail.contains("mine"), "{tail}");
    let (code, tail, said) = look("tail", &["__consumer_offsets", "--last", "1000"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(tail.contains("Group { group: \"account\""), "{tail}");

    let (code, _, said) = look("tail", &["orders"]);
    assert!(code == Some(2) && said.contains("there is no topic \"orders\"; there are: ") && said.contains("order_commands"), "{said}");
    let (code, _, said) = look("tail", &["account_commands", "--partition", "7"]);
    assert!(code == Some(2) && said.contains("--partition 7: account_commands has partitions 0 to 1"), "{said}");
    let (code, _, said) = run(exchange("dump").arg(place.data()));
    assert!(code == Some(1) && said.contains("in use by another process") && said.contains("exchange topics"), "{said}");
    process.stop();

    let (code, _, said) = look("topics", &[]);
    assert!(code == Some(1) && said.contains("no answer. Is the exchange running"), "{said}");
    let before = bytes_below(&place.data());
    let (code, dump, said) = run(exchange("dump").arg(place.data()).arg("--records"));
    assert!(before == bytes_below(&place.data()), "it only looks");
    assert_eq!(code, Some(0), "{said}");
    assert!(dump.contains("AccountCommand(Place") && dump.contains("  commit") && dump.contains(" 0 damaged"), "{dump}");
}

fn bytes_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("there").map(|entry| entry.expect("readable").path());
    entries
        .flat_map(|path| if path.is_dir() { bytes_below(&path) } else { BTreeMap::from([(path.clone(), std::fs::read(&path).expect("readable"))]) })
        .collect()
}

#[test]
fn a_directory_without_a_log_is_left_as_it_is() {
    let place = Place::new();
    let (code, _, said) = run(exchange("dump").arg(place.data()));
    assert!(code == Some(2) && said.contains("there is no such directory"), "{said}");
    std::fs::create_dir(place.data()).expect("made");
    let (code, _, said) = run(exchange("dump").arg(place.data()));
    assert!(code == Some(2) && said.contains("no log was ever kept here"), "{said}");
    assert_eq!(std::fs::read_dir(place.data()).expect("there").count(), 0);
}

/// `exchange dump … | head -1` ends without a word; a full disk behind the standard output is an error, and neither is a panic.
#[tokio::test]
async fn whoever_reads_only_the_first_line_is_no_error_and_does_not_end_an_exchange() {
    let place = Place::new();
    let mut up = place.up();
    let mut process = up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("text");
    assert!(line.contains("exchange: http://"), "{line}");
    // Nobody reads what it says from here on.
    drop(process.stderr.take());
    let closed = || {
        let mut child = exchange("topics").args(["--log", &place.log]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        drop(child.stdout.take());
        child.wait_with_output().expect("it ends")
    };
    let ended = closed();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let ended = exchange("topics").args(["--log", &place.log]).stdout(full).output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.code() == Some(1) && said.contains("standard output: No space left"), "{said}");

    let told = std::process::Command::new("kill").args(["-TERM", &process.id().to_string()]).status().expect("kill runs");
    assert!(told.success());
    assert_eq!(process.wait().expect("our child").code(), Some(0), "it stops in good order though nobody hears it");
}
