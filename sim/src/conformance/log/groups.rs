//! Membership, leases, committed positions.

use super::support::{PATIENCE_MS, Worker, began, committed, found, send_all, soon, sorted};
use super::{Bench, Client};
use ::log::{ErrorCode, LogPort, Next, Outcome, Position, Reader, Reason, StartPoint, TopicInfo};
use runtime::task::{JoinHandle, spawn};
use runtime::time::{monotonic_ms, sleep};
use std::sync::Arc;
use std::time::Duration;

async fn fill<L: LogPort>(log: &L, topic: &TopicInfo, numbers: std::ops::Range<u32>) {
    for partition in 0..topic.partitions {
        let mine = numbers.clone().filter(|n| n % topic.partitions == partition);
        send_all(log, topic.tp(partition), mine.map(|n| format!("value {n}"))).await;
    }
}

fn wanted(numbers: std::ops::Range<u32>) -> Vec<String> {
    sorted(numbers.map(|n| format!("value {n}")).collect())
}

pub async fn a_group_goes_on_where_it_committed<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    let group = bench.fresh("group");
    fill(&log, &topic, 0..20).await;
    let mut worker = Worker::join(&log, &group, &topic, None).await;
    worker.until("all of it", |worker| worker.values.len() == 20).await;
    assert!(worker.from.iter().all(|(_, start)| *start == StartPoint::Nothing), "{:?}", worker.from);
    assert_eq!(sorted(worker.values.clone()), wanted(0..20));
    assert_eq!(worker.try_commit(PATIENCE_MS).await, Outcome::Done(()));
    assert_eq!(committed(&log, topic.tp(0), &group).await, Some(Next(10)));
    worker.reader.leave().await;
    fill(&log, &topic, 20..30).await;
    let mut heir = Worker::join(&log, &group, &topic, None).await;
    heir.until("the rest", |heir| heir.values.len() == 10).await;
    assert_eq!(sorted(heir.values.clone()), wanted(20..30), "what was committed is not read again");
    assert!(heir.from.iter().all(|(_, start)| matches!(start, StartPoint::Committed(Position { next: Next(10), .. }))), "{:?}", heir.from);
}

pub async fn partitions_move_to_who_joins_and_back_from_who_leaves<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 4).await;
    let group = bench.fresh("group");
    fill(&log, &topic, 0..40).await;
    let mut first = Worker::join(&log, &group, &topic, None).await;
    first.until("alone", |worker| worker.leases.len() == 4 && worker.values.len() == 40).await;
    let other = bench.client(Client::default());
    found(&other, &topic.name).await;
    let mut second = Worker::join(&other, &group, &topic, None).await;
    both(&mut first, &mut second, "shared", |first, second| (first.leases.len(), second.leases.len()) == (2, 2)).await;
    assert!(first.leases.keys().all(|tp| !second.leases.contains_key(tp)), "one owner each");
    assert_eq!((first.revoked.len(), first.lost.len()), (4, 0), "asked, not robbed");
    let filling = spawn_fill(&log, &topic, 40..60);
    both(&mut first, &mut second, "a half each", |first, second| (first.values.len(), second.values.len()) == (50, 10)).await;
    filling.await.expect("it wrote");
    assert_eq!(second.try_commit(PATIENCE_MS).await, Outcome::Done(()));
    second.reader.leave().await;
    first.until("alone again", |worker| worker.leases.len() == 4).await;
    let filling = spawn_fill(&log, &topic, 60..80);
    first.until("all of it", |worker| worker.values.len() == 70).await;
    filling.await.expect("it wrote");
    assert_eq!(sorted([first.values.clone(), second.values].concat()), wanted(0..80));
}

/// Beside its readers: one that does not poll while others write would lose its partitions on a slow machine.
fn spawn_fill<L: LogPort>(log: &L, topic: &TopicInfo, numbers: std::ops::Range<u32>) -> JoinHandle<()> {
    let (log, topic) = (log.clone(), topic.clone());
    spawn(async move { fill(&log, &topic, numbers).await })
}

/// Both go on until it is so.
async fn both<L: LogPort>(first: &mut Worker<L>, second: &mut Worker<L>, what: &str, done: impl Fn(&Worker<L>, &Worker<L>) -> bool) {
    let by_ms = soon(PATIENCE_MS);
    while !done(first, second) {
        assert!(monotonic_ms() < by_ms, "{what}: {:?} {:?} {:?} {:?}", first.leases.keys(), second.leases.keys(), first.values, second.values);
        first.turn(20).await;
        second.turn(20).await;
    }
}

/// Of a member that is to be put out; longer than a busy machine keeps one from polling that is not.
const STALL_MS: u32 = 6_000;

