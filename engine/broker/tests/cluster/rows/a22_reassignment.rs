//! A22: partitions move to other replicas (KIP-455).

use crate::client::{ALL, batch};
use crate::world::{VOTERS, World};
use broker::protocol::Reassignment;
use broker::{BrokerConfig, ControllerConfig, ErrorCode, FsyncPolicy, NodeId, Note, Request, Response, Tp};

/// A topic of min ISR 2 on brokers 1, 2 and 3 (in this order), led by 1, with one record. Who is asked is broker 1.
fn cluster(seed: u64, brokers: u32, broker: BrokerConfig, controller: ControllerConfig) -> (World, Tp) {
    let mut world = World::with_configs(seed, brokers, broker, controller);
    let tp = Tp { topic: world.create_topic("orders", 1, 3, 2), partition: 0 };
    assert_eq!(move_to(&mut world, tp, &[1, 2, 3]), Ok(()));
    settle_at(&mut world, tp, &[1, 2, 3]);
    let elected = world.call(1, Request::ElectLeaders { partitions: vec![tp] });
    assert_eq!(elected, Some(Response::ElectLeaders { partitions: vec![(tp, Ok(()))] }));
    world.run_until("broker 1 leads", 5_000, |world| world.leader(tp) == Some(1));
    assert_eq!(world.produce(tp, &batch(&["before"]), ALL), Ok(0));
    world.run_ms(1_000);
    (world, tp)
}

fn plain(seed: u64, brokers: u32) -> (World, Tp) {
    cluster(seed, brokers, BrokerConfig::new(1, "unset"), ControllerConfig::default())
}

fn alter(world: &mut World, tp: Tp, target: Option<&[NodeId]>) -> Result<(), ErrorCode> {
    match world.call(1, Request::AlterPartitionReassignments { partitions: vec![(tp, target.map(<[NodeId]>::to_vec))] }) {
        Some(Response::AlterPartitionReassignments { partitions }) => partitions[0].1,
        other => panic!("{other:?}"),
    }
}

fn move_to(world: &mut World, tp: Tp, target: &[NodeId]) -> Result<(), ErrorCode> {
    alter(world, tp, Some(target))
}

fn cancel(world: &mut World, tp: Tp) -> Result<(), ErrorCode> {
    alter(world, tp, None)
}

fn moving(world: &mut World) -> Vec<Reassignment> {
    match world.call(1, Request::ListPartitionReassignments) {
        Some(Response::ListPartitionReassignments { partitions }) => partitions,
        other => panic!("{other:?}"),
    }
}

fn replicas(world: &mut World, tp: Tp) -> Vec<NodeId> {
    match world.call(1, Request::Metadata { topics: Some(vec!["orders".to_owned()]) }) {
        Some(Response::Metadata { topics, .. }) => topics[0].partitions[tp.partition as usize].replicas.clone(),
        other => panic!("{other:?}"),
    }
}

/// Waits until the partition has these replicas, all of them in sync, and nobody else has a file of it.
#[track_caller]
fn settle_at(world: &mut World, tp: Tp, target: &[NodeId]) {
    world.run_until("all who are to stay in sync, and a leader", 20_000, |world| {
        let mut isr = world.isr(tp);
        isr.sort_unstable();
        let mut wanted = target.to_vec();
        wanted.sort_unstable();
        isr == wanted && world.leader(tp).is_some_and(|leader| target.contains(&leader))
    });
    world.run_ms(1_000);
    assert_eq!(replicas(world, tp), target);
    assert_eq!(moving(world), []);
}

fn files(world: &mut World, node: NodeId, tp: Tp) -> Vec<String> {
    let prefix = format!("{}-{}/", tp.topic.0, tp.partition);
    world.disk(node).listing().into_iter().map(|(name, _)| name).filter(|name| name.starts_with(&prefix)).collect()
}

fn log_bytes(world: &mut World, node: NodeId, tp: Tp) -> Vec<u8> {
    let names: Vec<String> = files(world, node, tp).into_iter().filter(|name| name.ends_with(".log")).collect();
    names.iter().flat_map(|name| world.disk(node).bytes(name).expect("listed").to_vec()).collect()
}

