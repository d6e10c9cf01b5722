//! Storage of one replica: A1–A4.

use crate::client::{ALL, batch};
use crate::world::World;
use broker::protocol::Isolation;
use broker::{Batch, BrokerConfig, ControllerConfig, Note, Tp};

fn one_node(seed: u64) -> (World, Tp) {
    let mut world = World::new(seed, 1);
    let topic = world.create_topic("orders", 1, 1, 1);
    (world, Tp { topic, partition: 0 })
}

fn one_node_of_small_segments(seed: u64) -> (World, Tp) {
    let config = BrokerConfig { segment_bytes: 400, ..BrokerConfig::new(1, "unset") };
    let mut world = World::with_configs(seed, 1, config, ControllerConfig::single_node());
    let topic = world.create_topic("orders", 1, 1, 1);
    (world, Tp { topic, partition: 0 })
}

fn file_of(world: &mut World, node: u32, tp: Tp) -> String {
    let prefix = format!("{}-{}/", tp.topic.0, tp.partition);
    let names: Vec<String> =
        world.disk(node).listing().into_iter().map(|(name, _)| name).filter(|name| name.starts_with(&prefix) && name.ends_with(".log")).collect();
    names.last().expect("a segment").clone()
}

/// (end, clean) of the last recovery.
fn recovered(world: &World, tp: Tp) -> (i64, bool) {
    let of = |note: &Note| match note {
        Note::Recovered { tp: of, end, clean } if *of == tp => Some((*end, *clean)),
        _ => None,
    };
    world.notes.iter().rev().find_map(|(_, note)| of(note)).expect("it recovered")
}

#[test]
fn a01_a_fetch_returns_whole_batches_and_may_begin_below_the_asked_offset() {
    let (mut world, tp) = one_node(1);
    assert_eq!(world.produce(tp, &batch(&["a", "b", "c"]), ALL), Ok(0));
    assert_eq!(world.produce(tp, &batch(&["d"]), ALL), Ok(3));
    let fetched = world.fetch_at(1, tp, 1, Isolation::ReadUncommitted);
    let batches = Batch::split(fetched.records).expect("whole");
    assert_eq!(batches.iter().map(|batch| batch.header().base_offset).collect::<Vec<_>>(), [0, 3]);
}

#[test]
fn a01_segments_roll_by_size_and_are_read_across() {
    let (mut world, tp) = one_node_of_small_segments(1);
    for nth in 0..20 {
        world.produce(tp, &batch(&[&format!("{nth}")]), ALL).expect("acked");
    }
    let segments = world.disk(1).listing().into_iter().filter(|(name, _)| name.starts_with("3-0/") && name.ends_with(".log")).count();
    assert!(segments >= 4, "{segments} segments");
    assert_eq!(world.read_all(tp).len(), 20);
}

#[test]
fn a02_a_kill_loses_nothing() {
    let (mut world, tp) = one_node(2);
    for nth in 0..20 {
        world.produce(tp, &batch(&[&format!("{nth}")]), ALL).expect("acked");
    }
    world.kill(1);
    world.bring_back(1, tp, 1);
    assert_eq!(world.read_all(tp).len(), 20);
}

#[test]
fn a02_a_power_loss_loses_a_suffix_but_no_rolled_segment() {
    let mut ends = Vec::new();
    for seed in 0..20 {
        let (mut world, tp) = one_node_of_small_segments(seed);
        for nth in 0..20 {
            world.produce(tp, &batch(&[&format!("{nth}")]), ALL).expect("acked");
        }
        world.run_ms(100);
        let active: i64 = file_of(&mut world, 1, tp)[4..24].parse().expect("a base offset");
        world.power_loss(1);
        world.start(1);
        world.run_ms(3_000);
        let (end, clean) = recovered(&world, tp);
        assert!(!clean && end >= active, "{end} is below the rolled segments' end {active}");
        let left = world.read_all(tp);
        assert_eq!(left, (0..end).map(|nth| (nth, nth.to_string())).collect::<Vec<_>>());
        ends.push(end);
    }
    assert!(ends.iter().any(|&end| end < 20), "some power loss lost something");
}

