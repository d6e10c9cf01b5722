//! A18: elections with eligible leader replicas (KIP-966), and what happens without them.

use crate::client::{ALL, batch};
use crate::world::World;
use broker::{BrokerConfig, ControllerConfig, ErrorCode, NodeId, Note, Tp};

/// Three brokers and a topic of min ISR 2, with one committed record that is on no platter. The leader comes first.
fn cluster(seed: u64, config: ControllerConfig) -> (World, Tp, [NodeId; 3]) {
    let mut world = World::with_configs(seed, 3, BrokerConfig::new(1, "unset"), config);
    let tp = Tp { topic: world.create_topic("orders", 1, 3, 2), partition: 0 };
    let leader = world.leader(tp).expect("a leader");
    let mut nodes = [1, 2, 3];
    nodes.sort_by_key(|node| (*node != leader, *node));
    assert_eq!(world.produce(tp, &batch(&["committed"]), ALL), Ok(0));
    world.run_ms(600);
    (world, tp, nodes)
}

fn eligible_leaders() -> ControllerConfig {
    ControllerConfig { eligible_leaders_version: 1, ..ControllerConfig::default() }
}

fn eligible(world: &World, tp: Tp) -> Vec<NodeId> {
    let said = |(_, note): &(NodeId, Note)| match note {
        Note::EligibleLeadersChanged { tp: of, eligible } if *of == tp => Some(eligible.clone()),
        _ => None,
    };
    world.notes.iter().rev().find_map(said).unwrap_or_default()
}

fn elected_uncleanly(world: &World, tp: Tp) -> bool {
    world.notes.iter().any(|(_, note)| matches!(note, Note::LeaderElected { tp: of, unclean: true, .. } if *of == tp))
}

/// Both followers are cut off one after the other, until the leader is alone in the ISR.
fn leave_alone(world: &mut World, tp: Tp, [leader, first, second]: [NodeId; 3]) {
    for (follower, left) in [(first, 2), (second, 1)] {
        world.isolate(follower);
        world.run_until("it leaves the ISR", 8_000, |world| world.isr(tp).len() == left);
    }
    assert_eq!(world.isr(tp), [leader]);
    world.run_ms(100);
}

/// The leader loses its power and, by the seed's luck, its only batch.
fn lose_all(world: &mut World, leader: NodeId) {
    world.power_loss(leader);
    let segments: Vec<String> = world.disk(leader).listing().into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".log")).collect();
    for segment in segments {
        world.disk(leader).truncate(&segment, 0);
    }
}

#[test]
fn a18_without_eligible_leaders_the_last_replica_standing_takes_what_was_committed_with_it() {
    let (mut world, tp, nodes) = cluster(61, ControllerConfig::default());
    leave_alone(&mut world, tp, nodes);
    lose_all(&mut world, nodes[0]);
    world.run_ms(4_000);
    world.start(nodes[0]);
    world.run_until("it leads again", 10_000, |world| world.leader(tp) == Some(nodes[0]));
    world.heal();
    world.await_full_isr(tp, 3);
    assert_eq!(world.read_all(tp), [], "the others followed it and cut what they had");
    assert!(eligible(&world, tp).is_empty(), "off, as in 3.9");
}

#[test]
fn a18_an_eligible_replica_leads_when_the_last_of_the_isr_lost_its_power_and_nothing_committed_is_lost() {
    let (mut world, tp, nodes) = cluster(61, eligible_leaders());
    leave_alone(&mut world, tp, nodes);
    assert_eq!(eligible(&world, tp), [nodes[2]], "who left an ISR of two; who left one of three may lack what was committed since");
    assert_eq!(world.produce_at(nodes[0], tp, &batch(&["refused"]), ALL), Err(ErrorCode::NotEnoughReplicas), "nothing is committed meanwhile");
    lose_all(&mut world, nodes[0]);
    world.run_ms(4_000);
    assert_eq!(world.isr(tp), [], "an ISR has living members only");
    world.start(nodes[0]);
    world.run_ms(4_000);
    assert_eq!(eligible(&world, tp), [nodes[2]], "its next life cannot vouch for anything");
    assert_eq!(world.leader(tp), None);
    world.heal();
    world.await_full_isr(tp, 3);
    assert!(!elected_uncleanly(&world, tp));
    assert_eq!(world.read_all(tp), [(0, "committed".to_owned())]);
    assert_eq!(eligible(&world, tp), [], "forgotten when the ISR is large enough");
}

