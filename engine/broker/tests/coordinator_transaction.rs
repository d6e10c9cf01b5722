//! Transactions, one test per row of `kafka.md` A.5.

mod coordinator_driver;

use broker::Note;
use broker::protocol::{ErrorCode, ProducerEpoch, ProducerId, Request, Response, Tp};
use coordinator_driver::{Driver, OFFSETS, tp};
use std::collections::BTreeSet;

const TIMEOUT_MS: u32 = 5_000;

type Producer = (ProducerId, ProducerEpoch);

fn init() -> Request {
    Request::InitProducerId { transactional_id: Some("t".into()), transaction_timeout_ms: TIMEOUT_MS }
}

fn producer(driver: &mut Driver) -> Producer {
    match driver.call(init()) {
        Response::InitProducerId { producer_id, producer_epoch } => (producer_id, producer_epoch),
        other => panic!("{other:?}"),
    }
}

fn add_as((producer_id, producer_epoch): Producer, partitions: &[u32], verify_only: bool) -> Request {
    let partitions = partitions.iter().map(|&n| tp(n)).collect();
    Request::AddPartitionsToTxn { transactional_id: "t".into(), producer_id, producer_epoch, partitions, verify_only }
}

fn add(producer: Producer, partitions: &[u32]) -> Request {
    add_as(producer, partitions, false)
}

fn added(partitions: &[u32]) -> Response {
    Response::AddPartitionsToTxn { partitions: partitions.iter().map(|&n| (tp(n), Ok(()))).collect() }
}

fn end((producer_id, producer_epoch): Producer, commit: bool) -> Request {
    Request::EndTxn { transactional_id: "t".into(), producer_id, producer_epoch, commit }
}

fn error(code: ErrorCode) -> Response {
    Response::Error(code)
}

fn completed(driver: &Driver) -> Vec<bool> {
    let of = |note: &Note| match note {
        Note::TxnCompleted { commit, .. } => Some(*commit),
        _ => None,
    };
    driver.notes.iter().filter_map(of).collect()
}

fn fenced(driver: &Driver) -> usize {
    driver.noted(|note| matches!(note, Note::ProducerFenced { .. }))
}

