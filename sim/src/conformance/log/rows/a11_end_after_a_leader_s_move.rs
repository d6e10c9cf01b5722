//! A11: a follower hears of the high watermark with its next fetch, so that a new leader may begin below what readers have seen. A fetch beyond its high
//! watermark and within its log is empty and no error; the end of the log is not told until it is known again; nothing acknowledged is missing then.

use super::super::Bench;
use super::super::asked::{
    ErrorCode, FetchPartition, FetchedPartition, Isolation, OffsetSpec, Producer, Record, Request, Response, Tp, leader, leader_of, topic,
};
use super::super::support::{PATIENCE_MS, began, settled, soon};
use broker::Batch;
use runtime::task::{Stop, spawn, stop_channel};
use runtime::time::{monotonic_ms, now_ms, sleep};
use std::sync::Arc;
use std::time::Duration;

const MOVES: u32 = 3;

/// Writes until told to stop; values acknowledged.
async fn write<B: Bench>(bench: Arc<B>, name: String, tp: Tp, stop: Stop) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        if stop.is_requested() {
            break;
        }
        let value = format!("value {n:06}");
        let record = Record { offset: 0, timestamp_ms: now_ms() as i64, key: None, value: Some(bytes::Bytes::from(value.clone())) };
        let batch = Batch::build(&[record], Producer::NONE, false);
        let request = Request::Produce { acks: -1, timeout_ms: 2_000, transactional_id: None, partitions: vec![(tp, batch.bytes().clone())] };
        if let Response::Produce { partitions } = leader(&*bench, &name, 0, request).await
            && partitions[0].1.is_ok()
        {
            acknowledged.push(value);
        }
    }
    acknowledged
}

async fn fetch<B: Bench>(bench: &B, broker: u32, tp: Tp, offset: i64) -> Option<FetchedPartition> {
    let partitions = vec![FetchPartition { tp, offset, current_leader_epoch: None, last_fetched_epoch: None, bytes_max: 1 << 20 }];
    let isolation = Isolation::ReadUncommitted;
    let request = Request::Fetch { replica: None, wait_ms_max: 0, bytes_min: 0, bytes_max: 1 << 20, isolation, partitions };
    match bench.ask(broker, request).await? {
        Response::Fetch { mut partitions } => partitions.pop(),
        _ => None,
    }
}

/// The end as the leader tells it.
async fn end<B: Bench>(bench: &B, name: &str, tp: Tp) -> Result<i64, ErrorCode> {
    let request = Request::ListOffsets { isolation: Isolation::ReadUncommitted, partitions: vec![(tp, OffsetSpec::Latest, None)] };
    match leader(bench, name, 0, request).await {
        Response::ListOffsets { partitions } => partitions[0].1.map(|(offset, _)| offset),
        other => panic!("{other:?}"),
    }
}

pub async fn a_new_leader_s_end_may_be_older_than_what_was_seen_and_is_no_error<B: Bench>(bench: Arc<B>) {
    let (log, info) = began(&*bench, 1).await;
    let tp = Tp { topic: topic(&*bench, &info.name).await.id, partition: 0 };
    let (stopper, stop) = stop_channel();
    let writing = spawn(write(bench.clone(), info.name.clone(), tp, stop));
    let (mut regressed, mut untold) = (0, 0);
    for _ in 0..MOVES {
        let elder = written_to(&*bench, &info.name, tp).await;
        let watching = spawn(watch(bench.clone(), elder, tp));
        bench.kill(elder).await;
        let seen = watching.await.expect("it ends in good order");
        if bench.brokers() == 1 {
            bench.restart(elder).await;
        }
        let by_ms = soon(PATIENCE_MS);
        // Until a leader of a younger epoch answers, and has come to the end that was seen.
        loop {
            assert!(monotonic_ms() < by_ms, "the end that was seen comes back");
            let Some(younger) = leader_of(&topic(&*bench, &info.name).await, 0).filter(|leader| bench.brokers() == 1 || *leader != elder) else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let Some(found) = fetch(&*bench, younger, tp, seen).await.filter(|found| found.error != Some(ErrorCode::NotLeaderOrFollower)) else { continue };
            assert_eq!(found.error, None, "{seen} was seen, and is no error at a new leader that has {}", found.high_watermark);
            if found.high_watermark >= seen {
                break;
            }
            regressed += 1;
            match end(&*bench, &info.name, tp).await {
                Err(why) => {
                    assert_eq!(why, ErrorCode::OffsetNotAvailable);
                    untold += 1;
                }
                Ok(told) => assert!(told >= found.high_watermark, "{told} after {}", found.high_watermark),
            }
        }
        if bench.brokers() > 1 {
            bench.restart(elder).await;
        }
    }
    stopper.stop();
    let acknowledged = writing.await.expect("it ends in good order");
    println!("        {MOVES} moves: the end went back {regressed} times, was not told {untold} times; {} records acknowledged", acknowledged.len());
    let kept = settled(&log, info.tp(0)).await;
    assert!(acknowledged.len() > 10, "it wrote");
    assert!(acknowledged.iter().all(|value| kept.contains(value)), "nothing acknowledged is missing");
}

/// Who leads, once it has taken some and somebody else is fit to lead after it.
async fn written_to<B: Bench>(bench: &B, name: &str, tp: Tp) -> u32 {
    let by_ms = soon(PATIENCE_MS);
    let mut begin = None;
    loop {
        assert!(monotonic_ms() < by_ms, "it is written to");
        let topic = topic(bench, name).await;
        if let Some(leader) = leader_of(&topic, 0)
            && let Some(found) = fetch(bench, leader, tp, 0).await
            && found.error.is_none()
            && topic.partitions[0].isr.len() == topic.partitions[0].replicas.len()
            && found.high_watermark >= *begin.get_or_insert(found.high_watermark) + 20
        {
            return leader;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// The highest end that a reader sees at a leader as long as it answers.
async fn watch<B: Bench>(bench: Arc<B>, leader: u32, tp: Tp) -> i64 {
    let mut seen = 0;
    while let Some(found) = fetch(&*bench, leader, tp, seen).await.filter(|found| found.error.is_none()) {
        seen = seen.max(found.high_watermark);
    }
    seen
}
