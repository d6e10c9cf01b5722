//! Coordinators: state machines over one internal partition each. The broker creates one when it becomes leader of that partition, feeds it the
//! partition's batches from the log start, and drops it when it stops leading: failover, high-watermark wait and truncation come for free.
//!
//! A coordinator asks for an append and acts on it (answers, sends markers) only when the broker reports that the high watermark has passed it.

mod alarm;
pub mod group;
pub mod transaction;

use crate::batch::{Batch, Producer, Record};
use crate::io::Now;
use crate::note::Note;
use crate::protocol::{ErrorCode, NodeId, Request, Response, TopicId, Tp};

/// What coordinators are set to. The default is the quick cluster of `kafka.md` G.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// How long the first rebalance of an empty group waits for more members.
    pub initial_rebalance_delay_ms: u64,
    /// A shorter session timeout is `InvalidSessionTimeout`.
    pub session_timeout_ms_min: u32,
    /// A longer session timeout is `InvalidSessionTimeout`.
    pub session_timeout_ms_max: u32,
    /// A member of a group that the coordinator divides is put out when it is not heard for so long (`group.consumer.session.timeout.ms`), and is told to
    /// be heard so often.
    pub consumer_session_ms: u32,
    /// See there.
    pub consumer_heartbeat_ms: u32,
    /// How long offsets outlive the last member or commit of their group (A60).
    pub offsets_retention_ms: u64,
    /// How often open transactions are compared with their timeouts.
    pub transaction_scan_ms: u64,
    /// How long a transactional id may be idle before it is forgotten (A48).
    pub transactional_id_expiration_ms: u64,
    /// A longer transaction timeout is `InvalidTransactionTimeout`.
    pub transaction_timeout_ms_max: u32,
    /// Pause before a marker that failed is sent again.
    pub marker_retry_ms: u64,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        CoordinatorConfig {
            initial_rebalance_delay_ms: 0,
            session_timeout_ms_min: 500,
            session_timeout_ms_max: 1_800_000,
            consumer_session_ms: 6_000,
            consumer_heartbeat_ms: 300,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            transaction_scan_ms: 1_000,
            transactional_id_expiration_ms: 7 * 24 * 3_600_000,
            transaction_timeout_ms_max: 900_000,
            marker_retry_ms: 100,
        }
    }
}

/// Whom to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplyTo {
    /// The connection.
    pub connection: u64,
    /// The request on it.
    pub correlation: u32,
}

/// What a coordinator asks its broker to do, in order.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Answer a request.
    Reply { to: ReplyTo, response: Response },
    /// Append one batch to the coordinator's own partition; the broker answers with [`Coordinator::appended`] under the same token when the high
    /// watermark has passed it, or with the error that refused it: then nothing of it is in the log. `transactional_id`: a transactional batch
    /// (offset commits of a transaction); the broker verifies it as it does a Produce (A43), checks the producer epoch, and asks for no sequence.
    Append { token: u64, records: Vec<Record>, producer: Producer, transactional_id: Option<String> },
    /// Ask a node (lane 0), which may be this one; answered with [`Coordinator::answered`] under the same token.
    Ask { token: u64, to: NodeId, request: Request },
    /// Call [`Coordinator::tick`] at or after this monotonic time.
    Timer { at_ms: u64 },
    /// A fact.
    Note(Note),
}

/// What a coordinator may know of the cluster: this broker's own, possibly late, view.
pub trait View {
    /// Whether this broker has heard of the partition.
    fn exists(&self, tp: Tp) -> bool;
    /// Whether its topic has been and is no more, as far as this broker has heard.
    fn is_deleted(&self, tp: Tp) -> bool;
    /// The leader of a partition, if this broker knows one.
    fn leader(&self, tp: Tp) -> Option<NodeId>;
    /// The internal partition that coordinates `key`: murmur-free stable hash, the same on every node.
    fn coordinator_partition(&self, topic: &str, key: &str) -> Option<Tp>;
    /// Takes a fresh producer id from this broker's block; `None` while it waits for one from the controller.
    fn next_producer_id(&mut self) -> Option<i64>;
    /// A topic of this name and its number of partitions, if this broker has heard of it.
    fn topic(&self, _name: &str) -> Option<(TopicId, u32)> {
        None
    }
    /// At which version transactions are finalised.
    fn transaction_version(&self) -> u8 {
        1
    }
}

/// Common shape of both coordinators.
pub trait Coordinator: Send {
    /// Replays one batch of the partition, in log order, before [`Coordinator::start`]. Markers come too.
    fn load(&mut self, batch: &Batch);
    /// Everything up to the log's end at the time of election is loaded and below the high watermark: serve. Until then the broker answers
    /// `CoordinatorLoadInProgress` itself. States [`Note::CoordinatorLoaded`].
    fn start(&mut self, now: Now, view: &mut dyn View, out: &mut Vec<Effect>);
    /// A request for this partition.
    fn handle(&mut self, now: Now, to: ReplyTo, request: Request, view: &mut dyn View, out: &mut Vec<Effect>);
    /// An append is below the high watermark (`Ok`: its base offset), or was refused. Those below the high watermark and the markers
    /// ([`Coordinator::marker`]) are told in the order of the log.
    fn appended(&mut self, now: Now, token: u64, result: Result<i64, ErrorCode>, view: &mut dyn View, out: &mut Vec<Effect>);
    /// A transaction marker was appended to this partition (group coordinator: pending commits take force or vanish) and is below the high watermark.
    fn marker(&mut self, now: Now, batch: &Batch, out: &mut Vec<Effect>);
    /// The answer to an `Ask`; `None`: the connection broke.
    fn answered(&mut self, now: Now, token: u64, response: Option<Response>, view: &mut dyn View, out: &mut Vec<Effect>);
    /// A timer is due (one too many does no harm).
    fn tick(&mut self, now: Now, view: &mut dyn View, out: &mut Vec<Effect>);
    /// The broker stopped leading: answer every waiting request with `NotCoordinator` and end.
    fn resign(&mut self, out: &mut Vec<Effect>);
}

/// What a client is told when the log refused a coordinator's record: ask again here, or find the coordinator again.
fn refusal(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        other => other,
    }
}