pub async fn a_member_that_stalls_loses_its_partitions<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    let group = bench.fresh("group");
    fill(&log, &topic, 0..10).await;
    let quick = bench.client(Client { session_timeout_ms: Some(STALL_MS), ..Client::default() });
    found(&quick, &topic.name).await;
    let mut silent = Worker::join(&quick, &group, &topic, None).await;
    silent.until("alone", |worker| worker.leases.len() == 2 && worker.values.len() == 10).await;
    let read = silent.positions.clone();
    // It asks for nothing any more: it leaves by itself (A52).
    sleep(Duration::from_millis(u64::from(STALL_MS) + 2_000)).await;
    let mut heir = Worker::join(&log, &group, &topic, None).await;
    heir.until("heir of all", |worker| worker.leases.len() == 2 && worker.values.len() == 10).await;
    let (tp, position) = read.first_key_value().expect("it read something");
    let late = silent.reader.commit(silent.leases[tp].proof(), &[(*tp, *position)], soon(PATIENCE_MS)).await;
    assert!(is_refused(&*bench, &late), "a former owner: {late:?}");
    assert_eq!(committed(&log, *tp, &group).await, None, "it committed nothing");
    assert_eq!(heir.try_commit(PATIENCE_MS).await, Outcome::Done(()));
    assert_eq!(committed(&log, *tp, &group).await, Some(position.next));
    silent.until("told of its loss", |worker| worker.lost.len() == 2).await;
}

/// By the group, to somebody who is not of it, or no longer of this generation.
fn is_refused<B: Bench>(bench: &B, outcome: &Outcome<()>) -> bool {
    let why = match outcome {
        Outcome::NotDone(why) => why,
        Outcome::Unknown(why) if bench.hides_tries() => why,
        _ => return false,
    };
    matches!(why, Reason::Answered(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration))
}

pub async fn a_lease_of_an_older_generation_commits_nothing<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    let group = bench.fresh("group");
    fill(&log, &topic, 0..10).await;
    let mut first = Worker::join(&log, &group, &topic, None).await;
    first.until("alone", |worker| worker.leases.len() == 2 && worker.values.len() == 10).await;
    let old = std::mem::take(&mut first.leases);
    first.positions.clear();
    let mut second = Worker::join(&log, &group, &topic, None).await;
    both(&mut first, &mut second, "shared", |first, second| (first.leases.len(), second.leases.len()) == (1, 1)).await;
    // The same member still owns one of them, in a younger generation.
    let (tp, lease) = first.leases.iter().next().expect("one");
    let stale = &old[tp];
    assert!(stale.generation < lease.generation);
    let position = Position { next: Next(3), epoch: None };
    let refused = first.reader.commit(stale.proof(), &[(*tp, position)], soon(PATIENCE_MS)).await;
    assert!(is_refused(&*bench, &refused), "{refused:?}");
    assert_eq!(committed(&log, *tp, &group).await, None);
    let taken = first.reader.commit(lease.proof(), &[(*tp, position)], soon(PATIENCE_MS)).await;
    assert_eq!(taken, Outcome::Done(()));
    assert_eq!(committed(&log, *tp, &group).await, Some(Next(3)));
}

pub async fn a_static_member_s_next_life_takes_over_at_once<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    let group = bench.fresh("group");
    fill(&log, &topic, 0..10).await;
    // A session that outlasts all patience: who waited for its end would be seen.
    let patient = bench.client(Client { session_timeout_ms: Some(3 * PATIENCE_MS as u32), ..Client::default() });
    found(&patient, &topic.name).await;
    let mut life = Worker::join(&patient, &group, &topic, Some("worker-1")).await;
    life.until("alone", |worker| worker.leases.len() == 2 && worker.values.len() == 10).await;
    assert_eq!(life.try_commit(PATIENCE_MS).await, Outcome::Done(()));
    drop(life);
    let mut next = Worker::join(&patient, &group, &topic, Some("worker-1")).await;
    next.until("its next life", |worker| worker.leases.len() == 2).await;
    assert!(next.from.iter().all(|(_, start)| matches!(start, StartPoint::Committed(_))), "{:?}", next.from);
}

pub async fn the_elder_of_two_with_one_instance_id_is_told<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let group = bench.fresh("group");
    let mut elder = Worker::join(&log, &group, &topic, Some("worker-1")).await;
    elder.until("alone", |worker| worker.leases.len() == 1).await;
    let mut younger = Worker::join(&log, &group, &topic, Some("worker-1")).await;
    younger.until("in its place", |worker| worker.leases.len() == 1).await;
    elder.until("told", |worker| worker.fatal.is_some()).await;
    assert_eq!(elder.fatal, Some(Reason::Answered(ErrorCode::FencedInstanceId)));
}
