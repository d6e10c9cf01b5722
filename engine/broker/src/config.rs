//! What a broker and a controller are set to. The defaults are the quick cluster of `kafka.md` G.2; where that is silent, Kafka's own.
//!
//! ```
//! use broker::{Broker, BrokerConfig, Controller, ControllerConfig};
//! // A node of a cluster: three of these and one controller.
//! let broker = Broker::new(BrokerConfig::new(1, "broker-1:9092"));
//! let controller = Controller::new(ControllerConfig::default());
//! // One node on a real disk: both in one process, the host carries messages between node 0 and node 1.
//! let broker = Broker::new(BrokerConfig { fsync: broker::FsyncPolicy::Always, ..BrokerConfig::new(1, "127.0.0.1:9092") });
//! let controller = Controller::new(ControllerConfig::beside(1));
//! # let _ = (broker, controller);
//! ```
//!
//! A core is new for each life of its process; what it knew is in its files, which [`crate::Input::Start`] lists.

use crate::coordinator::CoordinatorConfig;
use crate::protocol::{CONTROLLER, NodeId};

/// When an append counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// Kafka's default (A2): when it is in the page cache. A kill loses nothing, a power loss loses a suffix of this replica. A rolled segment is made
    /// durable in the background.
    Never,
    /// When a finished [`crate::Output::Sync`] covers it: neither an answer, nor the high watermark, nor a follower's next fetch runs ahead of the disk.
    Always,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// ≥ 1.
    pub node: NodeId,
    /// Given to clients in metadata, as it is.
    pub address: String,
    /// The one controller, or the voters of the quorum.
    pub controllers: Vec<NodeId>,
    /// When an append counts.
    pub fsync: FsyncPolicy,
    /// A segment that would grow beyond is rolled.
    pub segment_bytes: u64,
    /// A larger batch is `MessageTooLarge`.
    pub message_bytes_max: u32,
    /// Between two heartbeats to the controller.
    pub heartbeat_interval_ms: u64,
    /// A follower that was not caught up for so long leaves the ISR.
    pub replica_lag_ms_max: u64,
    /// Longest wait of a follower's fetch at the leader.
    pub replica_fetch_wait_ms: u32,
    /// Pause of a partition, or of a whole leader, after a failed follower fetch.
    pub replica_fetch_backoff_ms: u64,
    /// Most bytes of one partition in a follower's fetch.
    pub replica_fetch_bytes_max: u32,
    /// Longest wait of a fetch of metadata at the controller.
    pub metadata_fetch_wait_ms: u32,
    /// Pause before a request to the controller is sent again.
    pub controller_retry_ms: u64,
    /// High watermarks are written down at most this often (A4).
    pub high_watermark_checkpoint_ms: u64,
    /// Recovery points are written down at most this often (A3).
    pub recovery_point_checkpoint_ms: u64,
    /// Log starts are written down at most this often (A4).
    pub log_start_checkpoint_ms: u64,
    /// Pause between two looks for segments that are too old or too much (A64), while a topic has a retention.
    pub retention_check_ms: u64,
    /// Whether compacted logs are cleaned at all (Kafka's `log.cleaner.enable`).
    pub log_cleaner: bool,
    /// Whether the cleaner states what it reads and what it leaves, record by record: for whoever checks it.
    pub log_cleaner_tells: bool,
    /// Pause before a compacted log that has grown a segment is looked at (A65).
    pub cleaner_backoff_ms: u64,
    /// A producer that has written nothing to a partition for so long is unknown there (A31).
    pub producer_id_expiration_ms: u64,
    /// Pause between two looks for such producers, at least.
    pub producer_id_expiration_check_ms: u64,
    /// A controlled shutdown that has not moved every leadership by then stops all the same.
    pub controlled_shutdown_ms_max: u64,
    /// Who asks for a topic that does not exist makes it, with this shape (A70; Kafka's `auto.create.topics.enable`, on by default there). `None`: never.
    pub auto_create_topics: Option<TopicShape>,
    /// Bytes a second that a connection of a client may write, and as many that it may read (A69; Kafka's `producer_byte_rate` and `consumer_byte_rate`).
    /// `None`, as in Kafka: as many as it can.
    pub client_bytes_per_s: Option<u64>,
    /// So many seconds' bytes at once (of Kafka's `quota.window.num` windows, each of `quota.window.size.seconds`, all but one are always whole).
    pub quota_window_s: u64,
    /// Of the coordinators this broker hosts.
    pub coordinator: CoordinatorConfig,
}

