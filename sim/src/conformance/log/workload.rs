//! Producers, transactions and group members while faults fly, judged by what the log says in the end.

use super::judged::{Operation, Told, judge};
use super::support::{Worker, committed, end, found, read_all, record, settled, soon, text};
use super::{Bench, Client, Load, nemesis};
use ::log::{Isolation, LogPort, Outcome, Producer, Tp, Tx, TxEnd, TxSession};
use runtime::task::{JoinHandle, Stop, spawn, stop_channel};
use runtime::time::sleep;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const PARTITIONS: u32 = 4;
/// Each has a plain producer and a transactional one.
const WRITERS: u32 = 2;
const CONSUMERS: u32 = 4;
/// Longest that a writer waits for a session before it asks anew.
const SESSION_MS: u64 = 30_000;
/// The same for a commit of a reader.
const COMMIT_MS: u64 = 5_000;

pub async fn nothing_acknowledged_is_lost_or_doubled_while_faults_fly<B: Bench>(bench: Arc<B>) {
    let rounds = bench.load().rounds;
    under(bench.clone(), async |bench| nemesis::rounds(bench, rounds).await).await;
}

/// The same with nothing but kills, one after the other.
pub async fn under_kills<B: Bench>(bench: Arc<B>, kills: u32) {
    under(bench.clone(), async |bench| nemesis::kills(bench, kills).await).await;
}

/// Writers and readers as long as `faults` lasts; then everything is judged.
async fn under<B: Bench>(bench: Arc<B>, faults: impl AsyncFnOnce(&B) -> String) {
    let log = bench.client(Client::default());
    let topic = super::support::topic(&*bench, &log, PARTITIONS).await;
    let (group, load) = (bench.fresh("group"), bench.load());
    let tps: Vec<Tp> = (0..PARTITIONS).map(|partition| topic.tp(partition)).collect();
    let (stopper, stop) = stop_channel();
    let mut tasks: Vec<JoinHandle<Vec<Operation>>> = Vec::new();
    let client = || bench.client(Client { proxied: true, ..Client::default() });
    for writer in 0..WRITERS {
        let [plain, transactional] = [client(), client()];
        found(&plain, &topic.name).await;
        found(&transactional, &topic.name).await;
        tasks.push(spawn(send(plain, tps.clone(), (writer, load), stop.clone())));
        tasks.push(spawn(transact(transactional, bench.fresh("id"), tps.clone(), (writer, load), stop.clone())));
    }
    let mut readers = Vec::new();
    for _ in 0..CONSUMERS {
        let reader = client();
        found(&reader, &topic.name).await;
        readers.push(spawn(consume(reader, group.clone(), topic.clone(), stop.clone())));
    }
    let flew = faults(&bench).await;
    stopper.stop();
    let mut operations = Vec::new();
    for task in tasks {
        operations.extend(task.await.expect("it ends in good order"));
    }
    let mut consumed = BTreeSet::new();
    for reader in readers {
        consumed.extend(reader.await.expect("it ends in good order"));
    }
    let mut log_says = BTreeMap::new();
    for tp in &tps {
        log_says.insert(*tp, settled(&log, *tp).await);
    }
    judge(&operations, &log_says);
    for tp in &tps {
        all_before_the_position_was_read(&log, *tp, &group, &consumed).await;
    }
    let known: BTreeSet<&String> = log_says.values().flatten().collect();
    assert!(consumed.iter().all(|value| known.contains(value)), "nothing is read that the log does not have");
    let count = |told: Told| operations.iter().filter(|operation| operation.told == told).count();
    println!(
        "        {} operations judged: {} done, {} not done, {} unknown; {} values in the log; {} of them read by the group; {flew}",
        operations.len(),
        count(Told::Done),
        count(Told::NotDone),
        count(Told::Unknown),
        known.len(),
        consumed.len()
    );
    assert!(count(Told::Done) > 20, "a workload that did something");
}

