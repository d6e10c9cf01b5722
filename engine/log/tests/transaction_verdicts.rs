//! Each end of a transaction, provoked by a scripted broker.

mod support;

use broker::protocol::{ErrorCode, Request, Response};
use log::native::{Native, NativeSession};
use log::{Event, Lease, LogPort, Next, Outcome, Position, Reason, Tx, TxEnd, TxSession, history::Phase};
use support::fake::{Act, Fake, tp};
use support::{record, soon};

async fn session(log: &Native) -> NativeSession {
    log.tx_session("machine-0", 5_000, soon(2_000)).await.expect("a session")
}

fn lease() -> Lease {
    Lease { tp: tp(1), group: "g".to_owned(), generation: 3, member_id: "m".to_owned(), instance_id: None }
}

fn said<S>(end: &TxEnd<S>) -> (&'static str, Option<Reason>) {
    match end {
        TxEnd::Committed(_) => ("committed", None),
        TxEnd::Aborted(_, why) => ("aborted", Some(why.clone())),
        TxEnd::Fenced(why) => ("fenced", Some(why.clone())),
        TxEnd::InDoubt(why) => ("in doubt", Some(why.clone())),
    }
}

/// One transaction: a send, a position, a commit.
async fn one(log: &Native) -> TxEnd<NativeSession> {
    let mut tx = session(log).await.begin();
    let _ = tx.send(tp(0), record("a"));
    tx.consumed(lease().proof(), &[(tp(1), Position { next: Next(9), epoch: Some(2) })]);
    tx.commit(soon(1_500)).await
}

