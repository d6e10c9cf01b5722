//! Consume, transform, produce: two workers that share one transactional id and fence each other, while nodes are killed, paused and cut off. Whatever
//! happens, a reader of committed records finds each input's output once, in order, and the committed position agrees.
//!
//! The workers find their coordinators as the controller last decided. One that asks a broker which woke from a pause may be given an old position
//! (`coordinator_cluster.rs`, A15): against that, neither transactions nor epochs help.
#![allow(dead_code, reason = "the cluster's parts are shared with its own tests")]

#[path = "cluster/client.rs"]
mod client;
#[path = "cluster/disk.rs"]
mod disk;
#[path = "cluster/rng.rs"]
mod rng;
#[path = "cluster/world.rs"]
mod world;

use broker::protocol::{CONSUMER_OFFSETS, CONTROLLER, CommittedOffset, CoordinatorKind, Isolation, TRANSACTION_STATE};
use broker::{Batch, BrokerConfig, ControllerConfig, ErrorCode, NodeId, Note, Request, Response, Tp};
use client::{ALL, fetch_request, transactional, value_of};
use world::World;

const SEEDS: std::ops::Range<u64> = 0..20;
const INPUTS: i64 = 60;
const GROUP: &str = "wallet";
const TRANSACTION: &str = "wallet-trades-0";
const PATIENCE_MS: u64 = 1_500;

/// What a worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Init,
    Position,
    AddPartitions,
    Produce,
    AddOffsets,
    CommitOffset,
    End,
}

struct Worker {
    stage: Stage,
    id: i64,
    epoch: i16,
    sequence: i32,
    position: i64,
    /// Inputs of this transaction.
    taken: i64,
}

/// How a request went.
enum Turn {
    Done(Response),
    /// It was not looked at: the same again.
    Again,
    /// It may have been executed, or somebody else holds the id.
    GiveUp,
}

struct Job {
    world: World,
    /// Transactions of version 2: nobody adds anything, every end raises the epoch (A42).
    is_v2: bool,
    input: Tp,
    output: Tp,
    offsets: Tp,
    transactions: Tp,
    in_doubt: u64,
    fenced: u64,
}

impl Job {
    fn new(seed: u64, is_v2: bool) -> Self {
        let controller = ControllerConfig { transaction_version: if is_v2 { 2 } else { 1 }, ..ControllerConfig::default() };
        let mut world = World::with_configs(seed, 3, BrokerConfig::new(1, "unset"), controller);
        let input = Tp { topic: world.create_topic("trade_executed", 1, 3, 2), partition: 0 };
        let output = Tp { topic: world.create_topic("account_commands", 1, 3, 2), partition: 0 };
        let offsets = internal(&mut world, CONSUMER_OFFSETS, GROUP);
        let transactions = internal(&mut world, TRANSACTION_STATE, TRANSACTION);
        Job { world, is_v2, input, output, offsets, transactions, in_doubt: 0, fenced: 0 }
    }

    /// Waits for an answer, not for ever.
    fn call(&mut self, node: NodeId, request: Request) -> Option<Response> {
        let ticket = self.world.send_request(node, request);
        let until_ms = self.world.now_ms() + PATIENCE_MS;
        while self.world.now_ms() < until_ms {
            if let Some(answer) = self.world.answers.remove(&ticket) {
                return answer;
            }
            self.world.run_ms(5);
        }
        None
    }

    fn ask(&mut self, kind: CoordinatorKind, request: Request) -> Turn {
        let tp = if kind == CoordinatorKind::Group { self.offsets } else { self.transactions };
        let Some(node) = self.world.leader(tp) else { return Turn::Again };
        match self.call(node, request) {
            Some(Response::Error(ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::ConcurrentTransactions)) => Turn::Again,
            Some(Response::Error(error)) => {
                self.fenced += u64::from(matches!(error, ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch));
                Turn::GiveUp
            }
            Some(response) => Turn::Done(response),
            None => Turn::GiveUp,
        }
    }

    fn in_version(&self, request: Request) -> Request {
        if self.is_v2 { Request::Tv2(Box::new(request)) } else { request }
    }

    fn produce(&mut self, request: Request) -> Turn {
        let Some(leader) = self.world.leader(self.output) else { return Turn::Again };
        match self.call(leader, request) {
            Some(Response::Produce { partitions }) => match partitions[0].1 {
                Ok(base) => Turn::Done(Response::Produce { partitions: vec![(self.output, Ok(base))] }),
                // The transaction before is still being completed.
                Err(ErrorCode::NotEnoughReplicas) if self.is_v2 => Turn::Again,
                Err(error) => {
                    self.fenced += u64::from(error == ErrorCode::InvalidProducerEpoch);
                    Turn::GiveUp
                }
            },
            _ => Turn::GiveUp,
        }
    }

