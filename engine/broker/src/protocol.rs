//! Requests and responses between clients, brokers and the controller. Shapes and error names are Kafka's; the encoding (postcard) is ours: real
//! Kafka is reached through its own clients.
//!
//! Node 0 is the controller where there is one; brokers are 1 and up, the controllers of a quorum have numbers of their own.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A node of the cluster.
pub type NodeId = u32;
/// Identity of a producer session, ≥ 0; −1: none.
pub type ProducerId = i64;
/// Incarnation of a producer id, ≥ 0; −1: none.
pub type ProducerEpoch = i16;

/// The node id of a controller that is alone.
pub const CONTROLLER: NodeId = 0;
/// Internal topic of the group coordinators.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Internal topic of the transaction coordinators.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// The topics that a cluster has of itself.
pub const INTERNAL_TOPICS: [&str; 2] = [CONSUMER_OFFSETS, TRANSACTION_STATE];

/// One incarnation of a topic (KIP-516): deleting and creating a name again gives another id.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u64);

/// A partition of a topic incarnation.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tp {
    /// The topic.
    pub topic: TopicId,
    /// From 0.
    pub partition: u32,
}

/// Kafka's error names (`kafka.md` F, error table).
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum ErrorCode {
    NotLeaderOrFollower,
    FencedLeaderEpoch,
    UnknownLeaderEpoch,
    LeaderNotAvailable,
    OffsetOutOfRange,
    OffsetNotAvailable,
    NotEnoughReplicas,
    NotEnoughReplicasAfterAppend,
    RequestTimedOut,
    CorruptMessage,
    MessageTooLarge,
    InvalidTimestamp,
    InvalidRecord,
    UnknownTopicOrPartition,
    TopicAlreadyExists,
    InvalidTopic,
    OutOfOrderSequenceNumber,
    InvalidProducerEpoch,
    UnknownProducerId,
    InvalidProducerIdMapping,
    ProducerFenced,
    ConcurrentTransactions,
    InvalidTxnState,
    TransactionAbortable,
    CoordinatorNotAvailable,
    CoordinatorLoadInProgress,
    NotCoordinator,
    IllegalGeneration,
    UnknownMemberId,
    MemberIdRequired,
    RebalanceInProgress,
    InconsistentGroupProtocol,
    InvalidSessionTimeout,
    InvalidTransactionTimeout,
    FencedInstanceId,
    UnstableOffsetCommit,
    StaleBrokerEpoch,
    DuplicateBrokerRegistration,
    InvalidUpdateVersion,
    NotController,
    KafkaStorageError,
    UnknownServerError,
    UnsupportedVersion,
    FencedMemberEpoch,
    StaleMemberEpoch,
    UnreleasedInstanceId,
    InvalidReplicaAssignment,
    NoReassignmentInProgress,
}

/// Which records a reader sees.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset; the client drops aborted records.
    ReadCommitted,
}

/// Which coordinator.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinatorKind {
    /// Of a consumer group.
    Group,
    /// Of a transactional id.
    Transaction,
}

/// Where to look for an offset.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// Log start.
    Earliest,
    /// High watermark, or last stable offset under read_committed.
    Latest,
    /// First offset with a timestamp at or after (ms).
    Timestamp(i64),
}

/// A committed position; the epoch travels with the offset (KIP-320).
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommittedOffset {
    /// Next offset to read.
    pub offset: i64,
    /// Leader epoch of the last record read.
    pub leader_epoch: Option<u32>,
}

/// How a topic is made.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// ≥ 1.
    pub partitions: u32,
    /// Replicas of each partition, ≥ 1.
    pub replication: u32,
    /// Fewest in-sync replicas for acks = all, ≥ 1.
    pub min_isr: u32,
    /// Keep the last record per key only.
    pub compacted: bool,
}

/// Whose clock a record's timestamp is of (A67).
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's: not monotone.
    #[default]
    Create,
    /// The leader's, at the append.
    LogAppend,
}

