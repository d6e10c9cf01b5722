//! Rows of the bus contract (`requirements.md` B, 4.2) that are about the exchange's topics, keys and frames, at the log port over real cores.

mod support;

use broker::protocol::{Isolation, TopicSpec, Tp};
use bytes::Bytes;
use log::native::{Native, NativeReader};
use log::{ConsumerEvent, Delivered, Lease, LogPort, Next, Outcome, Position, Producer, Reader, Record, StartPoint, Subscription, TopicInfo};
use log::{Tx, TxEnd, TxSession};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Cluster, MemoryDisk, record, soon, text};
use wire::frame::Source;
use wire::frame::{HEADER_LEN, decode, encode};
use wire::partition::{partition_of, partition_of_symbol};
use wire::{AccountId, Body, Correlation, OrderCommand, OrderId, Stamp, Symbol, SystemTick, Topic};

async fn cluster() -> (Cluster, Native) {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client();
    (cluster, log)
}

fn spec(topic: Topic, partitions: u32) -> TopicSpec {
    TopicSpec { name: topic.name().to_owned(), partitions, replication: 1, min_isr: 1, compacted: false }
}

async fn topics(log: &Native, names: &[&str]) -> Vec<TopicInfo> {
    match log.topics(names, soon(20_000)).await {
        Outcome::Done(topics) => topics,
        other => panic!("{names:?}: {other:?}"),
    }
}

/// What comes of a partition until `count` records are there; the reader is set to the start first.
async fn read(log: &Native, tp: Tp, count: usize) -> Vec<Delivered> {
    let mut reader = log.read(Subscription::Assigned(vec![(tp, Position::START)]), Isolation::ReadCommitted).await.expect("a reader");
    more(&mut reader, count).await
}

async fn more(reader: &mut NativeReader, count: usize) -> Vec<Delivered> {
    let (mut records, by) = (Vec::new(), soon(15_000));
    while records.len() < count {
        match reader.next(by).await {
            ConsumerEvent::Records { batch, .. } => records.extend(batch.records),
            ConsumerEvent::Progress { .. } => {}
            other => panic!("after {}: {other:?}", records.len()),
        }
    }
    records
}

/// The only member of a group on one partition: its lease and its first records, from what was committed.
async fn sole_member(log: &Native, group: &str, topic: &TopicInfo, count: usize) -> (NativeReader, Lease, Vec<Delivered>) {
    let subscription = Subscription::Group { group: group.to_owned(), topics: vec![topic.name.clone()], instance_id: None };
    let mut reader = log.read(subscription, Isolation::ReadCommitted).await.expect("a reader");
    let lease = match reader.next(soon(15_000)).await {
        ConsumerEvent::Assigned { mut leases, from } => {
            let at = if let StartPoint::Committed(position) = from[0].1 { position } else { Position::START };
            reader.seek(from[0].0, at);
            leases.remove(0)
        }
        other => panic!("{other:?}"),
    };
    let records = more(&mut reader, count).await;
    (reader, lease, records)
}

fn behind(record: &Delivered) -> Position {
    Position { next: Next(record.offset + 1), epoch: None }
}

#[tokio::test]
async fn b04_every_group_is_given_every_tick_once() {
    let (_cluster, log) = cluster().await;
    assert_eq!(log.create_topics(vec![spec(Topic::SystemTicks, 1)], soon(20_000)).await, Outcome::Done(()));
    let topic = topics(&log, &[Topic::SystemTicks.name()]).await.remove(0);
    let mut producer = log.producer().await.expect("a producer");
    let mut heard: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    // Each time another member of each group listens, from where the one before it had come to.
    for sequences in [1..=12, 13..=20] {
        let count = sequences.clone().count();
        for sequence in sequences {
            let value = encode(&Stamp::default(), &Body::SystemTick(SystemTick { sequence, time_ms: 1_000 * sequence }));
            let sent = producer.send(topic.tp(0), Record { key: None, value: Some(value), timestamp_ms: 1 }, soon(10_000)).outcome().await;
            assert!(matches!(sent, Outcome::Done(_)), "{sent:?}");
        }
        for group in ["account", "matching_engine", "recorder"] {
            let (mut reader, lease, records) = sole_member(&log, group, &topic, count).await;
            for record in &records {
                let Ok((_, Body::SystemTick(tick))) = decode(record.value.as_ref().expect("a frame")) else { panic!("not what was sent") };
                heard.entry(group).or_default().push(tick.sequence);
            }
            let position = behind(records.last().expect("some"));
            assert_eq!(reader.commit(lease.proof(), &[(topic.tp(0), position)], soon(5_000)).await, Outcome::Done(()));
            reader.leave().await;
        }
    }
    assert_eq!(heard.len(), 3);
    assert!(heard.values().all(|sequences| sequences.iter().copied().eq(1..=20)), "{heard:?}");
}

