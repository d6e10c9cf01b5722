//! A broker: replicas, the requests of clients and followers, and its life with the controller. Each file holds one concern; this one the state and
//! the way of an input.

mod appends;
mod checkpoints;
mod cleaner;
mod clients;
mod controllers;
mod coordinators;
mod disk;
mod fetch;
mod fetcher;
mod isr;
mod lifecycle;
mod markers;
mod metadata;
mod offsets;
mod produce;
mod producer_ids;
mod progress;
mod quotas;
mod removal;
mod retention;
mod roles;
mod start;
mod verification;

use crate::config::BrokerConfig;
use crate::coordinator::ReplyTo;
use crate::io::{Core, Input, Now, Output, RequestId};
use crate::metadata::Image;
use crate::outbox::Outbox;
use crate::protocol::{ErrorCode, NodeId, Request, Response, Tp};
use crate::replica::Replica;
use std::collections::{BTreeMap, VecDeque};

pub(crate) use disk::DiskOp;
pub(crate) use verification::Parked;
pub(crate) type BrokerOutbox = Outbox<DiskOp, Timer>;

/// What a timer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Register,
    Heartbeat,
    Metadata,
    ProducerIds,
    AlterPartition,
    FindController,
    IsrCheck,
    Checkpoint(checkpoints::SideFile),
    Retention,
    Cleaner,
    ShutdownEnds,
    AppendExpires(u64),
    ReaderExpires(u64),
    FollowerExpires(NodeId, u64),
    Fetcher(NodeId),
    Coordinator(Tp),
    VerifyAgain(Tp, i64, u64),
}

/// Of transactions, as a request has it (A41, A42).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// What a request to another node was for.
#[derive(Debug)]
enum Purpose {
    Register,
    Heartbeat,
    Metadata,
    ProducerIds,
    AlterPartition(Vec<isr::Asked>),
    Fetch(NodeId),
    Forward(ReplyTo),
    InternalTopics,
    AutoCreate,
    Verify { tp: Tp, producer_id: i64, guard: u64 },
    Coordinator { tp: Tp, leader_epoch: u32, token: u64 },
    FindController(NodeId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before [`Input::Start`], and while the files are read.
    Recovering,
    Running,
    /// Asking the controller to move leaderships away.
    Leaving,
    /// Everything is being made durable.
    Syncing,
    /// Nothing is answered any more.
    Stopped,
}

/// A message of this broker to itself: the same as to another, without the network.
enum Local {
    Request {
        id: RequestId,
        request: Request,
    },
    /// `None`: the request went to nobody.
    Response {
        id: RequestId,
        response: Option<Response>,
    },
}

/// Marks a connection as this broker's own; the rest of it and the correlation are the request's id.
const LOCAL: u64 = 1 << 63;

/// A broker core. It ends itself ([`Output::Stopped`]) after [`Input::ShutDown`] and after a disk error (A5: a broker with one log directory stops).
pub struct Broker {
    config: BrokerConfig,
    io: BrokerOutbox,
    phase: Phase,
    incarnation: u64,
    /// Given by the controller at registration.
    broker_epoch: Option<u64>,
    image: Image,
    replicas: BTreeMap<Tp, Replica>,
    recovery: start::Recovery,
    next_request: RequestId,
    requests: BTreeMap<RequestId, Purpose>,
    inbox: VecDeque<Local>,
    controllers: controllers::Controllers,
    life: lifecycle::Life,
    metadata: metadata::Tail,
    producer_ids: producer_ids::Block,
    appends: appends::Appends,
    parked: fetch::Parked,
    fetchers: BTreeMap<NodeId, fetcher::Fetcher>,
    isr: isr::AlterQueue,
    commit: disk::Commit,
    checkpoints: checkpoints::Checkpoints,
    watches: cleaner::Watches,
    hosted: BTreeMap<Tp, coordinators::Hosted>,
    lookups: offsets::Lookups,
    quotas: quotas::Quotas,
    removals: removal::Removals,
    next_guard: u64,
    /// Of the request that a coordinator is answering: whether its append may add the partition to the transaction.
    coordinating: Version,
}

impl Broker {
    /// A broker before its first input, [`Input::Start`].
    pub fn new(config: BrokerConfig) -> Self {
        assert!(config.node >= 1, "node 0 is the controller");
        Broker {
            controllers: controllers::Controllers::new(&config.controllers),
            config,
            io: Outbox::new(),
            phase: Phase::Recovering,
            incarnation: 0,
            broker_epoch: None,
            image: Image::default(),
            replicas: BTreeMap::new(),
            recovery: start::Recovery::default(),
            next_request: 0,
            requests: BTreeMap::new(),
            inbox: VecDeque::new(),
            life: lifecycle::Life::default(),
            metadata: metadata::Tail::default(),
            producer_ids: producer_ids::Block::default(),
            appends: appends::Appends::default(),
            parked: fetch::Parked::default(),
            fetchers: BTreeMap::new(),
            isr: isr::AlterQueue::default(),
            commit: disk::Commit::default(),
            checkpoints: checkpoints::Checkpoints::default(),
            watches: cleaner::Watches::default(),
            hosted: BTreeMap::new(),
            lookups: offsets::Lookups::default(),
            quotas: quotas::Quotas::default(),
            removals: removal::Removals::default(),
            next_guard: 0,
            coordinating: Version::One,
        }
    }

