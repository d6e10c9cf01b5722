//! Groups and transactions end to end, through brokers, replication and elections: what holds when the node of a coordinator dies at the worst moment.
#![allow(dead_code, reason = "the cluster's parts are shared with its own tests")]

#[path = "cluster/client.rs"]
mod client;
#[path = "cluster/disk.rs"]
mod disk;
#[path = "cluster/rng.rs"]
mod rng;
#[path = "cluster/world.rs"]
mod world;

use broker::protocol::{CommittedOffset, CoordinatorKind, Isolation};
use broker::{Batch, ErrorCode, NodeId, Note, Request, RequestId, Response, Tp};
use bytes::Bytes;
use client::{ALL, transactional, value_of};
use std::collections::{BTreeMap, BTreeSet};
use world::{CLIENT, World};

const SEEDS: std::ops::Range<u64> = 0..12;
const GROUP: &str = "matching";
const TRANSACTION: &str = "matching-orders-0";
const TIMEOUT_MS: u32 = 5_000;

#[track_caller]
fn await_leader(world: &mut World, tp: Tp) -> NodeId {
    world.run_until("a leader", 20_000, |world| world.leader(tp).is_some());
    world.leader(tp).expect("just seen")
}

fn coordinator(world: &mut World, kind: CoordinatorKind) -> Option<NodeId> {
    let key = if kind == CoordinatorKind::Group { GROUP } else { TRANSACTION };
    let alive = (1..=3).find(|&node| world.is_up(node)).expect("a broker is up");
    match world.call(alive, Request::FindCoordinator { kind, key: key.into() }) {
        Some(Response::FindCoordinator { node, .. }) if world.is_up(node) => Some(node),
        _ => None,
    }
}

/// Asks until somebody who may answer does.
#[track_caller]
fn ask(world: &mut World, kind: CoordinatorKind, request: Request) -> Response {
    let until_ms = world.now_ms() + 30_000;
    while world.now_ms() < until_ms {
        let answer = coordinator(world, kind).and_then(|node| world.call(node, request.clone()));
        match answer {
            None
            | Some(Response::Error(
                ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::ConcurrentTransactions,
            )) => world.run_ms(50),
            Some(answer) => return answer,
        }
    }
    world.print_notes(40);
    panic!("nobody answers {request:?}");
}

#[track_caller]
fn committed(world: &mut World, tp: Tp, require_stable: bool) -> Result<Option<i64>, ErrorCode> {
    let request = Request::OffsetFetch { group: GROUP.into(), partitions: vec![tp], require_stable };
    match ask(world, CoordinatorKind::Group, request) {
        Response::OffsetFetch { partitions } => partitions[0].1.map(|committed| committed.map(|committed| committed.offset)),
        other => panic!("{other:?}"),
    }
}

/// A consumer: joins, syncs, beats, and does as it is told.
struct Member {
    client: NodeId,
    id: String,
    generation: i32,
    ticket: Option<RequestId>,
    part: Option<Bytes>,
}

impl Member {
    fn new(nth: u32) -> Self {
        Member { client: CLIENT + 1 + nth, id: String::new(), generation: 0, ticket: None, part: None }
    }

    fn send(&mut self, world: &mut World, request: Request) {
        self.ticket = coordinator(world, CoordinatorKind::Group).map(|node| world.send_as(self.client, node, request));
    }

    fn join(&mut self, world: &mut World) {
        self.part = None;
        let request = Request::JoinGroup {
            group: GROUP.into(),
            member_id: self.id.clone(),
            instance_id: None,
            session_timeout_ms: 3_000,
            rebalance_timeout_ms: 4_000,
            protocols: vec![("range".into(), Bytes::from_static(b"orders"))],
        };
        self.send(world, request);
    }