/// What a topic may be set to beyond its [`TopicSpec`] (Kafka's topic configs). The default is Kafka's, but for retention: 7 days there, for ever here,
/// because the journals must be kept.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicConfig {
    /// A segment whose newest record is older goes; `None`: never (A64). Not of compacted topics.
    pub retention_ms: Option<u64>,
    /// The oldest segments go while the log without them has as many bytes; `None`: never.
    pub retention_bytes: Option<u64>,
    /// A segment that would grow beyond is rolled; `None`: as the broker is set.
    pub segment_bytes: Option<u64>,
    /// A segment is rolled when a record is younger than its first batch by more; `None`: never.
    pub segment_ms: Option<u64>,
    /// How long tombstones and markers stay at least after the first cleaning that saw them (A65).
    pub delete_retention_ms: u64,
    /// A record is not compacted before it is so old (A66).
    pub compaction_lag_ms_min: u64,
    /// A log is cleaned when so many of its bytes were not (A66).
    pub dirty_percent_min: u8,
    /// Whose clock.
    pub timestamps: TimestampType,
    /// A record older by more than that is `InvalidTimestamp`; `None`: any age.
    pub timestamp_before_ms_max: Option<u64>,
    /// A record from further in the future is `InvalidTimestamp`; `None`: any (Kafka from 4.0: 1 h).
    pub timestamp_after_ms_max: Option<u64>,
    /// A larger batch is `MessageTooLarge`; `None`: as the broker is set (A68).
    pub message_bytes_max: Option<u32>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig {
            retention_ms: None,
            retention_bytes: None,
            segment_bytes: None,
            segment_ms: None,
            delete_retention_ms: 24 * 3_600_000,
            compaction_lag_ms_min: 0,
            dirty_percent_min: 50,
            timestamps: TimestampType::Create,
            timestamp_before_ms_max: None,
            timestamp_after_ms_max: None,
            message_bytes_max: None,
        }
    }
}

/// One partition of a fetch.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPartition {
    /// Which.
    pub tp: Tp,
    /// Next offset wanted.
    pub offset: i64,
    /// The leader epoch the caller believes in (KIP-320).
    pub current_leader_epoch: Option<u32>,
    /// Epoch of the last record the caller has (KIP-595): the leader answers a divergence.
    pub last_fetched_epoch: Option<u32>,
    /// Most bytes of this partition; one batch comes however large (KIP-74).
    pub bytes_max: u32,
}

