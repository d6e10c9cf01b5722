//! Transactions.

use super::support::{PATIENCE_MS, Worker, began, committed, end, ended, found, record, send_all, settled, soon, texts};
use super::{Bench, Client};
use ::log::{ErrorCode, Isolation, LogPort, Next, Outcome, Position, Reader, Reason, SendTicket, TopicInfo, Tx, TxEnd, TxSession};
use runtime::time::sleep;
use std::sync::Arc;
use std::time::Duration;

/// Of a transaction that is not to run into it, however slow the machine is.
const TIMEOUT_MS: u32 = 60_000;

/// Until what was asked has been heard, though nobody says so.
const HEARD_MS: u64 = 10_000;

async fn session<L: LogPort>(log: &L, id: &str) -> L::Session {
    log.tx_session(id, TIMEOUT_MS, soon(PATIENCE_MS)).await.expect("a session")
}

/// Sends one value alone, and it must be committed.
async fn commit_one<L: LogPort>(log: &L, id: &str, topic: &TopicInfo, value: &str) {
    let mut tx = session(log, id).await.begin();
    let _verdict_comes_with_the_commit = tx.send(topic.tp(0), record(value));
    let end = tx.commit(soon(PATIENCE_MS)).await;
    assert!(matches!(end, TxEnd::Committed(_)), "{}", ended(&end));
}

pub async fn outputs_and_position_come_together_or_not_at_all<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 2).await;
    let (group, id) = (bench.fresh("group"), bench.fresh("id"));
    let mut worker = Worker::join(&log, &group, &topic, None).await;
    worker.until("alone", |worker| worker.leases.len() == 2).await;
    let lease = &worker.leases[&topic.tp(0)];
    let mut session = session(&log, &id).await;
    for round in 0..6 {
        let mut tx = session.begin();
        let tickets: Vec<_> = (0..2).map(|partition| tx.send(topic.tp(partition), record(format!("round {round}")))).collect();
        tx.consumed(lease.proof(), &[(lease.tp, Position { next: Next(round + 1), epoch: None })]);
        // Written before it is aborted: an abort that overtakes its transaction's beginning finds the one before, which was committed, and is in doubt.
        let (before, after) = if round % 2 == 1 { (tickets, Vec::new()) } else { (Vec::new(), tickets) };
        all_written(before, round).await;
        let end = if round % 2 == 0 { tx.commit(soon(PATIENCE_MS)).await } else { tx.abort(soon(PATIENCE_MS)).await };
        session = match end {
            TxEnd::Committed(session) if round % 2 == 0 => session,
            TxEnd::Aborted(session, _) if round % 2 == 1 => session,
            other => panic!("round {round}: {}", ended(&other)),
        };
        all_written(after, round).await;
        assert_eq!(committed(&log, lease.tp, &group).await, Some(Next(round / 2 * 2 + 1)), "round {round}");
    }
    for partition in 0..2 {
        assert_eq!(settled(&log, topic.tp(partition)).await, ["round 0", "round 2", "round 4"]);
    }
}

async fn all_written(tickets: Vec<SendTicket>, round: i64) {
    for ticket in tickets {
        let outcome = ticket.outcome().await;
        assert!(matches!(outcome, Outcome::Done(_)), "round {round}: {outcome:?}");
    }
}

pub async fn an_open_transaction_holds_back_who_reads_committed<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let tp = topic.tp(0);
    send_all(&log, tp, ["before".to_owned()]).await;
    let mut tx = session(&log, &bench.fresh("id")).await.begin();
    assert!(matches!(tx.send(tp, record("open")).outcome().await, Outcome::Done(_)));
    send_all(&log, tp, ["behind it".to_owned()]).await;
    assert_eq!(end(&log, tp, Isolation::ReadCommitted).await, Next(1), "the last stable offset");
    assert_eq!(end(&log, tp, Isolation::ReadUncommitted).await, Next(3));
    assert_eq!(texts(&log, tp, Isolation::ReadCommitted).await, ["before"]);
    assert_eq!(texts(&log, tp, Isolation::ReadUncommitted).await, ["before", "open", "behind it"]);
    let end_of_it = tx.abort(soon(PATIENCE_MS)).await;
    assert!(matches!(end_of_it, TxEnd::Aborted(..)), "{}", ended(&end_of_it));
    let by_ms = soon(PATIENCE_MS);
    while end(&log, tp, Isolation::ReadCommitted).await != Next(4) {
        assert!(soon(0) < by_ms, "the marker makes it stable");
        sleep(Duration::from_millis(20)).await;
    }
    // The reader passes the aborted record and the marker: its position moves without a record.
    assert_eq!(texts(&log, tp, Isolation::ReadCommitted).await, ["before", "behind it"]);
}

pub async fn a_younger_session_fences_the_elder<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let id = bench.fresh("id");
    let mut open = session(&log, &id).await.begin();
    assert!(matches!(open.send(topic.tp(0), record("elder")).outcome().await, Outcome::Done(_)));
    let younger = session(&log, &id).await;
    let end = open.commit(soon(PATIENCE_MS)).await;
    assert!(matches!(end, TxEnd::Fenced(Reason::Answered(ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch))), "{}", ended(&end));
    let mut tx = younger.begin();
    let _verdict_comes_with_the_commit = tx.send(topic.tp(0), record("younger"));
    let end = tx.commit(soon(PATIENCE_MS)).await;
    assert!(matches!(end, TxEnd::Committed(_)), "{}", ended(&end));
    assert_eq!(settled(&log, topic.tp(0)).await, ["younger"]);
    assert_eq!(texts(&log, topic.tp(0), Isolation::ReadUncommitted).await, ["elder", "younger"]);
}

