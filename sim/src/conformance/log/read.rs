//! Reading without a group.

use super::Bench;
use super::support::{PATIENCE_MS, began, ended, record, send_all, settled, soon, text};
use ::log::{ConsumerEvent, Isolation, LogPort, Next, Outcome, Position, Reader, Subscription, Tp, Tx, TxEnd, TxSession};
use runtime::time::{monotonic_ms, timeout};
use std::sync::Arc;
use std::time::Duration;

fn at(next: i64) -> Position {
    Position { next: Next(next), epoch: None }
}

/// Reads until this many values came.
async fn read<R: Reader>(reader: &mut R, count: usize) -> Vec<(Tp, i64, String)> {
    let mut came = Vec::new();
    let until_ms = soon(PATIENCE_MS);
    while came.len() < count {
        match reader.next(until_ms).await {
            ConsumerEvent::Records { tp, batch } => came.extend(batch.records.iter().map(|record| (tp, record.offset, text(record)))),
            ConsumerEvent::Progress { .. } => {}
            other => panic!("after {came:?}: {other:?}"),
        }
    }
    came
}

fn values(tp: Tp, offsets: impl IntoIterator<Item = i64>) -> Vec<(Tp, i64, String)> {
    offsets.into_iter().map(|n| (tp, n, format!("value {n}"))).collect()
}

pub async fn reading_begins_where_it_was_told<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    for partition in 0..2 {
        send_all(&log, topic.tp(partition), (0..50).map(|n| format!("value {n}"))).await;
    }
    let both = vec![(topic.tp(0), at(17)), (topic.tp(1), at(49))];
    let mut reader = log.read(Subscription::Assigned(both), Isolation::ReadCommitted).await.expect("a reader");
    let mut came = read(&mut reader, 34).await;
    came.sort();
    assert_eq!(came, [values(topic.tp(0), 17..50), values(topic.tp(1), 49..50)].concat());
    // What comes later is read as well.
    send_all(&log, topic.tp(1), ["value 50".to_owned()]).await;
    assert_eq!(read(&mut reader, 1).await, values(topic.tp(1), 50..51));
}

pub async fn a_seek_brings_nothing_older_and_nothing_skipped<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let tp = topic.tp(0);
    send_all(&log, tp, (0..500).map(|n| format!("value {n}"))).await;
    let mut reader = log.read(Subscription::Assigned(vec![(tp, at(0))]), Isolation::ReadCommitted).await.expect("a reader");
    // Back, forth, to the last one and to where it is, each amid what was fetched ahead.
    for to in [0, 400, 3, 250, 250, 499, 0, 1] {
        reader.seek(tp, at(to));
        let came = read(&mut reader, 1).await;
        assert_eq!(came, values(tp, to..to + came.len() as i64), "after a seek to {to}");
    }
}

pub async fn a_paused_partition_keeps_what_came<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    for partition in 0..2 {
        send_all(&log, topic.tp(partition), (0..20).map(|n| format!("value {n}"))).await;
    }
    let both = vec![(topic.tp(0), at(0)), (topic.tp(1), at(0))];
    let mut reader = log.read(Subscription::Assigned(both), Isolation::ReadCommitted).await.expect("a reader");
    reader.pause(topic.tp(0));
    assert_eq!(read(&mut reader, 20).await, values(topic.tp(1), 0..20), "nothing of the paused one");
    let quiet = reader.next(soon(300)).await;
    assert!(matches!(quiet, ConsumerEvent::Nothing | ConsumerEvent::Progress { .. }), "{quiet:?}");
    reader.unpause(topic.tp(0));
    assert_eq!(read(&mut reader, 20).await, values(topic.tp(0), 0..20));
}