#[test]
fn a18_who_shuts_down_in_order_stays_eligible_and_who_is_killed_does_not() {
    for in_order in [true, false] {
        let (mut world, tp, nodes) = cluster(62, eligible_leaders());
        let [leader, first, second] = nodes;
        world.isolate(first);
        world.run_until("it leaves the ISR", 8_000, |world| world.isr(tp).len() == 2);
        if in_order {
            world.shut_down(second);
            world.run_until("it stops", 8_000, |world| world.stopped.contains(&second));
        }
        world.kill(second);
        world.run_until("the leader is alone", 8_000, |world| world.isr(tp) == [leader]);
        assert_eq!(eligible(&world, tp), [second]);
        // The leader dies too, and does not come back: only its former follower could take over.
        world.kill(leader);
        world.run_until("nobody is in sync", 8_000, |world| world.isr(tp).is_empty());
        world.start(second);
        world.run_ms(8_000);
        let expected = if in_order { Some(second) } else { None };
        assert_eq!(world.leader(tp), expected, "in order: {in_order}");
        assert_eq!(eligible(&world, tp), [leader], "the leader is eligible while nobody knows how it died");
        if in_order {
            assert_eq!(world.read_all(tp), [(0, "committed".to_owned())]);
        }
    }
}

#[test]
fn a18_where_nobody_can_vouch_for_anything_the_last_leader_alone_leads() {
    let (mut world, tp, nodes) = cluster(63, eligible_leaders());
    let [leader, first, second] = nodes;
    // All die without a word, the leader last.
    for (node, left) in [(first, 2), (second, 1), (leader, 0)] {
        world.kill(node);
        world.run_until("it leaves the ISR", 8_000, |world| world.isr(tp).len() == left);
    }
    world.start(first);
    world.start(second);
    world.run_ms(6_000);
    assert_eq!((world.leader(tp), eligible(&world, tp)), (None, vec![leader]), "the leader's own death is not known yet");
    world.start(leader);
    world.await_full_isr(tp, 3);
    let elected = |(_, note): &(NodeId, Note)| matches!(note, Note::LeaderElected { tp: of, leader: by, unclean: true, isr, .. } if *of == tp && *by == leader && *isr == [leader]);
    assert!(world.notes.iter().any(elected), "the last one to lead, and it is said that this is unclean");
    assert_eq!(world.read_all(tp), [(0, "committed".to_owned())], "kills took nothing from it");
}

#[test]
fn a18_unclean_elections_come_last_of_all() {
    let config = ControllerConfig { unclean_leader_election: true, ..eligible_leaders() };
    // An eligible replica is alive: it leads, though another is preferred.
    let (mut world, tp, nodes) = cluster(64, config);
    let [leader, first, second] = nodes;
    leave_alone(&mut world, tp, nodes);
    world.kill(leader);
    world.run_until("nobody is in sync", 8_000, |world| world.isr(tp).is_empty());
    assert!(!elected_uncleanly(&world, tp));
    // The one that may lack something comes first, and is taken since that is allowed.
    world.kill(second);
    world.heal();
    let next = world.await_other_leader(tp, leader);
    assert_eq!(next, first);
    assert!(elected_uncleanly(&world, tp));
}

#[test]
fn a18_a_controller_that_starts_again_knows_who_is_eligible() {
    let (mut world, tp, nodes) = cluster(65, eligible_leaders());
    leave_alone(&mut world, tp, nodes);
    lose_all(&mut world, nodes[0]);
    world.run_until("nobody is in sync", 8_000, |world| world.isr(tp).is_empty());
    world.kill(0);
    world.start(0);
    world.start(nodes[0]);
    world.run_ms(6_000);
    assert_eq!(world.leader(tp), None);
    world.heal();
    world.await_full_isr(tp, 3);
    assert_eq!(world.read_all(tp), [(0, "committed".to_owned())]);
}