fn values(world: &mut World, tp: Tp) -> Vec<String> {
    world.read_all(tp).into_iter().map(|(_, value)| value).collect()
}

fn epoch(world: &World, tp: Tp) -> u32 {
    world.leader_epoch(tp).expect("a leader").1
}

#[test]
fn a22_a_partition_moves_to_another_broker_and_the_one_that_it_leaves_keeps_nothing() {
    let (mut world, tp) = plain(221, 4);
    let before = epoch(&world, tp);
    assert_eq!(move_to(&mut world, tp, &[4, 2, 3]), Ok(()));
    settle_at(&mut world, tp, &[4, 2, 3]);
    assert_eq!(world.leader_epoch(tp), Some((4, before + 1)), "the leader went: the first in order follows it");
    assert_eq!(files(&mut world, 1, tp), Vec::<String>::new());
    assert_eq!(world.produce_at(1, tp, &batch(&["late"]), ALL), Err(ErrorCode::NotLeaderOrFollower), "it knows the partition, and has no part in it");
    assert_eq!(world.produce(tp, &batch(&["after"]), ALL), Ok(1));
    assert_eq!(values(&mut world, tp), ["before", "after"]);
    assert!(!world.notes.iter().any(|(_, note)| matches!(note, Note::LeaderElected { unclean: true, .. })), "nothing is lost by that");
    crate::invariants::check(&world.notes);
}

#[test]
fn a22_nobody_goes_before_those_who_come_are_in_sync() {
    let (mut world, tp) = plain(222, 4);
    let before = epoch(&world, tp);
    world.isolate(4);
    assert_eq!(move_to(&mut world, tp, &[4, 1]), Ok(()));
    world.run_ms(1_000);
    assert_eq!(moving(&mut world), [Reassignment { tp, replicas: vec![4, 1, 2, 3], adding: vec![4], removing: vec![2, 3] }]);
    assert_eq!(replicas(&mut world, tp), [4, 1, 2, 3]);
    assert_eq!((world.isr(tp).len(), world.leader_epoch(tp)), (3, Some((1, before))), "they all serve as they did");
    assert_eq!(world.produce(tp, &batch(&["meanwhile"]), ALL), Ok(1));
    // Who is to go still counts: without 2 and 3 there is no second replica in sync.
    [2, 3].into_iter().for_each(|node| world.isolate(node));
    world.run_until("the leader is alone", 10_000, |world| world.isr(tp) == [1]);
    assert_eq!(world.produce_at(1, tp, &batch(&["refused"]), ALL), Err(ErrorCode::NotEnoughReplicas));
    world.heal();
    settle_at(&mut world, tp, &[4, 1]);
    assert_eq!(world.leader_epoch(tp), Some((1, before + 1)), "it stays, in another epoch: nobody who went is heard any more");
    assert_eq!(values(&mut world, tp)[..2], ["before", "meanwhile"]);
    assert_eq!([2, 3].map(|node| files(&mut world, node, tp).len()), [0, 0]);
}

#[test]
fn a22_another_order_moves_nothing_until_the_preferred_leader_is_asked_for() {
    let (mut world, tp) = plain(223, 3);
    let before = epoch(&world, tp);
    assert_eq!(move_to(&mut world, tp, &[3, 1, 2]), Ok(()));
    settle_at(&mut world, tp, &[3, 1, 2]);
    assert_eq!(world.leader_epoch(tp), Some((1, before)), "complete at once, and the leader may stay");
    assert_eq!(cancel(&mut world, tp), Err(ErrorCode::NoReassignmentInProgress));
    let elect = Request::ElectLeaders { partitions: vec![tp, tp] };
    assert_eq!(world.call(2, elect), Some(Response::ElectLeaders { partitions: vec![(tp, Ok(())), (tp, Ok(()))] }));
    world.run_until("it leads", 5_000, |world| world.leader_epoch(tp) == Some((3, before + 1)));
    assert_eq!(world.produce(tp, &batch(&["after"]), ALL), Ok(1));
}

