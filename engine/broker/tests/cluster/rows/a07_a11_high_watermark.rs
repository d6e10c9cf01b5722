//! High watermark and acknowledgements: A7–A11.

use crate::client::{ALL, batch, fetch_request, produce_request};
use crate::world::World;
use broker::protocol::{Isolation, OffsetSpec};
use broker::{BrokerConfig, ControllerConfig, ErrorCode, NodeId, Note, Response, Tp};

pub fn three_brokers(seed: u64) -> (World, Tp, NodeId, [NodeId; 2]) {
    three_brokers_with(seed, BrokerConfig::new(1, "unset"), ControllerConfig::default())
}

pub fn three_brokers_with(seed: u64, broker: BrokerConfig, controller: ControllerConfig) -> (World, Tp, NodeId, [NodeId; 2]) {
    let mut world = World::with_configs(seed, 3, broker, controller);
    let topic = world.create_topic("orders", 1, 3, 2);
    let tp = Tp { topic, partition: 0 };
    let leader = world.leader(tp).expect("a leader");
    let followers: Vec<NodeId> = (1..=3).filter(|&node| node != leader).collect();
    (world, tp, leader, [followers[0], followers[1]])
}

#[test]
fn a07_high_watermark_is_the_least_end_of_the_isr() {
    let (mut world, tp, leader, [slow, fast]) = three_brokers(7);
    world.pause(slow);
    let ticket = world.send_request(leader, produce_request(tp, &batch(&["a"]), ALL));
    world.run_ms(1_000);
    assert!(!world.answers.contains_key(&ticket), "{fast} has it, {slow} is in the ISR and has not");
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadUncommitted).high_watermark, 0);
    world.resume(slow);
    assert!(matches!(world.answer_to(ticket), Some(Response::Produce { partitions }) if partitions[0].1 == Ok(0)));
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadUncommitted).high_watermark, 1);
}

#[test]
fn a07_a_follower_that_hangs_leaves_the_isr_and_holds_nothing_back() {
    let (mut world, tp, leader, [slow, fast]) = three_brokers(8);
    // Its heartbeats go on: only the leader can put it out.
    world.cut(slow, leader);
    let ticket = world.send_request(leader, produce_request(tp, &batch(&["a"]), ALL));
    world.run_until("the ISR shrinks", 6_000, |world| world.isr(tp).len() == 2);
    let mut isr = world.isr(tp);
    isr.sort();
    let mut expected = vec![leader, fast];
    expected.sort();
    assert_eq!(isr, expected);
    world.answers.remove(&ticket);
    assert_eq!(world.produce(tp, &batch(&["b"]), ALL), Ok(1));
    world.heal();
    world.await_full_isr(tp, 3);
}

/// Both sets count: the one that is decided and the one that is asked for (KIP-497).
#[test]
fn a07_a_replica_that_may_have_joined_holds_the_high_watermark() {
    let (mut world, tp, leader, [slow, _]) = three_brokers(19);
    world.kill(slow);
    world.run_until("it leaves the ISR", 6_000, |world| world.isr(tp).len() == 2);
    world.cut(slow, leader);
    world.start(slow);
    world.run_until("its next life is unfenced", 10_000, |world| world.is_unfenced(slow));
    world.run_ms(200);
    // Nobody will say whether it joined.
    world.cut(leader, 0);
    world.heal_between(slow, leader);
    world.run_ms(200);
    assert_eq!(world.isr(tp).len(), 2);
    world.pause(slow);
    let ticket = world.send_request(leader, produce_request(tp, &batch(&["a"]), ALL));
    world.run_ms(600);
    assert!(!world.answers.contains_key(&ticket), "the controller may count it as in sync by now");
    world.resume(slow);
    assert!(matches!(world.answer_to(ticket), Some(Response::Produce { partitions }) if partitions[0].1 == Ok(0)));
}

#[test]
fn a08_the_high_watermark_stands_while_the_isr_is_below_its_minimum() {
    let (mut world, tp, leader, followers) = three_brokers(9);
    followers.into_iter().for_each(|node| world.kill(node));
    world.run_until("the ISR is the leader alone", 8_000, |world| world.isr(tp) == [leader]);
    world.run_ms(100);
    assert_eq!(world.produce(tp, &batch(&["a"]), 1), Ok(0));
    world.run_ms(2_000);
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadUncommitted).high_watermark, 0);
    world.bring_back(followers[0], tp, 2);
    assert_eq!(world.read_all(tp), [(0, "a".to_owned())]);
}