    fn poll(&mut self, world: &mut World) {
        let Some(ticket) = self.ticket else {
            return match self.part {
                None => self.join(world),
                Some(_) => {
                    let beat = Request::Heartbeat { group: GROUP.into(), generation: self.generation, member_id: self.id.clone(), instance_id: None };
                    self.send(world, beat);
                }
            };
        };
        let Some(answer) = world.answers.remove(&ticket) else { return };
        self.ticket = None;
        match answer {
            Some(Response::MemberIdRequired { member_id }) => self.id = member_id,
            Some(Response::JoinGroup { generation, member_id, members, .. }) => {
                (self.id, self.generation) = (member_id, generation);
                let assignments = members.into_iter().enumerate().map(|(nth, (id, _))| (id, Bytes::from(format!("{generation}/{nth}")))).collect();
                let sync = Request::SyncGroup { group: GROUP.into(), generation, member_id: self.id.clone(), instance_id: None, assignments };
                self.send(world, sync);
            }
            Some(Response::SyncGroup { assignment }) => self.part = Some(assignment),
            Some(Response::Error(ErrorCode::UnknownMemberId)) => {
                self.id.clear();
                self.part = None;
            }
            Some(Response::Error(ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration)) => self.part = None,
            // A coordinator that is gone says nothing of the generation.
            Some(Response::Heartbeat | Response::Error(_)) | None => {}
            other => panic!("{other:?}"),
        }
    }

    fn commit(&self, tp: Tp, offset: i64, generation: i32) -> Request {
        let offsets = vec![(tp, CommittedOffset { offset, leader_epoch: None })];
        Request::OffsetCommit { group: GROUP.into(), generation, member_id: self.id.clone(), instance_id: None, offsets }
    }
}

/// All members share one generation, each with a part of its own.
fn agree(members: &[Member]) -> bool {
    let generations: BTreeSet<i32> = members.iter().map(|member| member.generation).collect();
    let parts: BTreeSet<&Bytes> = members.iter().filter_map(|member| member.part.as_ref()).collect();
    generations.len() == 1 && parts.len() == members.len()
}

#[track_caller]
fn drive(world: &mut World, members: &mut [Member], what: &str, mut holds: impl FnMut(&World, &[Member]) -> bool) {
    let until_ms = world.now_ms() + 40_000;
    while !holds(world, members) {
        if world.now_ms() > until_ms {
            world.print_notes(40);
            panic!("{what}");
        }
        members.iter_mut().for_each(|member| member.poll(world));
        world.run_ms(20);
    }
}

/// One set of members per generation, whoever tells of it.
fn check_generations(world: &World) {
    let mut rosters: BTreeMap<i32, &Vec<String>> = BTreeMap::new();
    for (_, note) in &world.notes {
        if let Note::GenerationStarted { generation, members, .. } = note {
            assert_eq!(*rosters.entry(*generation).or_insert(members), members, "generation {generation}");
        }
    }
}

#[test]
fn a_rebalance_goes_on_over_a_failover_of_its_coordinator() {
    for seed in SEEDS {
        let mut world = World::new(seed, 3);
        let orders = Tp { topic: world.create_topic("orders", 2, 3, 2), partition: 0 };
        let mut members = vec![Member::new(0), Member::new(1)];
        drive(&mut world, &mut members, "two agree", |_, members| agree(members));
        let before = members[0].generation;
        let commit = members[0].commit(orders, 5, before);
        assert!(matches!(ask(&mut world, CoordinatorKind::Group, commit), Response::OffsetCommit { .. }));

        // The third stands at the barrier, the others have not heard of it.
        let mut third = [Member::new(2)];
        drive(&mut world, &mut third, "the third has an id", |_, third| !third[0].id.is_empty() && third[0].ticket.is_none());
        third[0].poll(&mut world);
        world.run_ms(10);
        let node = coordinator(&mut world, CoordinatorKind::Group).expect("it serves");
        world.kill(node);
        members.extend(third);
        drive(&mut world, &mut members, "three agree", |_, members| agree(members));

        assert!(members[0].generation > before, "seed {seed}: no generation goes back");
        let zombie = members[0].commit(orders, 9, before);
        assert_eq!(ask(&mut world, CoordinatorKind::Group, zombie), Response::Error(ErrorCode::IllegalGeneration));
        assert_eq!(committed(&mut world, orders, true), Ok(Some(5)), "seed {seed}: what was acknowledged stands");
        check_generations(&world);
        assert!(world.notes.iter().any(|(_, note)| matches!(note, Note::CommitRefused { .. })));
    }
}

