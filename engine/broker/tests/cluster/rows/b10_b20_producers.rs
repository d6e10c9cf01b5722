//! Rows of the bus contract (`requirements.md` 4.2) that partitions' leaders keep: B-10, B-20.

use super::a07_a11_high_watermark::three_brokers;
use crate::client::{ALL, idempotent, produce_request};
use broker::{Note, Response};

#[test]
fn b10_what_was_acknowledged_by_all_is_readable_after_its_leader_was_killed() {
    for seed in 0..10 {
        let (mut world, tp, leader, _) = three_brokers(1_000 + seed);
        let tickets: Vec<_> = (0..6).map(|nth| world.send_request(leader, produce_request(tp, &idempotent(&["v"], 5, 0, nth), ALL))).collect();
        let after_us = world.rng.below(6_000);
        world.run_ms(after_us / 1_000);
        world.kill(leader);
        let acked = tickets.into_iter().filter(|&ticket| matches!(world.answer_to(ticket), Some(Response::Produce { partitions }) if partitions[0].1.is_ok()));
        let acked = acked.collect::<Vec<_>>().len();
        world.await_other_leader(tp, leader);
        world.run_ms(1_000);
        let read = world.read_all(tp);
        assert!(read.len() >= acked, "seed {seed}: {acked} acknowledged, {} readable", read.len());
    }
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
