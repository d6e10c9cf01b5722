//! Rows of the bus contract (`requirements.md` 4.2) that partitions' leaders keep: B-10, B-20.

use super::a07_a11_high_watermark::three_brokers;
use crate::client::{ALL, idempotent, produce_request};
use broker::{Note, Response};

#[test]
fn b10_what_was_acknowledged_by_all_is_readable_after_its_leader_was_killed() {
    let (mut all_acked, mut all_sent) = (0, 0);
    for seed in 0..10 {
        let (mut world, tp, leader, followers) = three_brokers(1_000 + seed);
        // Every other time nobody has copied anything when the leader dies.
        followers.into_iter().filter(|_| seed % 2 == 1).for_each(|node| world.pause(node));
        let values: Vec<String> = (0..6).map(|nth| format!("v{nth}")).collect();
        let send = |(nth, value): (i32, &String)| world.send_request(leader, produce_request(tp, &idempotent(&[value], 5, 0, nth), ALL));
        let tickets: Vec<_> = (0..).zip(&values).map(send).collect();
        let after_ms = world.rng.below(8);
        world.run_ms(after_ms);
        world.kill(leader);
        followers.into_iter().for_each(|node| world.resume(node));
        let mut acked = Vec::new();
        for (ticket, value) in tickets.into_iter().zip(values) {
            all_sent += 1;
            if let Some(Response::Produce { partitions }) = world.answer_to(ticket)
                && let Ok(offset) = partitions[0].1
            {
                acked.push((offset, value));
            }
        }
        all_acked += acked.len();
        world.await_other_leader(tp, leader);
        world.run_ms(1_000);
        let read = world.read_all(tp);
        assert!(acked.iter().all(|record| read.contains(record)), "seed {seed}: {acked:?} acknowledged, {read:?} readable");
    }
    assert!(0 < all_acked && all_acked < all_sent, "the kills came too early or too late: {all_acked} of {all_sent} were acknowledged");
}

#[test]
fn b20_a_producer_that_sends_the_same_sequence_ten_times_stores_it_once() {
    let (mut world, tp, leader, _) = three_brokers(20);
    for attempt in 0..10 {
        if attempt == 5 {
            // The next leader knows the producer too.
            world.kill(leader);
            world.await_other_leader(tp, leader);
        }
        assert_eq!(world.produce(tp, &idempotent(&["only once"], 8, 0, 0), ALL), Ok(0), "attempt {attempt}");
    }
    assert_eq!(world.read_all(tp), [(0, "only once".to_owned())]);
    assert_eq!(world.notes.iter().filter(|(_, note)| matches!(note, Note::DuplicateBatch { .. })).count(), 9);
}
