//! Transactional partitions: A40, A43, A44. Coordinators have their own tests; here is what the leaders of partitions do.

use super::a07_a11_high_watermark::three_brokers;
use crate::client::{batch, transactional};
use crate::world::World;
use broker::protocol::{CoordinatorKind, Isolation};
use broker::{Batch, ErrorCode, NodeId, Note, Request, Response, Tp};

const ID: &str = "orders-0";

pub struct Txn {
    coordinator: NodeId,
    pub producer_id: i64,
    pub producer_epoch: i16,
}

pub fn begin(world: &mut World) -> Txn {
    loop {
        let asked = world.call(1, Request::FindCoordinator { kind: CoordinatorKind::Transaction, key: ID.to_owned() });
        if let Some(Response::FindCoordinator { node, .. }) = asked {
            let init = Request::InitProducerId { transactional_id: Some(ID.to_owned()), transaction_timeout_ms: 5_000 };
            if let Some(Response::InitProducerId { producer_id, producer_epoch }) = world.call(node, init) {
                return Txn { coordinator: node, producer_id, producer_epoch };
            }
        }
        assert!(world.now_ms() < 60_000, "no coordinator");
        world.run_ms(100);
    }
}

pub fn add(world: &mut World, txn: &Txn, tp: Tp) -> Option<Response> {
    let request = Request::AddPartitionsToTxn {
        transactional_id: ID.to_owned(),
        producer_id: txn.producer_id,
        producer_epoch: txn.producer_epoch,
        partitions: vec![tp],
        verify_only: false,
    };
    for _ in 0..50 {
        match world.call(txn.coordinator, request.clone()) {
            Some(Response::Error(ErrorCode::ConcurrentTransactions)) => world.run_ms(50),
            answer => return answer,
        }
    }
    panic!("concurrent for ever")
}

pub fn end(world: &mut World, txn: &Txn, commit: bool) {
    let request = Request::EndTxn { transactional_id: ID.to_owned(), producer_id: txn.producer_id, producer_epoch: txn.producer_epoch, commit };
    assert_eq!(world.call(txn.coordinator, request), Some(Response::EndTxn));
}

