//! What a reader hears, provoked by a scripted broker; and lookups.

mod support;

use broker::batch::{Batch, ControlKind, Producer, Record};
use broker::protocol::{CommittedOffset, ErrorCode, FetchedPartition, Isolation, Request, Response};
use bytes::Bytes;
use log::native::NativeReader;
use log::{Anchor, ConsumerEvent, LogPort, Next, Outcome, Position, Reader, Reason, StartPoint, Subscription};
use support::fake::{Act, Fake, tp};
use support::{soon, text};

fn data(base: i64, producer: i64, count: usize) -> Vec<u8> {
    let value = |n| Record { offset: 0, timestamp_ms: 1, key: None, value: Some(Bytes::from(format!("value {n}"))) };
    let records: Vec<Record> = (0..count as i64).map(|n| value(base + n)).collect();
    Batch::build(&records, Producer { id: producer, epoch: 0, first_sequence: 0 }, producer >= 0).assign(base, 4).bytes().to_vec()
}

fn fetched(records: Vec<u8>) -> FetchedPartition {
    FetchedPartition {
        tp: tp(0),
        error: None,
        high_watermark: 99,
        last_stable_offset: 99,
        log_start: 0,
        diverging: None,
        aborted: vec![],
        records: Bytes::from(records),
    }
}

/// Answers the n-th fetch (from 0) so; after the last with nothing, a little later.
async fn fake(answers: Vec<FetchedPartition>) -> Fake {
    let mut answers = answers.into_iter();
    Fake::start(move |request| match request {
        Request::Fetch { .. } => match answers.next() {
            Some(answer) => Act::Answer(Response::Fetch { partitions: vec![answer] }),
            None => Act::Later(30, Response::Fetch { partitions: vec![fetched(vec![])] }),
        },
        Request::ListOffsets { partitions, .. } => {
            let offset = if matches!(partitions[0].1, broker::protocol::OffsetSpec::Earliest) { 20 } else { 30 };
            Act::Answer(Response::ListOffsets { partitions: vec![(tp(0), Ok((offset, 4)))] })
        }
        _ => Act::Usual,
    })
    .await
}

async fn reader(fake: &Fake, from: i64) -> NativeReader {
    let position = Position { next: Next(from), epoch: Some(3) };
    fake.client().read(Subscription::Assigned(vec![(tp(0), position)]), Isolation::ReadCommitted).await.expect("a reader")
}

#[tokio::test]
async fn records_come_from_the_position_on_and_then_nothing() {
    let fake = fake(vec![fetched([data(4, -1, 3), data(7, -1, 1)].concat())]).await;
    let mut reader = reader(&fake, 5).await;
    let ConsumerEvent::Records { batch, .. } = reader.next(soon(2_000)).await else { panic!("records") };
    assert_eq!(
        batch.records.iter().map(|record| (record.offset, text(&record.value))).collect::<Vec<_>>(),
        [(5, "value 5".to_owned()), (6, "value 6".to_owned()), (7, "value 7".to_owned())]
    );
    assert_eq!(batch.position, Position { next: Next(8), epoch: Some(4) });
    assert!(matches!(reader.next(soon(100)).await, ConsumerEvent::Nothing));
    let asked = fake
        .asked(|request| if let Request::Fetch { partitions, .. } = request { Some((partitions[0].offset, partitions[0].last_fetched_epoch)) } else { None });
    assert_eq!((asked[0], asked[1]), ((5, Some(3)), (8, Some(4))), "the epoch of the last record travels with the position");
}

/// A group of one member whose committed positions are as the script says.
async fn group_of_one(positions: Result<Option<CommittedOffset>, ErrorCode>) -> Fake {
    Fake::start(move |request| match request {
        Request::JoinGroup { member_id, .. } if member_id.is_empty() => Act::Answer(Response::MemberIdRequired { member_id: "m".into() }),
        Request::JoinGroup { protocols, .. } => {
            let members = vec![("m".to_owned(), protocols[0].1.clone())];
            Act::Answer(Response::JoinGroup { generation: 1, protocol: "range".into(), leader: "m".into(), member_id: "m".into(), members })
        }
        Request::SyncGroup { assignments, .. } => Act::Answer(Response::SyncGroup { assignment: assignments[0].1.clone() }),
        Request::OffsetFetch { partitions, .. } => Act::Answer(Response::OffsetFetch { partitions: partitions.iter().map(|tp| (*tp, positions)).collect() }),
        Request::Fetch { .. } => Act::Later(30, Response::Fetch { partitions: vec![] }),
        _ => Act::Usual,
    })
    .await
}

