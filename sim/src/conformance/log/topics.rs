//! Looking topics and positions up.

use super::support::{PATIENCE_MS, began, committed, end, found, send_all, soon};
use super::{Bench, Client};
use ::log::{Anchor, ErrorCode, Isolation, LogPort, Next, Outcome, Reason, TopicSpec};
use std::sync::Arc;

pub async fn an_unknown_topic_is_told<B: Bench>(bench: Arc<B>) {
    let log = bench.client(Client::default());
    let name = bench.fresh("nobody-made-this");
    let by_ms = soon(PATIENCE_MS);
    // A client may ask to the end of its time, lest the topic is only young; on a busy machine it may not have been answered by then.
    let outcome = loop {
        let outcome = log.topics(&[&name], soon(10_000)).await;
        if !matches!(outcome, Outcome::Unknown(_) | Outcome::NotDone(Reason::Deadline)) || soon(0) > by_ms {
            break outcome;
        }
    };
    assert_eq!(outcome, Outcome::NotDone(Reason::Answered(ErrorCode::UnknownTopicOrPartition)));
}

pub async fn creating_a_topic_twice_changes_nothing<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 3).await;
    assert_eq!(topic.partitions, 3);
    send_all(&log, topic.tp(2), ["kept".to_owned()]).await;
    let (replication, min_isr) = bench.replication();
    let again = TopicSpec { name: topic.name.clone(), partitions: 5, replication, min_isr, compacted: false };
    assert_eq!(log.create_topics(vec![again], soon(PATIENCE_MS)).await, Outcome::Done(()));
    assert_eq!(found(&log, &topic.name).await, topic, "the same incarnation with the same partitions");
    // Another client gives it the same id.
    let other = bench.client(Client::default());
    assert_eq!(found(&other, &topic.name).await, topic);
    assert_eq!(end(&other, topic.tp(2), Isolation::ReadCommitted).await, Next(1));
}

pub async fn anchors_tell_start_end_and_what_was_committed<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let tp = topic.tp(0);
    let at = |anchor: Anchor| {
        let log = log.clone();
        async move { log.offset_at(tp, anchor, soon(PATIENCE_MS)).await }
    };
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        assert_eq!(end(&log, tp, isolation).await, Next(0));
    }
    send_all(&log, tp, (0..5).map(|n| format!("value {n}"))).await;
    let Outcome::Done(Some(start)) = at(Anchor::Start).await else { panic!("a log has a start") };
    assert_eq!(start.next, Next(0));
    assert_eq!(end(&log, tp, Isolation::ReadCommitted).await, Next(5));
    let group = bench.fresh("group");
    assert_eq!(committed(&log, tp, &group).await, None, "nothing was ever committed");
}