/// Partitions of the oldest request for markers.
fn asked(driver: &Driver) -> Vec<Tp> {
    match &driver.asks[0].2 {
        Request::WriteTxnMarkers { partitions, .. } => partitions.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a38_every_transition_is_durable_before_its_answer_and_alone() {
    let mut driver = Driver::transactions();
    driver.durable_at_once = false;
    let inits = driver.send(init());
    assert_eq!(driver.reply(inits), None);
    assert_eq!(driver.call(init()), error(ErrorCode::ConcurrentTransactions), "a transition is under way");
    driver.replicate(1);
    let Some(Response::InitProducerId { producer_id, producer_epoch: 0 }) = driver.reply(inits) else { panic!("durable now") };
    let one = (producer_id, 0);

    let adds = driver.send(add(one, &[0, 1]));
    assert_eq!(driver.reply(adds), None);
    assert_eq!(driver.call(end(one, true)), error(ErrorCode::ConcurrentTransactions));
    driver.replicate(1);
    assert_eq!(driver.reply(adds), Some(added(&[0, 1])));

    let ends = driver.send(end(one, true));
    assert_eq!(driver.reply(ends), None);
    assert!(driver.asks.is_empty(), "no marker before the decision is durable");
    driver.replicate(1);
    assert_eq!(driver.reply(ends), Some(Response::EndTxn));
    assert_eq!(driver.asks.len(), 2);
}

#[test]
fn a38_a_refused_transition_changes_nothing() {
    let mut driver = Driver::transactions();
    driver.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(driver.call(init()), error(ErrorCode::CoordinatorNotAvailable));
    driver.refuse_appends = None;
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.refuse_appends = Some(ErrorCode::NotLeaderOrFollower);
    assert_eq!(driver.call(end(one, true)), error(ErrorCode::NotCoordinator));
    driver.refuse_appends = None;
    assert_eq!(driver.call(end(one, false)), Response::EndTxn, "nothing was decided, so it may abort");
}

#[test]
fn a38_an_open_transaction_survives_a_failover_with_its_partitions() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0, 1]));
    driver.fail_over(0);
    assert_eq!(driver.call(end(one, true)), Response::EndTxn);
    let partitions: BTreeSet<Tp> = driver
        .asks
        .iter()
        .flat_map(|(_, _, request)| match request {
            Request::WriteTxnMarkers { partitions, .. } => partitions.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(partitions, BTreeSet::from([tp(0), tp(1)]));
}

#[test]
fn a39_a_newer_instance_fences_aborts_and_gets_an_epoch_above_the_fence() {
    let mut driver = Driver::transactions();
    let old = producer(&mut driver);
    driver.call(add(old, &[0]));
    assert_eq!(driver.call(init()), error(ErrorCode::ConcurrentTransactions), "the open transaction ends first");
    assert_eq!(driver.call(init()), error(ErrorCode::ConcurrentTransactions), "its marker is not written");
    assert_eq!(driver.call(end(old, true)), error(ErrorCode::ProducerFenced));
    assert_eq!(driver.call(add(old, &[1])), error(ErrorCode::ProducerFenced));
    let (_, request) = driver.write_markers();
    assert!(matches!(request, Request::WriteTxnMarkers { commit: false, producer_epoch: 1, .. }), "the marker carries the fence: {request:?}");
    assert_eq!(producer(&mut driver), (old.0, 2), "the second call raises it again");
    assert_eq!(completed(&driver), [false]);
    assert_eq!(fenced(&driver), 2);
}

#[test]
fn a39_two_instances_fence_each_other_in_a_loop() {
    let mut driver = Driver::transactions();
    let mut last = producer(&mut driver);
    for _ in 0..5 {
        let next = producer(&mut driver);
        assert_eq!(next, (last.0, last.1 + 1));
        assert_eq!(driver.call(add(last, &[0])), error(ErrorCode::ProducerFenced));
        last = next;
    }
}

#[test]
fn a39_an_exhausted_producer_id_is_followed_by_a_new_one() {
    for open in [false, true] {
        let mut driver = Driver::transactions();
        let first = producer(&mut driver);
        let mut last = first;
        while last.1 < ProducerEpoch::MAX - 1 {
            last = producer(&mut driver);
            assert_eq!(last.0, first.0);
        }
        if open {
            driver.call(add(last, &[0]));
            assert_eq!(driver.call(init()), error(ErrorCode::ConcurrentTransactions), "the last epoch is the fence");
            driver.write_markers();
        }
        let next = producer(&mut driver);
        assert_eq!((next.0 != first.0, next.1), (true, 0));
        assert_eq!(driver.call(add(last, &[0])), error(ErrorCode::InvalidProducerIdMapping), "the old producer id is nobody's any more");
    }
}

#[test]
fn a39_without_a_producer_id_at_hand_the_caller_asks_again() {
    let mut driver = Driver::transactions();
    let ids = std::mem::take(&mut driver.cluster.producer_ids);
    assert_eq!(driver.call(init()), error(ErrorCode::CoordinatorLoadInProgress));
    driver.cluster.producer_ids = ids;
    assert_eq!(producer(&mut driver).1, 0);
}

#[test]
fn a39_a_timeout_beyond_the_limit_is_refused() {
    let mut driver = Driver::transactions();
    for transaction_timeout_ms in [0, 900_001] {
        let request = Request::InitProducerId { transactional_id: Some("t".into()), transaction_timeout_ms };
        assert_eq!(driver.call(request), error(ErrorCode::InvalidTransactionTimeout));
    }
}

#[test]
fn a40_the_client_is_answered_before_the_markers_and_the_next_transaction_waits_for_them() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0, 1]));
    assert_eq!(driver.call(end(one, true)), Response::EndTxn);
    assert_eq!(completed(&driver), []);
    assert_eq!(driver.call(add(one, &[0])), error(ErrorCode::ConcurrentTransactions));
    driver.write_markers();
    assert_eq!(driver.noted(|note| matches!(note, Note::FirstMarkerWritten { .. })), 1);
    assert_eq!(driver.call(add(one, &[0])), error(ErrorCode::ConcurrentTransactions));
    driver.write_markers();
    assert_eq!(completed(&driver), [true]);
    assert_eq!(driver.call(add(one, &[0])), added(&[0]));
    assert_eq!(driver.noted(|note| matches!(note, Note::FirstMarkerWritten { .. })), 1);
}