    fn now_ms(&self) -> u64 {
        self.io.now.monotonic_ms
    }

    /// As timestamps have it.
    fn wall_ms(&self) -> i64 {
        i64::try_from(self.io.now.wall_ms).expect("the clock is below 292 million years")
    }

    fn take_input(&mut self, input: Input) {
        match input {
            Input::Start { listing, incarnation } => self.start(&listing, incarnation),
            Input::Request { connection, correlation, request } => {
                assert!(connection & LOCAL == 0, "a host numbers connections from below");
                self.handle(ReplyTo { connection, correlation }, request);
            }
            // Replies to it go nowhere; what waits ends at its deadline.
            Input::Closed { connection } => self.quotas.forget(connection),
            Input::Tick => {}
            Input::Response { id, response } => self.take_response(id, response),
            Input::DiskDone { op, result } => {
                if let Some(meaning) = self.io.finished(op) {
                    self.disk_done(meaning, result);
                }
            }
            Input::ShutDown => self.shut_down(),
        }
    }

    fn take_response(&mut self, id: RequestId, response: Option<Response>) {
        let Some(purpose) = self.requests.remove(&id) else { return };
        self.controller_answered(id, response.as_ref());
        match purpose {
            Purpose::Register => self.registered(response),
            Purpose::Heartbeat => self.heartbeat_answered(response),
            Purpose::Metadata => self.metadata_fetched(response),
            Purpose::ProducerIds => self.producer_ids_allocated(response),
            Purpose::AlterPartition(asked) => self.alter_partition_answered(asked, response),
            Purpose::Fetch(leader) => self.fetched(leader, id, response),
            Purpose::Forward(to) => self.reply(to, response.unwrap_or(Response::Error(ErrorCode::RequestTimedOut))),
            // Whatever the answer: the next who asks sees what the metadata then says.
            Purpose::InternalTopics => self.metadata.making_internal_topics = false,
            Purpose::AutoCreate => {}
            Purpose::Verify { tp, producer_id, guard } => self.verified(tp, producer_id, guard, response),
            Purpose::Coordinator { tp, leader_epoch, token } => self.coordinator_answered(tp, leader_epoch, token, response),
            Purpose::FindController(voter) => self.quorum_described(voter, response),
        }
    }

    fn handle(&mut self, to: ReplyTo, request: Request) {
        if self.phase == Phase::Recovering || self.phase == Phase::Stopped {
            return self.reply(to, Response::Error(ErrorCode::CoordinatorNotAvailable));
        }
        match request {
            Request::Tv2(request) => self.handle_tv2(to, *request),
            Request::Metadata { topics } => self.describe_topics(to, topics),
            Request::CreateTopics { .. }
            | Request::DeleteTopics { .. }
            | Request::AlterConfigs { .. }
            | Request::CreatePartitions { .. }
            | Request::ElectLeaders { .. }
            | Request::AlterPartitionReassignments { .. }
            | Request::ListPartitionReassignments => {
                self.forward_to_controller(to, request);
            }
            Request::FindCoordinator { kind, key } => self.find_coordinator(to, kind, &key),
            Request::Produce { acks, timeout_ms, transactional_id, partitions } => {
                self.produce(to, Version::One, acks, timeout_ms, transactional_id, partitions)
            }
            Request::Fetch { replica, wait_ms_max, bytes_min, bytes_max, isolation, partitions } => {
                self.fetch(to, fetch::Wanted { replica, bytes_min, bytes_max, isolation, partitions }, wait_ms_max);
            }
            Request::ListOffsets { isolation, partitions } => self.list_offsets(to, isolation, &partitions),
            Request::DeleteRecords { partitions } => self.delete_records(to, &partitions),
            Request::OffsetForLeaderEpoch { partitions } => self.offset_for_leader_epoch(to, &partitions),
            Request::InitProducerId { transactional_id: None, .. } => self.init_producer_id(to),
            Request::WriteTxnMarkers { producer_id, producer_epoch, coordinator_epoch, commit, partitions } => {
                self.write_txn_markers(to, markers::Marker { version: Version::One, producer_id, producer_epoch, coordinator_epoch, commit }, &partitions);
            }
            Request::RegisterBroker { .. }
            | Request::BrokerHeartbeat { .. }
            | Request::AlterPartition { .. }
            | Request::FetchMetadata { .. }
            | Request::AllocateProducerIds { .. } => self.reply(to, Response::Error(ErrorCode::NotController)),
            request => self.coordinate(to, request),
        }
    }

