//! Life in a cluster: A16–A20, A23, A24; A14 as far as brokers go.

use super::a07_a11_high_watermark::{three_brokers, three_brokers_with};
use crate::client::{ALL, batch};
use crate::world::{VOTERS, World};
use broker::protocol::{FetchPartition, Isolation};
use broker::{BrokerConfig, ControllerConfig, ErrorCode, FsyncPolicy, NodeId, Note, Request, Response, Tp};

#[test]
fn a16_a_new_life_waits_for_the_session_of_the_old_one() {
    let (mut world, tp, leader, _) = three_brokers(31);
    world.kill(leader);
    world.start(leader);
    world.run_ms(1_000);
    assert!(!world.notes.iter().any(|(_, note)| matches!(note, Note::BrokerFenced { broker } if *broker == leader)), "a fast restart does not save it");
    let answer = world.call(0, Request::RegisterBroker { broker: leader, incarnation: 999, address: String::new(), ended_in_order: None });
    assert_eq!(answer, Some(Response::Error(ErrorCode::DuplicateBrokerRegistration)));
    world.run_ms(3_000);
    let told: Vec<bool> = world
        .notes
        .iter()
        .filter_map(|(_, note)| match note {
            Note::BrokerFenced { broker } if *broker == leader => Some(false),
            Note::BrokerUnfenced { broker } if *broker == leader => Some(true),
            _ => None,
        })
        .collect();
    assert_eq!(told, [true, false, true]);
    world.await_full_isr(tp, 3);
}

#[test]
fn a16_a_controller_knows_that_the_former_life_of_its_resident_is_over() {
    let restarted = |controller: ControllerConfig| {
        let config = BrokerConfig { fsync: FsyncPolicy::Always, ..BrokerConfig::new(1, "unset") };
        let mut world = World::with_configs(36, 1, config, controller);
        world.run_until("it is unfenced", 5_000, |world| world.is_unfenced(1));
        world.run_ms(1_000);
        world.kill(0);
        world.kill(1);
        let since_ms = world.now_ms();
        world.start(0);
        world.start(1);
        world.run_until("its next life is unfenced", 5_000, |world| world.is_unfenced(1));
        world.now_ms() - since_ms
    };
    let (apart_ms, beside_ms) = (restarted(ControllerConfig::single_node()), restarted(ControllerConfig::beside(1)));
    assert!(apart_ms >= 2_000, "the session of a broker elsewhere is waited for: {apart_ms} ms");
    assert!(beside_ms < 1_000, "{beside_ms} ms");
}

#[test]
fn a16_a_heartbeat_of_another_life_is_stale() {
    let (mut world, _, leader, _) = three_brokers(32);
    let heartbeat = Request::BrokerHeartbeat { broker: leader, broker_epoch: 999, metadata_offset: 999, want_fence: false, want_shut_down: false };
    assert_eq!(world.call(0, heartbeat), Some(Response::Error(ErrorCode::StaleBrokerEpoch)));
}

#[test]
fn a17_a_follower_joins_the_isr_only_when_it_has_what_is_committed() {
    let (mut world, tp, leader, [slow, _]) = three_brokers(33);
    world.kill(slow);
    world.run_until("it leaves the ISR", 6_000, |world| world.isr(tp).len() == 2);
    world.run_ms(100);
    for nth in 0..50 {
        world.produce(tp, &batch(&[&format!("{nth}")]), ALL).expect("acked");
    }
    // It lives and heartbeats, but cannot fetch from this leader.
    world.cut(slow, leader);
    world.start(slow);
    world.run_until("it is unfenced", 5_000, |world| world.is_unfenced(slow));
    world.run_ms(2_000);
    assert_eq!(world.isr(tp).len(), 2);
    world.heal();
    world.await_full_isr(tp, 3);
}

#[test]
fn a17_a_follower_joins_the_isr_when_it_has_come_to_the_high_watermark_and_not_before() {
    // A batch at a time.
    let config = BrokerConfig { replica_fetch_bytes_max: 100, ..BrokerConfig::new(1, "unset") };
    let (mut world, tp, _, [slow, _]) = three_brokers_with(36, config, ControllerConfig::default());
    world.kill(slow);
    world.run_until("it leaves the ISR", 6_000, |world| world.isr(tp).len() == 2);
    world.run_ms(100);
    for nth in 0..50 {
        world.produce(tp, &batch(&[&format!("{nth}")]), ALL).expect("acked");
    }
    let before = world.notes.len();
    world.start(slow);
    world.await_full_isr(tp, 3);
    let joined = world.notes.iter().skip(before).position(|(_, note)| matches!(note, Note::IsrChanged { tp: of, isr, .. } if *of == tp && isr.contains(&slow)));
    let until = &world.notes[before..before + joined.expect("it joined")];
    let copied = until.iter().filter(|(node, note)| *node == slow && matches!(note, Note::Appended { tp: of, .. } if *of == tp)).count();
    assert_eq!(copied, 50, "what is committed, batch by batch, and then the ISR");
}

