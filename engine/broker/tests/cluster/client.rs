//! What tests ask of a cluster: small steps of a client, each run to its answer.

use crate::world::World;
use broker::batch::{Producer, Record};
use broker::protocol::{FetchPartition, FetchedPartition, Isolation, OffsetSpec, TopicSpec};
use broker::{Batch, ErrorCode, NodeId, Note, Request, RequestId, Response, TopicId, Tp};
use bytes::Bytes;

pub const ALL: i8 = -1;

pub fn spec(name: &str, partitions: u32, replication: u32, min_isr: u32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, replication, min_isr, compacted: false }
}

pub fn record(value: &str) -> Record {
    Record { offset: 0, timestamp_ms: 0, key: None, value: Some(Bytes::copy_from_slice(value.as_bytes())) }
}

pub fn batch(values: &[&str]) -> Batch {
    Batch::build(&values.iter().map(|value| record(value)).collect::<Vec<_>>(), Producer::NONE, false)
}

pub fn idempotent(values: &[&str], id: i64, epoch: i16, first_sequence: i32) -> Batch {
    Batch::build(&values.iter().map(|value| record(value)).collect::<Vec<_>>(), Producer { id, epoch, first_sequence }, false)
}

pub fn transactional(values: &[&str], id: i64, epoch: i16, first_sequence: i32) -> Batch {
    Batch::build(&values.iter().map(|value| record(value)).collect::<Vec<_>>(), Producer { id, epoch, first_sequence }, true)
}

pub fn fetch_request(tp: Tp, offset: i64, isolation: Isolation, wait_ms_max: u32) -> Request {
    let partition = FetchPartition { tp, offset, current_leader_epoch: None, last_fetched_epoch: None, bytes_max: 1 << 20 };
    Request::Fetch { replica: None, wait_ms_max, bytes_min: 1, bytes_max: 1 << 20, isolation, partitions: vec![partition] }
}

pub fn produce_request(tp: Tp, batch: &Batch, acks: i8) -> Request {
    Request::Produce { acks, timeout_ms: 3_000, transactional_id: None, partitions: vec![(tp, batch.bytes().clone())] }
}

impl World {
    /// Waits for the answer to a ticket; `None`: the connection broke.
    #[track_caller]
    pub fn answer_to(&mut self, ticket: RequestId) -> Option<Response> {
        self.run_until("an answer", 20_000, |world| world.answers.contains_key(&ticket));
        self.answers.remove(&ticket).expect("just seen")
    }

    #[track_caller]
    pub fn call(&mut self, node: NodeId, request: Request) -> Option<Response> {
        let ticket = self.send_request(node, request);
        self.answer_to(ticket)
    }

    /// Creates a topic through broker 1 when the cluster is ready, and waits until its partitions have all their replicas in sync.
    #[track_caller]
    pub fn create_topic(&mut self, name: &str, partitions: u32, replication: u32, min_isr: u32) -> TopicId {
        loop {
            let answer = self.call(1, Request::CreateTopics { topics: vec![spec(name, partitions, replication, min_isr)] });
            if let Some(Response::CreateTopics { results }) = answer
                && let Ok(topic) = results[0].1
            {
                for partition in 0..partitions {
                    self.await_full_isr(Tp { topic, partition }, replication as usize);
                }
                return topic;
            }
            assert!(self.now_ms() < 30_000, "the cluster never came up");
            self.run_ms(50);
        }
    }

    /// The same where only so many replicas are alive.
    #[track_caller]
    #[allow(dead_code)] // The tests of coordinators in a cluster use the rest.
    pub fn create_topic_of(&mut self, name: &str, partitions: u32, replication: u32, min_isr: u32) -> TopicId {
        for _ in 0..200 {
            let answer = self.call(1, Request::CreateTopics { topics: vec![spec(name, partitions, replication, min_isr)] });
            if let Some(Response::CreateTopics { results }) = answer
                && let Ok(topic) = results[0].1
            {
                let tp = Tp { topic, partition: 0 };
                self.run_until("a leader", 20_000, |world| world.leader(tp).is_some());
                return topic;
            }
            self.run_ms(50);
        }
        panic!("{name}: never made");
    }

    #[track_caller]
    pub fn await_full_isr(&mut self, tp: Tp, replication: usize) {
        self.run_until("all replicas in sync", 20_000, |world| world.isr(tp).len() == replication && world.leader(tp).is_some());
        self.run_ms(20);
    }