#[tokio::test]
async fn b09_all_orders_of_a_symbol_are_in_one_partition_in_send_order() {
    let (_cluster, log) = cluster().await;
    assert_eq!(log.create_topics(vec![spec(Topic::OrderCommands, 4)], soon(20_000)).await, Outcome::Done(()));
    let topic = topics(&log, &[Topic::OrderCommands.name()]).await.remove(0);
    let symbols = ["BTCUSD", "ETHUSD", "SOLUSD", "XRPUSD", "ADAUSD"].map(|name| Symbol::parse(name).expect("six letters"));
    let mut producer = log.producer().await.expect("a producer");
    let mut tickets = Vec::new();
    for number in 0..50 {
        let symbol = symbols[number as usize % symbols.len()];
        let body = Body::OrderCommand(OrderCommand::Cancel { order_id: OrderId(number), account: AccountId(1), symbol });
        let sent = Record { key: Some(Bytes::copy_from_slice(&symbol.0)), value: Some(encode(&Stamp::default(), &body)), timestamp_ms: 1 };
        // Nobody waits for a verdict: order is the log's business.
        tickets.push(producer.send(topic.tp(partition_of_symbol(symbol, topic.partitions)), sent, soon(10_000)));
    }
    let mut counts = vec![0; topic.partitions as usize];
    for ticket in tickets {
        let Outcome::Done(acked) = ticket.outcome().await else { panic!("not written") };
        counts[acked.tp.partition as usize] += 1;
    }
    let mut orders: BTreeMap<Symbol, (u32, Vec<u64>)> = BTreeMap::new();
    for partition in (0..topic.partitions).filter(|partition| counts[*partition as usize] > 0) {
        for record in read(&log, topic.tp(partition), counts[partition as usize]).await {
            let (_, Body::OrderCommand(OrderCommand::Cancel { order_id, symbol, .. })) = decode(&record.value.expect("a frame")).expect("ours") else {
                panic!("not what was sent")
            };
            assert_eq!(partition_of(&record.key.expect("keyed"), topic.partitions), partition, "the key says where it is");
            let (of, ids) = orders.entry(symbol).or_insert((partition, Vec::new()));
            assert_eq!(*of, partition, "{symbol:?} is in two partitions");
            ids.push(order_id.0);
        }
    }
    assert_eq!(orders.len(), symbols.len());
    assert!(orders.values().all(|(_, ids)| ids.len() == 10 && ids.is_sorted()), "{orders:?}");
    assert!(counts.iter().filter(|count| **count > 0).count() > 1, "symbols spread over partitions: {counts:?}");
}

#[tokio::test]
async fn b16_topics_are_a_list_of_the_build_without_collisions_and_persist_over_a_restart() {
    let mut names: Vec<&str> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Topic::ALL.len(), "no two topics have one name");
    assert!(Topic::ALL.iter().all(|topic| Topic::from_name(topic.name()) == Some(*topic)));
    let (mut cluster, log) = cluster().await;
    let specs = || Topic::ALL.iter().map(|topic| spec(*topic, 2)).collect::<Vec<_>>();
    assert_eq!(log.create_topics(specs(), soon(20_000)).await, Outcome::Done(()));
    let before = topics(&log, &Topic::ALL.map(Topic::name)).await;
    let mut producer = log.producer().await.expect("a producer");
    assert!(matches!(producer.send(before[2].tp(1), record("kept"), soon(10_000)).outcome().await, Outcome::Done(_)));
    cluster.kill(0).await;
    cluster.restart(0);
    let log = cluster.client();
    assert_eq!(log.create_topics(specs(), soon(20_000)).await, Outcome::Done(()), "asked for again: nothing happens");
    assert_eq!(topics(&log, &Topic::ALL.map(Topic::name)).await, before, "the same incarnations");
    assert_eq!(text(&read(&log, before[2].tp(1), 1).await[0].value), "kept");
}

