//! A42, A30: transactions of version 2 at the leaders of partitions, with everything behind them (checked against 4.3.1 in `kafka.md` G.5).

use super::a07_a11_high_watermark::three_brokers_with;
use crate::client::{ALL, fetch_request, transactional};
use crate::world::World;
use broker::protocol::{CommittedOffset, CoordinatorKind, Isolation, OffsetSpec};
use broker::{Batch, BrokerConfig, ControllerConfig, ErrorCode, NodeId, Request, Response, Tp};

const ID: &str = "orders-0";

fn v2() -> ControllerConfig {
    ControllerConfig { transaction_version: 2, ..ControllerConfig::default() }
}

fn coordinator(world: &mut World, kind: CoordinatorKind, key: &str) -> NodeId {
    loop {
        let asked = world.call(1, Request::FindCoordinator { kind, key: key.to_owned() });
        if let Some(Response::FindCoordinator { node, .. }) = asked {
            return node;
        }
        assert!(world.now_ms() < 60_000, "no coordinator");
        world.run_ms(100);
    }
}

/// Asks a coordinator until it has loaded and nothing is under way.
fn ask(world: &mut World, kind: CoordinatorKind, key: &str, request: &Request) -> Response {
    for _ in 0..200 {
        let node = coordinator(world, kind, key);
        match world.call(node, request.clone()) {
            Some(Response::Error(
                ErrorCode::ConcurrentTransactions | ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable,
            ))
            | None => world.run_ms(50),
            Some(answer) => return answer,
        }
    }
    panic!("{request:?}: never answered")
}

fn begin(world: &mut World) -> (i64, i16) {
    let init = Request::InitProducerId { transactional_id: Some(ID.to_owned()), transaction_timeout_ms: 5_000 };
    match ask(world, CoordinatorKind::Transaction, ID, &init) {
        Response::InitProducerIdTv2 { producer_id, producer_epoch } => (producer_id, producer_epoch),
        other => panic!("{other:?}"),
    }
}

fn end_request((producer_id, producer_epoch): (i64, i16), commit: bool) -> Request {
    Request::Tv2(Box::new(Request::EndTxn { transactional_id: ID.to_owned(), producer_id, producer_epoch, commit }))
}

fn end(world: &mut World, producer: (i64, i16), commit: bool) -> (i64, i16) {
    match ask(world, CoordinatorKind::Transaction, ID, &end_request(producer, commit)) {
        Response::EndTxnTv2 { producer_id, producer_epoch } => (producer_id, producer_epoch),
        other => panic!("{other:?}"),
    }
}

fn write_once(world: &mut World, tp: Tp, batch: &Batch) -> Result<i64, ErrorCode> {
    let leader = world.leader(tp).expect("a leader");
    let produce = Request::Produce { acks: ALL, timeout_ms: 3_000, transactional_id: Some(ID.to_owned()), partitions: vec![(tp, batch.bytes().clone())] };
    match world.call(leader, Request::Tv2(Box::new(produce))) {
        Some(Response::Produce { partitions }) => partitions[0].1,
        other => panic!("{other:?}"),
    }
}

/// Tries again while the transaction before is being completed.
fn write(world: &mut World, tp: Tp, batch: &Batch) -> Result<i64, ErrorCode> {
    for _ in 0..100 {
        match write_once(world, tp, batch) {
            Err(ErrorCode::NotEnoughReplicas) => world.run_ms(20),
            result => return result,
        }
    }
    panic!("refused for ever")
}