/// The end when every request that `pick` picks is treated so.
async fn end_when(
    pick: impl Fn(&Request) -> bool + Send + 'static,
    treat: impl Fn(&Request) -> Act + Send + 'static,
) -> (Fake, (&'static str, Option<Reason>)) {
    let fake = Fake::start(move |request| if pick(request) { treat(request) } else { Act::Usual }).await;
    let end = said(&one(&fake.client()).await);
    (fake, end)
}

fn ends(fake: &Fake) -> Vec<bool> {
    fake.asked(|request| if let Request::EndTxn { commit, .. } = request { Some(*commit) } else { None })
}

fn refused(code: ErrorCode) -> impl Fn(&Request) -> Act + Send {
    move |request| {
        Act::Answer(match request {
            Request::Produce { partitions, .. } => Response::Produce { partitions: partitions.iter().map(|(tp, _)| (*tp, Err(code))).collect() },
            Request::AddPartitionsToTxn { partitions, .. } => {
                Response::AddPartitionsToTxn { partitions: partitions.iter().map(|tp| (*tp, Err(code))).collect() }
            }
            Request::TxnOffsetCommit { offsets, .. } => Response::TxnOffsetCommit { partitions: offsets.iter().map(|(tp, _)| (*tp, Err(code))).collect() },
            _ => Response::Error(code),
        })
    }
}

#[tokio::test]
async fn everything_in_its_order_is_committed() {
    let (fake, end) = end_when(|_| false, |_| Act::Usual).await;
    assert_eq!(end, ("committed", None));
    let kinds = fake.asked(|request| (![3, 10].contains(&request.kind())).then_some(request.kind()));
    let position = |kind: u16| kinds.iter().position(|of| *of == kind).expect("asked");
    assert_eq!(kinds.len(), 6, "InitProducerId, AddPartitions, Produce, AddOffsets, TxnOffsetCommit, EndTxn: {kinds:?}");
    assert!(position(24) < position(0) && position(25) < position(28) && position(26) == 5, "{kinds:?}");
    let proofs =
        fake.asked(|request| if let Request::TxnOffsetCommit { generation, member_id, .. } = request { Some((*generation, member_id.clone())) } else { None });
    assert_eq!(proofs, [(3, "m".to_owned())]);
    let phases: Vec<Phase> =
        fake.notebook.events().iter().filter_map(|event| if let Event::Transaction { phase, .. } = event { Some(*phase) } else { None }).collect();
    assert_eq!(phases, [Phase::Invoke, Phase::Ok]);
}

#[tokio::test]
async fn a_send_that_is_refused_aborts() {
    let (fake, end) = end_when(|request| matches!(request, Request::Produce { .. }), refused(ErrorCode::MessageTooLarge)).await;
    assert_eq!(end, ("aborted", Some(Reason::Answered(ErrorCode::MessageTooLarge))));
    assert_eq!(ends(&fake), [false]);
}

#[tokio::test]
async fn a_newer_producer_fences_at_every_step() {
    for step in [0, 24, 25, 26] {
        let (_fake, end) = end_when(move |request| request.kind() == step, refused(ErrorCode::InvalidProducerEpoch)).await;
        assert_eq!(end, ("fenced", Some(Reason::Answered(ErrorCode::InvalidProducerEpoch))), "request kind {step}");
    }
}

#[tokio::test]
async fn a_member_put_out_is_fenced_and_its_transaction_aborted() {
    for code in [ErrorCode::IllegalGeneration, ErrorCode::UnknownMemberId, ErrorCode::FencedInstanceId] {
        let (fake, end) = end_when(|request| request.kind() == 28, refused(code)).await;
        assert_eq!(end, ("fenced", Some(Reason::Answered(code))));
        assert_eq!(ends(&fake), [false]);
    }
}

#[tokio::test]
async fn a_commit_without_an_answer_is_in_doubt_and_never_aborted() {
    let (fake, end) = end_when(|request| request.kind() == 26, |_| Act::Silence).await;
    assert_eq!(end.0, "in doubt");
    assert!(ends(&fake).len() >= 2 && ends(&fake).iter().all(|commit| *commit), "{:?}", ends(&fake));
}

#[tokio::test]
async fn fenced_after_an_unanswered_commit_is_in_doubt() {
    let mut commits = 0;
    let fake = Fake::start(move |request| {
        if request.kind() != 26 {
            return Act::Usual;
        }
        commits += 1;
        if commits == 1 { Act::Close } else { Act::Answer(Response::Error(ErrorCode::ProducerFenced)) }
    })
    .await;
    assert_eq!(said(&one(&fake.client()).await), ("in doubt", Some(Reason::Answered(ErrorCode::ProducerFenced))));
}

#[tokio::test]
async fn committed_at_the_second_attempt_takes_a_new_incarnation_before_the_next() {
    let (mut commits, mut incarnations) = (0, 0);
    let fake = Fake::start(move |request| match request {
        Request::EndTxn { .. } => {
            commits += 1;
            if commits == 1 { Act::Close } else { Act::Usual }
        }
        Request::InitProducerId { .. } => {
            incarnations += 1;
            Act::Answer(Response::InitProducerId { producer_id: 7, producer_epoch: incarnations })
        }
        _ => Act::Usual,
    })
    .await;
    let TxEnd::Committed(session) = one(&fake.client()).await else { panic!("answered in the end") };
    let mut tx = session.begin();
    let ticket = tx.send(tp(0), record("b"));
    assert!(matches!(tx.commit(soon(1_500)).await, TxEnd::Committed(_)));
    assert!(matches!(ticket.outcome().await, Outcome::Done(_)));
    let epochs = fake.asked(|request| if let Request::EndTxn { producer_epoch, .. } = request { Some(*producer_epoch) } else { None });
    assert_eq!(epochs, [1, 1, 2]);
}

#[tokio::test]
async fn positions_that_were_not_acknowledged_take_a_new_incarnation_before_the_next() {
    let mut commits = 0;
    let fake = Fake::start(move |request| {
        if request.kind() != 28 {
            return Act::Usual;
        }
        commits += 1;
        if commits == 1 { Act::Close } else { Act::Usual }
    })
    .await;
    assert_eq!(said(&one(&fake.client()).await), ("committed", None));
    let incarnations = fake.asked(|request| matches!(request, Request::InitProducerId { .. }).then_some(()));
    assert_eq!(incarnations.len(), 2, "the first attempt may still arrive, and would be committed with the next transaction");
}

#[tokio::test]
async fn what_the_coordinator_is_still_finishing_is_waited_for() {
    let mut adds = 0;
    let fake = Fake::start(move |request| {
        if request.kind() != 24 {
            return Act::Usual;
        }
        adds += 1;
        if adds < 4 { refused(ErrorCode::ConcurrentTransactions)(request) } else { Act::Usual }
    })
    .await;
    assert_eq!(said(&one(&fake.client()).await), ("committed", None));
}

#[tokio::test]
async fn an_abort_gives_the_session_back() {
    let fake = Fake::start(|_| Act::Usual).await;
    let log = fake.client();
    let mut tx = session(&log).await.begin();
    assert!(matches!(tx.send(tp(0), record("a")).outcome().await, Outcome::Done(_)));
    let TxEnd::Aborted(session, _) = tx.abort(soon(1_000)).await else { panic!("aborted") };
    let mut tx = session.begin();
    let _ = tx.send(tp(0), record("b"));
    assert!(matches!(tx.commit(soon(1_000)).await, TxEnd::Committed(_)));
    assert_eq!(ends(&fake), [false, true]);
}
