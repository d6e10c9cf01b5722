//! Transactions over real cores: visible together or not at all, with their positions; elders are fenced; doubt is said.

mod support;

use broker::protocol::{ErrorCode, Isolation, Tp};
use log::native::{Native, NativeReader};
use log::{Anchor, ConsumerEvent, Lease, LogPort, Next, Outcome, Position, Producer, Reader, Reason, Subscription, TopicInfo, Tx, TxEnd, TxSession};
use std::sync::Arc;
use support::{Cluster, MemoryDisk, record, soon, text};

const TIMEOUT_MS: u32 = 5_000;

async fn all(log: &Native, tp: Tp, isolation: Isolation, until: &str) -> Vec<String> {
    let mut reader = log.read(Subscription::Assigned(vec![(tp, Position::START)]), isolation).await.expect("a reader");
    let mut values = Vec::new();
    let by = soon(15_000);
    while values.last().is_none_or(|last| last != until) {
        match reader.next(by).await {
            ConsumerEvent::Records { batch, .. } => values.extend(batch.records.iter().map(|record| text(&record.value))),
            ConsumerEvent::Progress { .. } => {}
            other => panic!("waiting for {until}, after {values:?}: {other:?}"),
        }
    }
    values
}

async fn started() -> (Cluster, Native, TopicInfo) {
    started_in(Cluster::embedded(Arc::new(MemoryDisk::default())).await).await
}

async fn started_in(cluster: Cluster) -> (Cluster, Native, TopicInfo) {
    let log = cluster.client();
    let topic = cluster.topic(&log, "out", 2).await;
    (cluster, log, topic)
}

