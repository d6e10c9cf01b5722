//! Rows of the bus contract (`requirements.md` 4.2) on what really runs: who writes a topic and of which kind (B-02, B-05), who reads it (B-03), and where in
//! it a record lies (B-31).

use crate::exchange::{ANN, BOB, Exchange, btcusd};
use crate::{done, limit, until};
use log::{Delivered, LogPort, Outcome};
use services::account::AccountService;
use services::data_recorder::DataRecorder;
use services::matching_engine::MatchingService;
use services::runner::Service;
use services::runner::project::Projection;
use services::wallet::WalletService;
use std::collections::{BTreeMap, BTreeSet};
use wire::frame::decode;
use wire::partition::partition_of;
use wire::{Body, Side, Topic};

/// The service of an edge, as a frame's source says it.
const EDGE: u8 = 0;

/// Everything in the log after a trade and a cancel: topic, its partitions, partition, record.
async fn after_a_day() -> Vec<(Topic, u32, u32, Delivered)> {
    let exchange = Exchange::open(2_000, 100).await;
    let (mut ann, mut bob) = (exchange.client(ANN), exchange.client(BOB));
    done(ann.place(&btcusd(), &limit("a-1", Side::Buy, 10_050, 1_500)).await);
    done(bob.place(&btcusd(), &limit("b-1", Side::Sell, 10_000, 500)).await);
    until(&mut bob, "b-1", |order| order.status == "FILLED").await;
    done(ann.cancel(&btcusd(), "a-1").await);
    until(&mut ann, "a-1", |order| order.status == "CANCELED").await;
    let Outcome::Done(infos) = exchange.log.topics(&Topic::ALL.map(Topic::name), 0).await else { panic!("bootstrap created every topic") };
    let mut records = Vec::new();
    for (topic, info) in Topic::ALL.into_iter().zip(infos) {
        for partition in 0..info.partitions {
            records.extend(exchange.log.records_from(info.tp(partition), 0).into_iter().map(|record| (topic, info.partitions, partition, record)));
        }
    }
    exchange.close().await;
    records
}

fn is_of(topic: Topic, body: &Body) -> bool {
    matches!(
        (topic, body),
        (Topic::AccountCommands, Body::AccountCommand(_))
            | (Topic::AccountEvents, Body::AccountEvent(_))
            | (Topic::OrderCommands, Body::OrderCommand(_))
            | (Topic::OrderEvents, Body::OrderEvent(_))
            | (Topic::TradeExecuted, Body::Trades(_))
            | (Topic::SystemTicks, Body::SystemTick(_))
    )
}

#[tokio::test]
async fn b02_b05_each_topic_has_its_writers_and_one_kind_of_record() {
    let (account, engine, wallet) = (AccountService.number(), MatchingService::fast(1, 1).number(), WalletService.number());
    let mut writers: BTreeMap<Topic, BTreeSet<u8>> = BTreeMap::new();
    for (topic, _, _, record) in after_a_day().await {
        let (stamp, body) = decode(&record.value.expect("a frame")).expect("ours");
        assert!(is_of(topic, &body), "{body:?} in {topic:?}");
        writers.entry(topic).or_default().insert(stamp.source.service);
    }
    // The edge is the gateway, and the bootstrap with its listings and deposits. Nobody sends ticks here.
    let expected = [
        (Topic::AccountCommands, BTreeSet::from([EDGE, wallet])),
        (Topic::AccountEvents, BTreeSet::from([account])),
        (Topic::OrderCommands, BTreeSet::from([EDGE, account])),
        (Topic::OrderEvents, BTreeSet::from([engine])),
        (Topic::TradeExecuted, BTreeSet::from([engine])),
    ];
    assert_eq!(writers, BTreeMap::from(expected));
}

#[test]
fn b03_b05_each_topic_has_its_readers() {
    fn of<S: Service>(service: &S) -> (&'static str, Vec<Topic>) {
        (service.name(), service.inputs())
    }
    let recorder = (DataRecorder.name(), DataRecorder.inputs());
    let mut readers: BTreeMap<Topic, BTreeSet<&str>> = BTreeMap::new();
    for (name, inputs) in [of(&AccountService), of(&MatchingService::fast(1, 1)), of(&WalletService), recorder] {
        for topic in inputs {
            readers.entry(topic).or_default().insert(name);
        }
    }
    let expected = [
        (Topic::AccountCommands, BTreeSet::from(["account"])),
        (Topic::OrderCommands, BTreeSet::from(["matching_engine"])),
        (Topic::TradeExecuted, BTreeSet::from(["wallet", "data_recorder"])),
        (Topic::OrderEvents, BTreeSet::from(["wallet", "data_recorder"])),
    ];
    assert_eq!(readers, BTreeMap::from(expected));
}

/// Whoever sends it, the gateway or a machine: what has a key lies where the one partition function puts it.
#[tokio::test]
async fn b31_a_key_has_one_partition_whoever_sends_it() {
    let mut keyed: BTreeMap<Topic, BTreeSet<u8>> = BTreeMap::new();
    for (topic, partitions, partition, record) in after_a_day().await {
        let Some(key) = record.key else { continue };
        assert!(partitions > 1, "{topic:?}: nothing is to be seen of one partition");
        assert_eq!(partition_of(&key, partitions), partition, "{topic:?}: {key:?}");
        let (stamp, _) = decode(&record.value.expect("a frame")).expect("ours");
        keyed.entry(topic).or_default().insert(stamp.source.service);
    }
    let (account, wallet) = (AccountService.number(), WalletService.number());
    assert_eq!((&keyed[&Topic::AccountCommands], &keyed[&Topic::OrderCommands]), (&BTreeSet::from([EDGE, wallet]), &BTreeSet::from([account])));
}