#[test]
fn a22_a_partition_of_fewer_replicas_than_its_min_isr_is_content_with_what_it_has() {
    let (mut world, tp) = plain(224, 3);
    assert_eq!(move_to(&mut world, tp, &[2]), Ok(()));
    settle_at(&mut world, tp, &[2]);
    assert_eq!(world.produce(tp, &batch(&["alone"]), ALL), Ok(1), "at most as many as there are");
    // To three again: the minimum counts from the moment on when they are assigned.
    world.isolate(1);
    world.isolate(3);
    world.heal_between(1, 0);
    world.heal_between(1, 2);
    world.cut(1, 2);
    assert_eq!(move_to(&mut world, tp, &[1, 2, 3]), Ok(()));
    world.run_ms(1_000);
    assert_eq!(world.produce_at(2, tp, &batch(&["refused"]), ALL), Err(ErrorCode::NotEnoughReplicas));
    world.heal();
    settle_at(&mut world, tp, &[1, 2, 3]);
    assert_eq!(world.produce(tp, &batch(&["three"]), ALL), Ok(2));
    let logs = [1, 2, 3].map(|node| log_bytes(&mut world, node, tp));
    world.run_ms(1_000);
    assert!(logs[0] == logs[1] && logs[1] == logs[2] && !logs[0].is_empty(), "they have all of it again");
}

#[test]
fn a22_a_cancel_goes_back() {
    let (mut world, tp) = plain(225, 4);
    // Broker 4 hears of it and begins to fetch, but the leader does not hear broker 4.
    world.cut(4, 1);
    assert_eq!(move_to(&mut world, tp, &[4, 3, 2]), Ok(()));
    world.run_ms(1_000);
    assert_eq!(moving(&mut world).len(), 1);
    assert_eq!(cancel(&mut world, tp), Ok(()));
    settle_at(&mut world, tp, &[3, 2, 1]);
    assert_eq!(cancel(&mut world, tp), Err(ErrorCode::NoReassignmentInProgress));
    assert_eq!(world.leader(tp), Some(1));
    world.heal();
    world.run_ms(1_000);
    assert_eq!(files(&mut world, 4, tp), Vec::<String>::new(), "what came goes");
    assert!(world.notes.iter().any(|(_, note)| matches!(note, Note::ReassignmentCancelled { replicas, .. } if *replicas == [3, 2, 1])));
    assert_eq!(world.produce(tp, &batch(&["after"]), ALL), Ok(1));
    assert_eq!(values(&mut world, tp), ["before", "after"]);
}

#[test]
fn a22_a_cancel_is_refused_where_only_those_who_came_have_everything() {
    for unclean_leader_election in [false, true] {
        let controller = ControllerConfig { unclean_leader_election, ..ControllerConfig::default() };
        let (mut world, tp) = cluster(226, 5, BrokerConfig::new(1, "unset"), controller);
        world.cut(5, 1);
        assert_eq!(move_to(&mut world, tp, &[4, 5]), Ok(()));
        world.run_until("4 has come", 5_000, |world| world.isr(tp).contains(&4));
        // 5 must not come to 4 either.
        world.cut(5, 4);
        for node in [1, 2, 3] {
            world.isolate(node);
        }
        world.run_until("4 alone is in sync", 10_000, |world| world.isr(tp) == [4] && world.leader(tp) == Some(4));
        let request = Request::AlterPartitionReassignments { partitions: vec![(tp, None)] };
        let Some(Response::AlterPartitionReassignments { partitions }) = world.call(0, request) else { panic!("no answer") };
        if unclean_leader_election {
            assert_eq!(partitions[0].1, Ok(()), "who is allowed to lose may go back");
            assert_eq!(world.isr(tp).len(), 1);
            assert_ne!(world.isr(tp), [4]);
        } else {
            assert_eq!(partitions[0].1, Err(ErrorCode::InvalidReplicaAssignment));
            world.heal();
            settle_at(&mut world, tp, &[4, 5]);
            assert_eq!(values(&mut world, tp), ["before"]);
        }
    }
}

