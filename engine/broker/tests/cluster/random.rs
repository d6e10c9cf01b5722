//! Random faults over many seeds: what was acknowledged with acks = all is there, once, where it was said to be; replicas are equal; offsets are dense.
//! `SEEDS=A..B` picks the seeds, `NOTES=1` prints what was noted.

use crate::client::{ALL, idempotent};
use crate::world::{VOTERS, World};
use broker::protocol::CONTROLLER;
use broker::{Batch, BrokerConfig, ControllerConfig, ErrorCode, FsyncPolicy, NodeId, Note, Request, RequestId, Response, Tp};
use std::collections::{BTreeMap, BTreeSet};

/// A producer that sends one batch at a time and repeats it until it knows.
#[derive(Debug)]
struct Client {
    id: i64,
    tp: Tp,
    next_sequence: i32,
    in_flight: Option<(RequestId, u64)>,
    /// Values per batch under way.
    batch: Option<Vec<String>>,
    acknowledged: Vec<(i64, Vec<String>)>,
    sent: u64,
}

impl Client {
    fn poll(&mut self, world: &mut World, brokers: u32) {
        if let Some((ticket, deadline_ms)) = self.in_flight {
            match world.answers.remove(&ticket) {
                Some(answer) => {
                    self.in_flight = None;
                    self.take(answer);
                }
                None if world.now_ms() > deadline_ms => self.in_flight = None,
                None => return,
            }
        }
        let values = self.batch.get_or_insert_with(|| {
            let count = 1 + self.sent % 3;
            self.sent += count;
            (0..count).map(|nth| format!("{}:{}", self.id, self.sent - count + nth)).collect()
        });
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let batch = idempotent(&values, self.id, 0, self.next_sequence);
        let to = match world.leader(self.tp) {
            Some(leader) if !world.rng.chance(8) => leader,
            _ => 1 + world.rng.below(u64::from(brokers)) as NodeId,
        };
        let request = Request::Produce { acks: ALL, timeout_ms: 1_000, transactional_id: None, partitions: vec![(self.tp, batch.bytes().clone())] };
        self.in_flight = Some((world.send_request(to, request), world.now_ms() + 1_500));
    }

    fn take(&mut self, answer: Option<Response>) {
        let Some(Response::Produce { partitions }) = answer else { return };
        match partitions[0].1 {
            Ok(base) => {
                let values = self.batch.take().expect("it was sent");
                self.next_sequence += values.len() as i32;
                self.acknowledged.push((base, values));
            }
            Err(
                ErrorCode::NotLeaderOrFollower
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::NotEnoughReplicas
                | ErrorCode::NotEnoughReplicasAfterAppend
                | ErrorCode::RequestTimedOut
                // A leader that has not heard of its end lacks the batches before (A15).
                | ErrorCode::OutOfOrderSequenceNumber,
            ) => {}
            Err(error) => panic!("producer {} at sequence {}: {error:?}", self.id, self.next_sequence),
        }
    }
}

struct Run {
    world: World,
    tps: Vec<Tp>,
    clients: Vec<Client>,
    paused: BTreeSet<NodeId>,
    cut: bool,
    /// Nothing else may fail until every ISR is full again.
    power_lost: bool,
    /// Three; four where partitions move among them (A22).
    brokers: u32,
}

impl Run {
    fn new(seed: u64, controllers: &[NodeId], controller: ControllerConfig, brokers: u32) -> Self {
        let segment_bytes = if seed.is_multiple_of(3) { 500 } else { 1 << 20 };
        let fsync = if seed.is_multiple_of(4) { FsyncPolicy::Always } else { FsyncPolicy::Never };
        let config = BrokerConfig { segment_bytes, fsync, controllers: controllers.to_vec(), ..BrokerConfig::new(1, "unset") };
        let mut world = World::with_configs(seed, brokers, config, controller);
        let topic = world.create_topic("orders", 2, 3, 2);
        let tps: Vec<Tp> = (0..2).map(|partition| Tp { topic, partition }).collect();
        let client = |id: i64| Client { id, tp: tps[id as usize % 2], next_sequence: 0, in_flight: None, batch: None, acknowledged: Vec::new(), sent: 0 };
        let clients = (0..4).map(client).collect();
        Run { world, tps, clients, paused: BTreeSet::new(), cut: false, power_lost: false, brokers }
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.world.broker_config.controllers.iter().copied().chain(1..=self.brokers).collect()
    }

    fn start_all(&mut self) {
        self.nodes().into_iter().filter(|&node| !self.world.is_up(node)).collect::<Vec<_>>().into_iter().for_each(|node| self.world.start(node));
    }

    fn whole(&self) -> bool {
        self.nodes().into_iter().all(|node| self.world.is_up(node))
            && (1..=self.brokers).all(|node| self.world.is_unfenced(node))
            && self.paused.is_empty()
            && !self.cut
            && self.tps.iter().all(|&tp| self.world.isr(tp).len() >= 3)
    }