#[test]
fn a40_markers_are_asked_for_again_until_every_partition_has_one() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0, 3]));
    driver.call(end(one, false));
    assert_eq!(asked(&driver), [tp(0), tp(3)], "one request per leader");
    driver.answer(None);
    assert!(driver.asks.is_empty(), "not at once");
    driver.advance(100);
    assert_eq!(asked(&driver), [tp(0), tp(3)]);
    let partly = vec![(tp(0), Ok(())), (tp(3), Err(ErrorCode::NotLeaderOrFollower))];
    driver.answer(Some(Response::WriteTxnMarkers { partitions: partly }));
    driver.cluster.leaders.insert(tp(3), None);
    driver.advance(10_000);
    assert!(driver.asks.is_empty(), "nobody leads");
    driver.cluster.leaders.insert(tp(3), Some(2));
    driver.advance(100);
    let (node, _) = driver.write_markers();
    assert_eq!(node, 2);
    assert_eq!(completed(&driver), [false]);
}

#[test]
fn a25_a40_a_deleted_topic_needs_no_marker_and_its_transaction_ends() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0, 3]));
    driver.call(end(one, true));
    assert_eq!(asked(&driver), [tp(0), tp(3)], "one leader, one request");
    driver.cluster.leaders.remove(&tp(3));
    driver.cluster.deleted.insert(tp(3));
    driver.advance(30_000);
    let late = Some(Response::WriteTxnMarkers { partitions: vec![(tp(0), Ok(())), (tp(3), Err(ErrorCode::UnknownTopicOrPartition))] });
    driver.answer(late);
    assert_eq!(asked(&driver), [tp(0)], "who was asked of both may be silent for ever: asked again, of what is left");
    assert_eq!(completed(&driver), []);
    driver.write_markers();
    assert_eq!(completed(&driver), [true]);

    // Nothing is left, and nobody is asked.
    let (id, epoch) = producer(&mut driver);
    driver.call(add((id, epoch), &[5]));
    driver.cluster.leaders.remove(&tp(5));
    driver.cluster.deleted.insert(tp(5));
    assert_eq!(driver.call(end((id, epoch), false)), Response::EndTxn);
    assert_eq!((driver.asks.len(), completed(&driver)), (0, vec![true, false]));
    assert_eq!(producer(&mut driver), (id, epoch + 1), "the id is free");
}

/// A coordinator that takes over may hear of a topic later than of its own partition: what it does not know is not what is no more.
#[test]
fn a23_a40_a_partition_that_was_not_heard_of_yet_is_waited_for() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.call(end(one, true));
    driver.cluster.leaders.remove(&tp(0));
    driver.fail_over(0);
    driver.advance(60_000);
    assert_eq!((driver.asks.len(), completed(&driver)), (0, vec![]));
    driver.cluster.leaders.insert(tp(0), Some(2));
    driver.advance(1_000);
    assert_eq!(driver.write_markers().0, 2);
    assert_eq!(completed(&driver), [true]);
}

#[test]
fn a40_a_silent_leader_is_given_up_when_another_leads_and_its_late_answer_does_not_count() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.call(end(one, true));
    driver.advance(30_000);
    assert_eq!(driver.asks.len(), 1, "it leads still: the same request is under way");
    driver.cluster.leaders.insert(tp(0), Some(3));
    driver.advance(1_000);
    assert_eq!(driver.asks.len(), 2);
    let late = Some(Response::WriteTxnMarkers { partitions: vec![(tp(0), Ok(()))] });
    assert_eq!(driver.answer(late).0, 1);
    assert_eq!(completed(&driver), []);
    assert_eq!(driver.write_markers().0, 3);
    assert_eq!(completed(&driver), [true]);
}

#[test]
fn a40_a_failover_between_two_markers_writes_them_again_and_ends_once() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0, 1]));
    driver.call(end(one, true));
    driver.write_markers();
    driver.fail_over(0);
    assert_eq!(driver.asks.len(), 2, "which are written is not stored, and a second marker changes nothing");
    let epochs: Vec<u32> = driver
        .asks
        .iter()
        .map(|(_, _, request)| match request {
            Request::WriteTxnMarkers { coordinator_epoch, commit: true, .. } => *coordinator_epoch,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(epochs, [2, 2]);
    driver.write_markers();
    driver.write_markers();
    assert_eq!(completed(&driver), [true]);
    assert_eq!(driver.call(end(one, true)), Response::EndTxn);
}

#[test]
fn a40_a_decision_that_reached_the_next_leader_stands_there_and_one_that_did_not_does_not() {
    for kept in [0, 1] {
        let mut driver = Driver::transactions();
        let one = producer(&mut driver);
        driver.call(add(one, &[0]));
        driver.durable_at_once = false;
        let ends = driver.send(end(one, true));
        driver.fail_over(kept);
        assert_eq!(driver.reply(ends), Some(error(ErrorCode::NotCoordinator)), "in doubt");
        driver.durable_at_once = true;
        assert_eq!(driver.asks.len(), kept);
        match kept {
            1 => assert_eq!(driver.call(end(one, false)), error(ErrorCode::InvalidTxnState), "it is committed, an abort comes too late"),
            _ => assert_eq!(driver.call(end(one, false)), Response::EndTxn),
        }
    }
}

#[test]
fn a40_a_completion_that_the_log_refuses_is_tried_again() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.call(end(one, true));
    driver.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    driver.write_markers();
    driver.advance(1_000);
    assert_eq!(completed(&driver), []);
    driver.refuse_appends = None;
    driver.advance(100);
    assert_eq!(completed(&driver), [true]);
}