#[tokio::test]
async fn b23_a_transaction_covers_the_bus_alone_so_that_a_write_elsewhere_needs_a_primary_key() {
    let (cluster, log) = cluster().await;
    let (input, output) = (cluster.topic(&log, "in", 1).await, cluster.topic(&log, "out", 1).await);
    let mut producer = log.producer().await.expect("a producer");
    assert!(matches!(producer.send(input.tp(0), record("order 7"), soon(10_000)).outcome().await, Outcome::Done(_)));
    // Elsewhere: one table that takes what comes, and one with a primary key. Neither knows of the log.
    let (mut appended, mut keyed): (Vec<String>, BTreeMap<i64, String>) = (Vec::new(), BTreeMap::new());
    for attempt in 0..2 {
        let (reader, lease, orders) = sole_member(&log, "machine", &input, 1).await;
        let session = log.tx_session("machine-0", 5_000, soon(10_000)).await.expect("a session");
        let mut tx = session.begin();
        let done = text(&orders[0].value);
        appended.push(done.clone());
        keyed.insert(orders[0].offset, done);
        let sent = tx.send(output.tp(0), record(&format!("attempt {attempt}"))).outcome().await;
        assert!(matches!(sent, Outcome::Done(_)), "{sent:?}");
        tx.consumed(lease.proof(), &[(input.tp(0), behind(&orders[0]))]);
        match attempt {
            0 => assert!(matches!(tx.abort(soon(10_000)).await, TxEnd::Aborted(..))),
            _ => assert!(matches!(tx.commit(soon(10_000)).await, TxEnd::Committed(_))),
        }
        reader.leave().await;
    }
    assert_eq!(text(&read(&log, output.tp(0), 1).await[0].value), "attempt 1", "on the bus the first attempt never happened");
    assert_eq!(appended, ["order 7", "order 7"], "elsewhere it did: nothing is rolled back there");
    assert_eq!(keyed.len(), 1, "by its key it is written once");
}

/// What a consumer does with a record that is not of the topic's kind: to the dead letters, together with the position behind it, in one transaction.
async fn bury(log: &Native, dead: Tp, lease: &Lease, found: &Delivered, crash: bool) {
    let mut tx = log.tx_session("burier-0", 5_000, soon(10_000)).await.expect("a session").begin();
    let origin = format!("{}/{}@{}", lease.tp.topic.0, lease.tp.partition, found.offset);
    let letter = Record { key: Some(Bytes::from(origin)), value: found.value.clone(), timestamp_ms: 1 };
    assert!(matches!(tx.send(dead, letter).outcome().await, Outcome::Done(_)));
    tx.consumed(lease.proof(), &[(lease.tp, behind(found))]);
    if !crash {
        assert!(matches!(tx.commit(soon(10_000)).await, TxEnd::Committed(_)));
    }
}

#[tokio::test]
async fn b01_b14_what_is_of_another_kind_goes_to_the_dead_letters_once_and_holds_nothing_up() {
    let (cluster, log) = cluster().await;
    let (input, dead) = (cluster.topic(&log, "order_commands", 1).await, cluster.topic(&log, "dead_letters", 1).await);
    let tick = |number| encode(&Stamp::default(), &Body::OrderCommand(OrderCommand::Tick { time_ms: number }));
    let mut producer = log.producer().await.expect("a producer");
    for value in [tick(1), Bytes::from_static(b"{\"not\": \"a frame\"}"), tick(2)] {
        let sent = producer.send(input.tp(0), Record { key: None, value: Some(value), timestamp_ms: 1 }, soon(10_000)).outcome().await;
        assert!(matches!(sent, Outcome::Done(_)));
    }
    let mut handled = Vec::new();
    // It crashes between the letter and the end of its transaction the first time.
    for crash in [true, false] {
        handled.clear();
        let (reader, lease, records) = sole_member(&log, "engine", &input, 3).await;
        for found in &records {
            match decode(found.value.as_ref().expect("a value")) {
                Ok((_, Body::OrderCommand(OrderCommand::Tick { time_ms }))) => handled.push(time_ms),
                Ok(other) => panic!("{other:?}"),
                Err(_) => bury(&log, dead.tp(0), &lease, found, crash).await,
            }
            if crash && handled.len() == 1 && found.offset == 1 {
                break;
            }
        }
        reader.leave().await;
    }
    assert_eq!(handled, [1, 2], "what stands behind it was handled");
    let mut letters = log.read(Subscription::Assigned(vec![(dead.tp(0), Position::START)]), Isolation::ReadCommitted).await.expect("a reader");
    let letter = more(&mut letters, 1).await.remove(0);
    while let event @ (ConsumerEvent::Records { .. } | ConsumerEvent::Progress { .. }) = letters.next(soon(1_000)).await {
        assert!(matches!(event, ConsumerEvent::Progress { .. }), "a second letter: {event:?}");
    }
    assert_eq!(letter.key, Some(Bytes::from(format!("{}/0@1", input.id.0))), "it says where it comes from");
    let (_, _, rest) = sole_member(&log, "engine", &input, 1).await;
    assert_eq!(rest[0].offset, 2, "the position is behind the letter");
}

