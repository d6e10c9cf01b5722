//! The controller: a state machine over its own metadata log. A record acts only when it is committed: where the controller is alone, when it is synced;
//! in a quorum of three, when two have synced it (`quorum`), and only the one that leads decides anything.
//!
//! Decisions are made on the newest image, committed or not; nothing of it is told to anybody before it is committed. A controller that dies forgets
//! what it had not synced, and nobody has seen it.

mod brokers;
mod elections;
mod eligible;
mod isr;
mod log;
mod quorum;
mod reassign;
mod serve;
mod topics;

use crate::config::ControllerConfig;
use crate::coordinator::ReplyTo;
use crate::io::{Core, Input, Now, Output};
use crate::metadata::{Image, MetadataRecord};
use crate::note::Note;
use crate::outbox::Outbox;
use crate::protocol::{ErrorCode, Request, Response};
use std::collections::VecDeque;

/// What a timer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Sessions,
    Rebalance,
    FetchExpires(u32, u64),
    Quorum,
    QuorumFetch,
}

/// What waits for an entry to be committed.
enum Outcome {
    Reply(ReplyTo, Response),
    Note(Note),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its log is being read.
    Recovering,
    Running,
    Leaving,
    Stopped,
}

/// A controller core. It ends itself after [`Input::ShutDown`] and after a disk error.
pub struct Controller {
    config: ControllerConfig,
    io: Outbox<log::DiskOp, Timer>,
    phase: Phase,
    /// With everything decided, committed or not.
    image: Image,
    log: log::MetadataLog,
    quorum: Option<quorum::Quorum>,
    /// (entries that must be committed, what then), in that order.
    outcomes: VecDeque<(u64, Outcome)>,
    sessions: brokers::Sessions,
    /// When leaderships are looked at, while this controller is active.
    rebalance_at_ms: Option<u64>,
    parked: serve::Parked,
}

impl Controller {
    /// A controller before its first input, [`Input::Start`].
    pub fn new(config: ControllerConfig) -> Self {
        Controller {
            config,
            io: Outbox::new(),
            phase: Phase::Recovering,
            image: Image::default(),
            log: log::MetadataLog::default(),
            quorum: config.quorum.map(quorum::Quorum::new),
            outcomes: VecDeque::new(),
            sessions: brokers::Sessions::default(),
            rebalance_at_ms: None,
            parked: serve::Parked::default(),
        }
    }

    fn handle(&mut self, to: ReplyTo, request: Request) {
        if self.phase != Phase::Running {
            return self.reply(to, Response::Error(ErrorCode::NotController));
        }
        if self.quorum.is_some() && (!self.is_active() || request.is_of_quorum()) {
            return self.handle_quorum(to, request);
        }
        match request {
            Request::RegisterBroker { broker, incarnation, address, ended_in_order } => {
                self.register_broker(to, broker, incarnation, address, ended_in_order);
            }
            Request::BrokerHeartbeat { broker, broker_epoch, metadata_offset, want_fence, want_shut_down } => {
                self.heartbeat(to, brokers::Heartbeat { broker, broker_epoch, metadata_offset, want_fence, want_shut_down });
            }
            Request::AlterPartition { broker, broker_epoch, partitions } => self.alter_partitions(to, broker, broker_epoch, partitions),
            Request::FetchMetadata { broker, from, wait_ms_max } => self.fetch_metadata(to, broker, from, wait_ms_max),
            Request::AllocateProducerIds { broker, broker_epoch } => self.allocate_producer_ids(to, broker, broker_epoch),
            Request::CreateTopics { topics } => self.create_topics(to, topics),
            Request::CreatePartitions { topics } => self.create_partitions(to, topics),
            Request::DeleteTopics { topics } => self.delete_topics(to, topics),
            Request::ElectLeaders { partitions } => self.elect_preferred(to, &partitions),
            Request::AlterConfigs { topics } => self.alter_configs(to, topics),
            Request::AlterPartitionReassignments { partitions } => self.alter_reassignments(to, &partitions),
            Request::ListPartitionReassignments => self.list_reassignments(to),
            _ => self.reply(to, Response::Error(ErrorCode::UnsupportedVersion)),
        }
    }

    fn reply(&mut self, to: ReplyTo, response: Response) {
        self.io.out.push(Output::Reply { connection: to.connection, correlation: to.correlation, response, reads: Vec::new() });
    }

    /// Replies when everything decided so far is committed.
    fn reply_committed(&mut self, to: ReplyTo, response: Response) {
        if self.log.committed() == self.image.end {
            return self.reply(to, response);
        }
        self.outcomes.push_back((self.image.end, Outcome::Reply(to, response)));
    }

    /// Decides: applies an entry to the image, appends it, and asks for a sync; `notes` are stated when it is committed.
    fn decide(&mut self, entry: Vec<MetadataRecord>, notes: Vec<Note>) {
        if entry.is_empty() {
            assert!(notes.is_empty(), "a fact without a record");
            return;
        }
        self.image.apply(&entry);
        self.append_entry(&entry);
        self.wake_fetches();
        self.note_committed(notes);
    }

    /// States facts when everything decided so far is committed.
    fn note_committed(&mut self, notes: Vec<Note>) {
        self.outcomes.extend(notes.into_iter().map(|note| (self.image.end, Outcome::Note(note))));
    }

    /// More is committed: say what waited for it.
    fn committed(&mut self) {
        while let Some((end, _)) = self.outcomes.front()
            && *end <= self.log.committed()
        {
            match self.outcomes.pop_front().expect("just seen").1 {
                Outcome::Reply(to, response) => self.reply(to, response),
                Outcome::Note(note) => self.io.note(note),
            }
        }
        self.wake_fetches();
        if self.phase == Phase::Leaving {
            self.leave();
        }
    }

    fn leave(&mut self) {
        if self.phase == Phase::Recovering || self.log.committed() == self.image.end {
            self.phase = Phase::Stopped;
            self.io.out.push(Output::Stopped);
        } else {
            self.phase = Phase::Leaving;
        }
    }

    fn take_input(&mut self, input: Input) {
        self.give_up_late();
        match input {
            Input::Start { listing, incarnation } => {
                self.seed_quorum(incarnation);
                self.start(&listing);
            }
            Input::Request { connection, correlation, request } => self.handle(ReplyTo { connection, correlation }, request),
            Input::DiskDone { op, result } => self.disk_done(op, result),
            Input::Response { id, response } if self.quorum.is_some() && self.phase == Phase::Running => self.take_quorum_response(id, response),
            Input::ShutDown if self.quorum.is_some() => self.leave_quorum(),
            Input::ShutDown => self.leave(),
            Input::Closed { .. } | Input::Response { .. } | Input::Tick => {}
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Sessions => self.check_sessions(),
            Timer::Rebalance => self.rebalance_leaders(),
            Timer::FetchExpires(broker, serial) => self.fetch_expired(broker, serial),
            Timer::Quorum => self.quorum_timer(),
            Timer::QuorumFetch => self.fetch_entries(),
        }
    }
}

impl Core for Controller {
    fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Stopped {
            return;
        }
        std::mem::swap(&mut self.io.out, out);
        self.io.now = now;
        self.take_input(input);
        while self.phase == Phase::Running
            && let Some(timer) = self.io.due_timer()
        {
            self.fire(timer);
        }
        if self.phase == Phase::Running {
            self.io.arm();
        }
        std::mem::swap(&mut self.io.out, out);
    }
}