    fn fault(&mut self) {
        if self.power_lost {
            self.start_all();
            self.power_lost = !self.whole();
            return;
        }
        let nodes = self.nodes();
        let node = nodes[self.world.rng.below(nodes.len() as u64) as usize];
        let other = nodes[self.world.rng.below(nodes.len() as u64) as usize];
        let is_broker = (1..=self.brokers).contains(&node);
        match self.world.rng.below(12) {
            0 | 1 if self.world.is_up(node) => {
                self.paused.remove(&node);
                // The controller's log is synced; with fsync = always so are the brokers'.
                let durable = !is_broker || self.world.broker_config.fsync == FsyncPolicy::Always;
                if durable && self.world.rng.chance(2) { self.world.power_loss(node) } else { self.world.kill(node) }
            }
            0..=4 if !self.world.is_up(node) => self.world.start(node),
            5 if self.world.is_up(node) && self.paused.insert(node) => self.world.pause(node),
            6 | 7 => {
                for node in std::mem::take(&mut self.paused) {
                    self.world.resume(node);
                }
            }
            8 => {
                self.cut = true;
                if self.world.rng.chance(2) { self.world.isolate(node) } else { self.world.cut(node, other) }
            }
            9 | 10 => {
                self.cut = false;
                self.world.heal();
            }
            11 if self.world.rng.chance(2) && is_broker && self.whole() => {
                self.power_lost = true;
                self.world.power_loss(node);
            }
            11 => self.world.break_connections(node, other),
            _ => {}
        }
    }

    /// To two, three or all of them in any order, or back.
    fn move_somewhere(&mut self) {
        let mut target: Vec<NodeId> = (1..=self.brokers).collect();
        for at in (1..target.len()).rev() {
            target.swap(at, self.world.rng.below(at as u64 + 1) as usize);
        }
        target.truncate(2 + self.world.rng.below(3) as usize);
        let tp = self.tps[self.world.rng.below(2) as usize];
        let target = if self.world.rng.chance(4) { None } else { Some(target) };
        self.ask_to_move(vec![(tp, target)]);
    }

    fn ask_to_move(&mut self, partitions: Vec<(Tp, Option<Vec<NodeId>>)>) {
        let asked = 1 + self.world.rng.below(u64::from(self.brokers)) as NodeId;
        if self.world.is_up(asked) {
            self.world.send_request(asked, Request::AlterPartitionReassignments { partitions });
        }
    }

    /// Who has it at the end.
    fn replicas(&self, tp: Tp) -> Vec<NodeId> {
        let mut isr = self.world.isr(tp);
        isr.sort_unstable();
        isr
    }

    fn settle(&mut self) {
        for node in std::mem::take(&mut self.paused) {
            self.world.resume(node);
        }
        self.world.heal();
        self.cut = false;
        self.start_all();
        for at in 0..400 {
            self.clients.iter_mut().for_each(|client| client.poll(&mut self.world, self.brokers));
            self.world.run_ms(50);
            if self.brokers > 3 && at % 40 == 20 && !self.whole() {
                self.ask_to_move(self.tps.iter().map(|&tp| (tp, Some(vec![2, 3, 4]))).collect());
            }
            if at > 40 && self.whole() && self.clients.iter().all(|client| client.in_flight.is_none() || client.batch.is_none()) {
                break;
            }
        }
        if !self.whole() {
            self.world.print_notes(150);
        }
        let before: usize = self.clients.iter().map(|client| client.acknowledged.len()).sum();
        for _ in 0..40 {
            self.clients.iter_mut().for_each(|client| client.poll(&mut self.world, self.brokers));
            self.world.run_ms(50);
        }
        let after: usize = self.clients.iter().map(|client| client.acknowledged.len()).sum();
        if after < before + 4 {
            self.world.print_notes(100);
        }
        assert!(after >= before + 4, "producers go on: {:?}", self.clients);
        assert!(self.whole(), "the cluster heals: {:?}", self.tps.iter().map(|&tp| self.world.isr(tp)).collect::<Vec<_>>());
        self.world.run_ms(3_000);
    }

    fn log_of(&mut self, node: NodeId, tp: Tp) -> Vec<Batch> {
        let prefix = format!("{}-{}/", tp.topic.0, tp.partition);
        let disk = self.world.disk(node);
        let names: Vec<String> = disk.listing().into_iter().map(|(name, _)| name).filter(|name| name.starts_with(&prefix) && name.ends_with(".log")).collect();
        let bytes: Vec<u8> = names.iter().flat_map(|name| disk.bytes(name).expect("listed").to_vec()).collect();
        Batch::split(bytes.into()).expect("whole batches")
    }

