//! Producers, transactions and group members under the kill of every broker in turn, judged by what the log says in the end.

use super::support::{PATIENCE_MS, Worker, began, committed, found, record, settled, soon};
use super::{Bench, Client};
use ::log::{Isolation, LogPort, Outcome, Producer, Tp, Tx, TxEnd, TxSession};
use runtime::task::{JoinHandle, Stop, Stopper, spawn, stop_channel};
use runtime::time::sleep;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How an operation ended for who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Done,
    NotDone,
    Unknown,
}

/// Values that stand or fall together, by partition, with what was told of them.
struct Operation {
    values: Vec<(Tp, String)>,
    told: Told,
}

const PARTITIONS: u32 = 3;
const WRITERS: u32 = 2;

pub async fn nothing_acknowledged_is_lost_or_doubled_while_brokers_are_killed<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, PARTITIONS).await;
    let group = bench.fresh("group");
    let tps: Vec<Tp> = (0..PARTITIONS).map(|partition| topic.tp(partition)).collect();
    let (stopper, stop) = stop_channel();
    let mut tasks: Vec<JoinHandle<Vec<Operation>>> = Vec::new();
    for writer in 0..WRITERS {
        let clients = [bench.client(Client::default()), bench.client(Client::default())];
        for client in &clients {
            found(client, &topic.name).await;
        }
        let [plain, transactional] = clients;
        tasks.push(spawn(send(plain, tps.clone(), writer, stop.clone())));
        tasks.push(spawn(transact(transactional, bench.fresh("id"), tps.clone(), writer, stop.clone())));
    }
    let reading = spawn(consume(log.clone(), group.clone(), topic.clone(), stop.clone()));
    let kills = kill_each(&*bench, stopper).await;
    let mut operations = Vec::new();
    for task in tasks {
        operations.extend(task.await.expect("it ends in good order"));
    }
    let consumed = reading.await.expect("it ends in good order");
    let mut log_says = BTreeMap::new();
    for tp in &tps {
        log_says.insert(*tp, settled(&log, *tp).await);
        let end = super::support::end(&log, *tp, Isolation::ReadCommitted).await;
        let at = committed(&log, *tp, &group).await;
        assert!(at.is_none_or(|at| at <= end), "a committed position lies in the log");
    }
    judge(&operations, &log_says);
    // A member may read again what it had not committed, but misses nothing that was there when it stopped.
    let known: std::collections::BTreeSet<&String> = log_says.values().flatten().collect();
    assert!(consumed.iter().all(|value| known.contains(value)), "nothing is read that the log does not have");
    let count = |told: Told| operations.iter().filter(|operation| operation.told == told).count();
    println!(
        "        {} operations judged: {} done, {} not done, {} unknown; {} records; {} read by the group; {kills} kills",
        operations.len(),
        count(Told::Done),
        count(Told::NotDone),
        count(Told::Unknown),
        known.len(),
        consumed.len()
    );
    assert!(count(Told::Done) > 20, "a workload that did something");
}

async fn kill_each<B: Bench>(bench: &B, stopper: Stopper) -> u32 {
    sleep(Duration::from_millis(1_000)).await;
    let mut kills = 0;
    for broker in 1..=bench.brokers() {
        bench.kill(broker).await;
        kills += 1;
        sleep(Duration::from_millis(3_000)).await;
        bench.restart(broker).await;
        sleep(Duration::from_millis(2_000)).await;
    }
    stopper.stop();
    kills
}

async fn send<L: LogPort>(log: L, tps: Vec<Tp>, writer: u32, stop: Stop) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut producer = log.producer().await.expect("a producer");
    for n in 0u64.. {
        if stop.is_requested() {
            break;
        }
        let sent: Vec<_> = tps.iter().map(|tp| (*tp, format!("plain {writer} {n:06}"))).collect();
        let tickets: Vec<_> = sent.iter().map(|(tp, value)| producer.send(*tp, record(value.clone()), soon(15_000))).collect();
        for ((tp, value), ticket) in sent.into_iter().zip(tickets) {
            let told = match ticket.outcome().await {
                Outcome::Done(_) => Told::Done,
                Outcome::NotDone(_) => Told::NotDone,
                Outcome::Unknown(_) => Told::Unknown,
            };
            if told != Told::Done {
                producer.resume(tp);
            }
            operations.push(Operation { values: vec![(tp, value)], told });
        }
        sleep(Duration::from_millis(5)).await;
    }
    operations
}

async fn transact<L: LogPort>(log: L, id: String, tps: Vec<Tp>, writer: u32, stop: Stop) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut open: Option<L::Session> = None;
    for n in 0u64.. {
        if stop.is_requested() {
            break;
        }
        let session = match open.take() {
            Some(session) => session,
            None => match log.tx_session(&id, 5_000, soon(PATIENCE_MS)).await {
                Ok(session) => session,
                Err(_) => continue,
            },
        };
        let mut tx = session.begin();
        let values: Vec<_> = tps.iter().map(|tp| (*tp, format!("transaction {writer} {n:06}"))).collect();
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
        sleep(Duration::from_millis(5)).await;
    }
    // What is still open would hold the readers back.
    drop(open);
    while log.tx_session(&id, 5_000, soon(PATIENCE_MS)).await.is_err() {}
    operations
}

