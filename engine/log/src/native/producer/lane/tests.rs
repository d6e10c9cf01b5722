use super::*;
use crate::port::SendTicket;
use broker::batch::BatchHeader;
use broker::protocol::TopicId;

const TP: Tp = Tp { topic: TopicId(1), partition: 0 };

fn lane() -> Lane {
    Lane::new(TP, Some(Identity { id: 7, epoch: 2 }))
}

fn queued(deadline_ms: u64) -> Queued {
    let (verdict, _) = SendTicket::pair();
    let record = batch::Record { offset: 0, timestamp_ms: 1, key: None, value: Some(Bytes::from_static(b"v")) };
    Queued { record, deadline_ms, since_ms: 0, ticket: Ticket { op: 0, crc: 0, bytes: 10, verdict } }
}

/// Queues `count` records and takes the batch they make.
fn sent(lane: &mut Lane, count: usize, deadline_ms: u64) -> (u64, BatchHeader) {
    (0..count).for_each(|_| lane.push(queued(deadline_ms)));
    let (number, bytes) = next(lane).expect("a batch");
    (number, BatchHeader::read(&bytes).expect("a header"))
}

fn next(lane: &mut Lane) -> Option<(u64, Bytes)> {
    lane.next_batch(0, 0, 1_000, 5, false)
}

fn outcomes(decided: Vec<Decided>) -> Vec<Outcome<Acked>> {
    decided.into_iter().map(|(_, outcome)| outcome).collect()
}

fn done(offset: i64) -> Outcome<Acked> {
    Outcome::Done(Acked { tp: TP, offset: Some(offset) })
}

#[test]
fn sequences_follow_each_other_and_wrap_to_zero() {
    let mut lane = lane();
    assert_eq!(sent(&mut lane, 3, 100).1.first_sequence, 0);
    assert_eq!(sent(&mut lane, 1, 100).1.first_sequence, 3);
    lane.next_sequence = i32::MAX;
    assert_eq!(sent(&mut lane, 2, 100).1.first_sequence, i32::MAX);
    assert_eq!(sent(&mut lane, 1, 100).1.first_sequence, 1, "the two before took i32::MAX and 0");
}

#[test]
fn verdicts_keep_the_order_of_the_sends() {
    let mut lane = lane();
    let (first, _) = sent(&mut lane, 1, 100);
    let (second, _) = sent(&mut lane, 2, 100);
    assert_eq!(outcomes(lane.acknowledged(second, 11)), []);
    assert_eq!(outcomes(lane.acknowledged(first, 10)), [done(10), done(11), done(12)]);
    assert!(lane.is_idle());
}

#[test]
fn after_one_came_back_only_the_oldest_goes_alone() {
    let mut lane = lane();
    let (first, _) = sent(&mut lane, 1, 100);
    let (second, _) = sent(&mut lane, 1, 100);
    lane.push(queued(100));
    lane.came_back(second, Some(ErrorCode::OutOfOrderSequenceNumber), true, 0);
    assert_eq!(next(&mut lane), None, "the first is still on its way");
    lane.came_back(first, Some(ErrorCode::NotLeaderOrFollower), true, 0);
    assert_eq!(next(&mut lane).map(|(number, _)| number), Some(first));
    assert_eq!(next(&mut lane), None);
    lane.acknowledged(first, 10);
    assert_eq!(next(&mut lane).map(|(number, _)| number), Some(second));
    lane.acknowledged(second, 11);
    assert!(next(&mut lane).is_some(), "then the queue goes on");
}

#[test]
fn a_failure_decides_everything_behind_it_truthfully() {
    let mut lane = lane();
    let (first, _) = sent(&mut lane, 1, 100);
    let (second, _) = sent(&mut lane, 1, 100);
    let (third, _) = sent(&mut lane, 1, 100);
    lane.push(queued(100));
    lane.acknowledged(second, 11);
    lane.came_back(third, None, false, 0);
    let verdicts = outcomes(lane.fail(first, ErrorCode::MessageTooLarge));
    let behind = Outcome::NotDone(Reason::Behind);
    assert_eq!(verdicts, [Outcome::NotDone(Reason::Answered(ErrorCode::MessageTooLarge)), Outcome::Unknown(Reason::Behind), behind.clone(), behind]);
    assert!(lane.behind && lane.identity.is_none(), "sequences are unresolved: a new identity comes first");
}

#[test]
fn a_deadline_without_an_attempt_is_definite_and_keeps_the_identity() {
    let mut lane = lane();
    lane.push(queued(100));
    assert!(!lane.is_due(99) && lane.is_due(100));
    assert_eq!(outcomes(lane.expire()), [Outcome::NotDone(Reason::Deadline)]);
    assert!(lane.behind && lane.identity.is_some());
}

#[test]
fn a_late_answer_to_a_batch_given_up_changes_nothing() {
    let mut lane = lane();
    let (first, _) = sent(&mut lane, 1, 100);
    assert_eq!(outcomes(lane.expire()), [Outcome::Unknown(Reason::Deadline)]);
    lane.behind = false;
    lane.identify(Identity { id: 8, epoch: 0 });
    let (second, header) = sent(&mut lane, 1, 200);
    assert_eq!((header.producer_id, header.first_sequence), (8, 0));
    assert_ne!(first, second);
    assert_eq!(outcomes(lane.acknowledged(first, 10)), []);
    assert_eq!(outcomes(lane.acknowledged(second, 20)), [done(20)]);
}

#[test]
fn a_batch_takes_what_fits_and_at_least_one() {
    let mut lane = lane();
    (0..3).for_each(|_| lane.push(queued(100)));
    let (_, bytes) = lane.next_batch(0, 0, 25, 5, false).expect("a batch");
    assert_eq!(BatchHeader::read(&bytes).expect("a header").record_count, 2);
    let (_, bytes) = lane.next_batch(0, 0, 5, 5, false).expect("a batch");
    assert_eq!(BatchHeader::read(&bytes).expect("a header").record_count, 1);
}

#[test]
fn a_linger_waits_for_more_unless_there_is_enough() {
    let mut lane = lane();
    lane.push(queued(100));
    assert_eq!(lane.next_batch(4, 5, 1_000, 5, false), None);
    assert_eq!(lane.wakes_at_ms(5, 4), Some(5));
    assert!(lane.next_batch(4, 5, 10, 5, false).is_some());
}