    fn turn(&mut self, worker: &mut Worker) {
        let (transactional_id, producer_id, producer_epoch) = (TRANSACTION.to_owned(), worker.id, worker.epoch);
        let turn = match worker.stage {
            Stage::Init => {
                self.ask(CoordinatorKind::Transaction, Request::InitProducerId { transactional_id: Some(transactional_id), transaction_timeout_ms: 4_000 })
            }
            Stage::Position => {
                self.ask(CoordinatorKind::Group, Request::OffsetFetch { group: GROUP.into(), partitions: vec![self.input], require_stable: true })
            }
            Stage::AddPartitions => {
                let partitions = vec![self.output];
                let request = Request::AddPartitionsToTxn { transactional_id, producer_id, producer_epoch, partitions, verify_only: false };
                self.ask(CoordinatorKind::Transaction, request)
            }
            Stage::Produce => {
                let values: Vec<String> = (worker.position..worker.position + worker.taken).map(|nth| nth.to_string()).collect();
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                let batch = transactional(&values, worker.id, worker.epoch, worker.sequence);
                let partitions = vec![(self.output, batch.bytes().clone())];
                let request = Request::Produce { acks: ALL, timeout_ms: 1_000, transactional_id: Some(transactional_id), partitions };
                let request = self.in_version(request);
                self.produce(request)
            }
            Stage::AddOffsets => {
                let request = Request::AddOffsetsToTxn { transactional_id, producer_id, producer_epoch, group: GROUP.into() };
                self.ask(CoordinatorKind::Transaction, request)
            }
            Stage::CommitOffset => {
                let offsets = vec![(self.input, CommittedOffset { offset: worker.position + worker.taken, leader_epoch: None })];
                let (group, generation, member_id, instance_id) = (GROUP.to_owned(), -1, String::new(), None);
                let request = Request::TxnOffsetCommit { transactional_id, group, generation, member_id, instance_id, producer_id, producer_epoch, offsets };
                let request = self.in_version(request);
                self.ask(CoordinatorKind::Group, request)
            }
            Stage::End => {
                let commit = !self.world.rng.chance(8);
                if !commit {
                    worker.taken = 0;
                }
                let request = self.in_version(Request::EndTxn { transactional_id, producer_id, producer_epoch, commit });
                self.ask(CoordinatorKind::Transaction, request)
            }
        };
        match turn {
            Turn::Done(response) => self.go_on(worker, response),
            // An end that is asked for again must not change its mind.
            Turn::Again if worker.stage == Stage::End => worker.stage = Stage::Init,
            Turn::Again => self.world.run_ms(50),
            Turn::GiveUp => {
                self.in_doubt += u64::from(worker.stage == Stage::End);
                worker.stage = Stage::Init;
            }
        }
    }

    fn go_on(&mut self, worker: &mut Worker, response: Response) {
        worker.stage = match (worker.stage, response) {
            (Stage::Init, Response::InitProducerId { producer_id, producer_epoch } | Response::InitProducerIdTv2 { producer_id, producer_epoch }) => {
                (worker.id, worker.epoch, worker.sequence) = (producer_id, producer_epoch, 0);
                Stage::Position
            }
            (Stage::Position, Response::OffsetFetch { partitions }) => match partitions[0].1 {
                Ok(committed) => {
                    worker.position = committed.map_or(0, |committed| committed.offset);
                    worker.taken = 0;
                    self.next_transaction(worker)
                }
                Err(ErrorCode::UnstableOffsetCommit) => Stage::Position,
                Err(error) => panic!("{error:?}"),
            },
            (Stage::AddPartitions, Response::AddPartitionsToTxn { .. }) => self.take(worker),
            (Stage::Produce, Response::Produce { .. }) => {
                worker.sequence += worker.taken as i32;
                if self.is_v2 { Stage::CommitOffset } else { Stage::AddOffsets }
            }
            (Stage::AddOffsets, Response::AddOffsetsToTxn) => Stage::CommitOffset,
            (Stage::CommitOffset, Response::TxnOffsetCommit { .. }) => Stage::End,
            (Stage::End, Response::EndTxn) => {
                worker.position += worker.taken;
                self.next_transaction(worker)
            }
            (Stage::End, Response::EndTxnTv2 { producer_id, producer_epoch }) => {
                worker.position += worker.taken;
                (worker.id, worker.epoch, worker.sequence) = (producer_id, producer_epoch, 0);
                self.next_transaction(worker)
            }
            (stage, response) => panic!("{stage:?}: {response:?}"),
        };
    }

    fn next_transaction(&mut self, worker: &mut Worker) -> Stage {
        if self.is_v2 { self.take(worker) } else { Stage::AddPartitions }
    }

    fn take(&mut self, worker: &mut Worker) -> Stage {
        worker.taken = (1 + self.world.rng.below(5) as i64).min(INPUTS - worker.position);
        if worker.taken > 0 { Stage::Produce } else { Stage::Init }
    }

