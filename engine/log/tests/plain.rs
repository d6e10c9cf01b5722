//! Plain sends and assigned reads, over real cores: embedded and three brokers.

mod support;

use broker::protocol::{Isolation, Tp};
use log::native::Native;
use log::{Anchor, ConsumerEvent, LogPort, Outcome, Position, Producer, Reader, Subscription};
use std::sync::Arc;
use support::{Cluster, MemoryDisk, record, soon, text};

async fn send(log: &Native, tp: Tp, values: impl IntoIterator<Item = String>) -> Vec<i64> {
    let mut producer = log.producer().await.expect("a producer");
    let tickets: Vec<_> = values.into_iter().map(|value| producer.send(tp, record(&value), soon(20_000))).collect();
    let mut offsets = Vec::new();
    for ticket in tickets {
        match ticket.outcome().await {
            Outcome::Done(acked) => offsets.push(acked.offset.expect("told")),
            other => panic!("{other:?}"),
        }
    }
    offsets
}

async fn read(log: &Native, tp: Tp, from: Position, count: usize) -> Vec<(i64, String)> {
    let mut reader = log.read(Subscription::Assigned(vec![(tp, from)]), Isolation::ReadCommitted).await.expect("a reader");
    let mut records = Vec::new();
    let until = soon(20_000);
    while records.len() < count {
        match reader.next(until).await {
            ConsumerEvent::Records { batch, .. } => records.extend(batch.records.iter().map(|record| (record.offset, text(&record.value)))),
            ConsumerEvent::Progress { .. } => {}
            other => panic!("after {records:?}: {other:?}"),
        }
    }
    records
}

fn values(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("value {n}")).collect()
}

#[tokio::test]
async fn what_was_sent_is_read_in_order_and_outlives_a_kill_embedded() {
    let mut cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client();
    let topic = cluster.topic(&log, "orders", 2).await;
    assert_eq!(send(&log, topic.tp(0), values(0..100)).await, (0..100).collect::<Vec<i64>>());
    cluster.kill(0).await;
    cluster.restart(0);
    assert_eq!(send(&log, topic.tp(0), values(100..150)).await, (100..150).collect::<Vec<i64>>());
    let records = read(&log, topic.tp(0), Position::START, 150).await;
    assert_eq!(records, values(0..150).into_iter().enumerate().map(|(at, value)| (at as i64, value)).collect::<Vec<_>>());
    cluster.stop(0).await;
    cluster.restart(0);
    assert_eq!(read(&log, topic.tp(0), Position::START, 150).await.len(), 150);
    let end = log.offset_at(topic.tp(0), Anchor::End(Isolation::ReadCommitted), soon(5_000)).await;
    assert_eq!(end, Outcome::Done(Some(Position { next: log::Next(150), epoch: None })));
}

#[tokio::test]
async fn three_brokers_lose_no_acknowledged_record_when_the_leader_is_killed() {
    let mut cluster = Cluster::three_brokers().await;
    let log = cluster.client();
    let topic = cluster.topic(&log, "orders", 1).await;
    let mut sent = values(0..50);
    send(&log, topic.tp(0), values(0..50)).await;
    for broker in 1..=3 {
        cluster.kill(broker).await;
        let more = values(broker * 100..broker * 100 + 20);
        send(&log, topic.tp(0), more.clone()).await;
        sent.extend(more);
        cluster.restart(broker);
        // Back in the ISR before the next one goes.
        runtime::time::sleep(std::time::Duration::from_secs(4)).await;
    }
    let records = read(&log, topic.tp(0), Position::START, sent.len()).await;
    assert_eq!(records.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), sent);
}

#[tokio::test]
async fn the_same_on_a_real_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = || Arc::new(runtime::disk::RealDisk::open(directory.path()).expect("ours alone"));
    let mut cluster = Cluster::embedded(disk()).await;
    let log = cluster.client();
    let topic = cluster.topic(&log, "orders", 1).await;
    for life in 0..3 {
        send(&log, topic.tp(0), values(life * 10..life * 10 + 10)).await;
        cluster.kill(0).await;
        cluster.replace_disk(0, Arc::new(MemoryDisk::default()));
        cluster.replace_disk(0, disk());
        cluster.restart(0);
    }
    let records = read(&log, topic.tp(0), Position::START, 30).await;
    assert_eq!(records.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), values(0..30));
}