#[test]
fn a_group_outlives_the_death_of_every_coordinator_in_turn() {
    for seed in SEEDS {
        let mut world = World::new(seed, 3);
        let orders = Tp { topic: world.create_topic("orders", 2, 3, 2), partition: 0 };
        let mut members = vec![Member::new(0), Member::new(1)];
        for turn in 1..4 {
            drive(&mut world, &mut members, "two agree", |_, members| agree(members));
            let commit = members[0].commit(orders, turn, members[0].generation);
            assert!(matches!(ask(&mut world, CoordinatorKind::Group, commit), Response::OffsetCommit { .. }), "seed {seed}");
            let node = coordinator(&mut world, CoordinatorKind::Group).expect("it serves");
            world.kill(node);
            assert_eq!(committed(&mut world, orders, true), Ok(Some(turn)), "seed {seed}");
            world.bring_back(node, orders, 3);
            world.run_ms(500);
        }
        check_generations(&world);
    }
}

/// A transactional producer of two partitions, and what it consumed.
struct Producer {
    id: i64,
    epoch: i16,
    sequences: BTreeMap<Tp, i32>,
}

impl Producer {
    #[track_caller]
    fn init(world: &mut World) -> Self {
        let request = Request::InitProducerId { transactional_id: Some(TRANSACTION.into()), transaction_timeout_ms: TIMEOUT_MS };
        match ask(world, CoordinatorKind::Transaction, request) {
            Response::InitProducerId { producer_id, producer_epoch } => Producer { id: producer_id, epoch: producer_epoch, sequences: BTreeMap::new() },
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn add(&self, world: &mut World, partitions: &[Tp]) {
        let (transactional_id, partitions) = (TRANSACTION.into(), partitions.to_vec());
        let request = Request::AddPartitionsToTxn { transactional_id, producer_id: self.id, producer_epoch: self.epoch, partitions, verify_only: false };
        let answer = ask(world, CoordinatorKind::Transaction, request);
        assert!(matches!(&answer, Response::AddPartitionsToTxn { partitions } if partitions.iter().all(|(_, result)| result.is_ok())), "{answer:?}");
    }

    /// As the leader answers the first time.
    #[track_caller]
    fn try_write(&mut self, world: &mut World, tp: Tp, value: &str) -> Result<i64, ErrorCode> {
        let sequence = self.sequences.entry(tp).or_default();
        let batch = transactional(&[value], self.id, self.epoch, *sequence);
        let partitions = vec![(tp, batch.bytes().clone())];
        let request = Request::Produce { acks: ALL, timeout_ms: 3_000, transactional_id: Some(TRANSACTION.into()), partitions };
        let leader = await_leader(world, tp);
        match world.call(leader, request) {
            Some(Response::Produce { partitions }) => partitions[0].1.inspect(|_| *sequence += 1),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn write(&mut self, world: &mut World, tp: Tp, value: &str) {
        for _ in 0..100 {
            match self.try_write(world, tp, value) {
                Ok(_) => return,
                Err(ErrorCode::NotEnoughReplicas | ErrorCode::NotLeaderOrFollower) => world.run_ms(50),
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("nobody takes {value}");
    }

    fn offset_commit(&self, tp: Tp, offset: i64) -> Request {
        Request::TxnOffsetCommit {
            transactional_id: TRANSACTION.into(),
            group: GROUP.into(),
            generation: -1,
            member_id: String::new(),
            instance_id: None,
            producer_id: self.id,
            producer_epoch: self.epoch,
            offsets: vec![(tp, CommittedOffset { offset, leader_epoch: None })],
        }
    }

    #[track_caller]
    fn consumed(&self, world: &mut World, tp: Tp, offset: i64) {
        let (transactional_id, group) = (TRANSACTION.into(), GROUP.into());
        let add = Request::AddOffsetsToTxn { transactional_id, producer_id: self.id, producer_epoch: self.epoch, group };
        assert_eq!(ask(world, CoordinatorKind::Transaction, add), Response::AddOffsetsToTxn);
        let commit = self.offset_commit(tp, offset);
        let answer = ask(world, CoordinatorKind::Group, commit);
        assert!(matches!(answer, Response::TxnOffsetCommit { .. }), "{answer:?}");
    }

    fn end_request(&self, commit: bool) -> Request {
        Request::EndTxn { transactional_id: TRANSACTION.into(), producer_id: self.id, producer_epoch: self.epoch, commit }
    }

    #[track_caller]
    fn end(&self, world: &mut World, commit: bool) {
        let request = self.end_request(commit);
        assert_eq!(ask(world, CoordinatorKind::Transaction, request), Response::EndTxn);
    }
}

/// What a reader of committed records sees, and how far.
#[track_caller]
fn visible(world: &mut World, tp: Tp) -> (Vec<String>, i64) {
    let leader = await_leader(world, tp);
    let (mut offset, mut values) = (0, Vec::new());
    loop {
        let fetched = world.fetch_at(leader, tp, offset, Isolation::ReadCommitted);
        assert_eq!(fetched.error, None);
        let batches = Batch::split(fetched.records).expect("whole batches");
        let Some(last) = batches.last() else { return (values, fetched.last_stable_offset) };
        offset = last.header().next_offset();
        for batch in batches.iter().filter(|batch| batch.header().control.is_none()) {
            let aborted = fetched.aborted.iter().any(|&(id, first)| id == batch.header().producer_id && first <= batch.header().base_offset);
            let records = batch.records().expect("whole");
            values.extend(records.iter().filter(|_| !aborted).map(value_of));
        }
    }
}

/// Waits until the end of the partition is stable.
#[track_caller]
fn await_visible(world: &mut World, tp: Tp, expected: &[&str]) {
    for _ in 0..400 {
        if visible(world, tp).0 == expected {
            return;
        }
        world.run_ms(50);
    }
    world.print_notes(40);
    panic!("{tp:?} shows {:?}, not {expected:?}", visible(world, tp));
}

fn completed(world: &World) -> Vec<bool> {
    let of = |note: &Note| match note {
        Note::TxnCompleted { commit, .. } => Some(*commit),
        _ => None,
    };
    world.notes.iter().filter_map(|(_, note)| of(note)).collect()
}

/// Two partitions: one anywhere, one whose leader is neither the first's nor the transaction's coordinator.
#[track_caller]
fn two_partitions(world: &mut World) -> (Tp, Tp) {
    let topic = world.create_topic("trades", 6, 3, 2);
    let node = ask_until_found(world);
    let led: Vec<(Tp, NodeId)> = (0..6).map(|partition| Tp { topic, partition }).map(|tp| (tp, await_leader(world, tp))).collect();
    let (far, far_leader) = *led.iter().find(|(_, leader)| *leader != node).expect("leaders are spread");
    let (near, _) = *led.iter().find(|(_, leader)| *leader != far_leader).expect("leaders are spread");
    (near, far)
}

#[track_caller]
fn ask_until_found(world: &mut World) -> NodeId {
    for _ in 0..200 {
        if let Some(node) = coordinator(world, CoordinatorKind::Transaction) {
            return node;
        }
        world.run_ms(50);
    }
    panic!("no coordinator");
}

#[test]
fn a_transaction_is_finished_over_a_failover_between_prepare_and_the_second_marker() {
    for seed in SEEDS {
        let mut world = World::new(seed, 3);
        let (near, far) = two_partitions(&mut world);
        let mut producer = Producer::init(&mut world);
        producer.add(&mut world, &[near, far]);
        producer.write(&mut world, near, "half");
        producer.write(&mut world, far, "other half");
        producer.consumed(&mut world, near, 1);
        assert_eq!(committed(&mut world, near, true), Err(ErrorCode::UnstableOffsetCommit));
        assert_eq!(visible(&mut world, near).0, [""; 0], "seed {seed}: nothing is visible before the end");

        let node = coordinator(&mut world, CoordinatorKind::Transaction).expect("it serves");
        let far_leader = world.leader(far).expect("it leads");
        let ends = world.send_request(node, producer.end_request(true));
        world.run_until("prepared", 10_000, |world| world.notes.iter().any(|(_, note)| matches!(note, Note::TxnPrepared { .. })));
        world.cut(node, far_leader);
        assert_eq!(world.answer_to(ends), Some(Response::EndTxn), "seed {seed}: answered when it is decided");
        world.run_until("first marker", 10_000, |world| world.notes.iter().any(|(_, note)| matches!(note, Note::FirstMarkerWritten { .. })));
        assert_eq!(visible(&mut world, far).0, [""; 0], "seed {seed}: the second marker is not written");
        assert!(completed(&world).is_empty());
        world.kill(node);
        world.heal();

        await_visible(&mut world, near, &["half"]);
        await_visible(&mut world, far, &["other half"]);
        for _ in 0..400 {
            if committed(&mut world, near, true) == Ok(Some(1)) {
                break;
            }
            world.run_ms(50);
        }
        assert_eq!(committed(&mut world, near, true), Ok(Some(1)), "seed {seed}");
        world.run_until("completed", 20_000, |world| completed(world) == [true]);

        // The same producer goes on.
        producer.add(&mut world, &[near]);
        producer.write(&mut world, near, "next");
        producer.end(&mut world, true);
        await_visible(&mut world, near, &["half", "next"]);
    }
}

#[test]
fn an_end_in_doubt_is_told_truthfully_by_the_log() {
    let mut outcomes = BTreeSet::new();
    for seed in SEEDS {
        let mut world = World::new(seed, 3);
        let (near, far) = two_partitions(&mut world);
        let mut producer = Producer::init(&mut world);
        producer.add(&mut world, &[near, far]);
        producer.write(&mut world, near, "half");
        producer.write(&mut world, far, "other half");
        producer.consumed(&mut world, near, 1);
        let node = coordinator(&mut world, CoordinatorKind::Transaction).expect("it serves");
        let ends = world.send_request(node, producer.end_request(true));
        // Anywhere between the request and its last marker.
        world.run_ms(seed % 12);
        world.kill(node);
        let answer = world.answer_to(ends);

        let mut newer = Producer::init(&mut world);
        assert!((newer.id, newer.epoch) > (producer.id, producer.epoch));
        let mut told = committed(&mut world, near, true);
        while told == Err(ErrorCode::UnstableOffsetCommit) {
            world.run_ms(50);
            told = committed(&mut world, near, true);
        }
        let expected: (&[&str], &[&str]) = match told {
            Ok(Some(1)) => (&["half"], &["other half"]),
            Ok(None) => (&[], &[]),
            other => panic!("{other:?}"),
        };
        if answer == Some(Response::EndTxn) {
            assert_eq!(told, Ok(Some(1)), "seed {seed}: what was answered stands");
        }
        await_visible(&mut world, near, expected.0);
        await_visible(&mut world, far, expected.1);

        // The zombie is fenced wherever it turns.
        producer.epoch = newer.epoch - 1;
        let zombie = producer.end_request(true);
        assert_eq!(ask(&mut world, CoordinatorKind::Transaction, zombie), Response::Error(ErrorCode::ProducerFenced));
        newer.add(&mut world, &[near]);
        newer.write(&mut world, near, "new");
        assert_eq!(producer.try_write(&mut world, near, "zombie"), Err(ErrorCode::InvalidProducerEpoch));
        newer.end(&mut world, true);
        outcomes.insert(told);
    }
    assert_eq!(outcomes, BTreeSet::from([Ok(None), Ok(Some(1))]), "the kill falls before and after the decision");
}

#[test]
fn a43_a_write_after_the_end_opens_no_transaction_that_nobody_ends() {
    for seed in SEEDS {
        let mut world = World::new(seed, 3);
        let (near, _) = two_partitions(&mut world);
        let mut producer = Producer::init(&mut world);
        producer.add(&mut world, &[near]);
        producer.write(&mut world, near, "aborted");
        producer.consumed(&mut world, near, 1);
        producer.end(&mut world, false);
        world.run_until("completed", 10_000, |world| completed(world) == [false]);

        assert_eq!(producer.try_write(&mut world, near, "late"), Err(ErrorCode::InvalidTxnState), "seed {seed}");
        let late = producer.offset_commit(near, 7);
        assert_eq!(ask(&mut world, CoordinatorKind::Group, late), Response::Error(ErrorCode::InvalidTxnState));
        assert_eq!(committed(&mut world, near, true), Ok(None), "seed {seed}: nothing is left undecided");
        assert_eq!(visible(&mut world, near), (vec![], 2), "seed {seed}: the abort and its marker are below the last stable offset");
    }
}

#[test]
fn a44_a45_an_abandoned_transaction_holds_readers_back_until_its_timeout() {
    for seed in SEEDS {
        let mut world = World::new(seed, 3);
        let (near, _) = two_partitions(&mut world);
        let mut producer = Producer::init(&mut world);
        producer.add(&mut world, &[near]);
        producer.write(&mut world, near, "abandoned");
        let other = client::batch(&["of somebody else"]);
        world.produce(near, &other, ALL).expect("it leads");
        world.run_ms(1_000);
        assert_eq!(visible(&mut world, near), (vec![], 0), "seed {seed}: one slow producer holds all readers back");
        world.run_ms(u64::from(TIMEOUT_MS) + 2_000);
        assert_eq!(visible(&mut world, near).0, ["of somebody else"], "seed {seed}");
        let end = producer.end_request(true);
        assert_eq!(ask(&mut world, CoordinatorKind::Transaction, end), Response::Error(ErrorCode::ProducerFenced));
        assert_eq!(producer.try_write(&mut world, near, "zombie"), Err(ErrorCode::InvalidProducerEpoch));
    }
}

#[test]
fn a15_a_coordinator_that_does_not_know_it_is_replaced_gives_an_old_position_and_takes_no_commit() {
    for seed in SEEDS {
        let mut world = World::new(seed, 3);
        let orders = Tp { topic: world.create_topic("orders", 1, 3, 2), partition: 0 };
        let nobody = Member::new(0);
        let first = nobody.commit(orders, 1, -1);
        assert!(matches!(ask(&mut world, CoordinatorKind::Group, first), Response::OffsetCommit { .. }));
        let old = coordinator(&mut world, CoordinatorKind::Group).expect("it serves");

        world.isolate(old);
        let fetch = Request::OffsetFetch { group: GROUP.into(), partitions: vec![orders], require_stable: true };
        let others = (1..=3).filter(|&node| node != old);
        let find = Request::FindCoordinator { kind: CoordinatorKind::Group, key: GROUP.into() };
        let any = others.clone().next().expect("two are left");
        let new = (0..400).find_map(|_| {
            world.run_ms(50);
            match world.call(any, find.clone()) {
                Some(Response::FindCoordinator { node, .. }) if node != old => Some(node),
                _ => None,
            }
        });
        let new = new.expect("another is elected");
        let second = nobody.commit(orders, 2, -1);
        while !matches!(world.call(new, second.clone()), Some(Response::OffsetCommit { .. })) {
            world.run_ms(50);
        }

        let of = |offset| Some(Response::OffsetFetch { partitions: vec![(orders, Ok(Some(CommittedOffset { offset, leader_epoch: None })))] });
        assert_eq!(world.call(new, fetch.clone()), of(2));
        assert_eq!(world.call(old, fetch.clone()), of(1), "seed {seed}: a caller who comes here is told what was");
        let zombie = world.send_request(old, nobody.commit(orders, 9, -1));
        world.run_ms(1_000);
        assert!(!matches!(world.answers.get(&zombie), Some(Some(Response::OffsetCommit { .. }))), "seed {seed}: no commit without replicas");
        world.heal();
        assert_eq!(committed(&mut world, orders, true), Ok(Some(2)));
        world.run_until("it hears", 20_000, |world| world.answers.contains_key(&zombie));
        assert!(matches!(world.answers[&zombie], Some(Response::Error(_))), "seed {seed}: {:?}", world.answers[&zombie]);
        assert_eq!(committed(&mut world, orders, true), Ok(Some(2)));
    }
}