async fn consume<L: LogPort>(log: L, group: String, topic: ::log::TopicInfo, stop: Stop) -> Vec<String> {
    let mut worker = Worker::join(&log, &group, &topic, None).await;
    while !stop.is_requested() {
        worker.turn(100).await;
        if worker.positions.len() == worker.leases.len() {
            // Refused or unknown, it reads again.
            let _ = worker.try_commit().await;
        }
    }
    worker.values
}

/// Acknowledged: once. Refused: never. Unknown: at most once. All of an operation or nothing of it; and each writer's values in its order.
fn judge(operations: &[Operation], log_says: &BTreeMap<Tp, Vec<String>>) {
    let mut times: BTreeMap<(Tp, &str), u32> = BTreeMap::new();
    for (tp, values) in log_says {
        for value in values {
            *times.entry((*tp, value)).or_default() += 1;
        }
        for writer in ["plain 0", "plain 1", "transaction 0", "transaction 1"] {
            let mine: Vec<&String> = values.iter().filter(|value| value.starts_with(writer)).collect();
            assert!(mine.windows(2).all(|pair| pair[0] < pair[1]), "{writer} in {tp:?}: order");
        }
    }
    for operation in operations {
        let found: Vec<u32> = operation.values.iter().map(|(tp, value)| times.remove(&(*tp, value.as_str())).unwrap_or(0)).collect();
        let what = &operation.values[0].1;
        match operation.told {
            Told::Done => assert!(found.iter().all(|times| *times == 1), "{what} was acknowledged: {found:?}"),
            Told::NotDone => assert!(found.iter().all(|times| *times == 0), "{what} was refused: {found:?}"),
            Told::Unknown => assert!(found.iter().all(|times| *times <= 1 && *times == found[0]), "{what} was unknown: {found:?}"),
        }
    }
    assert!(times.is_empty(), "nobody sent these: {times:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::log::TopicId;

    fn tp(partition: u32) -> Tp {
        Tp { topic: TopicId(1), partition }
    }

    fn operation(told: Told, values: &[(u32, &str)]) -> Operation {
        Operation { values: values.iter().map(|(partition, value)| (tp(*partition), (*value).to_owned())).collect(), told }
    }

    fn log_of(values: &[&[&str]]) -> BTreeMap<Tp, Vec<String>> {
        (0..).zip(values).map(|(partition, values)| (tp(partition), values.iter().map(|value| (*value).to_owned()).collect())).collect()
    }

    #[test]
    fn an_unknown_that_happened_and_one_that_did_not_are_legal() {
        let operations = [
            operation(Told::Done, &[(0, "plain 0 000000")]),
            operation(Told::Unknown, &[(0, "plain 0 000001")]),
            operation(Told::Unknown, &[(0, "transaction 1 000000"), (1, "transaction 1 000000")]),
            operation(Told::NotDone, &[(0, "transaction 1 000001"), (1, "transaction 1 000001")]),
        ];
        judge(&operations, &log_of(&[&["plain 0 000000", "transaction 1 000000"], &["transaction 1 000000"]]));
        judge(&operations, &log_of(&[&["plain 0 000000", "plain 0 000001"], &[]]));
    }

    #[test]
    #[should_panic(expected = "was acknowledged: [0]")]
    fn a_loss_is_seen() {
        judge(&[operation(Told::Done, &[(0, "plain 0 000000")])], &log_of(&[&[]]));
    }

    #[test]
    #[should_panic(expected = "was unknown: [2]")]
    fn a_duplicate_is_seen() {
        let value = "x";
        judge(&[operation(Told::Unknown, &[(0, value)])], &log_of(&[&[value, value]]));
    }

    #[test]
    #[should_panic(expected = "was refused: [1]")]
    fn what_was_refused_and_happened_is_seen() {
        judge(&[operation(Told::NotDone, &[(0, "plain 0 000000")])], &log_of(&[&["plain 0 000000"]]));
    }

    #[test]
    #[should_panic(expected = "was unknown: [1, 0]")]
    fn half_a_transaction_is_seen() {
        let operations = [operation(Told::Unknown, &[(0, "transaction 0 000000"), (1, "transaction 0 000000")])];
        judge(&operations, &log_of(&[&["transaction 0 000000"], &[]]));
    }

    #[test]
    #[should_panic(expected = "order")]
    fn disorder_is_seen() {
        let operations = [operation(Told::Done, &[(0, "plain 0 000000")]), operation(Told::Done, &[(0, "plain 0 000001")])];
        judge(&operations, &log_of(&[&["plain 0 000001", "plain 0 000000"]]));
    }
}