#[test]
fn a03_the_log_is_cut_at_the_first_corrupt_batch() {
    let (mut world, tp) = one_node(3);
    for nth in 0..5 {
        world.produce(tp, &batch(&[&format!("{nth}")]), ALL).expect("acked");
    }
    world.kill(1);
    let file = file_of(&mut world, 1, tp);
    let batch_len = world.disk(1).bytes(&file).expect("exists").len() / 5;
    world.disk(1).corrupt(&file, batch_len * 3 + 70);
    world.start(1);
    world.run_ms(3_000);
    assert_eq!(recovered(&world, tp), (3, false));
    assert_eq!(world.disk(1).bytes(&file).expect("exists").len(), batch_len * 3);
    assert_eq!(world.produce(tp, &batch(&["after"]), ALL), Ok(3));
}

#[test]
fn a03_below_the_recovery_point_the_log_is_trusted_and_above_it_checked() {
    for (wait_ms, end) in [(61_000, 20), (1_000, 0)] {
        let (mut world, tp) = one_node_of_small_segments(3);
        world.produce(tp, &batch(&["0"]), ALL).expect("acked");
        let first = file_of(&mut world, 1, tp);
        for nth in 1..20 {
            world.produce(tp, &batch(&[&nth.to_string()]), ALL).expect("acked");
        }
        world.run_ms(wait_ms);
        assert_ne!(file_of(&mut world, 1, tp), first, "it was rolled, and made durable");
        world.kill(1);
        world.disk(1).corrupt(&first, 70);
        world.start(1);
        world.run_ms(3_000);
        assert_eq!(recovered(&world, tp), (end, false), "{wait_ms} ms after: how far it is durable is written down every minute");
    }
}

#[test]
fn a03_after_a_controlled_shutdown_the_log_is_trusted() {
    let (mut world, tp) = one_node(4);
    for nth in 0..5 {
        world.produce(tp, &batch(&[&format!("{nth}")]), ALL).expect("acked");
    }
    world.shut_down(1);
    world.run_until("the broker stops", 5_000, |world| world.stopped.contains(&1));
    assert!(world.disk(1).bytes("clean-shutdown").is_some());
    world.power_loss(1);
    world.bring_back(1, tp, 1);
    assert_eq!(recovered(&world, tp), (5, true));
    assert!(world.disk(1).bytes("clean-shutdown").is_none(), "the marker stands for one start");
    assert_eq!(world.read_all(tp).len(), 5);
}

#[test]
fn a04_the_high_watermark_goes_back_to_its_checkpoint() {
    let (mut world, tp) = one_node(5);
    world.produce(tp, &batch(&["early"]), ALL).expect("acked");
    world.run_ms(6_000);
    world.produce(tp, &batch(&["late"]), ALL).expect("acked");
    world.kill(1);
    world.bring_back(1, tp, 1);
    let began = |note: &Note| match note {
        Note::BecameLeader { tp: of, end, high_watermark, .. } if *of == tp => Some((*end, *high_watermark)),
        _ => None,
    };
    assert_eq!(world.notes.iter().rev().find_map(|(_, note)| began(note)), Some((2, 1)));
}

#[test]
fn a04_an_epoch_file_that_is_ahead_of_the_log_is_cut_to_it() {
    let (mut world, tp) = one_node(6);
    world.produce(tp, &batch(&["a"]), ALL).expect("acked");
    world.kill(1);
    world.disk(1).replace("3-0/leader-epoch-checkpoint", b"0 0\n7 900\n");
    world.bring_back(1, tp, 1);
    let (_, epoch) = world.leader_epoch(tp).expect("a leader");
    assert_eq!(world.disk(1).bytes("3-0/leader-epoch-checkpoint").expect("exists"), format!("0 0\n{epoch} 1\n").as_bytes());
}
