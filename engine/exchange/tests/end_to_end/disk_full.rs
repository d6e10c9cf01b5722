//! A disk that takes no more: the exchange says which file and why, and ends; what it acknowledged is there when there is room again.
//!
//! The limit is on the size of a file (`ulimit -f`), which needs no privileges; a write beyond it fails as one on a full disk does.

use crate::process::{Exchange, Place};
use crate::trading::{Call, client, limit, until_told};
use bytes::Bytes;
use log::history::Silent;
use log::native::{ClientConfig, Native};
use log::{LogPort, Outcome, Producer, Record};
use runtime::time::monotonic_ms;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use wire::{Side, Topic};

/// `exchange up` that can write no file beyond so many blocks (of 512 or 1,024 bytes: shells differ).
fn up_with_little_room(place: &Place, blocks: u32) -> Command {
    let up = place.up();
    let mut command = Command::new("sh");
    // Ignored, the signal becomes an error of the write.
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(up.get_program()).args(up.get_args());
    // The journal is allocated at the start: it must find its place.
    command.args(["--deposit", "1:USD:1000", "--journal-bytes", "131072"]);
    command
}

/// Fills a file of the log until it takes no more and the process ends.
async fn fill(log_address: &str, process: &mut Exchange) {
    let log = Native::new(ClientConfig::new("filler", [log_address.to_owned()]), Arc::new(Silent));
    let Outcome::Done(topics) = log.topics(&[Topic::AccountCommands.name()], monotonic_ms() + 20_000).await else { panic!("the topic is there") };
    let mut producer = log.producer().await.expect("a producer");
    for _ in 0..100 {
        let record = Record { key: None, value: Some(Bytes::from(vec![0; 100_000])), timestamp_ms: 0 };
        let ticket = producer.send(topics[0].tp(0), record, monotonic_ms() + 60_000);
        let written = runtime::select! {
            outcome = ticket.outcome() => matches!(outcome, Outcome::Done(_)),
            () = ended(process) => false,
        };
        if !written {
            return ended(process).await;
        }
    }
    panic!("10 MB fit below the limit");
}

async fn ended(process: &mut Exchange) {
    while process.is_running() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn it_says_so_and_ends_and_nothing_acknowledged_is_lost() {
    let place = Place::new();
    let mut process = Exchange::spawn(up_with_little_room(&place, 600));
    let mut trader = client(&place.http, 1);
    until_told(&mut trader, Call::Place(&limit("mine", Side::Buy, 100, 1))).await.expect("taken");
    fill(&place.log, &mut process).await;
    let (code, said) = process.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the log: cannot append to") && said.contains("too large"), "{said}");

    let process = place.start();
    assert_eq!(until_told(&mut trader, Call::Query("mine")).await.expect("known").status, "NEW");
    process.stop();
}
