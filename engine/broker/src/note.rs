//! Facts that a core states about itself, for the history (checked by invariants of the log) and for marks (awaited by faults).

use crate::batch::ControlKind;
use crate::protocol::{NodeId, ProducerEpoch, ProducerId, TopicId, Tp};
use serde::{Deserialize, Serialize};

/// One fact. `offset`s are of records; `end`s are one past the last record.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Note {
    /// Controller: a topic came into being.
    TopicCreated {
        topic: TopicId,
        name: String,
        partitions: u32,
        replication: u32,
        min_isr: u32,
    },
    /// Controller: a leader was elected and the record is committed. Goes unsaid if the controller dies between the two.
    LeaderElected {
        tp: Tp,
        leader: NodeId,
        leader_epoch: u32,
        isr: Vec<NodeId>,
        unclean: bool,
    },
    /// Controller: the ISR changed; at a controller's start, what every ISR is.
    IsrChanged {
        tp: Tp,
        leader_epoch: u32,
        isr: Vec<NodeId>,
    },
    /// Controller: a broker's session ended, or began anew.
    BrokerFenced {
        broker: NodeId,
    },
    BrokerUnfenced {
        broker: NodeId,
    },
    /// Replica: began to lead, its log ending at `end`, its high watermark at `high_watermark`.
    BecameLeader {
        tp: Tp,
        leader_epoch: u32,
        end: i64,
        high_watermark: i64,
    },
    /// Replica: began to follow.
    BecameFollower {
        tp: Tp,
        leader_epoch: u32,
        leader: NodeId,
    },
    /// Replica: a batch is in its log. `crc` identifies the content; `as_leader` tells appending from copying.
    Appended {
        tp: Tp,
        leader_epoch: u32,
        first: i64,
        last: i64,
        crc: u32,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        first_sequence: i32,
        transactional: bool,
        control: Option<ControlKind>,
        as_leader: bool,
    },
    /// Replica: cut to `end` because of a leader's epochs; `removed` records went.
    Truncated {
        tp: Tp,
        end: i64,
        removed: u64,
    },
    /// Replica: after a start its log ends at `end` (recovery may have cut a torn tail).
    Recovered {
        tp: Tp,
        end: i64,
        clean: bool,
    },
    /// Leader: the high watermark moved.
    HighWatermark {
        tp: Tp,
        high_watermark: i64,
    },
    /// Leader: a batch of the last five came again; acked with its first offset, not appended (A28).
    DuplicateBatch {
        tp: Tp,
        producer_id: ProducerId,
        first_sequence: i32,
        first: i64,
    },
    /// Leader: a write of an older producer epoch was refused (A29).
    ProducerRefused {
        tp: Tp,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    /// Group coordinator: the group entered a generation with these members (a static one under its instance id): their assignment is durable. Said again
    /// by the next coordinator that loads it, as the former may have ended between the record and this fact.
    GenerationStarted {
        group: String,
        generation: i32,
        members: Vec<String>,
    },
    /// Group coordinator: a member was put out because its session or rebalance time ended.
    MemberExpired {
        group: String,
        member_id: String,
    },
    /// Group coordinator: a commit was refused (stale generation, unknown member, ...).
    CommitRefused {
        group: String,
        member_id: String,
        generation: i32,
        transactional: bool,
    },
    /// Group coordinator: a commit is in force, or was found in force after a failover. `transactional`: since its marker.
    Committed {
        group: String,
        tp: Tp,
        offset: i64,
        transactional: bool,
    },
    /// Transaction coordinator: PrepareCommit or PrepareAbort is durable; said again by the next coordinator that takes it up.
    TxnPrepared {
        transactional_id: String,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        commit: bool,
        timed_out: bool,
    },
    /// Transaction coordinator: the first of several markers was acknowledged.
    FirstMarkerWritten {
        transactional_id: String,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    /// Transaction coordinator: every marker is written.
    TxnCompleted {
        transactional_id: String,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        commit: bool,
    },
    /// Transaction coordinator: an older incarnation was refused.
    ProducerFenced {
        transactional_id: String,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    /// A coordinator partition is loaded and serves.
    CoordinatorLoaded {
        tp: Tp,
        leader_epoch: u32,
    },
    /// Replica: its log starts at `log_start` now (A64).
    LogStartMoved {
        tp: Tp,
        log_start: i64,
    },
    /// Replica: below `end` only the last record of each key is left (A65), in `bytes` of `bytes_before`.
    Compacted {
        tp: Tp,
        end: i64,
        bytes_before: u64,
        bytes: u64,
    },
    /// A controller of a quorum was elected for this epoch; its log ends at `end`.
    ControllerElected {
        epoch: u32,
        end: u64,
    },
    /// A controller of a quorum learned that an entry of its log counts. `crc` identifies the content.
    MetadataCommitted {
        offset: u64,
        crc: u32,
    },
    /// Controller: other replicas outside of the ISR may lead (KIP-966).
    EligibleLeadersChanged {
        tp: Tp,
        eligible: Vec<NodeId>,
    },
    /// Replica: the cleaner read a batch that was not cleaned before.
    CleanerRead {
        tp: Tp,
        first: i64,
        content: Content,
    },
    /// Replica: the cleaner took something out of the batch that had this `crc`, or all of it.
    BatchCleaned {
        tp: Tp,
        first: i64,
        crc: u32,
        left: Option<Content>,
    },
    /// Group coordinator: a group that it divides by itself (A56) has come to another division among these members (a static one under its instance id).
    /// It is durable; the members come to it one by one. Said again by the next coordinator that loads it.
    GroupDivided {
        group: String,
        epoch: i32,
        members: Vec<String>,
    },
    /// Broker: a client was too fast and is not listened to for so long (A69).
    Throttled {
        mute_ms: u64,
    },
    /// Controller: a partition began to move to other replicas; `removing` will go, and would `adding` if it is cancelled (KIP-455).
    ReassignmentBegun {
        tp: Tp,
        replicas: Vec<NodeId>,
        adding: Vec<NodeId>,
        removing: Vec<NodeId>,
    },
    /// Controller: it has moved, or its replicas are in another order. `moved`: another one leads for it.
    ReassignmentCompleted {
        tp: Tp,
        replicas: Vec<NodeId>,
        moved: bool,
    },
    /// Controller: it does not move; it has these replicas.
    ReassignmentCancelled {
        tp: Tp,
        replicas: Vec<NodeId>,
    },
    /// Replica: it is one no more; its log goes.
    ReplicaRemoved {
        tp: Tp,
    },
}

/// What is in a batch, without saying it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Content {
    /// Identifies the batch's content.
    pub crc: u32,
    /// Whether a cleaning has set a time from which its tombstones, or its marker, may go (KIP-534).
    pub has_horizon: bool,
    /// Offset, CRC-32C of the key (0: none), CRC-32C of the value (`None`: a tombstone).
    pub records: Vec<(i64, u32, Option<u32>)>,
}

impl Note {
    /// The mark that a fault may wait for, if this fact is one.
    pub fn mark(&self) -> Option<&'static str> {
        Some(match self {
            Note::LeaderElected { .. } => "leader_elected",
            Note::BecameFollower { .. } => "became_follower",
            Note::Appended { as_leader: true, .. } => "appended_locally",
            Note::Truncated { removed: 1.., .. } => "truncated_by_epoch",
            Note::DuplicateBatch { .. } => "duplicate_batch",
            Note::Throttled { .. } => "throttled",
            Note::ProducerRefused { .. } => "producer_refused",
            Note::GenerationStarted { .. } => "generation_started",
            Note::GroupDivided { .. } => "group_divided",
            Note::MemberExpired { .. } => "member_expired",
            Note::CommitRefused { .. } => "commit_refused",
            Note::TxnPrepared { .. } => "txn_prepared",
            Note::FirstMarkerWritten { .. } => "first_marker_written",
            Note::TxnCompleted { .. } => "txn_completed",
            Note::ProducerFenced { .. } => "producer_fenced",
            Note::CoordinatorLoaded { .. } => "coordinator_loaded",
            Note::ControllerElected { .. } => "controller_elected",
            Note::Compacted { .. } => "log_compacted",
            Note::ReassignmentCompleted { moved: true, .. } => "leader_reassigned",
            Note::ReassignmentCompleted { moved: false, .. } => "reassignment_completed",
            Note::ReassignmentCancelled { .. } => "reassignment_cancelled",
            Note::ReplicaRemoved { .. } => "replica_removed",
            _ => return None,
        })
    }
}