pub async fn a_member_put_out_commits_nothing_with_its_outputs<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let (group, id) = (bench.fresh("group"), bench.fresh("id"));
    let mut former = Worker::join(&log, &group, &topic, None).await;
    former.until("alone", |worker| worker.leases.len() == 1).await;
    let lease = former.leases.pop_first().expect("one").1;
    former.reader.leave().await;
    let mut heir = Worker::join(&log, &group, &topic, None).await;
    heir.until("in its place", |worker| worker.leases.len() == 1).await;
    let mut tx = session(&log, &id).await.begin();
    let _verdict_comes_with_the_commit = tx.send(topic.tp(0), record("zombie"));
    tx.consumed(lease.proof(), &[(lease.tp, Position { next: Next(7), epoch: None })]);
    let end = tx.commit(soon(PATIENCE_MS)).await;
    assert!(matches!(end, TxEnd::Fenced(Reason::Answered(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration))), "{}", ended(&end));
    assert_eq!(committed(&log, lease.tp, &group).await, None);
    commit_one(&log, &id, &topic, "last").await;
    assert_eq!(settled(&log, topic.tp(0)).await, ["last"], "what the zombie wrote was aborted");
}

pub async fn a_commit_that_nobody_answers_is_in_doubt<B: Bench>(bench: Arc<B>) {
    let (plain, topic) = began(&*bench, 1).await;
    let (group, id) = (bench.fresh("group"), bench.fresh("id"));
    let mut worker = Worker::join(&plain, &group, &topic, None).await;
    worker.until("alone", |worker| worker.leases.len() == 1).await;
    let lease = &worker.leases[&topic.tp(0)];
    let log = bench.client(Client { proxied: true, ..Client::default() });
    found(&log, &topic.name).await;
    let mut tx = session(&log, &id).await.begin();
    assert!(matches!(tx.send(topic.tp(0), record("in doubt")).outcome().await, Outcome::Done(_)));
    bench.swallow_answers().await;
    let end = tx.commit(soon(HEARD_MS)).await;
    bench.pass_answers().await;
    assert!(matches!(end, TxEnd::InDoubt(_)), "{}", ended(&end));
    // The next session waits it out; then there is no doubt. The commit was heard, but for the answer.
    commit_one(&plain, &id, &topic, "after").await;
    assert_eq!(settled(&plain, topic.tp(0)).await, ["in doubt", "after"]);
    // The same with a position: outputs and position stand or fall together.
    let mut tx = session(&log, &id).await.begin();
    assert!(matches!(tx.send(topic.tp(0), record("with a position")).outcome().await, Outcome::Done(_)));
    tx.consumed(lease.proof(), &[(lease.tp, Position { next: Next(1), epoch: None })]);
    bench.swallow_answers().await;
    let end = tx.commit(soon(HEARD_MS)).await;
    bench.pass_answers().await;
    assert!(matches!(end, TxEnd::InDoubt(_)), "{}", ended(&end));
    commit_one(&plain, &id, &topic, "last").await;
    let came = settled(&plain, topic.tp(0)).await;
    let happened = came.iter().any(|value| value == "with a position");
    assert_eq!(committed(&plain, lease.tp, &group).await, happened.then_some(Next(1)), "{came:?}");
}

pub async fn a_session_of_the_same_id_ends_what_was_left_open<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let id = bench.fresh("id");
    let mut tx = session(&log, &id).await.begin();
    assert!(matches!(tx.send(topic.tp(0), record("left open")).outcome().await, Outcome::Done(_)));
    drop(tx);
    commit_one(&log, &id, &topic, "after").await;
    assert_eq!(settled(&log, topic.tp(0)).await, ["after"]);
}

pub async fn a_transaction_beyond_its_timeout_is_fenced<B: Bench>(bench: Arc<B>) {
    let (log, topic) = began(&*bench, 1).await;
    let id = bench.fresh("id");
    // Longer than a send takes on a busy machine.
    let slow = log.tx_session(&id, 15_000, soon(PATIENCE_MS)).await.expect("a session");
    let mut tx = slow.begin();
    assert!(matches!(tx.send(topic.tp(0), record("too slow")).outcome().await, Outcome::Done(_)));
    let by_ms = soon(PATIENCE_MS);
    // The coordinator ends it: what was held back is released.
    while end(&log, topic.tp(0), Isolation::ReadCommitted).await < Next(2) {
        assert!(soon(0) < by_ms, "the coordinator ends what takes too long");
        sleep(Duration::from_millis(100)).await;
    }
    let end = tx.commit(soon(PATIENCE_MS)).await;
    assert!(!matches!(end, TxEnd::Committed(_)), "it was aborted long ago");
    commit_one(&log, &id, &topic, "after").await;
    assert_eq!(settled(&log, topic.tp(0)).await, ["after"]);
}

pub async fn an_empty_transaction_asks_nobody<B: Bench>(bench: Arc<B>) {
    // Our own broker has coordinators from the first topic on.
    began(&*bench, 1).await;
    let log = bench.client(Client { proxied: true, ..Client::default() });
    let open = session(&log, &bench.fresh("id")).await.begin();
    bench.swallow_answers().await;
    let end = open.commit(soon(PATIENCE_MS)).await;
    bench.pass_answers().await;
    assert!(matches!(end, TxEnd::Committed(_)), "{}", ended(&end));
}
