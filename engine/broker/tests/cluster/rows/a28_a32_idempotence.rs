//! Idempotent producers: A28–A30, A32.

use super::a07_a11_high_watermark::three_brokers;
use crate::client::{ALL, idempotent};
use broker::{ErrorCode, Note, Request, Response, Tp};

#[test]
fn a28_one_of_the_last_five_batches_is_acknowledged_again_with_its_offset() {
    let (mut world, tp, _, _) = three_brokers(41);
    for nth in 0..6 {
        assert_eq!(world.produce(tp, &idempotent(&["x", "y"], 5, 0, nth * 2), ALL), Ok(i64::from(nth) * 2));
    }
    for nth in 1..6 {
        assert_eq!(world.produce(tp, &idempotent(&["x", "y"], 5, 0, nth * 2), ALL), Ok(i64::from(nth) * 2), "batch {nth} again");
    }
    assert_eq!(world.produce(tp, &idempotent(&["x", "y"], 5, 0, 0), ALL), Err(ErrorCode::OutOfOrderSequenceNumber), "the sixth oldest is forgotten");
    assert_eq!(world.produce(tp, &idempotent(&["x"], 5, 0, 10), ALL), Err(ErrorCode::OutOfOrderSequenceNumber), "batched otherwise");
    assert_eq!(world.produce(tp, &idempotent(&["x"], 5, 0, 13), ALL), Err(ErrorCode::OutOfOrderSequenceNumber), "a gap");
    assert_eq!(world.produce(tp, &idempotent(&["x"], 5, 0, 12), ALL), Ok(12));
    let duplicates = world.notes.iter().filter(|(_, note)| matches!(note, Note::DuplicateBatch { .. })).count();
    assert_eq!(duplicates, 5);
    assert_eq!(world.read_all(tp).len(), 13);
}

#[test]
fn a28_a_repeat_of_a_batch_that_is_not_replicated_waits_as_the_first_did() {
    let (mut world, tp, leader, followers) = three_brokers(42);
    followers.into_iter().for_each(|node| world.pause(node));
    let first = world.send_request(leader, crate::client::produce_request(tp, &idempotent(&["x"], 5, 0, 0), ALL));
    let again = world.send_request(leader, crate::client::produce_request(tp, &idempotent(&["x"], 5, 0, 0), ALL));
    world.run_ms(500);
    assert!(!world.answers.contains_key(&first) && !world.answers.contains_key(&again));
    followers.into_iter().for_each(|node| world.resume(node));
    for ticket in [first, again] {
        assert!(matches!(world.answer_to(ticket), Some(Response::Produce { partitions }) if partitions[0].1 == Ok(0)));
    }
}

#[test]
fn a29_an_older_epoch_is_refused_and_a_newer_one_begins_at_zero() {
    let (mut world, tp, _, _) = three_brokers(43);
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 1, 0), ALL), Ok(0));
    assert_eq!(world.produce(tp, &idempotent(&["b"], 5, 0, 1), ALL), Err(ErrorCode::InvalidProducerEpoch));
    assert!(world.notes.iter().any(|(_, note)| matches!(note, Note::ProducerRefused { producer_id: 5, producer_epoch: 0, .. })));
    assert_eq!(world.produce(tp, &idempotent(&["b"], 5, 2, 1), ALL), Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(world.produce(tp, &idempotent(&["b"], 5, 2, 0), ALL), Ok(1));
    // Where the newer one has not written, nobody knows of it: a zombie is refused partition by partition.
    let elsewhere = Tp { topic: world.create_topic("elsewhere", 1, 3, 2), partition: 0 };
    assert_eq!(world.produce(elsewhere, &idempotent(&["zombie"], 5, 0, 1), ALL), Ok(0));
}

#[test]
fn a30_an_unknown_producer_may_begin_anywhere() {
    let (mut world, tp, _, _) = three_brokers(44);
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 0, 42), ALL), Ok(0));
    assert_eq!(world.produce(tp, &idempotent(&["b"], 5, 0, 43), ALL), Ok(1));
}

#[test]
fn a32_followers_and_restarted_brokers_know_the_producers() {
    let (mut world, tp, leader, _) = three_brokers(45);
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 0, 0), ALL), Ok(0));
    world.kill(leader);
    let next = world.await_other_leader(tp, leader);
    world.run_ms(600);
    assert_eq!(world.produce_at(next, tp, &idempotent(&["a"], 5, 0, 0), ALL), Ok(0), "a follower has it from the batches");
    world.bring_back(leader, tp, 3);
    world.kill(next);
    world.await_other_leader(tp, next);
    world.run_ms(600);
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 0, 0), ALL), Ok(0));
    assert_eq!(world.produce(tp, &idempotent(&["b"], 5, 0, 1), ALL), Ok(1));
}

#[test]
fn a32_truncation_takes_the_producers_state_back() {
    let (mut world, tp, old, _) = three_brokers(46);
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 0, 0), ALL), Ok(0));
    world.isolate(old);
    assert_eq!(world.produce_at(old, tp, &idempotent(&["b"], 5, 0, 1), 1), Ok(1), "it will be cut");
    world.await_other_leader(tp, old);
    world.heal();
    world.await_full_isr(tp, 3);
    let others: Vec<u32> = (1..=3).filter(|&node| node != old).collect();
    // Make the former leader lead again: what it was cut back to decides.
    for &node in &others {
        world.kill(node);
        world.run_until("it left the ISR", 8_000, |world| !world.isr(tp).contains(&node));
        if world.leader(tp) == Some(old) {
            world.bring_back(node, tp, 3);
            break;
        }
        world.bring_back(node, tp, 3);
    }
    world.run_until("a leader", 8_000, |world| world.leader(tp).is_some());
    assert_eq!(world.leader(tp), Some(old), "else this says nothing of what was cut");
    assert_eq!(world.produce(tp, &idempotent(&["c"], 5, 0, 1), ALL), Ok(1), "sequence 1 is new again");
    assert_eq!(world.read_all(tp), [(0, "a".to_owned()), (1, "c".to_owned())]);
}

#[test]
fn producer_ids_are_given_once() {
    let (mut world, _, _, _) = three_brokers(47);
    let mut ids = Vec::new();
    for nth in 0..30 {
        let answer = world.call(1 + nth % 3, Request::InitProducerId { transactional_id: None, transaction_timeout_ms: 0 });
        let Some(Response::InitProducerId { producer_id, producer_epoch: 0 }) = answer else { panic!("{answer:?}") };
        assert!(!ids.contains(&producer_id));
        ids.push(producer_id);
    }
}