#[test]
fn a09_too_small_an_isr_is_refused_before_anything_is_written() {
    let (mut world, tp, leader, followers) = three_brokers(10);
    followers.into_iter().for_each(|node| world.kill(node));
    world.run_until("the ISR is the leader alone", 8_000, |world| world.isr(tp) == [leader]);
    world.run_ms(100);
    assert_eq!(world.produce(tp, &batch(&["a"]), ALL), Err(ErrorCode::NotEnoughReplicas));
    followers.into_iter().for_each(|node| world.start(node));
    world.await_full_isr(tp, 3);
    assert_eq!(world.produce(tp, &batch(&["b"]), ALL), Ok(0), "nothing was written");
}

#[test]
fn a09_an_isr_that_shrinks_after_the_append_leaves_a_written_record() {
    let (mut world, tp, leader, followers) = three_brokers(11);
    followers.into_iter().for_each(|node| world.kill(node));
    assert_eq!(world.produce_at(leader, tp, &batch(&["a"]), ALL), Err(ErrorCode::NotEnoughReplicasAfterAppend));
    followers.into_iter().for_each(|node| world.start(node));
    world.await_full_isr(tp, 3);
    assert_eq!(world.read_all(tp), [(0, "a".to_owned())]);
}

#[test]
fn a09_a_request_that_times_out_is_written_and_undecided() {
    let (mut world, tp, leader, followers) = three_brokers(12);
    // Cut off from the controller too, the leader cannot shrink its ISR.
    world.isolate(leader);
    assert_eq!(world.produce_at(leader, tp, &batch(&["a"]), ALL), Err(ErrorCode::RequestTimedOut));
    let next = world.await_other_leader(tp, leader);
    assert!(followers.contains(&next));
    world.heal();
    world.await_full_isr(tp, 3);
    assert_eq!(world.read_all(tp), [], "undecided turned out as lost: it was on the old leader alone");
}

#[test]
fn a10_acks_none_has_no_answer_and_acks_one_is_answered_before_replication() {
    let (mut world, tp, leader, followers) = three_brokers(13);
    followers.into_iter().for_each(|node| world.pause(node));
    let silent = world.send_request(leader, produce_request(tp, &batch(&["a"]), 0));
    assert_eq!(world.produce(tp, &batch(&["b"]), 1), Ok(1));
    world.run_ms(500);
    assert!(!world.answers.contains_key(&silent));
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadUncommitted).high_watermark, 0);
}

#[test]
fn a10_acks_one_is_lost_without_a_word_when_the_leader_goes() {
    let (mut world, tp, leader, followers) = three_brokers(14);
    for node in followers {
        world.cut(node, leader);
        world.cut(leader, node);
    }
    assert_eq!(world.produce(tp, &batch(&["a"]), 1), Ok(0));
    world.kill(leader);
    let next = world.await_other_leader(tp, leader);
    world.heal();
    world.bring_back(leader, tp, 3);
    assert!(followers.contains(&next));
    assert_eq!(world.read_all(tp), []);
}

#[test]
fn a11_a_new_leader_begins_at_its_own_high_watermark_and_says_so() {
    let (mut world, tp, leader, followers) = three_brokers(15);
    for nth in 0..5 {
        assert_eq!(world.produce(tp, &batch(&[&format!("{nth}")]), ALL), Ok(nth));
    }
    // The high watermark reaches followers one fetch later: the last one never came.
    world.kill(leader);
    let next = world.await_other_leader(tp, leader);
    let began = |note: &Note| match note {
        Note::BecameLeader { tp: of, end, high_watermark, leader_epoch: 1.. } if *of == tp => Some((*end, *high_watermark)),
        _ => None,
    };
    let (end, high_watermark) = world.notes.iter().rev().find_map(|(_, note)| began(note)).expect("it leads");
    assert!(high_watermark < end && end == 5, "began at {high_watermark} of {end}");
    assert!(followers.contains(&next));
    let third = *followers.iter().find(|&&node| node != next).expect("another");
    // With the other follower away the high watermark stands where it was.
    assert!(world.is_up(third));
}