    fn fault(&mut self) {
        let node = self.world.rng.below(4) as NodeId;
        match self.world.rng.below(8) {
            0 | 1 if self.world.is_up(node) => self.world.kill(node),
            0..=3 => (0..4).for_each(|node| {
                if !self.world.is_up(node) {
                    self.world.start(node);
                }
            }),
            4 => self.world.pause(node),
            5 => (0..4).for_each(|node| self.world.resume(node)),
            6 => self.world.isolate(node),
            _ => self.world.heal(),
        }
    }

    fn mend(&mut self) {
        self.world.heal();
        for node in CONTROLLER..=3 {
            self.world.resume(node);
            if !self.world.is_up(node) {
                self.world.start(node);
            }
        }
    }

    /// What a reader of committed records finds; `None`: nobody can say yet, or a transaction is open.
    fn outputs(&mut self) -> Option<Vec<String>> {
        let leader = self.world.leader(self.output)?;
        let (mut offset, mut values) = (0, Vec::new());
        loop {
            let Some(Response::Fetch { partitions }) = self.call(leader, fetch_request(self.output, offset, Isolation::ReadCommitted, 0)) else { return None };
            let fetched = partitions.into_iter().next().expect("one was asked");
            if fetched.error.is_some() {
                return None;
            }
            let batches = Batch::split(fetched.records).expect("whole batches");
            let Some(last) = batches.last() else { return (fetched.last_stable_offset == fetched.high_watermark).then_some(values) };
            offset = last.header().next_offset();
            // The end of a producer's aborted transaction is its marker; from there on its records count again.
            let mut aborted = fetched.aborted;
            for batch in &batches {
                let header = batch.header();
                let of_aborted = |&(id, first): &(i64, i64)| id == header.producer_id && first <= header.base_offset;
                match (header.control.is_some(), aborted.iter().position(of_aborted)) {
                    (true, Some(at)) => drop(aborted.remove(at)),
                    (false, None) => values.extend(batch.records().expect("whole").iter().map(value_of)),
                    _ => {}
                }
            }
        }
    }
}

/// The internal partition that coordinates `key`.
fn internal(world: &mut World, topic: &str, key: &str) -> Tp {
    match world.call(1, Request::Metadata { topics: Some(vec![topic.into()]) }) {
        Some(Response::Metadata { topics, .. }) => Tp { topic: topics[0].id, partition: crc32c::crc32c(key.as_bytes()) % topics[0].partitions.len() as u32 },
        other => panic!("{other:?}"),
    }
}

fn worker() -> Worker {
    Worker { stage: Stage::Init, id: -1, epoch: -1, sequence: 0, position: 0, taken: 0 }
}

fn run(seed: u64, is_v2: bool) -> (u64, u64, usize) {
    let mut job = Job::new(seed, is_v2);
    let mut workers = [worker(), worker()];
    let mut current = 0;
    for _ in 0..400 {
        if job.world.rng.chance(12) {
            job.fault();
        }
        // Mostly one works; now and then the other wakes and believes that it still may.
        if job.world.rng.chance(25) {
            current = 1 - current;
        }
        job.turn(&mut workers[current]);
    }
    job.mend();
    let mut last = worker();
    for _ in 0..2_000 {
        if last.position == INPUTS {
            break;
        }
        job.turn(&mut last);
    }
    assert_eq!(last.position, INPUTS, "seed {seed}: it gets through in the end");
    for _ in 0..400 {
        if job.outputs().is_some_and(|outputs| outputs.len() == INPUTS as usize) {
            break;
        }
        job.world.run_ms(50);
    }
    let expected: Vec<String> = (0..INPUTS).map(|nth| nth.to_string()).collect();
    assert_eq!(job.outputs(), Some(expected), "seed {seed}");
    let aborted = job.world.notes.iter().filter(|(_, note)| matches!(note, Note::TxnCompleted { commit: false, .. })).count();
    (job.in_doubt, job.fenced, aborted)
}

#[test]
fn each_input_has_its_output_once_and_in_order() {
    over_all_seeds(false);
}

#[test]
fn a42_each_input_has_its_output_once_and_in_order_under_version_2() {
    over_all_seeds(true);
}

fn over_all_seeds(is_v2: bool) {
    let (mut in_doubt, mut fenced, mut aborted) = (0, 0, 0);
    for seed in SEEDS {
        let seen = run(seed, is_v2);
        (in_doubt, fenced, aborted) = (in_doubt + seen.0, fenced + seen.1, aborted + seen.2);
    }
    println!("{in_doubt} ends in doubt, {fenced} times fenced, {aborted} transactions aborted");
    assert!(in_doubt > 0 && fenced > 0 && aborted > 0, "{in_doubt} {fenced} {aborted}: the dice reach too little");
}