fn visible(world: &mut World, tp: Tp) -> i64 {
    let leader = world.leader(tp).expect("a leader");
    let latest = Request::ListOffsets { isolation: Isolation::ReadCommitted, partitions: vec![(tp, OffsetSpec::Latest, None)] };
    match world.call(leader, latest) {
        Some(Response::ListOffsets { partitions }) => partitions[0].1.expect("known").0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a42_the_leader_adds_its_partition_and_what_comes_late_opens_nothing() {
    let (mut world, tp, ..) = three_brokers_with(42, BrokerConfig::new(1, "unset"), v2());
    let first = begin(&mut world);
    // Nobody called AddPartitionsToTxn.
    assert_eq!(write(&mut world, tp, &transactional(&["a"], first.0, first.1, 0)), Ok(0));
    assert_eq!(write(&mut world, tp, &transactional(&["b"], first.0, first.1, 1)), Ok(1));
    assert_eq!(visible(&mut world, tp), 0);
    let second = end(&mut world, first, true);
    assert_eq!(second, (first.0, first.1 + 1));
    world.run_until("visible", 5_000, |world| replicated(world, tp) == 3);

    let late = transactional(&["late"], first.0, first.1, 2);
    assert_eq!(write(&mut world, tp, &late), Err(ErrorCode::InvalidProducerEpoch), "the marker raised the epoch");
    assert_eq!(write(&mut world, tp, &transactional(&["c"], second.0, second.1, 7)), Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(write(&mut world, tp, &transactional(&["c"], second.0, second.1, 0)), Ok(3));
    let delayed = ask(&mut world, CoordinatorKind::Transaction, ID, &end_request(first, true));
    assert_eq!(delayed, Response::Error(ErrorCode::ProducerFenced), "a delayed EndTxn decides no later transaction");
    assert_eq!(visible(&mut world, tp), 3, "the second is open");
    end(&mut world, second, false);
    world.run_until("aborted", 5_000, |world| replicated(world, tp) == 5);
    let leader = world.leader(tp).expect("a leader");
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadCommitted).aborted, [(first.0, 3)]);
}

/// Its end is answered when it is prepared: the first write of the next transaction meets the markers of the last on their way. It waits for them, or is told
/// to come again; it is not refused as if it had come too late.
#[test]
fn a42_the_next_transaction_may_begin_before_the_markers_of_the_last_are_written() {
    for seed in 0..20 {
        let (mut world, tp, ..) = three_brokers_with(4_200 + seed, BrokerConfig::new(1, "unset"), v2());
        let mut producer = begin(&mut world);
        for nth in 0..5 {
            // Retries NotEnoughReplicas and nothing else.
            let offset = write(&mut world, tp, &transactional(&["v"], producer.0, producer.1, 0));
            assert_eq!(offset, Ok(2 * nth), "seed {seed}, transaction {nth}");
            producer = end(&mut world, producer, nth % 2 == 0);
        }
    }
}

/// How far the leader's log is replicated, markers included.
fn replicated(world: &World, tp: Tp) -> i64 {
    let leader = world.leader(tp).expect("a leader");
    let high_watermark = |note: &broker::Note| match note {
        broker::Note::HighWatermark { tp: of, high_watermark } if *of == tp => Some(*high_watermark),
        _ => None,
    };
    world.notes.iter().rev().filter(|(node, _)| *node == leader).find_map(|(_, note)| high_watermark(note)).unwrap_or(0)
}

#[test]
fn a42_offsets_join_the_transaction_at_the_group_coordinator() {
    let (mut world, tp, ..) = three_brokers_with(43, BrokerConfig::new(1, "unset"), v2());
    let first = begin(&mut world);
    let commit = Request::Tv2(Box::new(Request::TxnOffsetCommit {
        transactional_id: ID.to_owned(),
        group: "machines".to_owned(),
        generation: -1,
        member_id: String::new(),
        instance_id: None,
        producer_id: first.0,
        producer_epoch: first.1,
        offsets: vec![(tp, CommittedOffset { offset: 7, leader_epoch: None })],
    }));
    let answer = ask(&mut world, CoordinatorKind::Group, "machines", &commit);
    assert_eq!(answer, Response::TxnOffsetCommit { partitions: vec![(tp, Ok(()))] });
    let fetch = |require_stable| Request::OffsetFetch { group: "machines".to_owned(), partitions: vec![tp], require_stable };
    let answer = ask(&mut world, CoordinatorKind::Group, "machines", &fetch(true));
    assert_eq!(answer, Response::OffsetFetch { partitions: vec![(tp, Err(ErrorCode::UnstableOffsetCommit))] });
    end(&mut world, first, true);
    world.run_ms(500);
    let committed = Some(CommittedOffset { offset: 7, leader_epoch: None });
    let answer = ask(&mut world, CoordinatorKind::Group, "machines", &fetch(true));
    assert_eq!(answer, Response::OffsetFetch { partitions: vec![(tp, Ok(committed))] });
}

#[test]
fn a30_an_unknown_producer_that_does_not_begin_at_zero_is_refused_under_version_2() {
    let (mut world, tp, ..) = three_brokers_with(44, BrokerConfig::new(1, "unset"), v2());
    let first = begin(&mut world);
    assert_eq!(write(&mut world, tp, &transactional(&["late"], first.0, first.1, 4)), Err(ErrorCode::OutOfOrderSequenceNumber));
    // Two at once: the second waits for the verification of the first.
    let leader = world.leader(tp).expect("a leader");
    let tickets: Vec<_> = (0..2)
        .map(|sequence| {
            let batch = transactional(&["v"], first.0, first.1, sequence);
            let produce =
                Request::Produce { acks: ALL, timeout_ms: 3_000, transactional_id: Some(ID.to_owned()), partitions: vec![(tp, batch.bytes().clone())] };
            world.send_request(leader, Request::Tv2(Box::new(produce)))
        })
        .collect();
    for (offset, ticket) in (0..).zip(tickets) {
        assert_eq!(world.answer_to(ticket), Some(Response::Produce { partitions: vec![(tp, Ok(offset))] }));
    }
}

#[test]
fn a42_a_cluster_at_version_1_refuses_version_2_and_says_so_at_the_start() {
    let (mut world, tp, leader, _) = three_brokers_with(45, BrokerConfig::new(1, "unset"), ControllerConfig::default());
    let init = Request::InitProducerId { transactional_id: Some(ID.to_owned()), transaction_timeout_ms: 5_000 };
    let Response::InitProducerId { producer_id, producer_epoch } = ask(&mut world, CoordinatorKind::Transaction, ID, &init) else { panic!("version 1") };
    assert_eq!(
        ask(&mut world, CoordinatorKind::Transaction, ID, &end_request((producer_id, producer_epoch), true)),
        Response::Error(ErrorCode::UnsupportedVersion)
    );
    let fetch = Request::Tv2(Box::new(fetch_request(tp, 0, Isolation::ReadCommitted, 0)));
    assert_eq!(world.call(leader, fetch), Some(Response::Error(ErrorCode::UnsupportedVersion)));
}