#[test]
fn a11_between_high_watermark_and_end_a_fetch_is_empty_and_latest_is_not_available() {
    let (mut world, tp, leader, followers) = three_brokers(16);
    for nth in 0..5 {
        assert_eq!(world.produce(tp, &batch(&[&format!("{nth}")]), ALL), Ok(nth));
    }
    // Followers hear of the next leader, but not from each other.
    world.cut(followers[0], followers[1]);
    world.cut(followers[1], followers[0]);
    world.kill(leader);
    let next = world.await_other_leader(tp, leader);
    let fetched = world.fetch_at(next, tp, 5, Isolation::ReadUncommitted);
    assert_eq!((fetched.error, fetched.records.len()), (None, 0));
    assert!(fetched.high_watermark < 5);
    assert_eq!(world.list_offset(next, tp, OffsetSpec::Latest, None), Err(ErrorCode::OffsetNotAvailable));
    assert_eq!(world.fetch_at(next, tp, 6, Isolation::ReadUncommitted).error, Some(ErrorCode::OffsetOutOfRange));
    assert_eq!(world.fetch_at(next, tp, -1, Isolation::ReadUncommitted).error, Some(ErrorCode::OffsetOutOfRange));
    world.heal();
    world.run_until("latest is known again", 3_000, |world| world.list_offset(next, tp, OffsetSpec::Latest, None) == Ok(5));
}

#[test]
fn a11_a_parked_fetch_ends_with_the_high_watermark_or_its_time() {
    let (mut world, tp, leader, _) = three_brokers(17);
    let parked = world.send_request(leader, fetch_request(tp, 0, Isolation::ReadUncommitted, 5_000));
    world.run_ms(1_000);
    assert!(!world.answers.contains_key(&parked));
    world.produce(tp, &batch(&["a"]), ALL).expect("acked");
    world.run_ms(20);
    assert!(matches!(world.answers.remove(&parked), Some(Some(Response::Fetch { partitions })) if !partitions[0].records.is_empty()));
    let parked = world.send_request(leader, fetch_request(tp, 1, Isolation::ReadUncommitted, 200));
    world.run_ms(220);
    assert!(matches!(world.answers.remove(&parked), Some(Some(Response::Fetch { partitions })) if partitions[0].records.is_empty()));
}

#[test]
fn a21_a_follower_serves_readers_at_its_own_older_high_watermark() {
    let (mut world, tp, leader, [near, other]) = three_brokers(18);
    assert_eq!(world.produce(tp, &batch(&["a"]), ALL), Ok(0));
    world.run_until("the follower has heard of it", 2_000, |world| world.fetch_at(near, tp, 0, Isolation::ReadUncommitted).high_watermark == 1);
    // It falls behind and leaves the ISR: others go on, and who reads here is not told.
    world.cut(near, leader);
    let ticket = world.send_request(leader, produce_request(tp, &batch(&["b"]), ALL));
    world.run_until("the ISR shrinks", 6_000, |world| world.isr(tp).len() == 2);
    world.answers.remove(&ticket);
    assert_eq!(world.produce(tp, &batch(&["c"]), ALL), Ok(2));
    assert_eq!(world.fetch_at(leader, tp, 0, Isolation::ReadUncommitted).high_watermark, 3);
    let stale = world.fetch_at(near, tp, 0, Isolation::ReadUncommitted);
    assert_eq!((stale.error, stale.high_watermark), (None, 1));
    assert!(!stale.records.is_empty(), "what it has it serves");
    // A reader that comes from a replica that was further is beyond this one's end: its end went backwards.
    assert_eq!(world.fetch_at(near, tp, 3, Isolation::ReadUncommitted).error, Some(ErrorCode::OffsetOutOfRange));
    assert_eq!(world.fetch_at(other, tp, 1, Isolation::ReadUncommitted).error, None);
    // Ends are the leader's to tell.
    assert_eq!(world.list_offset(near, tp, OffsetSpec::Latest, None), Err(ErrorCode::NotLeaderOrFollower));
    // A fetch that waits here ends when the high watermark comes, one fetch later than at the leader.
    let parked = world.send_request(near, fetch_request(tp, 1, Isolation::ReadUncommitted, 20_000));
    world.run_ms(200);
    assert!(!world.answers.contains_key(&parked));
    world.heal();
    assert!(matches!(world.answer_to(parked), Some(Response::Fetch { partitions }) if !partitions[0].records.is_empty()));
}