/// Everything one node can ask of another.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Request {
    // client → any broker
    Metadata {
        topics: Option<Vec<String>>,
    },
    CreateTopics {
        topics: Vec<TopicSpec>,
    },
    FindCoordinator {
        kind: CoordinatorKind,
        key: String,
    },
    // client → leader
    Produce {
        acks: i8,
        timeout_ms: u32,
        transactional_id: Option<String>,
        partitions: Vec<(Tp, Bytes)>,
    },
    /// `replica`: (follower, its broker epoch) when a follower fetches.
    Fetch {
        replica: Option<(NodeId, u64)>,
        wait_ms_max: u32,
        bytes_min: u32,
        bytes_max: u32,
        isolation: Isolation,
        partitions: Vec<FetchPartition>,
    },
    ListOffsets {
        isolation: Isolation,
        partitions: Vec<(Tp, OffsetSpec, Option<u32>)>,
    },
    OffsetForLeaderEpoch {
        partitions: Vec<(Tp, Option<u32>, u32)>,
    },
    // client → group coordinator
    JoinGroup {
        group: String,
        member_id: String,
        instance_id: Option<String>,
        session_timeout_ms: u32,
        rebalance_timeout_ms: u32,
        protocols: Vec<(String, Bytes)>,
    },
    SyncGroup {
        group: String,
        generation: i32,
        member_id: String,
        instance_id: Option<String>,
        assignments: Vec<(String, Bytes)>,
    },
    Heartbeat {
        group: String,
        generation: i32,
        member_id: String,
        instance_id: Option<String>,
    },
    LeaveGroup {
        group: String,
        member_id: String,
        instance_id: Option<String>,
    },
    /// Generation −1 and an empty member: assign-style, accepted only while the group is empty (A57).
    OffsetCommit {
        group: String,
        generation: i32,
        member_id: String,
        instance_id: Option<String>,
        offsets: Vec<(Tp, CommittedOffset)>,
    },
    OffsetFetch {
        group: String,
        partitions: Vec<Tp>,
        require_stable: bool,
    },
    // client → transaction coordinator
    InitProducerId {
        transactional_id: Option<String>,
        transaction_timeout_ms: u32,
    },
    /// `verify_only`: sent by a partition leader (KIP-890 part 1), adds nothing.
    AddPartitionsToTxn {
        transactional_id: String,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: Vec<Tp>,
        verify_only: bool,
    },
    AddOffsetsToTxn {
        transactional_id: String,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        group: String,
    },
    EndTxn {
        transactional_id: String,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        commit: bool,
    },
    // client → group coordinator, inside a transaction
    TxnOffsetCommit {
        transactional_id: String,
        group: String,
        generation: i32,
        member_id: String,
        instance_id: Option<String>,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        offsets: Vec<(Tp, CommittedOffset)>,
    },
    // transaction coordinator → partition leader
    WriteTxnMarkers {
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        coordinator_epoch: u32,
        commit: bool,
        partitions: Vec<Tp>,
    },
    // broker → controller
    /// `ended_in_order`: the broker epoch of the life before, if that ended with all its logs on the platter (KIP-966).
    RegisterBroker {
        broker: NodeId,
        incarnation: u64,
        address: String,
        ended_in_order: Option<u64>,
    },
    BrokerHeartbeat {
        broker: NodeId,
        broker_epoch: u64,
        metadata_offset: u64,
        want_fence: bool,
        want_shut_down: bool,
    },
    /// Compare-and-set of an ISR by the leader; `partition_epoch` is the one it saw.
    AlterPartition {
        broker: NodeId,
        broker_epoch: u64,
        partitions: Vec<AlterIsr>,
    },
    FetchMetadata {
        broker: NodeId,
        from: u64,
        wait_ms_max: u32,
    },
    AllocateProducerIds {
        broker: NodeId,
        broker_epoch: u64,
    },
    // What came later stands at the end: the order of the variants is the encoding.
    // client → any broker, for the controller
    /// Sets all of a topic's config.
    AlterConfigs {
        topics: Vec<(String, TopicConfig)>,
    },
    // client → leader
    /// Everything below the offset may go (−1: the high watermark).
    DeleteRecords {
        partitions: Vec<(Tp, i64)>,
    },
    /// Topics grow to so many partitions; they never shrink (A27).
    CreatePartitions {
        topics: Vec<(String, u32)>,
    },
    /// Names become free; another topic of the same name is another incarnation (A25).
    DeleteTopics {
        topics: Vec<String>,
    },
    /// The preferred replicas (the first of each) are to lead again, where they are in sync (A22).
    ElectLeaders {
        partitions: Vec<Tp>,
    },
    /// The same request as transactions of version 2 have it (KIP-890: Produce v12, TxnOffsetCommit v5, EndTxn v5, WriteTxnMarkers v2): the partition's
    /// leader adds it to the transaction, every end raises the epoch. Refused (`UnsupportedVersion`) unless the cluster is finalised at it.
    Tv2(Box<Request>),
    // anybody → a controller of a quorum
    DescribeQuorum,
    // controller → controller (KIP-595)
    /// `epoch`: of the election; `pre`: would you, if I asked (KIP-996)? Nothing is promised. `last_epoch`, `end`: of the candidate's log.
    Vote {
        candidate: NodeId,
        epoch: u32,
        last_epoch: u32,
        end: u64,
        pre: bool,
    },
    /// The sender leads this epoch.
    BeginQuorumEpoch {
        leader: NodeId,
        epoch: u32,
    },
    /// Entries from `from` on; everything before is on the voter's platter. `last_epoch`: of the entry before `from`.
    FetchQuorum {
        voter: NodeId,
        epoch: u32,
        from: u64,
        last_epoch: u32,
        wait_ms_max: u32,
    },
    // client → group coordinator
    /// All of a group that the coordinator divides (KIP-848): joins at member epoch 0, leaves at −1, or −2 if a static member will be back. `topics`, `owned`:
    /// what changed since the last one; `owned` says what was given up.
    ConsumerGroupHeartbeat {
        group: String,
        member_id: String,
        member_epoch: i32,
        instance_id: Option<String>,
        rebalance_timeout_ms: u32,
        topics: Option<Vec<String>>,
        owned: Option<Vec<Tp>>,
    },
    // client → any broker, for the controller
    /// Partitions move to these replicas, the first of them preferred, or (`None`) back from where they were moving (KIP-455).
    AlterPartitionReassignments {
        partitions: Vec<(Tp, Option<Vec<NodeId>>)>,
    },
    /// Which partitions are moving?
    ListPartitionReassignments,
}

/// A leader's wish for another ISR.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct AlterIsr {
    /// Which partition.
    pub tp: Tp,
    /// The leader's epoch.
    pub leader_epoch: u32,
    /// The partition state it saw.
    pub partition_epoch: u32,
    /// The new ISR, each with the broker epoch that its fetch carried (KIP-903).
    pub isr: Vec<(NodeId, u64)>,
}

/// A partition as metadata shows it.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// From 0.
    pub partition: u32,
    /// `None` while there is none.
    pub leader: Option<NodeId>,
    /// Rises with every leader.
    pub leader_epoch: u32,
    /// Assigned brokers.
    pub replicas: Vec<NodeId>,
    /// In-sync replicas.
    pub isr: Vec<NodeId>,
}