    /// As the controller last decided.
    pub fn isr(&self, tp: Tp) -> Vec<NodeId> {
        let isr_of = |note: &Note| match note {
            Note::LeaderElected { tp: of, isr, .. } | Note::IsrChanged { tp: of, isr, .. } if *of == tp => Some(isr.clone()),
            _ => None,
        };
        self.notes.iter().rev().find_map(|(_, note)| isr_of(note)).unwrap_or_default()
    }

    /// The last elected leader and its epoch, if that broker is up and has heard.
    pub fn leader_epoch(&self, tp: Tp) -> Option<(NodeId, u32)> {
        let elected = |note: &Note| match note {
            Note::LeaderElected { tp: of, leader, leader_epoch, .. } if *of == tp => Some((*leader, *leader_epoch)),
            _ => None,
        };
        let (leader, epoch) = self.notes.iter().rev().find_map(|(_, note)| elected(note))?;
        let heard = |(node, note): &(NodeId, Note)| {
            *node == leader && matches!(note, Note::BecameLeader { tp: of, leader_epoch, .. } if *of == tp && *leader_epoch == epoch)
        };
        (self.is_up(leader) && self.notes[self.started_at_note(leader)..].iter().rev().any(heard)).then_some((leader, epoch))
    }

    pub fn leader(&self, tp: Tp) -> Option<NodeId> {
        self.leader_epoch(tp).map(|(leader, _)| leader)
    }

    #[track_caller]
    #[allow(dead_code)] // The tests of coordinators in a cluster use it too.
    pub fn await_leader(&mut self, tp: Tp) -> NodeId {
        self.run_until("a leader", 20_000, |world| world.leader(tp).is_some());
        self.leader(tp).expect("just seen")
    }

    /// Waits for a leader other than `old`.
    #[track_caller]
    pub fn await_other_leader(&mut self, tp: Tp, old: NodeId) -> NodeId {
        self.run_until("another leader", 20_000, |world| world.leader(tp).is_some_and(|leader| leader != old));
        self.leader(tp).expect("just seen")
    }

    #[track_caller]
    pub fn produce(&mut self, tp: Tp, batch: &Batch, acks: i8) -> Result<i64, ErrorCode> {
        let leader = self.leader(tp).expect("a leader");
        self.produce_at(leader, tp, batch, acks)
    }

    #[track_caller]
    pub fn produce_at(&mut self, node: NodeId, tp: Tp, batch: &Batch, acks: i8) -> Result<i64, ErrorCode> {
        match self.call(node, produce_request(tp, batch, acks)) {
            Some(Response::Produce { partitions }) => partitions[0].1,
            Some(Response::Error(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn fetch_at(&mut self, node: NodeId, tp: Tp, offset: i64, isolation: Isolation) -> FetchedPartition {
        match self.call(node, fetch_request(tp, offset, isolation, 0)) {
            Some(Response::Fetch { partitions }) => partitions.into_iter().next().expect("one was asked"),
            other => panic!("{other:?}"),
        }
    }

    /// Every record a consumer can read from the leader: (offset, value).
    #[track_caller]
    pub fn read_all(&mut self, tp: Tp) -> Vec<(i64, String)> {
        let leader = self.leader(tp).expect("a leader");
        let (mut offset, mut read) = (0, Vec::new());
        loop {
            let fetched = self.fetch_at(leader, tp, offset, Isolation::ReadUncommitted);
            assert_eq!(fetched.error, None);
            let batches = Batch::split(fetched.records).expect("whole batches");
            let Some(last) = batches.last() else { return read };
            offset = last.header().next_offset();
            for batch in batches.iter().filter(|batch| batch.header().control.is_none()) {
                read.extend(batch.records().expect("whole").into_iter().map(|record| (record.offset, value_of(&record))));
            }
        }
    }

    #[track_caller]
    pub fn list_offset(&mut self, node: NodeId, tp: Tp, spec: OffsetSpec, epoch: Option<u32>) -> Result<i64, ErrorCode> {
        match self.call(node, Request::ListOffsets { isolation: Isolation::ReadUncommitted, partitions: vec![(tp, spec, epoch)] }) {
            Some(Response::ListOffsets { partitions }) => partitions[0].1.map(|(offset, _)| offset),
            other => panic!("{other:?}"),
        }
    }

    /// Restarts a killed broker's process and waits until its leaderships and ISRs are whole again.
    #[track_caller]
    pub fn bring_back(&mut self, node: NodeId, tp: Tp, replication: usize) {
        self.start(node);
        self.run_until("its new life counts", 20_000, |world| world.is_unfenced(node));
        self.await_full_isr(tp, replication);
    }
}

pub fn value_of(record: &Record) -> String {
    String::from_utf8(record.value.as_ref().expect("no tombstones here").to_vec()).expect("tests write text")
}