pub fn write(world: &mut World, tp: Tp, batch: &Batch) -> Result<i64, ErrorCode> {
    let leader = world.leader(tp).expect("a leader");
    let request = Request::Produce { acks: -1, timeout_ms: 3_000, transactional_id: Some(ID.to_owned()), partitions: vec![(tp, batch.bytes().clone())] };
    match world.call(leader, request) {
        Some(Response::Produce { partitions }) => partitions[0].1,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a43_the_first_write_is_verified_with_the_coordinator() {
    let (mut world, tp, _, _) = three_brokers(51);
    let txn = begin(&mut world);
    let first = transactional(&["a"], txn.producer_id, txn.producer_epoch, 0);
    assert_eq!(write(&mut world, tp, &first), Err(ErrorCode::InvalidTxnState), "the partition was not added");
    assert!(matches!(add(&mut world, &txn, tp), Some(Response::AddPartitionsToTxn { .. })));
    assert_eq!(write(&mut world, tp, &first), Ok(0));
    assert_eq!(write(&mut world, tp, &transactional(&["b"], txn.producer_id, txn.producer_epoch, 1)), Ok(1));
}

#[test]
fn a43_a_late_write_opens_no_transaction() {
    let (mut world, tp, leader, _) = three_brokers(52);
    let txn = begin(&mut world);
    add(&mut world, &txn, tp);
    assert_eq!(write(&mut world, tp, &transactional(&["a"], txn.producer_id, txn.producer_epoch, 0)), Ok(0));
    end(&mut world, &txn, false);
    world.run_ms(500);
    let late = transactional(&["late"], txn.producer_id, txn.producer_epoch, 1);
    assert_eq!(write(&mut world, tp, &late), Err(ErrorCode::InvalidTxnState), "the marker has landed");
    let fetched = world.fetch_at(leader, tp, 0, Isolation::ReadCommitted);
    assert_eq!(fetched.last_stable_offset, fetched.high_watermark, "nothing hangs");
}

#[test]
fn a43_writes_in_a_row_wait_for_one_verification_and_keep_their_order() {
    let (mut world, tp, leader, _) = three_brokers(53);
    let txn = begin(&mut world);
    add(&mut world, &txn, tp);
    let tickets: Vec<_> = (0..4)
        .map(|nth| {
            let batch = transactional(&["x"], txn.producer_id, txn.producer_epoch, nth);
            let partitions = vec![(tp, batch.bytes().clone())];
            world.send_request(leader, Request::Produce { acks: -1, timeout_ms: 3_000, transactional_id: Some(ID.to_owned()), partitions })
        })
        .collect();
    for (nth, ticket) in (0..).zip(tickets) {
        assert!(matches!(world.answer_to(ticket), Some(Response::Produce { partitions }) if partitions[0].1 == Ok(nth)));
    }
}

#[test]
fn a44_readers_of_committed_records_stop_at_the_oldest_open_transaction() {
    let (mut world, tp, leader, _) = three_brokers(54);
    world.produce(tp, &batch(&["before"]), -1).expect("acked");
    let txn = begin(&mut world);
    add(&mut world, &txn, tp);
    assert_eq!(write(&mut world, tp, &transactional(&["a"], txn.producer_id, txn.producer_epoch, 0)), Ok(1));
    world.produce(tp, &batch(&["after"]), -1).expect("acked");
    let fetched = world.fetch_at(leader, tp, 0, Isolation::ReadCommitted);
    assert_eq!((fetched.high_watermark, fetched.last_stable_offset), (3, 1));
    assert_eq!(Batch::split(fetched.records).expect("whole").len(), 1);
    end(&mut world, &txn, true);
    world.run_ms(500);
    let fetched = world.fetch_at(leader, tp, 0, Isolation::ReadCommitted);
    assert_eq!((fetched.high_watermark, fetched.last_stable_offset), (4, 4));
    assert_eq!(Batch::split(fetched.records).expect("whole").len(), 4, "two plain, one transactional, one marker");
    assert_eq!(fetched.aborted, []);
}

#[test]
fn a44_aborted_transactions_are_listed_also_by_a_new_leader_and_after_a_restart() {
    let (mut world, tp, leader, _) = three_brokers(55);
    let txn = begin(&mut world);
    for round in 0..2 {
        add(&mut world, &txn, tp);
        assert_eq!(write(&mut world, tp, &transactional(&["a"], txn.producer_id, txn.producer_epoch, round)), Ok(i64::from(round) * 2));
        end(&mut world, &txn, false);
        world.run_ms(500);
    }
    let expected = [(txn.producer_id, 0), (txn.producer_id, 2)];
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadCommitted).aborted, expected);
    world.kill(leader);
    let next = world.await_other_leader(tp, leader);
    world.run_ms(1_000);
    assert_eq!(world.fetch_at(next, tp, 0, Isolation::ReadCommitted).aborted, expected);
    world.kill(next);
    world.start(leader);
    world.start(next);
    world.await_full_isr(tp, 3);
    world.run_ms(1_000);
    let now = world.leader(tp).expect("a leader");
    assert_eq!(world.fetch_at(now, tp, 0, Isolation::ReadCommitted).aborted, expected);
    assert_eq!(world.fetch_at(now, tp, 2, Isolation::ReadCommitted).aborted, expected[1..]);
}