/// A topic as metadata shows it.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// Its incarnation.
    pub id: TopicId,
    /// In order of number.
    pub partitions: Vec<PartitionMetadata>,
}

/// One partition of a fetch's answer.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct FetchedPartition {
    /// Which.
    pub tp: Tp,
    /// If set, nothing else counts but, with `OffsetOutOfRange`, the log start.
    pub error: Option<ErrorCode>,
    /// This replica's high watermark.
    pub high_watermark: i64,
    /// First offset of the oldest open transaction, at most the high watermark.
    pub last_stable_offset: i64,
    /// First offset kept.
    pub log_start: i64,
    /// The caller's log leaves ours: (epoch, end offset of that epoch here); truncate and ask again.
    pub diverging: Option<(u32, i64)>,
    /// Aborted transactions in the answered range: (producer, first offset).
    pub aborted: Vec<(ProducerId, i64)>,
    /// Whole batches; the first may begin below the asked offset. The core leaves it empty and names a range, the host fills it.
    pub records: Bytes,
}

/// Everything a node can answer. An error that concerns the whole request is [`Response::Error`].
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Response {
    Error(ErrorCode),
    Metadata {
        brokers: Vec<(NodeId, String)>,
        topics: Vec<TopicMetadata>,
        unknown: Vec<String>,
    },
    CreateTopics {
        results: Vec<(String, Result<TopicId, ErrorCode>)>,
    },
    FindCoordinator {
        node: NodeId,
        address: String,
    },
    /// Base offset of each batch.
    Produce {
        partitions: Vec<(Tp, Result<i64, ErrorCode>)>,
    },
    Fetch {
        partitions: Vec<FetchedPartition>,
    },
    /// (offset, leader epoch)
    ListOffsets {
        partitions: Vec<(Tp, Result<(i64, u32), ErrorCode>)>,
    },
    /// (epoch, end offset of the largest epoch at or below the asked one)
    OffsetForLeaderEpoch {
        partitions: Vec<(Tp, Result<(u32, i64), ErrorCode>)>,
    },
    /// `members` only for the leader.
    JoinGroup {
        generation: i32,
        protocol: String,
        leader: String,
        member_id: String,
        members: Vec<(String, Bytes)>,
    },
    /// Join again with this id (KIP-394).
    MemberIdRequired {
        member_id: String,
    },
    SyncGroup {
        assignment: Bytes,
    },
    Heartbeat,
    LeaveGroup,
    OffsetCommit {
        partitions: Vec<(Tp, Result<(), ErrorCode>)>,
    },
    OffsetFetch {
        partitions: Vec<(Tp, Result<Option<CommittedOffset>, ErrorCode>)>,
    },
    InitProducerId {
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    AddPartitionsToTxn {
        partitions: Vec<(Tp, Result<(), ErrorCode>)>,
    },
    AddOffsetsToTxn,
    EndTxn,
    TxnOffsetCommit {
        partitions: Vec<(Tp, Result<(), ErrorCode>)>,
    },
    WriteTxnMarkers {
        partitions: Vec<(Tp, Result<(), ErrorCode>)>,
    },
    RegisterBroker {
        broker_epoch: u64,
    },
    BrokerHeartbeat {
        fenced: bool,
        caught_up: bool,
        may_shut_down: bool,
    },
    AlterPartition {
        partitions: Vec<(Tp, Result<(), ErrorCode>)>,
    },
    /// Encoded metadata records from offset `from` on (empty when the wait ended), and the log's end.
    FetchMetadata {
        from: u64,
        records: Vec<Bytes>,
        end: u64,
    },
    /// Ids `first .. first + count`.
    AllocateProducerIds {
        first: ProducerId,
        count: i64,
    },
    // As in `Request`: what came later stands at the end.
    AlterConfigs {
        results: Vec<(String, Result<(), ErrorCode>)>,
    },
    /// The log start of the leader. (Kafka waits for the followers and tells the lowest of all.)
    DeleteRecords {
        partitions: Vec<(Tp, Result<i64, ErrorCode>)>,
    },
    CreatePartitions {
        results: Vec<(String, Result<(), ErrorCode>)>,
    },
    DeleteTopics {
        results: Vec<(String, Result<(), ErrorCode>)>,
    },
    /// `LeaderNotAvailable`: the preferred replica is not in sync, or not alive.
    ElectLeaders {
        partitions: Vec<(Tp, Result<(), ErrorCode>)>,
    },
    /// `InitProducerId` of a transactional id where transactions are finalised at version 2. A client that does not speak it goes on with version 1.
    InitProducerIdTv2 {
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    /// The transaction has ended; who the producer is from now on.
    EndTxnTv2 {
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
    },
    /// Who leads which epoch of the quorum, as the asked one knows it; to a vote or a fetch of another epoch too.
    Quorum {
        epoch: u32,
        leader: Option<NodeId>,
    },
    Vote {
        epoch: u32,
        leader: Option<NodeId>,
        granted: bool,
    },
    /// `diverging`: the caller's log leaves ours: (epoch, end of it here); cut and ask again. `committed`: entries that count.
    FetchQuorum {
        epoch: u32,
        diverging: Option<(u32, u64)>,
        entries: Vec<Bytes>,
        committed: u64,
    },
    /// `assignment`: all that the member is to have, if it is not what it said or was told last.
    ConsumerGroupHeartbeat {
        member_id: String,
        member_epoch: i32,
        heartbeat_ms: u32,
        assignment: Option<Vec<Tp>>,
    },
    /// `InvalidReplicaAssignment`: no such replicas, or nobody would have what is committed; `NoReassignmentInProgress`: nothing to cancel.
    AlterPartitionReassignments {
        partitions: Vec<(Tp, Result<(), ErrorCode>)>,
    },
    ListPartitionReassignments {
        partitions: Vec<Reassignment>,
    },
}

/// A partition that is moving.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// Which.
    pub tp: Tp,
    /// All that it has now.
    pub replicas: Vec<NodeId>,
    /// Those of them that came with the reassignment.
    pub adding: Vec<NodeId>,
    /// Those of them that will go.
    pub removing: Vec<NodeId>,
}

impl Request {
    /// The frame kind of a request and, with the response bit, of its response. The numbers are Kafka's api keys where it has one.
    pub fn kind(&self) -> u16 {
        match self {
            Request::Produce { .. } => 0,
            Request::Fetch { .. } => 1,
            Request::ListOffsets { .. } => 2,
            Request::Metadata { .. } => 3,
            Request::OffsetCommit { .. } => 8,
            Request::OffsetFetch { .. } => 9,
            Request::FindCoordinator { .. } => 10,
            Request::JoinGroup { .. } => 11,
            Request::Heartbeat { .. } => 12,
            Request::LeaveGroup { .. } => 13,
            Request::SyncGroup { .. } => 14,
            Request::CreateTopics { .. } => 19,
            Request::InitProducerId { .. } => 22,
            Request::OffsetForLeaderEpoch { .. } => 23,
            Request::AddPartitionsToTxn { .. } => 24,
            Request::AddOffsetsToTxn { .. } => 25,
            Request::EndTxn { .. } => 26,
            Request::WriteTxnMarkers { .. } => 27,
            Request::TxnOffsetCommit { .. } => 28,
            Request::Vote { .. } => 52,
            Request::BeginQuorumEpoch { .. } => 53,
            Request::DescribeQuorum => 55,
            Request::AlterPartition { .. } => 56,
            Request::RegisterBroker { .. } => 62,
            Request::BrokerHeartbeat { .. } => 63,
            Request::AllocateProducerIds { .. } => 67,
            Request::FetchMetadata { .. } => 80,
            Request::AlterConfigs { .. } => 44,
            Request::DeleteRecords { .. } => 21,
            Request::CreatePartitions { .. } => 37,
            Request::ElectLeaders { .. } => 43,
            Request::AlterPartitionReassignments { .. } => 45,
            Request::ListPartitionReassignments => 46,
            Request::DeleteTopics { .. } => 20,
            Request::Tv2(request) => request.kind(),
            Request::FetchQuorum { .. } => 81,
            Request::ConsumerGroupHeartbeat { .. } => 68,
        }
    }

    /// Between controllers of a quorum, or about it.
    pub fn is_of_quorum(&self) -> bool {
        matches!(self, Request::DescribeQuorum | Request::Vote { .. } | Request::BeginQuorumEpoch { .. } | Request::FetchQuorum { .. })
    }

    /// As bytes of a frame's body.
    pub fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_stdvec(self).expect("a request has no unserialisable part"))
    }

    /// From a frame's body; the error names no field because a peer that sends it is not one of ours.
    pub fn decode(body: &[u8]) -> Result<Self, ErrorCode> {
        postcard::from_bytes(body).map_err(|_| ErrorCode::UnsupportedVersion)
    }
}

impl Response {
    /// As bytes of a frame's body.
    pub fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_stdvec(self).expect("a response has no unserialisable part"))
    }

    /// From a frame's body.
    pub fn decode(body: &[u8]) -> Result<Self, ErrorCode> {
        postcard::from_bytes(body).map_err(|_| ErrorCode::UnsupportedVersion)
    }
}