    fn check(&mut self) {
        if std::env::var_os("NOTES").is_some() {
            self.world.notes.iter().for_each(|(node, note)| println!("{node}: {note:?}"));
        }
        crate::invariants::check(&self.world.notes);
        for tp in self.tps.clone() {
            let replicas = self.replicas(tp);
            let log = self.log_of(replicas[0], tp);
            for &node in &replicas[1..] {
                assert_eq!(self.log_of(node, tp), log, "replicas {} and {node} of {tp:?}", replicas[0]);
            }
            for node in (1..=self.brokers).filter(|node| !replicas.contains(node)) {
                assert_eq!(self.log_of(node, tp), [], "{node} has no part in {tp:?}");
            }
            let mut end = 0;
            let mut values: BTreeMap<i64, String> = BTreeMap::new();
            for batch in &log {
                assert_eq!(batch.header().base_offset, end, "offsets of {tp:?} are dense");
                end = batch.header().next_offset();
                values.extend(batch.records().expect("whole").iter().map(|record| (record.offset, crate::client::value_of(record))));
            }
            let distinct: BTreeSet<&String> = values.values().collect();
            assert_eq!(distinct.len(), values.len(), "a value is in the log once");
            for client in self.clients.iter().filter(|client| client.tp == tp) {
                for (base, batch) in &client.acknowledged {
                    for (offset, value) in (*base..).zip(batch) {
                        assert_eq!(values.get(&offset), Some(value), "acknowledged at {offset} of {tp:?}");
                    }
                }
            }
        }
    }
}

fn run(seed: u64, controllers: &[NodeId], controller: ControllerConfig, brokers: u32) -> Done {
    let mut run = Run::new(seed, controllers, controller, brokers);
    for _ in 0..200 {
        run.clients.iter_mut().for_each(|client| client.poll(&mut run.world, run.brokers));
        if run.world.rng.chance(3) {
            run.fault();
        }
        if run.brokers > 3 && run.world.rng.chance(8) {
            run.move_somewhere();
        }
        let ms = run.world.rng.below(150);
        run.world.run_ms(ms);
    }
    run.settle();
    run.check();
    let said = |is_such: fn(&Note) -> bool| run.world.notes.iter().filter(|(_, note)| is_such(note)).count();
    Done {
        acknowledged: run.clients.iter().map(|client| client.acknowledged.len()).sum(),
        steps: run.world.steps,
        eligible: said(|note| matches!(note, Note::EligibleLeadersChanged { eligible, .. } if !eligible.is_empty())),
        completed: said(|note| matches!(note, Note::ReassignmentCompleted { .. })),
        moved: said(|note| matches!(note, Note::ReassignmentCompleted { moved: true, .. })),
        cancelled: said(|note| matches!(note, Note::ReassignmentCancelled { .. })),
    }
}

/// What happened.
#[derive(Debug, Default)]
struct Done {
    /// Batches.
    acknowledged: usize,
    steps: u64,
    /// Times that a replica became eligible.
    eligible: usize,
    /// Reassignments, those of them that moved the leader, and those that were cancelled.
    completed: usize,
    moved: usize,
    cancelled: usize,
}

/// Of `a22_nor_where_partitions_move_among_four`: see `Broker::stop_following`.
const ONCE_RED: [u64; 1] = [36];

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SEEDS") else { return 0..12 };
    let (from, to) = text.split_once("..").expect("SEEDS=A..B");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_moved() {
    over_seeds(&[CONTROLLER], ControllerConfig::default(), 3);
}

#[test]
fn nor_with_a_quorum_of_controllers() {
    over_seeds(&VOTERS, ControllerConfig::default(), 3);
}

#[test]
fn nor_with_eligible_leader_replicas() {
    for controllers in [&[CONTROLLER][..], &VOTERS] {
        over_seeds(controllers, ControllerConfig { eligible_leaders_version: 1, ..ControllerConfig::default() }, 3);
    }
}

#[test]
fn a22_nor_where_partitions_move_among_four() {
    for controllers in [&[CONTROLLER][..], &VOTERS] {
        for eligible_leaders_version in [0, 1] {
            let done = over_seeds(controllers, ControllerConfig { eligible_leaders_version, ..ControllerConfig::default() }, 4);
            assert!(done.completed > 0 && done.moved > 0, "{done:?}");
        }
    }
}

fn over_seeds(controllers: &[NodeId], controller: ControllerConfig, brokers: u32) -> Done {
    let mut all = Done::default();
    let (seeds, once_red) = (seeds(), if brokers > 3 { &ONCE_RED[..] } else { &[] });
    for seed in seeds.clone().chain(once_red.iter().copied()) {
        let result = std::panic::catch_unwind(|| run(seed, controllers, controller, brokers));
        let done = result.unwrap_or_else(|panic| {
            println!("seed {seed}");
            std::panic::resume_unwind(panic)
        });
        all.acknowledged += done.acknowledged;
        all.steps += done.steps;
        all.eligible += done.eligible;
        all.completed += done.completed;
        all.moved += done.moved;
        all.cancelled += done.cancelled;
    }
    let count = seeds.end - seeds.start;
    println!("{count} seeds: {all:?}");
    assert_eq!(all.eligible > 0, controller.eligible_leaders_version > 0);
    assert!(all.acknowledged as u64 >= 20 * count, "only {} batches were acknowledged", all.acknowledged);
    all
}
