//! Sending.

use super::support::{PATIENCE_MS, began, read_all, record, soon, texts};
use super::{Bench, Client};
use ::log::{Isolation, LogPort, Outcome, Producer, Reason, Record};
use bytes::Bytes;
use runtime::time::sleep;
use std::sync::Arc;
use std::time::Duration;

pub async fn acks_tell_rising_offsets_in_order<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    let mut producer = log.producer().await.expect("a producer");
    let tickets: Vec<_> = (0..200u32).map(|n| (n % 2, producer.send(topic.tp(n % 2), record(format!("value {n}")), soon(PATIENCE_MS)))).collect();
    let mut next = [0, 0];
    for (partition, ticket) in tickets {
        let Outcome::Done(acked) = ticket.outcome().await else { panic!("not acknowledged") };
        assert_eq!(acked.tp, topic.tp(partition));
        assert_eq!(acked.offset, Some(next[partition as usize]), "an idle partition has no gaps");
        next[partition as usize] += 1;
    }
    for partition in 0..2 {
        let wanted: Vec<String> = (0..100).map(|n| format!("value {}", n * 2 + partition)).collect();
        assert_eq!(texts(&log, topic.tp(partition), Isolation::ReadCommitted).await, wanted);
    }
}

pub async fn records_come_back_as_they_were_sent<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let now_ms = runtime::time::now_ms();
    let sent = [
        Record { key: Some(Bytes::from_static(b"key")), value: Some(Bytes::from_static(b"value")), timestamp_ms: now_ms },
        Record { key: Some(Bytes::from_static(b"key")), value: None, timestamp_ms: now_ms + 1 },
        Record { key: None, value: Some(Bytes::new()), timestamp_ms: now_ms - 5_000 },
        Record { key: Some(Bytes::new()), value: Some(Bytes::from(vec![0xff; 100_000])), timestamp_ms: now_ms },
    ];
    let mut producer = log.producer().await.expect("a producer");
    for record in &sent {
        let outcome = producer.send(topic.tp(0), record.clone(), soon(PATIENCE_MS)).outcome().await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
    let came = read_all(&log, topic.tp(0), Isolation::ReadCommitted).await;
    assert_eq!(came.len(), sent.len());
    for (came, sent) in came.iter().zip(&sent) {
        assert_eq!((&came.key, &came.value, came.timestamp_ms), (&sent.key, &sent.value, sent.timestamp_ms as i64));
    }
}

/// A log that is state keeps what it acknowledged: a machine's clock may have begun in 1970.
pub async fn an_old_timestamp_expires_nothing<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let old = Record { timestamp_ms: 1, ..record("old") };
    let outcome = log.producer().await.expect("a producer").send(topic.tp(0), old, soon(PATIENCE_MS)).outcome().await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    // Longer than the cluster of the tests waits between two looks for what has expired.
    sleep(Duration::from_millis(6_000)).await;
    assert_eq!(texts(&log, topic.tp(0), Isolation::ReadCommitted).await, ["old"]);
}

pub async fn a_lost_ack_makes_no_duplicate<B: Bench>(bench: Arc<B>) {
    let (_, topic) = began(&*bench, 1).await;
    let log = bench.client(Client { proxied: true, ..Client::default() });
    assert!(matches!(log.topics(&[&topic.name], soon(PATIENCE_MS)).await, Outcome::Done(_)));
    let mut producer = log.producer().await.expect("a producer");
    let mut send = |n: u32| producer.send(topic.tp(0), record(format!("value {n}")), soon(PATIENCE_MS));
    assert!(matches!(send(0).outcome().await, Outcome::Done(_)));
    bench.swallow_answers().await;
    let tickets: Vec<_> = (1..20).map(&mut send).collect();
    sleep(Duration::from_millis(1_000)).await;
    bench.pass_answers().await;
    for ticket in tickets {
        let outcome = ticket.outcome().await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
    let wanted: Vec<String> = (0..20).map(|n| format!("value {n}")).collect();
    assert_eq!(texts(&log, topic.tp(0), Isolation::ReadCommitted).await, wanted);
}

pub async fn a_send_that_nobody_answers_is_unknown_and_stops_its_partition<B: Bench>(bench: Arc<B>) {
    let (plain, topic) = began(&*bench, 1).await;
    let log = bench.client(Client { proxied: true, ..Client::default() });
    assert!(matches!(log.topics(&[&topic.name], soon(PATIENCE_MS)).await, Outcome::Done(_)));
    let mut producer = log.producer().await.expect("a producer");
    let tp = topic.tp(0);
    assert!(matches!(producer.send(tp, record("value 0"), soon(PATIENCE_MS)).outcome().await, Outcome::Done(_)));
    bench.swallow_answers().await;
    let tickets: Vec<_> = (1..4).map(|n| producer.send(tp, record(format!("value {n}")), soon(10_000))).collect();
    for (n, ticket) in tickets.into_iter().enumerate() {
        let outcome = ticket.outcome().await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{n}: they had left: {outcome:?}");
    }
    bench.pass_answers().await;
    let behind = producer.send(tp, record("never"), soon(PATIENCE_MS)).outcome().await;
    assert_eq!(behind, Outcome::NotDone(Reason::Behind));
    producer.resume(tp);
    let after = producer.send(tp, record("after"), soon(PATIENCE_MS)).outcome().await;
    assert!(matches!(after, Outcome::Done(_)), "{after:?}");
    let came = texts(&plain, tp, Isolation::ReadCommitted).await;
    // They had left and were written once; nobody had heard.
    assert_eq!(came, ["value 0", "value 1", "value 2", "value 3", "after"]);
}

pub async fn a_full_buffer_refuses_at_once<B: Bench>(bench: Arc<B>) {
    let (_, topic) = began(&*bench, 2).await;
    let log = bench.client(Client { proxied: true, buffer_bytes_max: Some(64 << 10), ..Client::default() });
    assert!(matches!(log.topics(&[&topic.name], soon(PATIENCE_MS)).await, Outcome::Done(_)));
    let mut producer = log.producer().await.expect("a producer");
    let tp = topic.tp(0);
    assert!(matches!(producer.send(tp, record("first"), soon(PATIENCE_MS)).outcome().await, Outcome::Done(_)));
    bench.swallow_answers().await;
    let big = "x".repeat(8 << 10);
    let mut tickets: Vec<_> = (0..20).map(|n| producer.send(tp, record(format!("{n} {big}")), soon(PATIENCE_MS))).collect();
    // The last of them did not fit; its verdict is there at once.
    let last = tickets.pop().expect("twenty").outcome().await;
    assert!(matches!(last, Outcome::NotDone(Reason::Full | Reason::Behind)), "{last:?}");
    bench.pass_answers().await;
    let mut outcomes = Vec::new();
    for ticket in tickets {
        outcomes.push(ticket.outcome().await);
    }
    let done = outcomes.iter().take_while(|outcome| matches!(outcome, Outcome::Done(_))).count();
    assert!((1..19).contains(&done), "some fit: {outcomes:?}");
    assert_eq!(outcomes[done], Outcome::NotDone(Reason::Full));
    assert!(outcomes[done + 1..].iter().all(|outcome| *outcome == Outcome::NotDone(Reason::Behind)), "{outcomes:?}");
    producer.resume(tp);
    let after = producer.send(tp, record("after"), soon(PATIENCE_MS)).outcome().await;
    assert!(matches!(after, Outcome::Done(_)), "{after:?}");
    assert_eq!(texts(&log, tp, Isolation::ReadCommitted).await.len(), done + 2);
}
