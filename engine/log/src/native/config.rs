//! What a client is set to.

use crate::host::Inside;
use crate::link::LinkConfig;
use crate::port::Durability;

/// How a group's leader divides partitions, and so how a rebalance goes (A54). All members of a group have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assignor {
    /// Eager: every rebalance takes all partitions of everybody; then each topic is divided in ranges.
    #[default]
    Range,
    /// Everybody keeps, and goes on with, what it had; what changes hands is given up in a first round and handed over in a second (KIP-429).
    CooperativeSticky,
    /// The coordinator divides, and hands over one partition at a time (KIP-848, A56). Session and heartbeats are as the broker is set.
    Coordinator,
}

/// A client's settings. The defaults are the "safe" options of Jepsen's Kafka client with timeouts scaled down (`kafka.md` B.2).
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Addresses of some brokers; the others are learned from them. At least one.
    pub bootstrap: Vec<String>,
    /// Names this client to people.
    pub client_id: String,
    /// Where this process is the log's own: the way in, whatever addresses the log has for others.
    pub inside: Option<Inside>,
    /// What the log's operator promises of an acknowledged record.
    pub durable: Durability,
    /// Longest connect.
    pub connect_timeout_ms: u64,
    /// Longest wait for an answer; then the connection is closed and the outcome is unknown.
    pub request_timeout_ms: u64,
    /// The newest version of transactions it speaks: 1, or 2 (KIP-890) where the cluster is finalised at it.
    pub transaction_version_max: u8,
    /// For sends without a deadline of their own (those of a transaction) and for opening a producer.
    pub delivery_timeout_ms: u64,
    /// Between two tries; doubles up to ten times that.
    pub retry_backoff_ms: u64,
    /// Metadata is asked for again when it is older.
    pub metadata_age_ms_max: u64,
    /// A batch waits so long for more records.
    pub linger_ms: u64,
    /// Most bytes of a batch; one record comes however large.
    pub batch_bytes_max: usize,
    /// Most requests without an answer per partition leader (A28: the log knows the last five batches).
    pub in_flight_max: usize,
    /// Most bytes queued in a producer; a send beyond is refused.
    pub buffer_bytes_max: usize,
    /// Longest that a fetch waits at the broker.
    pub fetch_wait_ms_max: u64,
    /// Most bytes of a fetch's partition.
    pub fetch_bytes_max: u32,
    /// No fetch of a partition while it has more records than these waiting for the application.
    pub prefetch_records_max: usize,
    /// A member that is not heard so long is put out of its group.
    pub session_timeout_ms: u32,
    /// Between two heartbeats.
    pub heartbeat_ms: u64,
    /// Longest between two calls of `next`; also the time that a rebalance gives to finish. Then the reader leaves its group by itself.
    pub max_poll_interval_ms: u32,
    /// Of its groups.
    pub assignor: Assignor,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            bootstrap: Vec::new(),
            client_id: "lockstep".to_owned(),
            inside: None,
            durable: Durability::PageCache,
            connect_timeout_ms: 1_000,
            request_timeout_ms: 3_000,
            transaction_version_max: 2,
            delivery_timeout_ms: 10_000,
            retry_backoff_ms: 50,
            metadata_age_ms_max: 30_000,
            linger_ms: 0,
            batch_bytes_max: 256 << 10,
            in_flight_max: 5,
            buffer_bytes_max: 32 << 20,
            fetch_wait_ms_max: 500,
            fetch_bytes_max: 1 << 20,
            prefetch_records_max: 2_000,
            session_timeout_ms: 6_000,
            heartbeat_ms: 300,
            max_poll_interval_ms: 10_000,
            assignor: Assignor::Range,
        }
    }
}

impl ClientConfig {
    /// The defaults, for these brokers.
    pub fn new(client_id: impl Into<String>, bootstrap: impl IntoIterator<Item = String>) -> Self {
        ClientConfig { client_id: client_id.into(), bootstrap: bootstrap.into_iter().collect(), ..Self::default() }
    }

    /// The limits of this client's links.
    pub fn link(&self) -> LinkConfig {
        LinkConfig {
            connect_timeout_ms: self.connect_timeout_ms,
            request_timeout_ms: self.request_timeout_ms,
            backoff_ms_min: self.retry_backoff_ms,
            backoff_ms_max: self.retry_backoff_ms * 10,
        }
    }

    /// Panics on a setting that cannot work.
    pub fn assert_valid(&self) {
        assert!(!self.bootstrap.is_empty(), "bootstrap: at least one address");
        assert!((1..=5).contains(&self.in_flight_max), "in_flight_max: 1 to 5 (A28), not {}", self.in_flight_max);
        assert!(self.heartbeat_ms * 3 <= u64::from(self.session_timeout_ms), "heartbeat_ms: at most a third of session_timeout_ms");
        assert!(self.delivery_timeout_ms >= self.linger_ms + self.request_timeout_ms, "delivery_timeout_ms: at least linger_ms + request_timeout_ms");
    }
}
