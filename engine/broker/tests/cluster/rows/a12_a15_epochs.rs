//! Leader epochs: A12, A13, A15.

use super::a07_a11_high_watermark::three_brokers;
use crate::client::{ALL, batch, produce_request};
use crate::world::World;
use broker::protocol::{FetchPartition, Isolation, OffsetSpec};
use broker::{BrokerConfig, ControllerConfig, ErrorCode, Note, Request, Response, Tp};

#[test]
fn a12_a_former_leader_cuts_what_it_alone_had() {
    let (mut world, tp, leader, _) = three_brokers(21);
    assert_eq!(world.produce(tp, &batch(&["common"]), ALL), Ok(0));
    world.isolate(leader);
    for nth in 0..3 {
        assert_eq!(world.produce_at(leader, tp, &batch(&[&format!("lost {nth}")]), 1), Ok(1 + nth));
    }
    world.await_other_leader(tp, leader);
    assert_eq!(world.produce(tp, &batch(&["kept"]), ALL), Ok(1));
    world.heal();
    world.await_full_isr(tp, 3);
    assert!(world.notes.iter().any(|(node, note)| *node == leader && matches!(note, Note::Truncated { tp: of, end: 1, removed: 3 } if *of == tp)));
    assert_eq!(world.read_all(tp), [(0, "common".to_owned()), (1, "kept".to_owned())]);
}

#[test]
fn a12_a_follower_that_has_all_is_not_cut_to_the_high_watermark() {
    for seed in 22..26 {
        let (mut world, tp, leader, followers) = three_brokers(seed);
        // Long polls only from here on: nothing else tells followers of the high watermark.
        world.run_ms(1_000);
        assert_eq!(world.produce(tp, &batch(&["a"]), ALL), Ok(0));
        world.kill(leader);
        world.await_other_leader(tp, leader);
        let began = |(_, note): &(u32, Note)| matches!(note, Note::BecameLeader { tp: of, end: 1, high_watermark: 0, .. } if *of == tp);
        assert!(world.notes.iter().any(began), "the new leader has the record and does not know that it is committed");
        world.run_ms(1_000);
        assert!(!world.notes.iter().any(|(node, note)| followers.contains(node) && matches!(note, Note::Truncated { removed: 1.., .. })));
        assert_eq!(world.read_all(tp), [(0, "a".to_owned())]);
    }
}

#[test]
fn a12_what_two_former_leaders_alone_had_is_cut_at_both() {
    let (mut world, tp, first, [..]) = three_brokers(23);
    assert_eq!(world.produce(tp, &batch(&["common"]), ALL), Ok(0));
    // The first leader writes alone in epoch 0, restarts, leads nothing; others write in later epochs and lose some of it too.
    world.isolate(first);
    world.produce_at(first, tp, &batch(&["x"]), 1).expect("stored");
    let second = world.await_other_leader(tp, first);
    world.produce(tp, &batch(&["b"]), ALL).expect("acked");
    world.isolate(second);
    world.produce_at(second, tp, &batch(&["y"]), 1).expect("stored");
    world.produce_at(second, tp, &batch(&["z"]), 1).expect("stored");
    world.run_ms(4_000);
    world.heal();
    world.await_full_isr(tp, 3);
    assert_eq!(world.produce(tp, &batch(&["c"]), ALL).map(|offset| offset >= 2), Ok(true));
    let read = world.read_all(tp);
    assert_eq!(read[0].1, "common");
    assert!(read.iter().any(|(_, value)| value == "b") && !read.iter().any(|(_, value)| ["x", "y", "z"].contains(&value.as_str())), "{read:?}");
}

/// KIP-279: the leader answers with an epoch that the follower never heard of; the follower goes back to the end of the epoch before that, and asks again.
#[test]
fn a12_a_divergence_of_several_epochs_is_cut_in_steps() {
    let controller = ControllerConfig { unclean_leader_election: true, ..ControllerConfig::default() };
    let mut world = World::with_configs(27, 3, BrokerConfig::new(1, "unset"), controller);
    let tp = Tp { topic: world.create_topic("unclean", 1, 2, 1), partition: 0 };
    let one = world.leader(tp).expect("a leader");
    assert_eq!(world.produce(tp, &batch(&["common"]), ALL), Ok(0));
    let other = *world.isr(tp).iter().find(|&&node| node != one).expect("two replicas");
    // Each leads in turn without the other: the first has epochs 0, 2 and 4, the other 0, 1, 3 and 5, and more in each of them.
    let mut kept = vec![(0, "common".to_owned())];
    for (nth, (leads, away)) in [(other, one), (one, other), (other, one), (one, other), (other, one)].into_iter().enumerate() {
        world.kill(away);
        if !world.is_up(leads) {
            world.start(leads);
        }
        world.run_until("it leads alone", 20_000, |world| world.leader(tp) == Some(leads) && world.isr(tp) == [leads]);
        let values = if leads == other { ["longer"; 3].as_slice() } else { ["short"].as_slice() };
        let base = world.produce(tp, &batch(values), ALL).unwrap_or_else(|error| panic!("turn {nth}: {error:?}"));
        if leads == other {
            kept.extend((base..).zip(values.iter().map(|value| (*value).to_owned())));
        }
    }
    let before = world.notes.len();
    world.bring_back(one, tp, 2);
    let cuts = world.notes[before..].iter().filter(|(node, note)| *node == one && matches!(note, Note::Truncated { tp: of, removed: 1, .. } if *of == tp));
    assert_eq!(cuts.count(), 2, "epoch 4 at the word of 3, then epoch 2 at the word of 1");
    assert_eq!(world.read_all(tp), kept);
    // The one that was cut has it all.
    world.kill(other);
    world.await_other_leader(tp, other);
    assert_eq!(world.read_all(tp), kept);
}