/// The new owner's session ends the transaction of the former one; if it heard of its lease only afterwards, both would wait for the timeout.
#[tokio::test]
async fn an_assignment_does_not_wait_for_a_pending_commit() {
    let committed = CommittedOffset { offset: 7, leader_epoch: None };
    let table = [
        (Err(ErrorCode::UnstableOffsetCommit), StartPoint::Pending),
        (Ok(Some(committed)), StartPoint::Committed(Position { next: Next(7), epoch: None })),
        (Ok(None), StartPoint::Nothing),
    ];
    for (positions, expected) in table {
        let fake = group_of_one(positions).await;
        let subscription = Subscription::Group { group: "g".into(), topics: vec!["t".into()], instance_id: None };
        let mut reader = fake.client().read(subscription, Isolation::ReadCommitted).await.expect("a reader");
        let ConsumerEvent::Assigned { leases, from } = reader.next(soon(2_000)).await else { panic!("an assignment") };
        assert_eq!(leases.iter().map(|lease| lease.tp).collect::<Vec<_>>(), [tp(0), tp(1)]);
        assert_eq!(from, [(tp(0), expected), (tp(1), expected)]);
    }
}

#[tokio::test]
async fn aborted_records_and_markers_are_progress() {
    let marker = Batch::control(ControlKind::Abort, 8, 0, 0, 1).assign(2, 4);
    let answer = FetchedPartition { aborted: vec![(8, 0)], ..fetched([data(0, 8, 2), marker.bytes().to_vec()].concat()) };
    let fake = fake(vec![answer]).await;
    let mut reader = reader(&fake, 0).await;
    let event = reader.next(soon(2_000)).await;
    assert!(matches!(event, ConsumerEvent::Progress { position: Position { next: Next(3), epoch: Some(4) }, .. }), "{event:?}");
}

#[tokio::test]
async fn outside_the_log_is_told_with_its_ends_and_ended_by_a_seek() {
    let refused = FetchedPartition { error: Some(ErrorCode::OffsetOutOfRange), ..fetched(vec![]) };
    let fake = fake(vec![refused, fetched(data(20, -1, 1))]).await;
    let mut reader = reader(&fake, 5).await;
    match reader.next(soon(2_000)).await {
        ConsumerEvent::OutOfRange { wanted, log_start, end, .. } => assert_eq!((wanted.next, log_start, end), (Next(5), Next(20), Next(30))),
        other => panic!("{other:?}"),
    }
    assert!(matches!(reader.next(soon(100)).await, ConsumerEvent::Nothing), "no silent reset");
    reader.seek(tp(0), Position { next: Next(20), epoch: None });
    assert!(matches!(reader.next(soon(2_000)).await, ConsumerEvent::Records { .. }));
}

#[tokio::test]
async fn a14_what_was_read_and_is_gone_is_told() {
    let answer = FetchedPartition { diverging: Some((2, 3)), ..fetched(vec![]) };
    let fake = fake(vec![answer]).await;
    let mut reader = reader(&fake, 5).await;
    let event = reader.next(soon(2_000)).await;
    assert!(matches!(event, ConsumerEvent::Truncated { diverged_at: Position { next: Next(3), epoch: Some(2) }, .. }), "{event:?}");
}

#[tokio::test]
async fn a_corrupt_batch_is_fetched_again_and_then_fatal() {
    let mut bytes = data(0, -1, 1);
    *bytes.last_mut().expect("not empty") ^= 1;
    let once = fake(vec![fetched(bytes.clone()), fetched(data(0, -1, 1))]).await;
    assert!(matches!(reader(&once, 0).await.next(soon(2_000)).await, ConsumerEvent::Records { .. }));
    let always = fake(vec![fetched(bytes); 3]).await;
    let event = reader(&always, 0).await.next(soon(2_000)).await;
    assert!(matches!(event, ConsumerEvent::Fatal(Reason::Answered(ErrorCode::CorruptMessage))), "{event:?}");
}