#[test]
fn a17_the_controller_refuses_an_isr_of_another_life_or_another_state() {
    let (mut world, tp, leader, [second, third]) = three_brokers(34);
    world.kill(third);
    world.run_until("it leaves the ISR", 8_000, |world| world.isr(tp).len() == 2);
    world.run_until("it is fenced", 8_000, |world| world.notes.iter().any(|(_, note)| matches!(note, Note::BrokerFenced { broker } if *broker == third)));
    let (_, leader_epoch) = world.leader_epoch(tp).expect("a leader");
    let alter = |world: &mut World, broker_epoch, partition_epoch, isr: &[(u32, u64)]| {
        let partition = broker::protocol::AlterIsr { tp, leader_epoch, partition_epoch, isr: isr.to_vec() };
        match world.call(0, Request::AlterPartition { broker: leader, broker_epoch, partitions: vec![partition] }) {
            Some(Response::AlterPartition { partitions }) => partitions[0].1,
            Some(Response::Error(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(alter(&mut world, 12_345, 0, &[(leader, 0)]), Err(ErrorCode::StaleBrokerEpoch), "of another life of the leader");
    let two = [(leader, 0), (second, 0)];
    let own_epoch = (0..50).find(|&epoch| alter(&mut world, epoch, 77, &two) == Err(ErrorCode::InvalidUpdateVersion));
    let own_epoch = own_epoch.expect("with its own epoch the state it saw decides");
    let partition_epoch = (0..50).find(|&epoch| alter(&mut world, own_epoch, epoch, &two) == Ok(())).expect("the present one: nothing changes");

    // KIP-903: it is asked for with the epoch of the life that fetched.
    let with_third = |epoch| [(leader, 0), (second, 0), (third, epoch)];
    let is_refused = |world: &mut World, epoch| alter(world, own_epoch, partition_epoch, &with_third(epoch)) == Err(ErrorCode::StaleBrokerEpoch);
    assert!((0..100).all(|epoch| is_refused(&mut world, epoch)), "it is fenced, whichever life it was");
    let Some(Response::FetchMetadata { end: before, .. }) = world.call(0, Request::FetchMetadata { broker: 9, from: 0, wait_ms_max: 0 }) else {
        panic!("an answer")
    };
    world.cut(third, leader);
    world.start(third);
    world.run_until("its next life is unfenced", 10_000, |world| world.is_unfenced(third));
    world.run_ms(500);
    assert!((0..before).all(|epoch| is_refused(&mut world, epoch)), "the life before");
    assert_eq!(world.isr(tp).len(), 2);
    let present = (before..before + 50).find(|&epoch| !is_refused(&mut world, epoch));
    assert!(present.is_some(), "this life is let in");
    world.run_until("all three", 2_000, |world| world.isr(tp).len() == 3);
}

#[test]
fn a18_only_members_of_the_isr_are_elected() {
    let (mut world, tp, leader, followers) = three_brokers(35);
    followers.into_iter().for_each(|node| world.kill(node));
    world.run_until("the ISR is the leader alone", 8_000, |world| world.isr(tp) == [leader]);
    world.kill(leader);
    followers.into_iter().for_each(|node| world.start(node));
    world.run_ms(8_000);
    assert_eq!(world.leader(tp), None, "two live replicas, neither in sync");
    assert_eq!(world.isr(tp), [leader]);
    world.bring_back(leader, tp, 3);
    assert_eq!(world.leader(tp), Some(leader));
}

#[test]
fn a19_a14_an_unclean_election_puts_other_records_in_the_place_of_committed_ones_and_a_reader_can_know() {
    let controller = ControllerConfig { unclean_leader_election: true, ..ControllerConfig::default() };
    let mut world = World::with_configs(37, 3, BrokerConfig::new(1, "unset"), controller);
    let tp = Tp { topic: world.create_topic("unclean", 1, 3, 1), partition: 0 };
    let leader = world.leader(tp).expect("a leader");
    let followers = [1, 2, 3].into_iter().filter(|node| *node != leader);
    assert_eq!(world.produce(tp, &batch(&["kept"]), ALL), Ok(0));
    world.run_ms(600);
    followers.clone().for_each(|node| world.kill(node));
    world.run_until("the ISR is the leader alone", 8_000, |world| world.isr(tp) == [leader]);
    assert_eq!(world.produce(tp, &batch(&["committed", "too"]), ALL), Ok(1));
    let (_, epoch) = world.leader_epoch(tp).expect("a leader");
    world.kill(leader);
    followers.for_each(|node| world.start(node));
    let unclean = world.await_other_leader(tp, leader);
    let elected = |(_, note): &(u32, Note)| matches!(note, Note::LeaderElected { tp: of, leader, isr, unclean: true, .. } if *of == tp && *leader == unclean && *isr == [unclean]);
    assert!(world.notes.iter().any(elected), "it is said");
    assert_eq!(world.produce(tp, &batch(&["another"]), ALL), Ok(1), "an offset that was taken");
    // A14: a reader that had read to offset 3 in the old epoch can know, also when the log has grown past that again.
    for values in [&["and"][..], &["so", "on"]] {
        let partition = FetchPartition { tp, offset: 3, current_leader_epoch: None, last_fetched_epoch: Some(epoch), bytes_max: 1_000 };
        let fetch =
            Request::Fetch { replica: None, wait_ms_max: 0, bytes_min: 1, bytes_max: 1_000, isolation: Isolation::ReadCommitted, partitions: vec![partition] };
        assert!(matches!(world.call(unclean, fetch), Some(Response::Fetch { partitions }) if partitions[0].diverging == Some((epoch, 1))));
        let ends = Request::OffsetForLeaderEpoch { partitions: vec![(tp, None, epoch)] };
        assert!(matches!(world.call(unclean, ends), Some(Response::OffsetForLeaderEpoch { partitions }) if partitions[0].1 == Ok((epoch, 1))));
        world.produce(tp, &batch(values), ALL).expect("acked");
    }
    world.bring_back(leader, tp, 3);
    let cut = |(node, note): &(u32, Note)| *node == leader && matches!(note, Note::Truncated { tp: of, end: 1, removed: 2 } if *of == tp);
    assert!(world.notes.iter().any(cut), "the former leader follows, and cuts what was committed");
    let values: Vec<String> = world.read_all(tp).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["kept", "another", "and", "so", "on"]);
}

#[test]
fn a20_a_controlled_shutdown_moves_leaderships_first() {
    let (mut world, tp, leader, _) = three_brokers(36);
    world.produce(tp, &batch(&["a"]), ALL).expect("acked");
    world.shut_down(leader);
    world.run_until("it stops", 5_000, |world| world.stopped.contains(&leader));
    let at = |what: &dyn Fn(&Note) -> bool| world.notes.iter().position(|(_, note)| what(note));
    let elected = at(&|note| matches!(note, Note::LeaderElected { tp: of, leader: next, .. } if *of == tp && *next != leader));
    let fenced = at(&|note| matches!(note, Note::BrokerFenced { broker } if *broker == leader));
    assert!(elected.expect("another leader") < fenced.expect("it left"), "first the leaderships, then the broker");
    world.kill(leader);
    world.bring_back(leader, tp, 3);
    assert_eq!(world.read_all(tp), [(0, "a".to_owned())]);
}

#[test]
fn a23_a_broker_that_has_not_heard_answers_from_its_own_metadata() {
    let (mut world, tp, old, [second, third]) = three_brokers(37);
    // One follower is cut off from the controller only: it goes on believing in the old leader.
    let deaf = second;
    world.cut(0, deaf);
    world.kill(old);
    let new = {
        world.run_until("another leader", 10_000, |world| world.leader(tp).is_some_and(|leader| leader == third));
        third
    };
    let leader_by = |world: &mut World, node| match world.call(node, Request::Metadata { topics: Some(vec!["orders".to_owned(), "nothing".to_owned()]) }) {
        Some(Response::Metadata { topics, unknown, .. }) => {
            assert_eq!(unknown, ["nothing"]);
            topics[0].partitions[tp.partition as usize].leader
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(leader_by(&mut world, deaf), Some(old));
    assert_eq!(leader_by(&mut world, new), Some(new));
    world.heal();
    world.run_ms(3_000);
    assert_eq!(leader_by(&mut world, deaf), Some(new));
}

#[test]
fn a24_a_caller_with_old_metadata_is_refused_and_asks_again() {
    let (mut world, tp, old, _) = three_brokers(39);
    assert_eq!(world.produce(tp, &batch(&["a"]), ALL), Ok(0));
    let (_, epoch) = world.leader_epoch(tp).expect("a leader");
    world.kill(old);
    let new = world.await_other_leader(tp, old);
    world.bring_back(old, tp, 3);
    assert_eq!(world.produce_at(old, tp, &batch(&["b"]), ALL), Err(ErrorCode::NotLeaderOrFollower), "it led when the caller last asked");
    let Some(Response::Metadata { topics, .. }) = world.call(old, Request::Metadata { topics: Some(vec!["orders".to_owned()]) }) else { panic!("an answer") };
    let told = &topics[0].partitions[tp.partition as usize];
    assert_eq!((told.leader, told.leader_epoch > epoch), (Some(new), true));
    assert_eq!(world.produce_at(new, tp, &batch(&["b"]), ALL), Ok(1));
}

#[test]
fn a23_the_controller_restarts_from_its_log_with_sessions_in_full() {
    let (mut world, tp, leader, _) = three_brokers(38);
    world.power_loss(0);
    world.run_ms(5_000);
    assert_eq!(world.produce(tp, &batch(&["a"]), ALL), Ok(0), "the data path goes on");
    let before = world.notes.len();
    world.start(0);
    world.run_ms(3_000);
    let said = |(_, note): &(u32, Note)| matches!(note, Note::IsrChanged { tp: of, isr, .. } if *of == tp && isr.len() == 3);
    assert!(world.notes[before..].iter().any(said), "it says again what every ISR is");
    assert!(!world.notes.iter().any(|(_, note)| matches!(note, Note::BrokerFenced { .. })), "nobody is fenced for the controller's absence");
    world.kill(leader);
    world.await_other_leader(tp, leader);
}

#[test]
fn a23_a_topic_is_created_once_and_bad_shapes_are_refused() {
    let (mut world, _, _, _) = three_brokers(39);
    let mut create = |topic| match world.call(2, Request::CreateTopics { topics: vec![topic] }) {
        Some(Response::CreateTopics { results }) => results[0].1,
        other => panic!("{other:?}"),
    };
    assert_eq!(create(crate::client::spec("orders", 1, 3, 2)), Err(ErrorCode::TopicAlreadyExists));
    assert_eq!(create(crate::client::spec("", 1, 3, 2)), Err(ErrorCode::InvalidTopic));
    assert_eq!(create(crate::client::spec("trades", 0, 3, 2)), Err(ErrorCode::InvalidTopic));
    assert_eq!(create(crate::client::spec("trades", 1, 4, 2)), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(create(crate::client::spec("trades", 1, 1, 2)), Err(ErrorCode::InvalidTopic));
}

#[test]
fn a05_a_disk_error_stops_the_broker_and_others_lead() {
    let (mut world, tp, leader, _) = three_brokers(40);
    assert_eq!(world.produce(tp, &batch(&["kept"]), ALL), Ok(0));
    world.disk(leader).broken = true;
    let unanswered = ["a", "b"].map(|value| world.send_request(leader, crate::client::produce_request(tp, &batch(&[value]), 1)));
    world.run_until("it stops", 1_000, |world| world.stopped.contains(&leader));
    world.await_other_leader(tp, leader);
    assert!(unanswered.iter().all(|ticket| !matches!(world.answers.get(ticket), Some(Some(_)))), "what failed, and what came after it, is not acknowledged");
    assert_eq!(world.produce(tp, &batch(&["c"]), ALL), Ok(1));
    assert_eq!(world.read_all(tp), [(0, "kept".to_owned()), (1, "c".to_owned())]);
}

#[test]
fn a38_the_first_who_looks_for_a_coordinator_has_its_topic_made() {
    let mut world = World::new(38, 3);
    let find = |kind| Request::FindCoordinator { kind, key: "anything".to_owned() };
    let found = |world: &mut World, kind| {
        let ticket = world.send_request(1, find(kind));
        matches!(world.answer_to(ticket), Some(Response::FindCoordinator { .. }))
    };
    assert!(!found(&mut world, broker::protocol::CoordinatorKind::Group), "nobody has registered");
    let mut tries = 0;
    while !found(&mut world, broker::protocol::CoordinatorKind::Transaction) {
        tries += 1;
        assert!(tries < 200, "nobody ever created a topic, and there is none");
        world.run_ms(50);
    }
    assert!(found(&mut world, broker::protocol::CoordinatorKind::Group));
}

#[test]
fn a22_the_preferred_replica_leads_again_when_asked_and_only_in_sync() {
    let (mut world, tp, preferred, _) = three_brokers(22);
    let elect = Request::ElectLeaders { partitions: vec![tp] };
    let elected = |result| Some(Response::ElectLeaders { partitions: vec![(tp, result)] });
    world.kill(preferred);
    let other = world.await_other_leader(tp, preferred);
    assert_eq!(world.call(other, elect.clone()), elected(Err(ErrorCode::LeaderNotAvailable)), "it is dead");
    world.start(preferred);
    world.await_full_isr(tp, 3);
    assert_eq!(world.leader(tp), Some(other), "a return by itself moves nothing");
    assert_eq!(world.call(other, elect), elected(Ok(())));
    world.run_until("it leads", 5_000, |world| world.leader(tp) == Some(preferred));
    assert_eq!(world.produce(tp, &batch(&["a"]), ALL), Ok(0), "the ISR is as it was");
}

/// By one controller, and by the second of a quorum's.
#[test]
fn a22_the_preferred_replica_leads_again_in_time_though_nobody_asks() {
    const REBALANCE_MS: u64 = 60_000;
    let config = ControllerConfig { leader_rebalance_ms: Some(REBALANCE_MS), ..ControllerConfig::default() };
    for controllers in [Vec::new(), VOTERS.to_vec()] {
        let mut broker = BrokerConfig::new(1, "unset");
        if !controllers.is_empty() {
            broker.controllers.clone_from(&controllers);
        }
        let mut world = World::with_configs(220, 3, broker, config);
        let tp = Tp { topic: world.create_topic("orders", 1, 3, 2), partition: 0 };
        let preferred = world.leader(tp).expect("the first leads");
        let leads = |(node, note): &(NodeId, Note)| if let Note::ControllerElected { .. } = note { Some(*node) } else { None };
        if let Some(first) = world.notes.iter().rev().find_map(leads) {
            world.kill(first);
            world.run_until("another leads", 10_000, |world| world.notes.iter().rev().find_map(leads) != Some(first));
        }
        world.await_full_isr(tp, 3);
        let began_ms = world.now_ms();
        world.kill(preferred);
        let other = world.await_other_leader(tp, preferred);
        // Past the first time, when it is not there to lead.
        world.run_ms(REBALANCE_MS);
        assert_eq!(world.leader(tp), Some(other), "the preferred one is dead");
        world.start(preferred);
        world.await_full_isr(tp, 3);
        assert_eq!(world.leader(tp), Some(other), "a return by itself moves nothing");
        world.run_until("it leads", REBALANCE_MS, |world| world.leader(tp) == Some(preferred));
        assert!(world.now_ms() < began_ms + 2 * REBALANCE_MS, "at the second time");
        assert_eq!(world.produce(tp, &batch(&["a"]), ALL), Ok(0), "the ISR is as it was");
    }
}

#[test]
fn a25_a_topic_made_again_under_its_name_is_another_one() {
    let (mut world, old, leader, [away, _]) = three_brokers(25);
    for nth in 0..3 {
        assert_eq!(world.produce(old, &batch(&["a"]), ALL), Ok(nth));
    }
    world.run_ms(1_000);
    world.kill(away);
    world.run_until("without it", 20_000, |world| world.isr(old).len() == 2);
    let delete = |name: &str| Request::DeleteTopics { topics: vec![name.to_owned()] };
    let deleted = |name: &str, result| Some(Response::DeleteTopics { results: vec![(name.to_owned(), result)] });
    let parked = world.send_request(leader, crate::client::fetch_request(old, 3, Isolation::ReadUncommitted, 10_000));
    assert_eq!(world.call(leader, delete("orders")), deleted("orders", Ok(())));
    let Some(Response::Fetch { partitions }) = world.answer_to(parked) else { panic!("told at once") };
    assert!(partitions[0].error.is_some());
    assert_eq!(world.call(leader, delete("orders")), deleted("orders", Err(ErrorCode::UnknownTopicOrPartition)));
    assert_eq!(world.call(leader, delete("__consumer_offsets")), deleted("__consumer_offsets", Err(ErrorCode::InvalidTopic)));
    world.run_ms(500);
    assert_eq!(world.produce_at(leader, old, &batch(&["late"]), ALL), Err(ErrorCode::UnknownTopicOrPartition), "of the former incarnation");

    let topic = world.create_topic_of("orders", 1, 2, 1);
    let new = Tp { topic, partition: 0 };
    assert_ne!(new.topic, old.topic);
    assert_eq!(world.produce(new, &batch(&["b"]), ALL), Ok(0), "offsets begin again");
    world.start(away);
    world.run_until("it is back", 20_000, |world| world.is_unfenced(away));
    world.run_ms(1_000);
    for node in 1..=3 {
        let files = world.disk(node).listing();
        let strays: Vec<_> = files.iter().filter(|(name, _)| name.starts_with(&format!("{}-", old.topic.0))).collect();
        assert!(strays.is_empty(), "broker {node} keeps {strays:?}");
    }
    // The controller forgets nothing of it over a restart.
    world.kill(0);
    world.start(0);
    world.run_ms(3_000);
    let created = world.create_topic_of("trades", 1, 2, 1);
    assert!(created.0 > new.topic.0, "no incarnation is used twice");
}

#[test]
fn a26_without_a_controller_healthy_leaders_go_on_and_nothing_else_changes() {
    let (mut world, tp, leader, _) = three_brokers(26);
    world.kill(0);
    for nth in 0..5 {
        assert_eq!(world.produce(tp, &batch(&["a"]), ALL), Ok(nth));
        world.run_ms(1_000);
    }
    let created = world.call(leader, Request::CreateTopics { topics: vec![crate::client::spec("trades", 1, 3, 2)] });
    assert_eq!(created, Some(Response::Error(ErrorCode::RequestTimedOut)), "undecided: the controller may have heard");
    world.kill(leader);
    world.run_ms(10_000);
    assert_eq!(world.leader(tp), None, "nobody elects");
    world.start(0);
    world.await_other_leader(tp, leader);
}

#[test]
fn a27_partitions_grow_and_never_shrink() {
    let (mut world, tp, leader, _) = three_brokers(27);
    let grow = |count| Request::CreatePartitions { topics: vec![("orders".to_owned(), count)] };
    let grown = |result| Some(Response::CreatePartitions { results: vec![("orders".to_owned(), result)] });
    assert_eq!(world.call(leader, grow(1)), grown(Err(ErrorCode::InvalidRecord)));
    assert_eq!(world.call(leader, grow(4)), grown(Ok(())));
    let new = Tp { partition: 3, ..tp };
    world.await_full_isr(new, 3);
    assert_eq!(world.produce(new, &batch(&["a"]), ALL), Ok(0), "a key that lives here now has its past elsewhere");
    assert_eq!(world.call(leader, grow(2)), grown(Err(ErrorCode::InvalidRecord)));
    let Some(Response::Metadata { topics, .. }) = world.call(leader, Request::Metadata { topics: Some(vec!["orders".to_owned()]) }) else {
        panic!("no answer")
    };
    assert_eq!(topics[0].partitions.len(), 4);
    let internal = Request::CreatePartitions { topics: vec![("__consumer_offsets".to_owned(), 50)] };
    let refused = world.call(leader, internal);
    assert_eq!(refused, Some(Response::CreatePartitions { results: vec![("__consumer_offsets".to_owned(), Err(ErrorCode::InvalidTopic))] }));
}

#[test]
fn a70_who_asks_for_a_topic_makes_it_where_that_is_on() {
    for on in [false, true] {
        let shape = broker::config::TopicShape { partitions: 1, replication: 1, min_isr: 1 };
        let config = BrokerConfig { auto_create_topics: on.then_some(shape), ..BrokerConfig::new(1, "unset") };
        let mut world = World::with_configs(70, 3, config, ControllerConfig::default());
        world.create_topic("orders", 1, 3, 2);
        let ask = Request::Metadata { topics: Some(vec!["odrers".to_owned()]) };
        let Some(Response::Metadata { unknown, .. }) = world.call(1, ask.clone()) else { panic!("no answer") };
        assert_eq!(unknown, ["odrers"], "told as unknown the first time");
        world.run_ms(500);
        let Some(Response::Metadata { topics, .. }) = world.call(1, ask) else { panic!("no answer") };
        // Order and durability silently differ: one partition, one replica.
        let replicas: Vec<usize> = topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| partition.replicas.len())).collect();
        assert_eq!(replicas, if on { vec![1] } else { vec![] });
    }
}
