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
    fn poll(&mut self, world: &mut World) {
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
            _ => 1 + world.rng.below(3) as NodeId,
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
}

impl Run {
    fn new(seed: u64, controllers: &[NodeId], controller: ControllerConfig) -> Self {
        let segment_bytes = if seed.is_multiple_of(3) { 500 } else { 1 << 20 };
        let fsync = if seed.is_multiple_of(4) { FsyncPolicy::Always } else { FsyncPolicy::Never };
        let config = BrokerConfig { segment_bytes, fsync, controllers: controllers.to_vec(), ..BrokerConfig::new(1, "unset") };
        let mut world = World::with_configs(seed, 3, config, controller);
        let topic = world.create_topic("orders", 2, 3, 2);
        let tps: Vec<Tp> = (0..2).map(|partition| Tp { topic, partition }).collect();
        let client = |id: i64| Client { id, tp: tps[id as usize % 2], next_sequence: 0, in_flight: None, batch: None, acknowledged: Vec::new(), sent: 0 };
        let clients = (0..4).map(client).collect();
        Run { world, tps, clients, paused: BTreeSet::new(), cut: false, power_lost: false }
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.world.broker_config.controllers.iter().copied().chain(1..=3).collect()
    }

    fn start_all(&mut self) {
        self.nodes().into_iter().filter(|&node| !self.world.is_up(node)).collect::<Vec<_>>().into_iter().for_each(|node| self.world.start(node));
    }

    fn whole(&self) -> bool {
        self.nodes().into_iter().all(|node| self.world.is_up(node))
            && (1..=3).all(|node| self.world.is_unfenced(node))
            && self.paused.is_empty()
            && !self.cut
            && self.tps.iter().all(|&tp| self.world.isr(tp).len() == 3)
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
        let is_broker = (1..=3).contains(&node);
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

    fn settle(&mut self) {
        for node in std::mem::take(&mut self.paused) {
            self.world.resume(node);
        }
        self.world.heal();
        self.cut = false;
        self.start_all();
        for at in 0..400 {
            self.clients.iter_mut().for_each(|client| client.poll(&mut self.world));
            self.world.run_ms(50);
            if at > 40 && self.whole() && self.clients.iter().all(|client| client.in_flight.is_none() || client.batch.is_none()) {
                break;
            }
        }
        if !self.whole() {
            self.world.print_notes(150);
        }
        let before: usize = self.clients.iter().map(|client| client.acknowledged.len()).sum();
        for _ in 0..40 {
            self.clients.iter_mut().for_each(|client| client.poll(&mut self.world));
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
            let log = self.log_of(1, tp);
            for node in 2..=3 {
                assert_eq!(self.log_of(node, tp), log, "replicas 1 and {node} of {tp:?}");
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

fn run(seed: u64, controllers: &[NodeId], controller: ControllerConfig) -> (usize, u64, usize) {
    let mut run = Run::new(seed, controllers, controller);
    for _ in 0..200 {
        run.clients.iter_mut().for_each(|client| client.poll(&mut run.world));
        if run.world.rng.chance(3) {
            run.fault();
        }
        let ms = run.world.rng.below(150);
        run.world.run_ms(ms);
    }
    run.settle();
    run.check();
    let said = |(_, note): &&(NodeId, Note)| matches!(note, Note::EligibleLeadersChanged { eligible, .. } if !eligible.is_empty());
    let eligible = run.world.notes.iter().filter(said).count();
    (run.clients.iter().map(|client| client.acknowledged.len()).sum(), run.world.steps, eligible)
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SEEDS") else { return 0..12 };
    let (from, to) = text.split_once("..").expect("SEEDS=A..B");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_moved() {
    over_seeds(&[CONTROLLER], ControllerConfig::default());
}

#[test]
fn nor_with_a_quorum_of_controllers() {
    over_seeds(&VOTERS, ControllerConfig::default());
}

#[test]
fn nor_with_eligible_leader_replicas() {
    for controllers in [&[CONTROLLER][..], &VOTERS] {
        over_seeds(controllers, ControllerConfig { eligible_leaders_version: 1, ..ControllerConfig::default() });
    }
}

fn over_seeds(controllers: &[NodeId], controller: ControllerConfig) {
    let (mut acknowledged, mut steps, mut eligible) = (0, 0, 0);
    let all = seeds();
    for seed in all.clone() {
        let result = std::panic::catch_unwind(|| run(seed, controllers, controller));
        let (of_seed, steps_of_seed, eligible_of_seed) = result.unwrap_or_else(|panic| {
            println!("seed {seed}");
            std::panic::resume_unwind(panic)
        });
        acknowledged += of_seed;
        steps += steps_of_seed;
        eligible += eligible_of_seed;
    }
    println!("{} seeds, {acknowledged} batches acknowledged, {steps} steps, {eligible} times a replica became eligible", all.end - all.start);
    assert_eq!(eligible > 0, controller.eligible_leaders_version > 0);
    assert!(acknowledged as u64 >= 20 * (all.end - all.start), "only {acknowledged} batches were acknowledged");
}