#[test]
fn a13_a_caller_of_another_epoch_is_told_which() {
    let (mut world, tp, old, _) = three_brokers(24);
    world.produce(tp, &batch(&["a"]), ALL).expect("acked");
    world.kill(old);
    let leader = world.await_other_leader(tp, old);
    let (_, epoch) = world.leader_epoch(tp).expect("a leader");
    world.run_ms(600);
    for (asked, error) in [(epoch - 1, Some(ErrorCode::FencedLeaderEpoch)), (epoch + 1, Some(ErrorCode::UnknownLeaderEpoch)), (epoch, None)] {
        let partition = FetchPartition { tp, offset: 0, current_leader_epoch: Some(asked), last_fetched_epoch: None, bytes_max: 1_000 };
        let isolation = Isolation::ReadUncommitted;
        let fetch = Request::Fetch { replica: None, wait_ms_max: 0, bytes_min: 1, bytes_max: 1_000, isolation, partitions: vec![partition] };
        assert!(matches!(world.call(leader, fetch), Some(Response::Fetch { partitions }) if partitions[0].error == error));
        assert_eq!(world.list_offset(leader, tp, OffsetSpec::Latest, Some(asked)).err(), error);
        let end_of = Request::OffsetForLeaderEpoch { partitions: vec![(tp, Some(asked), 0)] };
        assert!(matches!(world.call(leader, end_of), Some(Response::OffsetForLeaderEpoch { partitions }) if partitions[0].1.err() == error));
    }
}

#[test]
fn a13_the_end_of_an_epoch_is_where_the_next_began() {
    let (mut world, tp, old, _) = three_brokers(25);
    world.produce(tp, &batch(&["a"]), ALL).expect("acked");
    world.kill(old);
    let leader = world.await_other_leader(tp, old);
    world.bring_back(old, tp, 3);
    world.produce(tp, &batch(&["b", "c"]), ALL).expect("acked");
    let (_, epoch) = world.leader_epoch(tp).expect("a leader");
    let asked = Request::OffsetForLeaderEpoch { partitions: vec![(tp, None, 0), (tp, None, epoch), (tp, None, epoch + 5)] };
    let Some(Response::OffsetForLeaderEpoch { partitions }) = world.call(leader, asked) else { panic!("an answer") };
    assert_eq!(partitions.into_iter().map(|(_, end)| end).collect::<Vec<_>>(), [Ok((0, 1)), Ok((epoch, 3)), Ok((epoch, 3))]);
}

#[test]
fn a15_a_stale_leader_serves_until_it_hears() {
    let (mut world, tp, old, _) = three_brokers(26);
    world.produce(tp, &batch(&["a"]), ALL).expect("acked");
    world.isolate(old);
    let new = world.await_other_leader(tp, old);
    // Reads at its high watermark, acks 0 and 1; acks = all hangs, for it cannot shrink its ISR.
    assert_eq!(world.fetch_at(old, tp, 0, Isolation::ReadUncommitted).high_watermark, 1);
    assert_eq!(world.produce_at(old, tp, &batch(&["stale"]), 1), Ok(1));
    let hanging = world.send_request(old, produce_request(tp, &batch(&["never"]), ALL));
    assert_eq!(world.produce_at(new, tp, &batch(&["b"]), ALL), Ok(1));
    world.run_ms(1_000);
    assert!(!world.answers.contains_key(&hanging));
    world.heal();
    assert!(matches!(world.answer_to(hanging), Some(Response::Produce { partitions }) if partitions[0].1 == Err(ErrorCode::NotLeaderOrFollower)));
    world.await_full_isr(tp, 3);
    assert_eq!(world.read_all(tp), [(0, "a".to_owned()), (1, "b".to_owned())]);
}