#[test]
fn a41_the_same_decision_again_is_a_success_even_for_another_transaction() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    assert_eq!(driver.call(end(one, true)), Response::EndTxn);
    assert_eq!(driver.call(end(one, true)), error(ErrorCode::ConcurrentTransactions), "while the markers are written");
    assert_eq!(driver.call(end(one, false)), error(ErrorCode::InvalidTxnState));
    driver.write_markers();
    assert_eq!(driver.call(end(one, true)), Response::EndTxn, "the retry of a lost answer");
    assert_eq!(driver.call(end(one, false)), error(ErrorCode::InvalidTxnState));

    driver.call(add(one, &[1]));
    assert_eq!(driver.call(end(one, true)), Response::EndTxn, "a delayed request of the first decides the second (KAFKA-17754)");
    assert_eq!(completed(&driver).len(), 1);
    driver.write_markers();
    assert_eq!(completed(&driver), [true, true]);
}

#[test]
fn a41_nothing_to_end_is_an_invalid_state() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    assert_eq!(driver.call(end(one, true)), error(ErrorCode::InvalidTxnState));
}

#[test]
fn a42_version_one_keeps_the_epoch_from_transaction_to_transaction() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    for _ in 0..3 {
        driver.call(add(one, &[0]));
        driver.call(end(one, true));
        let (_, request) = driver.write_markers();
        assert!(matches!(request, Request::WriteTxnMarkers { producer_epoch, .. } if producer_epoch == one.1));
    }
    assert_eq!(completed(&driver), [true, true, true]);
}

#[test]
fn a43_a_leader_is_told_whether_a_partition_is_in_the_transaction() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    let not_in = Response::AddPartitionsToTxn { partitions: vec![(tp(0), Ok(())), (tp(1), Err(ErrorCode::InvalidTxnState))] };
    assert_eq!(driver.call(add_as(one, &[0, 1], true)), not_in);
    assert_eq!(driver.call(add_as((one.0, one.1 + 1), &[0], true)), error(ErrorCode::ProducerFenced));
    assert_eq!(driver.call(add_as((one.0 + 1, one.1), &[0], true)), error(ErrorCode::InvalidProducerIdMapping));
    driver.call(end(one, false));
    assert_eq!(driver.call(add_as(one, &[0], true)), error(ErrorCode::ConcurrentTransactions));
    driver.write_markers();
    let late = Response::AddPartitionsToTxn { partitions: vec![(tp(0), Err(ErrorCode::InvalidTxnState))] };
    assert_eq!(driver.call(add_as(one, &[0], true)), late, "a late write would open a transaction that nobody ends");
    assert_eq!(driver.durable.len(), 4, "verifying writes nothing: init, add, prepare, complete");
}

#[test]
fn a43_no_write_is_let_in_while_the_end_is_on_its_way() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.durable_at_once = false;
    driver.send(add(one, &[1]));
    assert_eq!(driver.call(add_as(one, &[0], true)), added(&[0]), "more partitions do no harm");
    driver.replicate(1);
    driver.send(end(one, true));
    assert_eq!(driver.call(add_as(one, &[0], true)), error(ErrorCode::ConcurrentTransactions));
}

#[test]
fn a43_a_partition_that_is_already_in_costs_no_record_and_one_that_does_not_exist_is_refused() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0, 1]));
    let before = driver.durable.len();
    assert_eq!(driver.call(add(one, &[1])), added(&[1]));
    assert_eq!(driver.durable.len(), before);
    let Response::AddPartitionsToTxn { partitions } = driver.call(add(one, &[2, 99])) else { panic!("per partition") };
    assert_eq!(partitions[1], (tp(99), Err(ErrorCode::UnknownTopicOrPartition)));
    assert!(partitions[0].1.is_err(), "all or none");
    assert_eq!(driver.durable.len(), before);
}

