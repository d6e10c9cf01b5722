//! A11: a follower hears of the high watermark with its next fetch, so that a new leader may begin below what readers have seen. A fetch beyond its high
//! watermark and within its log is empty and no error; the end of the log is not told until it is known again; nothing acknowledged is missing then.

use super::super::Bench;
use super::super::asked::{
    ErrorCode, FetchPartition, FetchedPartition, Isolation, OffsetSpec, Producer, Record, Request, Response, Tp, leader, leader_of, topic,
};
use super::super::support::{PATIENCE_MS, began, settled, soon};
use super::NEVER;
use broker::Batch;
use runtime::task::{Stop, Stopper, spawn, stop_channel};
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

/// The end as this broker tells it; `None`: no answer.
async fn end<B: Bench>(bench: &B, broker: u32, tp: Tp) -> Option<Result<i64, ErrorCode>> {
    let request = Request::ListOffsets { isolation: Isolation::ReadUncommitted, partitions: vec![(tp, OffsetSpec::Latest, None)] };
    match bench.ask(broker, request).await? {
        Response::ListOffsets { partitions } => Some(partitions[0].1.map(|(offset, _)| offset)),
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
        let follower = elder % bench.brokers() + 1;
        let found = if follower == elder { None } else { fetch(&*bench, follower, tp, 0).await };
        let told = found.map_or("there is none".to_owned(), |found| found.error.map_or("its own, without an error".to_owned(), |why| format!("{why:?}")));
        bench.answered("A11", "records asked of a follower by a reader", &told);
        let watching = spawn(watch(bench.clone(), elder, tp));
        // So long that it has seen an end of the last moment; without it nothing was seen that could go back.
        sleep(Duration::from_millis(50)).await;
        bench.kill(elder).await;
        let seen = watching.await.expect("it ends in good order");
        if bench.brokers() == 1 {
            bench.restart(elder).await;
        }
        let (back, unknown) = succession(&bench, elder, tp, seen).await;
        regressed += back;
        untold += unknown;
        if bench.brokers() > 1 {
            bench.restart(elder).await;
        }
    }
    stopper.stop();
    let acknowledged = writing.await.expect("it ends in good order");
    println!("        {MOVES} moves: the end had gone back in {regressed} answers, was not told in {untold}; {} records acknowledged", acknowledged.len());
    bench.answered(
        "A11",
        "a fetch from an end that was seen, at a new leader that does not know it yet",
        if regressed > 0 { "empty, without an error" } else { NEVER },
    );
    bench.answered("A11", "the end of the log, meanwhile", if untold > 0 { "OffsetNotAvailable" } else { NEVER });
    let kept = settled(&log, info.tp(0)).await;
    assert!(acknowledged.len() > 10, "it wrote");
    assert!(acknowledged.iter().all(|value| kept.contains(value)), "nothing acknowledged is missing");
}

/// Asks everybody who may lead after `elder`, many times over, until one of them does and has the end that was seen: a new leader may be unsure of its end
/// for no longer than one request of another broker takes. How often its end was lower, and how often it was not told.
async fn succession<B: Bench>(bench: &Arc<B>, elder: u32, tp: Tp, seen: i64) -> (u32, u32) {
    const ASKERS: u32 = 4;
    let heirs = (1..=bench.brokers()).filter(|broker| bench.brokers() == 1 || *broker != elder);
    let (stopper, stop) = stop_channel();
    let stopper = Arc::new(stopper);
    let askers: Vec<_> =
        heirs.flat_map(|heir| (0..ASKERS).map(move |_| heir)).map(|heir| spawn(ask_on(bench.clone(), heir, tp, seen, stopper.clone(), stop.clone()))).collect();
    let (mut regressed, mut untold) = (0, 0);
    for asker in askers {
        let (back, unknown) = asker.await.expect("it ends in good order");
        regressed += back;
        untold += unknown;
    }
    (regressed, untold)
}

/// One of them, until this one leads and has the end, or another asker has found one that does.
async fn ask_on<B: Bench>(bench: Arc<B>, broker: u32, tp: Tp, seen: i64, found_it: Arc<Stopper>, stop: Stop) -> (u32, u32) {
    let by_ms = soon(PATIENCE_MS);
    let (mut regressed, mut untold, mut led) = (0, 0, false);
    while !stop.is_requested() {
        assert!(monotonic_ms() < by_ms, "the end that was seen comes back");
        let fetched = fetch(&*bench, broker, tp, seen).await;
        // Only a leader tells the end, so this says as well who answered the fetch: Kafka's followers answer one too.
        let told = end(&*bench, broker, tp).await;
        let (Some(fetched), Some(told)) = (fetched, told) else {
            sleep(Duration::from_millis(1)).await;
            continue;
        };
        match told {
            Ok(told) => assert!(told >= fetched.high_watermark, "{told} after {}", fetched.high_watermark),
            Err(ErrorCode::OffsetNotAvailable) => untold += 1,
            Err(why) => {
                assert!(matches!(why, ErrorCode::NotLeaderOrFollower | ErrorCode::LeaderNotAvailable | ErrorCode::UnknownTopicOrPartition), "{why:?}");
                led = false;
                sleep(Duration::from_millis(1)).await;
                continue;
            }
        }
        // It led when it told the end. When it answered the fetch it led for certain only if it had told the end before that too.
        if !std::mem::replace(&mut led, true) && fetched.error.is_some() {
            continue;
        }
        assert_eq!(fetched.error, None, "{seen} was seen, and is no error at a new leader that has {}", fetched.high_watermark);
        if fetched.high_watermark >= seen {
            found_it.stop();
            break;
        }
        regressed += 1;
    }
    (regressed, untold)
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
