//! Somebody else writes into the commands' partitions what is no frame of ours: it is skipped, at every replay alike, and nothing else is lost.

use crate::process::{PARTITIONS, Place};
use crate::trading::{Call, balances, client, limit, until_executed, until_told};
use bytes::Bytes;
use log::history::Silent;
use log::native::{ClientConfig, Native};
use log::{LogPort, Outcome, Producer, Record};
use runtime::time::{monotonic_ms, now_ms};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::frame::{FrameError, HEADER_LEN, encode};
use wire::{AccountCommand, AccountId, Asset, Body, OrderCommand, Stamp, Topic};

/// A deposit that must not be credited, as the frame it would be.
fn frame() -> Vec<u8> {
    let deposit = AccountCommand::Deposit { account: AccountId(1), deposit_id: 666, asset: Asset(*b"USD"), amount: 666 };
    encode(&Stamp { cause: -1, log_time_ms: now_ms(), ..Stamp::default() }, &Body::AccountCommand(deposit)).to_vec()
}

fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Option<Bytes> {
    let mut bytes = frame();
    change(&mut bytes);
    Some(bytes.into())
}

/// Every way of being no frame of ours, once.
fn foreign() -> Vec<(&'static str, Option<Bytes>)> {
    let values = vec![
        ("a tombstone", None),
        ("nothing", Some(Bytes::new())),
        ("garbage", Some(Bytes::from_static(&[0xa5; 300]))),
        ("text", Some(Bytes::from_static(br#"{"symbol":"BTCUSD"}"#))),
        ("another version", changed(|bytes| bytes[0] = 99)),
        ("another kind", changed(|bytes| bytes[2] = 77)),
        ("another length", changed(|bytes| bytes[4] ^= 1)),
        ("another checksum", changed(|bytes| bytes[8] ^= 1)),
        ("a changed body", changed(|bytes| *bytes.last_mut().expect("a body") ^= 1)),
        ("half a header", changed(|bytes| bytes.truncate(HEADER_LEN / 2))),
        ("half a body", changed(|bytes| bytes.truncate(HEADER_LEN + 8))),
    ];
    let refusal = |value: &Option<Bytes>| value.as_deref().map(|value| wire::frame::decode(value).expect_err("no frame of ours"));
    let refusals: Vec<_> = values.iter().filter_map(|(_, value)| refusal(value)).collect();
    assert!(refusals.iter().any(|error| matches!(error, FrameError::Version { version: 99 })), "{refusals:?}");
    assert!(refusals.iter().any(|error| matches!(error, FrameError::Kind { kind: 77 })), "{refusals:?}");
    assert!(refusals.iter().any(|error| matches!(error, FrameError::Length { .. })), "{refusals:?}");
    assert!(refusals.iter().any(|error| matches!(error, FrameError::Checksum { .. })), "{refusals:?}");
    values
}

/// Writes each of them, and a frame of another topic, into every partition of both.
async fn write(log_address: &str) {
    let log = Native::new(ClientConfig::new("foreigner", [log_address.to_owned()]), Arc::new(Silent));
    let names = [Topic::AccountCommands.name(), Topic::OrderCommands.name()];
    let Outcome::Done(topics) = log.topics(&names, monotonic_ms() + 20_000).await else { panic!("the topics are there") };
    let elsewhere = Body::OrderCommand(OrderCommand::Tick { time_ms: 1 });
    let strange = Body::AccountCommand(AccountCommand::QueryAccount { account: AccountId(1) });
    let mut producer = log.producer().await.expect("a producer");
    for (topic, misplaced) in topics.iter().zip([elsewhere, strange]) {
        let misplaced = encode(&Stamp { cause: -1, ..Stamp::default() }, &misplaced);
        for partition in 0..PARTITIONS {
            for (what, value) in foreign().into_iter().chain([("a frame of another topic", Some(misplaced.clone()))]) {
                let record = Record { key: None, value, timestamp_ms: now_ms() };
                let outcome = producer.send(topic.tp(partition), record, monotonic_ms() + 10_000).outcome().await;
                assert!(matches!(outcome, Outcome::Done(_)), "{what} is written: {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn foreign_records_are_skipped_and_nothing_else_is_lost() {
    let place = Place::new();
    let start = || {
        let mut up = place.up();
        up.args(["--deposit", "1:USD:1000000", "--deposit", "2:BTC:1000000"]);
        crate::process::Exchange::spawn(up)
    };
    let mut exchange = start();
    let (mut buyer, mut seller) = (client(&place.http, 1), client(&place.http, 2));
    until_told(&mut buyer, Call::Place(&limit("b1", wire::Side::Buy, 100, 10))).await.expect("taken");
    write(&place.log).await;
    until_told(&mut seller, Call::Place(&limit("s1", wire::Side::Sell, 100, 4))).await.expect("taken");
    assert_eq!(until_executed(&mut buyer, "b1", 4).await.status, "PARTIALLY_FILLED");
    assert_eq!(until_executed(&mut seller, "s1", 4).await.status, "FILLED");
    write(&place.log).await;
    assert!(exchange.is_running());

    // The next life replays them all.
    exchange.kill_nine();
    exchange = start();
    until_told(&mut seller, Call::Place(&limit("s2", wire::Side::Sell, 100, 6))).await.expect("taken");
    assert_eq!(until_executed(&mut buyer, "b1", 10).await.status, "FILLED");
    assert_eq!(until_executed(&mut seller, "s2", 6).await.status, "FILLED");
    let expected = BTreeMap::from([("BTC".to_owned(), (1_000_000, 0)), ("USD".to_owned(), (1_000_000, 0))]);
    assert_eq!(balances(&place.http, 2).await, expected, "conserved: no foreign deposit was credited");
    exchange.stop();
}