async fn leased(log: &Native, topic: &TopicInfo) -> (NativeReader, Lease) {
    let subscription = Subscription::Group { group: "machines".to_owned(), topics: vec![topic.name.clone()], instance_id: None };
    let mut reader = log.read(subscription, Isolation::ReadCommitted).await.expect("a reader");
    let until = soon(15_000);
    match reader.next(until).await {
        ConsumerEvent::Assigned { mut leases, .. } => (reader, leases.remove(0)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn outputs_and_position_are_committed_together_or_not_at_all() {
    let (cluster, log, topic) = started().await;
    assert_eq!(together_or_not_at_all(&cluster, log, topic).await, [0]);
}

#[tokio::test]
async fn a42_the_same_under_version_2_where_every_transaction_has_an_epoch_of_its_own() {
    let (cluster, log, topic) = started_in(Cluster::embedded_v2(Arc::new(MemoryDisk::default())).await).await;
    assert_eq!(together_or_not_at_all(&cluster, log, topic).await, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a42_a_client_of_version_1_works_with_a_cluster_of_version_2() {
    let (cluster, _, topic) = started_in(Cluster::embedded_v2(Arc::new(MemoryDisk::default())).await).await;
    let elder = cluster.client_with(|config| config.transaction_version_max = 1);
    assert_eq!(together_or_not_at_all(&cluster, elder, topic).await, [0]);
}

/// Six transactions, every other one aborted; the producer epochs they had, in order.
async fn together_or_not_at_all(cluster: &Cluster, log: Native, topic: TopicInfo) -> Vec<i16> {
    let (_reader, lease) = leased(&log, &topic).await;
    let mut session = log.tx_session("machine-0", TIMEOUT_MS, soon(10_000)).await.expect("a session");
    for round in 0..6 {
        let mut tx = session.begin();
        let tickets: Vec<_> = (0..2).map(|partition| tx.send(topic.tp(partition), record(&format!("round {round}")))).collect();
        tx.consumed(lease.proof(), &[(lease.tp, Position { next: Next(round + 1), epoch: None })]);
        let end = if round % 2 == 0 { tx.commit(soon(10_000)).await } else { tx.abort(soon(10_000)).await };
        session = match end {
            TxEnd::Committed(session) if round % 2 == 0 => session,
            TxEnd::Aborted(session, _) if round % 2 == 1 => session,
            other => panic!("round {round}: {:?}", std::mem::discriminant(&other)),
        };
        for ticket in tickets {
            let outcome = ticket.outcome().await;
            assert!(round % 2 == 1 || matches!(outcome, Outcome::Done(_)), "round {round}: {outcome:?}");
        }
        let committed = log.offset_at(lease.tp, Anchor::Committed("machines".to_owned()), soon(10_000)).await;
        let Outcome::Done(Some(position)) = committed else { panic!("round {round}: {committed:?}") };
        assert_eq!(position.next, Next(round / 2 * 2 + 1), "round {round}");
    }
    let mut producer = log.producer().await.expect("a producer");
    for partition in 0..2 {
        let _ = producer.send(topic.tp(partition), record("last"), soon(10_000)).outcome().await;
        assert_eq!(all(&log, topic.tp(partition), Isolation::ReadCommitted, "last").await, ["round 0", "round 2", "round 4", "last"]);
    }
    let mut epochs = Vec::new();
    for event in cluster.notebook.events() {
        if let log::Event::Transaction { producer_epoch, phase: log::history::Phase::Invoke, .. } = event {
            epochs.push(producer_epoch);
        }
    }
    epochs.dedup();
    epochs
}

#[tokio::test]
async fn a_younger_session_fences_the_elder_and_aborts_what_it_left_open() {
    let (_cluster, log, topic) = started().await;
    let elder = log.tx_session("machine-0", TIMEOUT_MS, soon(10_000)).await.expect("a session");
    let mut open = elder.begin();
    assert!(matches!(open.send(topic.tp(0), record("elder")).outcome().await, Outcome::Done(_)));
    let younger = log.tx_session("machine-0", TIMEOUT_MS, soon(10_000)).await.expect("a session");
    let end = open.commit(soon(5_000)).await;
    assert!(matches!(end, TxEnd::Fenced(Reason::Answered(ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch))), "{:?}", reason(&end));
    let mut tx = younger.begin();
    let _ = tx.send(topic.tp(0), record("younger"));
    assert!(matches!(tx.commit(soon(10_000)).await, TxEnd::Committed(_)));
    assert_eq!(all(&log, topic.tp(0), Isolation::ReadCommitted, "younger").await, ["younger"]);
    assert_eq!(all(&log, topic.tp(0), Isolation::ReadUncommitted, "younger").await, ["elder", "younger"]);
}

#[tokio::test]
async fn a_lease_of_an_old_generation_commits_nothing() {
    let (_cluster, log, topic) = started().await;
    let (reader, lease) = leased(&log, &topic).await;
    reader.leave().await;
    let (_heir, _newer) = leased(&log, &topic).await;
    let session = log.tx_session("machine-0", TIMEOUT_MS, soon(10_000)).await.expect("a session");
    let mut tx = session.begin();
    let _ = tx.send(topic.tp(1), record("zombie"));
    tx.consumed(lease.proof(), &[(lease.tp, Position { next: Next(7), epoch: None })]);
    let end = tx.commit(soon(10_000)).await;
    assert!(matches!(end, TxEnd::Fenced(Reason::Answered(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration))), "{:?}", reason(&end));
    assert_eq!(log.offset_at(lease.tp, Anchor::Committed("machines".to_owned()), soon(10_000)).await, Outcome::Done(None));
    let mut producer = log.producer().await.expect("a producer");
    let _ = producer.send(topic.tp(1), record("last"), soon(10_000)).outcome().await;
    assert_eq!(all(&log, topic.tp(1), Isolation::ReadCommitted, "last").await, ["last"], "what the zombie wrote was aborted");
}

#[tokio::test]
async fn a_commit_that_nobody_answers_is_in_doubt_and_the_next_session_finds_out() {
    let (mut cluster, log, topic) = started().await;
    let session = log.tx_session("machine-0", TIMEOUT_MS, soon(10_000)).await.expect("a session");
    let mut tx = session.begin();
    assert!(matches!(tx.send(topic.tp(0), record("in doubt")).outcome().await, Outcome::Done(_)));
    cluster.kill(0).await;
    let end = tx.commit(soon(1_000)).await;
    assert!(matches!(end, TxEnd::InDoubt(_)), "{:?}", reason(&end));
    cluster.restart(0);
    let session = log.tx_session("machine-0", TIMEOUT_MS, soon(20_000)).await.expect("a session");
    let mut tx = session.begin();
    let _ = tx.send(topic.tp(0), record("after"));
    assert!(matches!(tx.commit(soon(10_000)).await, TxEnd::Committed(_)));
    assert_eq!(all(&log, topic.tp(0), Isolation::ReadCommitted, "after").await, ["after"], "the commit had never been heard");
}

#[tokio::test]
async fn an_empty_transaction_asks_nobody() {
    let (mut cluster, log, _topic) = started().await;
    let session = log.tx_session("machine-0", TIMEOUT_MS, soon(10_000)).await.expect("a session");
    cluster.kill(0).await;
    assert!(matches!(session.begin().commit(soon(1_000)).await, TxEnd::Committed(_)));
}

fn reason<S>(end: &TxEnd<S>) -> String {
    match end {
        TxEnd::Committed(_) => "committed".to_owned(),
        TxEnd::Aborted(_, why) => format!("aborted: {why}"),
        TxEnd::Fenced(why) => format!("fenced: {why}"),
        TxEnd::InDoubt(why) => format!("in doubt: {why}"),
    }
}