#[tokio::test]
async fn b30_sticky_readers_have_declared_partitions_and_one_that_is_down_is_nobody_elses() {
    let (cluster, log) = cluster().await;
    let topic = cluster.topic(&log, "commands", 2).await;
    let declared = |instance: u32, from: Position| Subscription::Assigned(vec![(topic.tp(instance), from)]);
    let mut first = log.read(declared(0, Position::START), Isolation::ReadCommitted).await.expect("a reader");
    let mut second = log.read(declared(1, Position::START), Isolation::ReadCommitted).await.expect("a reader");
    let mut producer = log.producer().await.expect("a producer");
    for (partition, value) in [(0, "a0"), (1, "a1")] {
        assert!(matches!(producer.send(topic.tp(partition), record(value), soon(10_000)).outcome().await, Outcome::Done(_)));
    }
    let last = more(&mut second, 1).await.remove(0);
    assert_eq!((text(&more(&mut first, 1).await[0].value), text(&last.value)), ("a0".to_owned(), "a1".to_owned()));
    // One goes down: what is its own waits, and nobody takes its place.
    drop(second);
    assert!(matches!(producer.send(topic.tp(1), record("b1"), soon(10_000)).outcome().await, Outcome::Done(_)));
    assert!(matches!(first.next(soon(1_000)).await, ConsumerEvent::Nothing), "no rebalance");
    let mut second = log.read(declared(1, behind(&last)), Isolation::ReadCommitted).await.expect("a reader");
    assert_eq!(text(&more(&mut second, 1).await[0].value), "b1", "until it is back");
}

/// Of a message: the service that wrote it and the request it answers, by the documented places of its header.
fn properties(value: &[u8]) -> (u8, [u8; 16]) {
    (value[12], value[40..56].try_into().expect("16 bytes"))
}

#[tokio::test]
async fn b24_who_wrote_a_message_and_what_it_answers_are_read_without_its_payload() {
    let (cluster, log) = cluster().await;
    let topic = cluster.topic(&log, "trades", 1).await;
    let stamp = Stamp { source: Source { service: 3, input_topic: 5, partition: 1 }, correlation: Correlation(*b"request-00000042"), ..Stamp::default() };
    let whole = encode(&stamp, &Body::OrderCommand(OrderCommand::Tick { time_ms: 9 }));
    // The same with a payload that nobody can decode.
    let mut opaque = whole.to_vec();
    opaque.truncate(HEADER_LEN);
    opaque.extend_from_slice(&[0xff; 16]);
    let mut producer = log.producer().await.expect("a producer");
    for value in [whole.clone(), Bytes::from(opaque)] {
        let sent = producer.send(topic.tp(0), Record { key: None, value: Some(value), timestamp_ms: 1 }, soon(10_000)).outcome().await;
        assert!(matches!(sent, Outcome::Done(_)));
    }
    let values: Vec<Bytes> = read(&log, topic.tp(0), 2).await.into_iter().map(|record| record.value.expect("a value")).collect();
    assert!(decode(&values[0]).is_ok() && decode(&values[1]).is_err());
    assert!(values.iter().all(|value| properties(value) == (3, *b"request-00000042")));
    assert_eq!(values[0], whole, "and nothing of it changes on the way");
}