impl BrokerConfig {
    /// The quick cluster's broker `node`, known to clients as `address`.
    pub fn new(node: NodeId, address: &str) -> Self {
        assert!(node >= 1, "node 0 is the controller");
        BrokerConfig {
            node,
            address: address.to_owned(),
            controllers: vec![CONTROLLER],
            fsync: FsyncPolicy::Never,
            segment_bytes: 1 << 20,
            message_bytes_max: 1 << 20,
            heartbeat_interval_ms: 300,
            replica_lag_ms_max: 3_000,
            replica_fetch_wait_ms: 500,
            replica_fetch_backoff_ms: 100,
            replica_fetch_bytes_max: 1 << 20,
            metadata_fetch_wait_ms: 5_000,
            controller_retry_ms: 100,
            high_watermark_checkpoint_ms: 5_000,
            recovery_point_checkpoint_ms: 60_000,
            log_start_checkpoint_ms: 60_000,
            retention_check_ms: 300_000,
            log_cleaner: true,
            log_cleaner_tells: false,
            cleaner_backoff_ms: 15_000,
            producer_id_expiration_ms: 24 * 3_600_000,
            producer_id_expiration_check_ms: 600_000,
            controlled_shutdown_ms_max: 3_000,
            auto_create_topics: None,
            client_bytes_per_s: None,
            quota_window_s: 10,
            coordinator: CoordinatorConfig::default(),
        }
    }
}

/// How a topic is made that nobody described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicShape {
    /// Of each.
    pub partitions: u32,
    /// Replicas of each.
    pub replication: u32,
    /// Fewest in-sync replicas of each.
    pub min_isr: u32,
}

/// Three controllers that elect one of them (KIP-595).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumConfig {
    /// This one.
    pub node: NodeId,
    /// All of them.
    pub voters: [NodeId; 3],
    /// A candidate waits so long for votes, and up to as long again (`controller.quorum.election.timeout.ms`).
    pub election_timeout_ms: u64,
    /// A voter that hears nothing of a leader for so long, and up to half as long again, looks for another; a leader that hears no majority for so long
    /// leads no more (`controller.quorum.fetch.timeout.ms`; Kafka's leader gives up after one and a half times so long).
    pub fetch_timeout_ms: u64,
}

impl QuorumConfig {
    /// With the timeouts of the quick cluster.
    pub fn new(node: NodeId, voters: [NodeId; 3]) -> Self {
        assert!(voters.contains(&node), "a controller votes");
        QuorumConfig { node, voters, election_timeout_ms: 500, fetch_timeout_ms: 1_000 }
    }
}

/// A controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControllerConfig {
    /// `None`: alone; what is synced counts.
    pub quorum: Option<QuorumConfig>,
    /// A broker that was silent for so long is fenced.
    pub session_timeout_ms: u64,
    /// The internal topics come into being with the first `CreateTopics`, before what it asks for, unless it names them itself; or when somebody looks for
    /// a coordinator before.
    pub internal_topics: TopicShape,
    /// Producer ids given to a broker at a time.
    pub producer_id_block: i64,
    /// The broker that lives and dies in one process with this controller: when the controller starts, that broker's former life is known to be over,
    /// and its session need not be waited for (A16).
    pub resident: Option<NodeId>,
    /// Transactions of a new cluster: 1, or 2 (KIP-890; Kafka's default from 4.0). A cluster that has one keeps it.
    pub transaction_version: u8,
    /// Where no member of an ISR is alive, a replica that is alive leads and what it lacks is lost (A19; Kafka's `unclean.leader.election.enable`).
    pub unclean_leader_election: bool,
    /// Of a new cluster: 0, or 1 where leaders are also sought among those that left an ISR below its minimum (KIP-966; on for new clusters from 4.1). A
    /// cluster that has one keeps it.
    pub eligible_leaders_version: u8,
    /// So often leaderships go back to the first replica of each partition, if it is in sync (A22; Kafka's `leader.imbalance.check.interval.seconds`, 300).
    /// `None`: never (`auto.leader.rebalance.enable=false`).
    pub leader_rebalance_ms: Option<u64>,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        ControllerConfig {
            quorum: None,
            session_timeout_ms: 2_000,
            internal_topics: TopicShape { partitions: 4, replication: 3, min_isr: 2 },
            producer_id_block: 1_000,
            resident: None,
            transaction_version: 1,
            unclean_leader_election: false,
            eligible_leaders_version: 0,
            leader_rebalance_ms: Some(300_000),
        }
    }
}

impl ControllerConfig {
    /// For one broker: internal topics of one replica.
    pub fn single_node() -> Self {
        ControllerConfig { internal_topics: TopicShape { partitions: 4, replication: 1, min_isr: 1 }, ..Self::default() }
    }

    /// For one broker, in the same process.
    pub fn beside(resident: NodeId) -> Self {
        ControllerConfig { resident: Some(resident), ..Self::single_node() }
    }
}