#[test]
fn a44_each_marker_goes_to_the_leader_with_producer_epoch_and_decision() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0, 1, 2]));
    driver.call(end(one, false));
    for n in 0..3 {
        let (node, request) = driver.write_markers();
        let expected = Request::WriteTxnMarkers { producer_id: one.0, producer_epoch: one.1, coordinator_epoch: 1, commit: false, partitions: vec![tp(n)] };
        assert_eq!((node, request), (1 + n % 3, expected));
    }
}

#[test]
fn a45_an_open_transaction_is_aborted_after_its_timeout_and_its_producer_fenced() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.advance(3_000);
    driver.call(add(one, &[1]));
    driver.advance(1_999);
    assert!(driver.asks.is_empty(), "more partitions give no more time, and no less");
    driver.advance(1_001);
    assert_eq!(driver.noted(|note| matches!(note, Note::TxnPrepared { commit: false, timed_out: true, .. })), 1);
    assert_eq!(driver.call(end(one, true)), error(ErrorCode::ProducerFenced));
    let (_, request) = driver.write_markers();
    assert!(matches!(request, Request::WriteTxnMarkers { producer_epoch, commit: false, .. } if producer_epoch == one.1 + 1));
    driver.write_markers();
    assert_eq!(completed(&driver), [false]);
    assert_eq!(producer(&mut driver), (one.0, one.1 + 2));
}

#[test]
fn a45_a_failover_takes_the_elapsed_time_over() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.advance(3_000);
    driver.call(add(one, &[3]));
    driver.advance(1_000);
    driver.fail_over(0);
    driver.advance(999);
    assert!(driver.asks.is_empty());
    driver.advance(1_001);
    assert_eq!(driver.asks.len(), 1);
    driver.write_markers();
    assert_eq!(completed(&driver), [false]);
}

#[test]
fn a45_a_refused_abort_is_tried_again() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    driver.advance(20_000);
    assert_eq!(driver.call(add(one, &[0])), added(&[0]), "no fence before it is durable");
    driver.refuse_appends = None;
    driver.advance(1_000);
    driver.write_markers();
    assert_eq!(completed(&driver), [false]);
}

#[test]
fn a45_a_transition_under_way_at_the_scan_does_not_lose_the_timeout() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    driver.durable_at_once = false;
    driver.send(add(one, &[1]));
    driver.advance(6_000);
    driver.durable_at_once = true;
    driver.replicate(1);
    driver.advance(1_000);
    assert_eq!(driver.asks.len(), 2);
}

#[test]
fn a46_the_partition_of_the_groups_coordinator_gets_a_marker_too() {
    let mut driver = Driver::transactions();
    let one = producer(&mut driver);
    driver.call(add(one, &[0]));
    let offsets = Request::AddOffsetsToTxn { transactional_id: "t".into(), producer_id: one.0, producer_epoch: one.1, group: "g".into() };
    assert_eq!(driver.call(offsets), Response::AddOffsetsToTxn);
    driver.call(end(one, true));
    let partitions: Vec<Tp> = driver
        .asks
        .iter()
        .flat_map(|(_, _, request)| match request {
            Request::WriteTxnMarkers { partitions, .. } => partitions.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(partitions, [tp(0), OFFSETS]);
}

#[test]
fn a48_an_unknown_id_has_no_producer_and_an_idle_one_is_forgotten() {
    let mut driver = Driver::transactions();
    assert_eq!(driver.call(add((5, 0), &[0])), error(ErrorCode::InvalidProducerIdMapping));
    let one = producer(&mut driver);
    driver.advance(7 * 24 * 3_600_000 - 1);
    assert_eq!(driver.call(add(one, &[0])), added(&[0]));
    driver.call(end(one, true));
    driver.write_markers();
    driver.advance(7 * 24 * 3_600_000 + 1_000);
    assert_eq!(driver.call(add(one, &[0])), error(ErrorCode::InvalidProducerIdMapping));
    driver.fail_over(0);
    assert_eq!(driver.call(add(one, &[0])), error(ErrorCode::InvalidProducerIdMapping));
    assert_ne!(producer(&mut driver).0, one.0);
}