#[test]
fn a40_a_marker_of_an_older_epoch_is_refused() {
    let (mut world, tp, leader, _) = three_brokers(56);
    world.produce(tp, &crate::client::idempotent(&["a"], 900, 3, 0), -1).expect("acked");
    let marker =
        |epoch, coordinator_epoch| Request::WriteTxnMarkers { producer_id: 900, producer_epoch: epoch, coordinator_epoch, commit: true, partitions: vec![tp] };
    let mut mark = |epoch, coordinator_epoch| match world.call(leader, marker(epoch, coordinator_epoch)) {
        Some(Response::WriteTxnMarkers { partitions }) => partitions[0].1,
        other => panic!("{other:?}"),
    };
    assert_eq!(mark(2, 7), Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(mark(3, 7), Ok(()));
    assert_eq!(mark(3, 7), Ok(()), "a repeat is accepted");
    assert_eq!(mark(3, 6), Err(ErrorCode::NotCoordinator), "of a coordinator that was replaced");
}

/// A marker of version 1 names the epoch of the next transaction as well: late, from a coordinator that was replaced, it would end that one. Who wrote
/// the last marker stands in the log, so a leader that was not there knows it.
#[test]
fn a40_a_marker_of_an_older_coordinator_is_refused_by_a_new_leader_and_after_a_restart() {
    let (mut world, tp, leader, _) = three_brokers(60);
    let marked = |world: &mut World, coordinator_epoch| {
        let request = Request::WriteTxnMarkers { producer_id: 900, producer_epoch: 3, coordinator_epoch, commit: true, partitions: vec![tp] };
        let leader = world.leader(tp).expect("a leader");
        match world.call(leader, request) {
            Some(Response::WriteTxnMarkers { partitions }) => partitions[0].1,
            other => panic!("{other:?}"),
        }
    };
    world.produce(tp, &crate::client::idempotent(&["a"], 900, 3, 0), -1).expect("acked");
    assert_eq!(marked(&mut world, 7), Ok(()));
    world.run_ms(500);
    world.kill(leader);
    let next = world.await_other_leader(tp, leader);
    world.run_ms(1_000);
    assert_eq!(marked(&mut world, 6), Err(ErrorCode::NotCoordinator), "the heir knows");
    world.kill(next);
    world.start(leader);
    world.start(next);
    world.await_full_isr(tp, 3);
    world.run_ms(1_000);
    assert_eq!(marked(&mut world, 6), Err(ErrorCode::NotCoordinator), "so does who read it from disk");
    assert_eq!(marked(&mut world, 7), Ok(()), "the coordinator's own repeat");
}

#[test]
fn a40_a_transaction_survives_its_coordinator() {
    let mut between = 0;
    for seed in 570..590 {
        let (mut world, tp, leader, _) = three_brokers(seed);
        let txn = begin(&mut world);
        add(&mut world, &txn, tp);
        assert_eq!(write(&mut world, tp, &transactional(&["a"], txn.producer_id, txn.producer_epoch, 0)), Ok(0));
        end(&mut world, &txn, true);
        let marked = |world: &World| world.notes.iter().any(|(_, note)| matches!(note, Note::Appended { tp: of, control: Some(_), .. } if *of == tp));
        between += usize::from(txn.coordinator != leader && !marked(&world));
        world.kill(txn.coordinator);
        world.run_until("the marker is written after all", 15_000, |world| marked(world));
        world.run_until("and the transaction ends", 15_000, |world| {
            world.notes.iter().any(|(_, note)| matches!(note, Note::TxnCompleted { commit: true, producer_id, .. } if *producer_id == txn.producer_id))
        });
    }
    assert!(between > 0, "nobody died between the answer and the marker");
}

#[test]
fn a44_a_producer_with_an_open_transaction_writes_nothing_beside_it() {
    let (mut world, tp, leader, _) = three_brokers(58);
    let txn = begin(&mut world);
    add(&mut world, &txn, tp);
    assert_eq!(write(&mut world, tp, &transactional(&["a"], txn.producer_id, txn.producer_epoch, 0)), Ok(0));
    let beside = crate::client::idempotent(&["beside"], txn.producer_id, txn.producer_epoch, 1);
    assert_eq!(world.produce(tp, &beside, -1), Err(ErrorCode::InvalidTxnState));
    end(&mut world, &txn, false);
    world.run_ms(500);
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadCommitted).last_stable_offset, 2, "one record, one marker");
    assert_eq!(world.produce(tp, &beside, -1), Ok(2), "after it");
}

#[test]
fn a25_a40_a_transaction_of_which_a_topic_was_deleted_ends_all_the_same() {
    for commit in [true, false] {
        let (mut world, tp, _, _) = three_brokers(59);
        let doomed = Tp { topic: world.create_topic("doomed", 1, 3, 2), partition: 0 };
        let txn = begin(&mut world);
        for (tp, value) in [(tp, "a"), (doomed, "b")] {
            add(&mut world, &txn, tp);
            assert_eq!(write(&mut world, tp, &transactional(&[value], txn.producer_id, txn.producer_epoch, 0)), Ok(0));
        }
        let deleted = world.call(1, Request::DeleteTopics { topics: vec!["doomed".to_owned()] });
        assert_eq!(deleted, Some(Response::DeleteTopics { results: vec![("doomed".to_owned(), Ok(()))] }));
        world.run_ms(500);
        end(&mut world, &txn, commit);
        let next = begin(&mut world);
        assert_eq!((next.producer_id, next.producer_epoch), (txn.producer_id, txn.producer_epoch + 1), "the id is free again");
        let leader = world.leader(tp).expect("a leader");
        assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadCommitted).last_stable_offset, 2, "the other topic has its marker");
    }
}
