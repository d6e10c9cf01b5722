//! What brokers see of a producer's session: A33–A35, and A63.

use super::a07_a11_high_watermark::three_brokers;
use crate::client::{ALL, batch, idempotent, produce_request};
use crate::world::CLIENT;
use broker::{ErrorCode, Note, Response};

#[test]
fn a33_with_sequences_a_batch_that_overtook_waits_for_the_one_before_it_and_without_it_stays_ahead() {
    let (mut world, tp, leader, _) = three_brokers(61);
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 0, 0), ALL), Ok(0));
    assert_eq!(world.produce(tp, &idempotent(&["c"], 5, 0, 2), ALL), Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(world.produce(tp, &idempotent(&["b"], 5, 0, 1), ALL), Ok(1));
    assert_eq!(world.produce(tp, &idempotent(&["c"], 5, 0, 2), ALL), Ok(2));
    for value in ["2", "1"] {
        assert!(world.produce_at(leader, tp, &batch(&[value]), ALL).is_ok());
    }
    let values: Vec<String> = world.read_all(tp).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["a", "b", "c", "2", "1"], "what has no sequence stands as it came");
}

#[test]
fn a34_after_a_gap_a_raised_epoch_goes_on_and_nothing_tells_of_the_hole() {
    let (mut world, tp, _, _) = three_brokers(62);
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 0, 0), ALL), Ok(0));
    assert_eq!(world.produce(tp, &idempotent(&["c"], 5, 0, 2), ALL), Err(ErrorCode::OutOfOrderSequenceNumber), "b is lost");
    assert_eq!(world.produce(tp, &idempotent(&["c"], 5, 1, 0), ALL), Ok(1));
    assert_eq!(world.produce(tp, &idempotent(&["b"], 5, 0, 1), ALL), Err(ErrorCode::InvalidProducerEpoch), "and cannot come any more");
    assert_eq!(world.read_all(tp), [(0, "a".to_owned()), (1, "c".to_owned())]);
}

#[test]
fn a35_a_new_session_writes_again_what_the_old_one_had_written() {
    let (mut world, tp, _, _) = three_brokers(63);
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 0, 0), ALL), Ok(0));
    assert_eq!(world.produce(tp, &idempotent(&["a"], 5, 0, 0), ALL), Ok(0), "the same session: the same batch");
    assert_eq!(world.produce(tp, &idempotent(&["a"], 6, 0, 0), ALL), Ok(1), "another producer id: another batch");
    assert_eq!(world.notes.iter().filter(|(_, note)| matches!(note, Note::DuplicateBatch { .. })).count(), 1);
    assert_eq!(world.read_all(tp), [(0, "a".to_owned()), (1, "a".to_owned())]);
}

#[test]
fn a63_a_request_held_up_on_one_connection_acts_after_a_later_one_on_another() {
    let (mut world, tp, leader, _) = three_brokers(64);
    let (held, other) = (CLIENT + 1, CLIENT + 2);
    world.cut(held, leader);
    let early = world.send_as(held, leader, produce_request(tp, &batch(&["early"]), ALL));
    world.run_ms(50);
    let late = world.send_as(other, leader, produce_request(tp, &batch(&["late"]), ALL));
    assert!(matches!(world.answer_to(late), Some(Response::Produce { partitions }) if partitions[0].1 == Ok(0)));
    world.heal();
    assert!(matches!(world.answer_to(early), Some(Response::Produce { partitions }) if partitions[0].1 == Ok(1)));
    assert_eq!(world.read_all(tp), [(0, "late".to_owned()), (1, "early".to_owned())]);
}