#[tokio::test]
async fn a_seek_drops_what_was_asked_for_before_it() {
    let fake = Fake::start(|request| match request {
        Request::Fetch { partitions, .. } if partitions[0].offset == 0 => Act::Later(100, Response::Fetch { partitions: vec![fetched(data(0, -1, 2))] }),
        Request::Fetch { partitions, .. } if partitions[0].offset == 40 => Act::Answer(Response::Fetch { partitions: vec![fetched(data(40, -1, 1))] }),
        Request::Fetch { .. } => Act::Later(30, Response::Fetch { partitions: vec![fetched(vec![])] }),
        _ => Act::Usual,
    })
    .await;
    let mut reader = reader(&fake, 0).await;
    runtime::time::sleep(std::time::Duration::from_millis(50)).await;
    reader.seek(tp(0), Position { next: Next(40), epoch: None });
    let ConsumerEvent::Records { batch, .. } = reader.next(soon(2_000)).await else { panic!("records") };
    assert_eq!(batch.records.iter().map(|record| record.offset).collect::<Vec<_>>(), [40]);
}

#[tokio::test]
async fn a_fenced_instance_is_fatal() {
    let fake = Fake::start(|request| match request {
        Request::JoinGroup { .. } => Act::Answer(Response::Error(ErrorCode::FencedInstanceId)),
        _ => Act::Usual,
    })
    .await;
    let subscription = Subscription::Group { group: "g".to_owned(), topics: vec!["t".to_owned()], instance_id: Some("i".to_owned()) };
    let mut reader = fake.client().read(subscription, Isolation::ReadCommitted).await.expect("a reader");
    assert!(matches!(reader.next(soon(2_000)).await, ConsumerEvent::Fatal(Reason::Answered(ErrorCode::FencedInstanceId))));
}

#[tokio::test]
async fn a_committed_position_waits_until_no_transaction_is_pending() {
    let mut asked = 0;
    let fake = Fake::start(move |request| {
        let Request::OffsetFetch { require_stable, .. } = request else { return Act::Usual };
        assert!(require_stable);
        asked += 1;
        let result = if asked < 4 { Err(ErrorCode::UnstableOffsetCommit) } else { Ok(Some(CommittedOffset { offset: 12, leader_epoch: Some(4) })) };
        Act::Answer(Response::OffsetFetch { partitions: vec![(tp(0), result)] })
    })
    .await;
    let committed = fake.client().offset_at(tp(0), Anchor::Committed("g".to_owned()), soon(2_000)).await;
    assert_eq!(committed, Outcome::Done(Some(Position { next: Next(12), epoch: Some(4) })));
}

#[tokio::test]
async fn a_position_that_stays_unstable_is_not_told() {
    let fake = Fake::start(|request| match request {
        Request::OffsetFetch { .. } => Act::Answer(Response::OffsetFetch { partitions: vec![(tp(0), Err(ErrorCode::UnstableOffsetCommit))] }),
        _ => Act::Usual,
    })
    .await;
    let committed = fake.client().offset_at(tp(0), Anchor::Committed("g".to_owned()), soon(200)).await;
    assert_eq!(committed, Outcome::NotDone(Reason::Answered(ErrorCode::UnstableOffsetCommit)));
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_not_there() {
    let fake = Fake::start(|_| Act::Usual).await;
    let topics = fake.client().topics(&["t", "nowhere"], soon(200)).await;
    assert_eq!(topics, Outcome::NotDone(Reason::Answered(ErrorCode::UnknownTopicOrPartition)));
    assert!(matches!(fake.client().topics(&["t"], soon(500)).await, Outcome::Done(_)));
}

#[tokio::test]
async fn creating_what_exists_is_done_and_silence_is_unknown() {
    let exists = Fake::start(|request| match request {
        Request::CreateTopics { .. } => Act::Answer(Response::CreateTopics { results: vec![("t".to_owned(), Err(ErrorCode::TopicAlreadyExists))] }),
        _ => Act::Usual,
    })
    .await;
    assert_eq!(exists.client().create_topics(vec![], soon(500)).await, Outcome::Done(()));
    let silent = Fake::start(|request| if let Request::CreateTopics { .. } = request { Act::Silence } else { Act::Usual }).await;
    assert_eq!(silent.client().create_topics(vec![], soon(400)).await, Outcome::Unknown(Reason::Deadline));
}
