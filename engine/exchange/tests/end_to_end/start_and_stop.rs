//! Starting where one cannot, and stopping in good order: exit codes and words.

use crate::process::{Exchange, Place, exchange, run};
use crate::trading::{Call, client, limit, until_told};
use wire::Side;

/// It answers.
async fn until_up(place: &Place) {
    // -2013: no such order; whoever says so has asked the account.
    assert_eq!(until_told(&mut client(&place.http, 1), Call::Query("none")).await.expect_err("no such order"), -2013);
}

#[tokio::test]
async fn interrupt_ends_it_in_good_order_and_the_next_life_goes_on() {
    let place = Place::new();
    let mut up = place.up();
    up.args(["--deposit", "1:USD:1000"]);
    let process = Exchange::spawn(up);
    until_told(&mut client(&place.http, 1), Call::Place(&limit("mine", Side::Buy, 100, 1))).await.expect("taken");
    process.signal("INT");
    let (code, said) = process.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("exchange: stopping"), "{said}");
    let process = place.start();
    assert_eq!(until_told(&mut client(&place.http, 1), Call::Query("mine")).await.expect("known").status, "NEW");
    process.stop();
}

#[tokio::test]
async fn asked_a_second_time_it_ends_at_once_and_the_next_life_goes_on() {
    let place = Place::new();
    let mut up = place.up();
    up.args(["--deposit", "1:USD:1000"]);
    let process = Exchange::spawn(up);
    until_told(&mut client(&place.http, 1), Call::Place(&limit("mine", Side::Buy, 100, 1))).await.expect("taken");
    // Both are there when it goes on.
    for signal in ["STOP", "INT", "TERM", "CONT"] {
        process.signal(signal);
    }
    let (code, said) = process.end();
    assert_eq!(code, Some(128 + 15), "{said}");
    assert!(said.contains("exchange: stopping") && said.contains("ended before it had stopped"), "{said}");
    let process = place.start();
    assert_eq!(until_told(&mut client(&place.http, 1), Call::Query("mine")).await.expect("known").status, "NEW");
    process.stop();
}

#[test]
fn an_address_that_is_none_is_a_mistake_of_the_asker() {
    let kafka = ("up", "--kafka");
    for (command, option) in [("up", "--listen"), ("up", "--log-listen"), kafka, ("log", "--log-listen"), ("topics", "--log"), ("measure", "--kafka")] {
        let (code, _, said) = run(exchange(command).args([option, "nonsense"]));
        assert_eq!(code, Some(2), "{command} {option}: {said}");
        assert!(said.contains(option) && said.contains("'nonsense'") && said.contains("HOST:PORT"), "{command} {option}: {said}");
    }
}

#[tokio::test]
async fn a_second_one_in_the_same_place_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let mut first = place.start();
    until_up(&place).await;
    let other = Place::new();
    let (code, _, said) = run(exchange("up").arg("--data").arg(place.data()).args(["--listen", &other.http, "--log-listen", &other.log]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("in use by another process") && said.contains("data directory"), "{said}");
    for (http, log, named) in [(&place.http, &other.log, "--listen"), (&other.http, &place.log, "--log-listen")] {
        let (code, _, said) = run(exchange("up").arg("--data").arg(other.data()).args(["--listen", http, "--log-listen", log]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(named) && said.to_lowercase().contains("in use"), "{said}");
    }
    assert!(first.is_running());
    until_up(&place).await;
    // Keys would move to other partitions.
    first.stop();
    let (code, _, said) = run(exchange("up").arg("--data").arg(place.data()).args(["--listen", &other.http, "--log-listen", &other.log, "--partitions", "3"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("2 partitions, not 3"), "{said}");
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let place = Place::new();
    let file = place.file("file", "");
    let (code, _, said) = run(exchange("up").arg("--data").arg(file.join("data")).args(["--listen", &place.http, "--log-listen", &place.log]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot make directory") && said.contains("Not a directory"), "{said}");

    use std::os::unix::fs::PermissionsExt;
    let data = place.data();
    std::fs::create_dir(&data).expect("made");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o555)).expect("ours");
    if std::fs::write(data.join("probe"), "").is_ok() {
        return println!("skipped: this user may write into a read-only directory");
    }
    let (code, _, said) = run(&mut place.up());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot make directory") && said.contains("Permission denied"), "{said}");
}

#[tokio::test]
async fn a_directory_of_a_newer_format_is_told_and_left_as_it_is() {
    let place = Place::new();
    let first = place.start();
    until_up(&place).await;
    first.stop();
    let format = place.data().join("log/.format");
    assert_eq!(std::fs::read_to_string(&format).expect("there"), "2\n");
    std::fs::write(&format, "3\n").expect("ours");
    let (code, _, said) = run(&mut place.up());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("data directory") && said.contains("its format is 3, this build knows formats up to 2"), "{said}");
    std::fs::write(&format, "2\n").expect("ours");
    let again = place.start();
    until_up(&place).await;
    again.stop();
}

#[tokio::test]
async fn what_is_not_synced_before_it_is_acknowledged_is_told_and_survives_a_kill() {
    for fsync in ["interval", "never"] {
        let place = Place::new();
        let up = || {
            let mut up = place.up();
            up.args(["--fsync", fsync, "--fsync-interval-ms", "5", "--deposit", "1:USD:1000"]);
            up
        };
        let process = Exchange::spawn(up());
        until_told(&mut client(&place.http, 1), Call::Place(&limit("mine", Side::Buy, 100, 1))).await.expect("taken");
        process.kill_nine();
        let process = Exchange::spawn(up());
        assert_eq!(until_told(&mut client(&place.http, 1), Call::Query("mine")).await.expect("known").status, "NEW");
        process.stop();
    }
}

#[test]
fn bad_settings_are_usage_errors() {
    let place = Place::new();
    let listing = place.file("listing.json", r#"[{"symbol":"BTCUSD","base":"BTC"}]"#);
    let cases: [(&[&str], &str); 7] = [
        (&["--listing", listing.to_str().expect("text")], "missing field `quote`"),
        (&["--listing", "no-such-file"], "listing no-such-file"),
        (&["--partitions", "0"], "--partitions"),
        (&["--fsync", "sometimes"], "possible values: always, interval, never"),
        (&["--journal-bytes", "5"], "--journal-bytes"),
        (&["--deposit", "1:USDT:5"], "An asset is three letters"),
        (&["--deposit", "1:USD:-5"], "a positive whole number of minor units"),
    ];
    for (settings, words) in cases {
        let (code, _, said) = run(exchange("up").arg("--data").arg(place.data()).args(settings));
        assert_eq!(code, Some(2), "{settings:?}: {said}");
        assert!(said.contains(words), "{settings:?}: {said}");
    }
}