pub async fn a_position_outside_the_log_is_told<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    let tp = topic.tp(0);
    send_all(&log, tp, (0..10).map(|n| format!("value {n}"))).await;
    send_all(&log, topic.tp(1), (0..10).map(|n| format!("value {n}"))).await;
    let mut reader = log.read(Subscription::Assigned(vec![(tp, at(1_000)), (topic.tp(1), at(0))]), Isolation::ReadCommitted).await.expect("a reader");
    let until_ms = soon(PATIENCE_MS);
    let mut others = 0;
    loop {
        match reader.next(until_ms).await {
            ConsumerEvent::OutOfRange { tp: told, wanted, log_start, end } => {
                assert_eq!((told, wanted.next, log_start, end), (tp, Next(1_000), Next(0), Next(10)));
                break;
            }
            ConsumerEvent::Records { tp: told, batch } => {
                assert_eq!(told, topic.tp(1), "nothing comes from outside the log");
                others += batch.records.len();
            }
            ConsumerEvent::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    // The application decides; there is no silent reset.
    reader.seek(tp, at(4));
    let mut came = read(&mut reader, 6 + 10 - others).await;
    came.retain(|(came, ..)| *came == tp);
    assert_eq!(came, values(tp, 4..10));
}

/// Markers take the epoch of the leader that writes them, and the last record before them may be of an elder one: the position behind both lies in the log.
pub async fn a_position_behind_a_younger_leader_s_marker_is_no_truncation<B: Bench>(bench: Arc<B>) {
    // One partition for each broker to lead.
    let (log, topic) = began(&*bench, bench.brokers()).await;
    let tps: Vec<Tp> = (0..topic.partitions).map(|partition| topic.tp(partition)).collect();
    for tp in &tps {
        send_all(&log, *tp, ["of the elder".to_owned()]).await;
    }
    bench.kill(1).await;
    bench.restart(1).await;
    let mut tx = log.tx_session(&bench.fresh("id"), 60_000, soon(PATIENCE_MS)).await.expect("a session").begin();
    for tp in &tps {
        let outcome = tx.send(*tp, record("aborted")).outcome().await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
    let end = tx.abort(soon(PATIENCE_MS)).await;
    assert!(matches!(end, TxEnd::Aborted(..)), "{}", ended(&end));
    for tp in &tps {
        assert_eq!(settled(&log, *tp).await, ["of the elder"]);
        let mut reader = log.read(Subscription::Assigned(vec![(*tp, at(0))]), Isolation::ReadCommitted).await.expect("a reader");
        let behind = loop {
            match reader.next(soon(PATIENCE_MS)).await {
                ConsumerEvent::Records { batch, .. } if batch.position.next >= Next(3) => break batch.position,
                ConsumerEvent::Progress { position, .. } if position.next >= Next(3) => break position,
                ConsumerEvent::Records { .. } | ConsumerEvent::Progress { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        send_all(&log, *tp, ["value 3".to_owned()]).await;
        let mut reader = log.read(Subscription::Assigned(vec![(*tp, behind)]), Isolation::ReadCommitted).await.expect("a reader");
        assert_eq!(read(&mut reader, 1).await, values(*tp, 3..4));
    }
}

pub async fn nothing_happens_until_the_time_given<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let mut reader = log.read(Subscription::Assigned(vec![(topic.tp(0), at(0))]), Isolation::ReadCommitted).await.expect("a reader");
    for _ in 0..3 {
        let until_ms = soon(200);
        assert!(matches!(reader.next(until_ms).await, ConsumerEvent::Nothing));
        assert!(monotonic_ms() >= until_ms, "not before its time");
    }
}

pub async fn next_can_be_given_up_at_any_time<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let tp = topic.tp(0);
    let mut reader = log.read(Subscription::Assigned(vec![(tp, at(0))]), Isolation::ReadCommitted).await.expect("a reader");
    let writer = log.clone();
    let writing = runtime::task::spawn(async move { send_all(&writer, tp, (0..300).map(|n| format!("value {n}"))).await });
    let mut came = Vec::new();
    let by_ms = soon(PATIENCE_MS);
    while came.len() < 300 {
        assert!(monotonic_ms() < by_ms, "{} came", came.len());
        // Some of these end with the event, some without; none may take it along.
        if let Ok(ConsumerEvent::Records { batch, .. }) = timeout(Duration::from_millis(1), reader.next(by_ms)).await {
            came.extend(batch.records.iter().map(|record| (tp, record.offset, text(record))));
        }
    }
    writing.await.expect("it wrote");
    assert_eq!(came, values(tp, 0..300));
}