    /// Transactions of version 2. A marker's version is its coordinator's word, which may have heard of the version before this broker.
    fn handle_tv2(&mut self, to: ReplyTo, request: Request) {
        match request {
            Request::WriteTxnMarkers { producer_id, producer_epoch, coordinator_epoch, commit, partitions } => {
                self.write_txn_markers(to, markers::Marker { version: Version::Two, producer_id, producer_epoch, coordinator_epoch, commit }, &partitions);
            }
            _ if self.image.transaction_version < 2 => self.reply(to, Response::Error(ErrorCode::UnsupportedVersion)),
            Request::Produce { acks, timeout_ms, transactional_id, partitions } => {
                self.produce(to, Version::Two, acks, timeout_ms, transactional_id, partitions);
            }
            request => self.coordinate(to, Request::Tv2(Box::new(request))),
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Register => self.register(),
            Timer::Heartbeat => self.heartbeat(),
            Timer::Metadata => self.fetch_metadata(),
            Timer::ProducerIds => self.allocate_producer_ids(),
            Timer::AlterPartition => self.alter_partition(),
            Timer::FindController => self.find_controller(),
            Timer::IsrCheck => self.check_isrs(),
            Timer::Checkpoint(file) => self.checkpoint(file),
            Timer::Retention => self.check_retention(),
            Timer::Cleaner => self.clean(),
            Timer::ShutdownEnds => self.stop_leading_and_sync(),
            Timer::AppendExpires(id) => self.append_expired(id),
            Timer::ReaderExpires(id) => self.reader_expired(id),
            Timer::FollowerExpires(node, serial) => self.follower_fetch_expired(node, serial),
            Timer::Fetcher(leader) => self.fetch_from(leader),
            Timer::Coordinator(tp) => self.tick_coordinator(tp),
            Timer::VerifyAgain(tp, producer_id, guard) => self.verify_again(tp, producer_id, guard),
        }
    }

    fn reply(&mut self, to: ReplyTo, response: Response) {
        self.reply_reading(to, response, Vec::new());
    }

    fn reply_reading(&mut self, to: ReplyTo, response: Response, reads: Vec<(usize, String, u64, u32)>) {
        if to.connection & LOCAL != 0 {
            assert!(reads.is_empty(), "a broker does not fetch from itself");
            let id = (to.connection & !LOCAL) << 32 | u64::from(to.correlation);
            return self.inbox.push_back(Local::Response { id, response: Some(response) });
        }
        self.io.out.push(Output::Reply { connection: to.connection, correlation: to.correlation, response, reads });
    }

    /// Sends a request; to itself through the inbox.
    fn ask(&mut self, to: NodeId, lane: u8, request: Request, purpose: Purpose) -> RequestId {
        self.next_request += 1;
        let id = self.next_request;
        self.requests.insert(id, purpose);
        if to == self.config.node {
            self.inbox.push_back(Local::Request { id, request });
        } else {
            self.io.out.push(Output::Request { to, lane, id, request });
        }
        id
    }

    fn drain_inbox(&mut self) {
        while let Some(local) = self.inbox.pop_front() {
            match local {
                Local::Request { id, request } => {
                    let to = ReplyTo { connection: LOCAL | id >> 32, correlation: id as u32 };
                    self.handle(to, request);
                }
                Local::Response { id, response } => self.take_response(id, response),
            }
        }
    }
}

impl Core for Broker {
    fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Stopped {
            return;
        }
        std::mem::swap(&mut self.io.out, out);
        self.io.now = now;
        self.take_input(input);
        self.drain_inbox();
        while self.phase != Phase::Stopped
            && let Some(timer) = self.io.due_timer()
        {
            self.fire(timer);
            self.drain_inbox();
        }
        if self.phase != Phase::Stopped {
            self.begin_commit_round();
            self.io.arm();
        }
        std::mem::swap(&mut self.io.out, out);
    }
}