#[test]
fn a22_a_second_reassignment_takes_the_place_of_the_first() {
    for cancels in [false, true] {
        let (mut world, tp) = plain(227, 5);
        world.isolate(4);
        assert_eq!(move_to(&mut world, tp, &[1, 2, 4]), Ok(()));
        world.run_ms(500);
        world.isolate(5);
        assert_eq!(move_to(&mut world, tp, &[5, 2]), Ok(()));
        let under_way = Reassignment { tp, replicas: vec![5, 2, 1, 4, 3], adding: vec![5, 4], removing: vec![1, 4, 3] };
        assert_eq!(moving(&mut world), [under_way]);
        if cancels {
            assert_eq!(cancel(&mut world, tp), Ok(()));
            world.heal();
            settle_at(&mut world, tp, &[2, 1, 3]);
            assert_eq!(world.leader(tp), Some(1));
        } else {
            world.heal();
            settle_at(&mut world, tp, &[5, 2]);
            assert_eq!(world.leader(tp), Some(5));
        }
        assert_eq!(files(&mut world, 4, tp), Vec::<String>::new());
        assert_eq!(values(&mut world, tp), ["before"]);
    }
}

#[test]
fn a22_a_second_reassignment_may_keep_everybody() {
    let (mut world, tp) = plain(228, 4);
    world.isolate(4);
    assert_eq!(move_to(&mut world, tp, &[1, 2, 4]), Ok(()));
    assert_eq!(move_to(&mut world, tp, &[1, 2, 3, 4]), Ok(()));
    assert_eq!(moving(&mut world), [Reassignment { tp, replicas: vec![1, 2, 3, 4], adding: vec![4], removing: vec![] }]);
    world.heal();
    settle_at(&mut world, tp, &[1, 2, 3, 4]);
}

