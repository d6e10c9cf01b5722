//! The log alone under `kill -9`: four producers and four consumers go on over every kill. Nothing acknowledged is lost, nothing is there twice, every
//! producer's records are in its order, and every consumer has heard each record once.
//!
//! `LOG_KILLS=100 cargo test -p lockstep-exchange --test end_to_end log_kills` for a long one.

use crate::process::{Exchange, Place, exchange};
use bytes::Bytes;
use log::history::Silent;
use log::native::{ClientConfig, Native, NativeProducer};
use log::{Anchor, ConsumerEvent, Isolation, LogPort, Next, Outcome, Position, Producer, Reader, Record, Subscription, TopicInfo, TopicSpec, Tp};
use runtime::rng::Rng;
use runtime::time::monotonic_ms;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const PRODUCERS: u64 = 4;
const PARTITIONS: u32 = 4;
const KILLS: u64 = 3;

/// How long one record may take, kills included.
const RECORD_MS: u64 = 120_000;

fn start(place: &Place) -> Exchange {
    let mut log = exchange("log");
    // Small, so that kills fall into checkpoints too.
    log.arg("--data").arg(place.data()).args(["--log-listen", &place.log, "--journal-bytes", "65536"]);
    Exchange::spawn(log)
}

fn client(address: &str) -> Native {
    Native::new(ClientConfig::new("kills", [address.to_owned()]), Arc::new(Silent))
}

async fn topic(address: &str) -> TopicInfo {
    let log = client(address);
    let spec = TopicSpec { name: "kills".to_owned(), partitions: PARTITIONS, replication: 1, min_isr: 1, compacted: false };
    loop {
        let _there_already_or_not = log.create_topics(vec![spec.clone()], monotonic_ms() + 5_000).await;
        if let Outcome::Done(mut topics) = log.topics(&["kills"], monotonic_ms() + 5_000).await {
            return topics.remove(0);
        }
    }
}

async fn producer(log: &Native) -> NativeProducer {
    loop {
        if let Ok(producer) = log.producer().await {
            return producer;
        }
    }
}

/// (partition, number) → its offset, where the log told it.
type Acknowledged = BTreeMap<(u32, u64), Option<i64>>;

/// Sends numbers to every partition in turn until told to stop; what was acknowledged.
async fn produce(who: u64, address: String, topic: TopicInfo, acked: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Acknowledged {
    let mut producer = producer(&client(&address)).await;
    let mut offsets = BTreeMap::new();
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let send = |partition: u32, producer: &mut NativeProducer| {
            let value = Bytes::from(format!("{who} {number} {}", "x".repeat(200)));
            producer.send(topic.tp(partition), Record { key: None, value: Some(value), timestamp_ms: 0 }, monotonic_ms() + RECORD_MS)
        };
        let tickets: Vec<_> = (0..PARTITIONS).map(|partition| send(partition, &mut producer)).collect();
        for (partition, ticket) in (0..PARTITIONS).zip(tickets) {
            let outcome = ticket.outcome().await;
            let Outcome::Done(acknowledged) = outcome else { panic!("{who} {number}: {outcome:?} though there was time") };
            offsets.insert((partition, number), acknowledged.offset);
            acked.fetch_add(1, Ordering::SeqCst);
        }
    }
    offsets
}

/// Hears one partition over all lives of the log, up to its end once that is known.
async fn consume(address: String, tp: Tp, end: tokio::sync::watch::Receiver<Option<i64>>) -> Vec<(i64, u64, u64)> {
    let mut reader = client(&address).read(Subscription::Assigned(vec![(tp, Position::START)]), Isolation::ReadUncommitted).await.expect("a reader");
    let (mut heard, mut at) = (Vec::new(), Next(0));
    while end.borrow().is_none_or(|end| at.0 < end) {
        match reader.next(monotonic_ms() + 200).await {
            ConsumerEvent::Records { batch, .. } => {
                for record in &batch.records {
                    let text = std::str::from_utf8(record.value.as_deref().expect("no tombstones")).expect("text");
                    let mut parts = text.split(' ').map(|part| part.parse().unwrap_or(u64::MAX));
                    heard.push((record.offset, parts.next().expect("who"), parts.next().expect("number")));
                }
                at = batch.position.next;
            }
            ConsumerEvent::Progress { position, .. } => at = position.next,
            ConsumerEvent::Nothing => {}
            other => panic!("reading {tp:?} at {at:?}: {other:?}"),
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_there_twice_and_order_is_kept() {
    let kills: u64 = std::env::var("LOG_KILLS").map_or(KILLS, |kills| kills.parse().expect("LOG_KILLS: a number"));
    let place = Place::new();
    let mut process = start(&place);
    let topic = topic(&place.log).await;
    let (acked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let spawn_producer = |who| tokio::spawn(produce(who, place.log.clone(), topic.clone(), Arc::clone(&acked), Arc::clone(&stop)));
    let producers: Vec<_> = (0..PRODUCERS).map(spawn_producer).collect();
    let mut ends = Vec::new();
    let consumers: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let (tell, end) = tokio::sync::watch::channel(None);
            ends.push(tell);
            tokio::spawn(consume(place.log.clone(), topic.tp(partition), end))
        })
        .collect();
    let mut rng = Rng::from_seed(kills);
    for _ in 0..kills {
        // Somewhere in the work, by what was done and not by a clock.
        let until = acked.load(Ordering::SeqCst) + rng.range(20..400);
        while acked.load(Ordering::SeqCst) < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.kill_nine();
        process = start(&place);
    }
    let until = acked.load(Ordering::SeqCst) + 100;
    while acked.load(Ordering::SeqCst) < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut acknowledged = Vec::new();
    for producer in producers {
        acknowledged.push(producer.await.expect("no assertion of a producer failed"));
    }
    for (partition, tell) in (0..PARTITIONS).zip(ends) {
        let end = client(&place.log).offset_at(topic.tp(partition), Anchor::End(Isolation::ReadUncommitted), monotonic_ms() + RECORD_MS).await;
        let Outcome::Done(Some(end)) = end else { panic!("an end: {end:?}") };
        tell.send(Some(end.next.0)).expect("its consumer listens");
    }
    let mut records = 0;
    for (partition, consumer) in (0..PARTITIONS).zip(consumers) {
        let heard = consumer.await.expect("no assertion of a consumer failed");
        check(partition, &heard, &acknowledged);
        records += heard.len();
    }
    println!("{} records acknowledged, {records} read, {kills} kills", acked.load(Ordering::SeqCst));
    process.stop();
}

fn check(partition: u32, heard: &[(i64, u64, u64)], acknowledged: &[Acknowledged]) {
    assert!(heard.windows(2).all(|pair| pair[0].0 < pair[1].0), "partition {partition}: offsets rise");
    for (who, acknowledged) in (0..).zip(acknowledged) {
        let found: Vec<(u64, i64)> = heard.iter().filter(|(_, of, _)| *of == who).map(|(offset, _, number)| (*number, *offset)).collect();
        let wanted: Vec<(u64, Option<i64>)> =
            acknowledged.iter().filter(|((of, _), _)| *of == partition).map(|((_, number), offset)| (*number, *offset)).collect();
        let numbers = |(number, _): &(u64, i64)| *number;
        assert!(found.iter().map(numbers).eq(wanted.iter().map(|(number, _)| *number)), "partition {partition}, producer {who}: each once, in its order");
        let is_there = |((_, found), (_, told)): (&(u64, i64), &(u64, Option<i64>))| told.is_none_or(|told| told == *found);
        assert!(found.iter().zip(&wanted).all(is_there), "partition {partition}, producer {who}: where the log said");
    }
}