/// A group's members may read again what they had not committed, but what lies before the position was read by one of them.
async fn all_before_the_position_was_read<L: LogPort>(log: &L, tp: Tp, group: &str, consumed: &BTreeSet<String>) {
    let Some(at) = committed(log, tp, group).await else { return };
    assert!(at <= end(log, tp, Isolation::ReadCommitted).await, "a committed position lies in the log");
    let before = read_all(log, tp, Isolation::ReadCommitted).await;
    let missed = before.iter().filter(|record| record.offset < at.0).map(text).find(|value| !consumed.contains(value));
    assert_eq!(missed, None, "{tp:?}: committed at {at:?} and read by nobody");
}

async fn send<L: LogPort>(log: L, tps: Vec<Tp>, (writer, load): (u32, Load), stop: Stop) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut producer = log.producer().await.expect("a producer");
    for n in 0u64.. {
        if stop.is_requested() {
            break;
        }
        let ahead = |tp: &Tp| (0..load.ahead).map(|k| (*tp, format!("plain {writer} {:08}", n * u64::from(load.ahead) + u64::from(k)))).collect::<Vec<_>>();
        let sent: Vec<_> = tps.iter().flat_map(ahead).collect();
        let tickets: Vec<_> = sent.iter().map(|(tp, value)| producer.send(*tp, record(value.clone()), soon(15_000))).collect();
        for ((tp, value), ticket) in sent.into_iter().zip(tickets) {
            let told = match ticket.outcome().await {
                Outcome::Done(_) => Told::Done,
                Outcome::NotDone(_) => Told::NotDone,
                Outcome::Unknown(_) => Told::Unknown,
            };
            operations.push(Operation { values: vec![(tp, value)], told });
        }
        // What failed stopped its partition: everything of this round has its verdict by now.
        tps.iter().for_each(|tp| producer.resume(*tp));
        sleep(Duration::from_millis(load.pause_ms)).await;
    }
    operations
}

async fn transact<L: LogPort>(log: L, id: String, tps: Vec<Tp>, (writer, load): (u32, Load), stop: Stop) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut open: Option<L::Session> = None;
    for n in 0u64.. {
        if stop.is_requested() {
            break;
        }
        let session = match open.take() {
            Some(session) => session,
            None => match log.tx_session(&id, 5_000, soon(SESSION_MS)).await {
                Ok(session) => session,
                Err(_) => continue,
            },
        };
        let mut tx = session.begin();
        let values: Vec<_> = tps.iter().map(|tp| (*tp, format!("transaction {writer} {n:08}"))).collect();
        for (tp, value) in &values {
            let _verdict_comes_with_the_end = tx.send(*tp, record(value.clone()));
        }
        // Every fourth is given up on purpose.
        let end = if n % 4 == 3 { tx.abort(soon(10_000)).await } else { tx.commit(soon(10_000)).await };
        let told = match end {
            TxEnd::Committed(session) => {
                open = Some(session);
                Told::Done
            }
            TxEnd::Aborted(session, _) => {
                open = Some(session);
                Told::NotDone
            }
            TxEnd::Fenced(_) => Told::NotDone,
            TxEnd::InDoubt(_) => Told::Unknown,
        };
        operations.push(Operation { values, told });
        sleep(Duration::from_millis(load.pause_ms)).await;
    }
    // What is still open would hold the readers back.
    drop(open);
    while log.tx_session(&id, 5_000, soon(SESSION_MS)).await.is_err() {}
    operations
}

async fn consume<L: LogPort>(log: L, group: String, topic: ::log::TopicInfo, stop: Stop) -> Vec<String> {
    let mut worker = Worker::join(&log, &group, &topic, None).await;
    // Answers are lost here, and it would stand still meanwhile.
    worker.last_commit_ms = COMMIT_MS;
    while !stop.is_requested() {
        worker.turn(100).await;
        if worker.positions.len() == worker.leases.len() {
            // Refused or unknown, it reads again.
            let _ = worker.try_commit(COMMIT_MS).await;
        }
    }
    worker.values
}