#[test]
fn a22_what_makes_no_sense_is_refused_and_changes_nothing() {
    let (mut world, tp) = plain(229, 3);
    let nowhere = Tp { partition: 7, ..tp };
    let no_topic = Tp { topic: broker::TopicId(99), partition: 0 };
    for unknown in [nowhere, no_topic] {
        assert_eq!(move_to(&mut world, unknown, &[1, 2]), Err(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(cancel(&mut world, unknown), Err(ErrorCode::UnknownTopicOrPartition));
    }
    for nonsense in [&[][..], &[1, 1], &[1, 2, 9], &[0]] {
        assert_eq!(move_to(&mut world, tp, nonsense), Err(ErrorCode::InvalidReplicaAssignment), "{nonsense:?}");
    }
    assert_eq!(cancel(&mut world, tp), Err(ErrorCode::NoReassignmentInProgress));
    assert_eq!(replicas(&mut world, tp), [1, 2, 3]);
    // Each by itself, and one of them twice.
    let partitions = vec![(tp, Some(vec![2, 1])), (nowhere, None), (tp, Some(vec![1, 2]))];
    let Some(Response::AlterPartitionReassignments { partitions }) = world.call(2, Request::AlterPartitionReassignments { partitions }) else {
        panic!("no answer")
    };
    assert_eq!(partitions.into_iter().map(|(_, result)| result).collect::<Vec<_>>(), [Ok(()), Err(ErrorCode::UnknownTopicOrPartition), Ok(())]);
    settle_at(&mut world, tp, &[1, 2]);
}

#[test]
fn a22_a_controller_that_comes_after_another_goes_on_with_it() {
    // Alone, from its log.
    let (mut world, tp) = plain(230, 4);
    world.isolate(4);
    assert_eq!(move_to(&mut world, tp, &[4, 2, 3]), Ok(()));
    world.power_loss(0);
    world.run_ms(500);
    world.start(0);
    world.heal();
    settle_at(&mut world, tp, &[4, 2, 3]);
    assert_eq!(values(&mut world, tp), ["before"]);

    // In a quorum, from its own copy of it.
    let config = BrokerConfig { controllers: VOTERS.to_vec(), ..BrokerConfig::new(1, "unset") };
    let (mut world, tp) = cluster(231, 4, config, ControllerConfig::default());
    world.isolate(4);
    assert_eq!(move_to(&mut world, tp, &[4, 2, 3]), Ok(()));
    let leads = |(node, note): &(NodeId, Note)| if let Note::ControllerElected { .. } = note { Some(*node) } else { None };
    let first = world.notes.iter().rev().find_map(leads).expect("somebody leads");
    world.kill(first);
    world.run_until("another leads", 10_000, |world| world.notes.iter().rev().find_map(leads) != Some(first));
    world.heal();
    settle_at(&mut world, tp, &[4, 2, 3]);
    assert_eq!(values(&mut world, tp), ["before"]);
}

#[test]
fn a22_a_topic_that_is_deleted_on_its_way_is_gone_everywhere() {
    let (mut world, tp) = plain(232, 4);
    world.cut(4, 1);
    assert_eq!(move_to(&mut world, tp, &[4, 2, 3]), Ok(()));
    world.run_ms(500);
    let deleted = world.call(1, Request::DeleteTopics { topics: vec!["orders".to_owned()] });
    assert_eq!(deleted, Some(Response::DeleteTopics { results: vec![("orders".to_owned(), Ok(()))] }));
    world.heal();
    world.run_ms(1_000);
    for node in 1..=4 {
        assert_eq!(files(&mut world, node, tp), Vec::<String>::new(), "broker {node}");
    }
    assert_eq!(moving(&mut world), []);
    assert_eq!(cancel(&mut world, tp), Err(ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn a22_who_was_away_when_a_partition_left_it_removes_its_log_when_it_is_back() {
    let (mut world, tp) = plain(233, 4);
    world.kill(3);
    assert_eq!(move_to(&mut world, tp, &[1, 2, 4]), Ok(()));
    settle_at(&mut world, tp, &[1, 2, 4]);
    assert!(!files(&mut world, 3, tp).is_empty());
    world.start(3);
    world.run_until("it is back", 10_000, |world| world.is_unfenced(3));
    world.run_ms(1_000);
    assert_eq!(files(&mut world, 3, tp), Vec::<String>::new());
    crate::invariants::check(&world.notes);
}

/// Broker 3 has a log of some segments, and the partition is about to leave it.
fn long_log(seed: u64, fsync: FsyncPolicy) -> (World, Tp) {
    let config = BrokerConfig { segment_bytes: 200, fsync, ..BrokerConfig::new(1, "unset") };
    let (mut world, tp) = cluster(seed, 4, config, ControllerConfig::default());
    for _ in 0..20 {
        world.produce(tp, &batch(&["again", "and again"]), ALL).expect("acked");
    }
    assert_eq!(move_to(&mut world, tp, &[1, 2]), Ok(()));
    (world, tp)
}

/// Through another door than broker 1's, which would wait for its own metadata.
fn come_back(world: &mut World, tp: Tp) {
    world.send_as(crate::world::CLIENT, 0, Request::AlterPartitionReassignments { partitions: vec![(tp, Some(vec![1, 2, 3]))] });
}

/// Broker 3 has what broker 1 has, and can do without the others.
#[track_caller]
fn is_whole(world: &mut World, tp: Tp, of: &str) {
    settle_at(world, tp, &[1, 2, 3]);
    world.run_ms(1_000);
    let logs = [1, 3].map(|node| log_bytes(world, node, tp));
    assert_eq!(logs[0], logs[1], "{of}");
    let kept = files(world, 3, tp);
    assert!(!kept.iter().any(|name| name.ends_with("/removed")) && kept.iter().any(|name| name.ends_with("/leader-epoch-checkpoint")), "{of}: {kept:?}");
    crate::invariants::check(&world.notes);
    [1, 2].into_iter().for_each(|node| world.kill(node));
    world.run_ms(4_000);
    [1, 2].into_iter().for_each(|node| world.start(node));
    world.await_full_isr(tp, 3);
    assert_eq!(world.read_all(tp).len(), 41, "{of}");
}

#[test]
fn a22_a_partition_that_comes_back_while_its_files_go_waits_for_that() {
    let mut waited = 0;
    for seed in 240..270 {
        let (mut world, tp) = long_log(seed, if seed % 2 == 0 { FsyncPolicy::Never } else { FsyncPolicy::Always });
        world.replace_us = 20_000;
        come_back(&mut world, tp);
        settle_at(&mut world, tp, &[1, 2, 3]);
        let was_removed = world.notes.iter().any(|(node, note)| *node == 3 && matches!(note, Note::ReplicaRemoved { .. }));
        waited += u32::from(was_removed);
        is_whole(&mut world, tp, &format!("seed {seed}"));
    }
    assert!(waited >= 10, "broker 3 seldom heard of the two by themselves: {waited}");
}

#[test]
fn a22_a_power_loss_while_files_go_leaves_nothing_that_is_taken_for_the_log() {
    for after_us in [0, 500, 1_200, 2_500, 6_000] {
        for fsync in [FsyncPolicy::Never, FsyncPolicy::Always] {
            let (mut world, tp) = long_log(234, fsync);
            world.run_until("it goes", 5_000, |world| world.notes.iter().any(|(node, note)| *node == 3 && matches!(note, Note::ReplicaRemoved { .. })));
            world.run_us(after_us);
            world.power_loss(3);
            world.run_ms(3_000);
            come_back(&mut world, tp);
            world.run_ms(20);
            world.start(3);
            is_whole(&mut world, tp, &format!("{fsync:?} after {after_us} µs"));
        }
    }
}

#[test]
fn a22_eligible_leaders_that_are_no_replicas_any_more_are_forgotten() {
    for target in [&[1, 4][..], &[1]] {
        let controller = ControllerConfig { eligible_leaders_version: 1, ..ControllerConfig::default() };
        let (mut world, tp) = cluster(235, 4, BrokerConfig::new(1, "unset"), controller);
        for (node, left) in [(2, 2), (3, 1)] {
            world.isolate(node);
            world.run_until("it leaves the ISR", 8_000, |world| world.isr(tp).len() == left);
        }
        let eligible = |world: &World| {
            let said = |(_, note): &(NodeId, Note)| match note {
                Note::EligibleLeadersChanged { eligible, .. } => Some(eligible.clone()),
                _ => None,
            };
            world.notes.iter().rev().find_map(said).unwrap_or_default()
        };
        assert_eq!(eligible(&world), [3]);
        assert_eq!(move_to(&mut world, tp, target), Ok(()));
        settle_at(&mut world, tp, target);
        assert_eq!(eligible(&world), [] as [NodeId; 0], "{target:?}");
        world.heal();
        world.run_ms(1_000);
        assert_eq!(files(&mut world, 3, tp), Vec::<String>::new());
        assert_eq!(world.produce(tp, &batch(&["after"]), ALL), Ok(1));
    }
}

/// An entry of a log that was written before partitions could move; and what they are written as while they do not.
#[test]
fn a22_a_metadata_log_from_before_can_be_read() {
    use broker::metadata::{MetadataRecord, PartitionState, decode_entry, encode_entry};
    let tp = Tp { topic: broker::TopicId(3), partition: 1 };
    // One record of kind 5; topic, partition; replicas; ISR; some leader; leader epoch; partition epoch.
    let before: &[u8] = &[1, 5, 3, 1, 3, 1, 2, 3, 2, 1, 2, 1, 1, 4, 9];
    let state = PartitionState { leader: Some(1), leader_epoch: 4, partition_epoch: 9, ..PartitionState::new(vec![1, 2, 3], vec![1, 2]) };
    let entry = vec![MetadataRecord::PartitionChanged { tp, state }];
    assert_eq!(decode_entry(before), Ok(entry.clone()));
    assert_eq!(encode_entry(&entry), before);
}
