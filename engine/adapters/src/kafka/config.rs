//! What a user chooses, whichever client library is called; and what a topic must have before it is used.

use log::{Reason, TopicSpec};

/// A client's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Some brokers, `host:port`, joined by commas.
    pub bootstrap: String,
    /// Names this client to people.
    pub client_id: String,
    /// Fewest replicas of a topic that is used.
    pub replicas_min: u32,
    /// Fewest in-sync replicas (`min.insync.replicas`) of a topic that is used.
    pub in_sync_replicas_min: u32,
    /// Longest wait for an answer.
    pub request_timeout_ms: u32,
    /// For sends without a deadline of their own: those of a transaction.
    pub delivery_timeout_ms: u64,
    /// A member that is not heard so long is put out of its group.
    pub session_timeout_ms: u32,
    /// Between two heartbeats.
    pub heartbeat_ms: u32,
    /// Longest between two calls of `next`; then the reader leaves its group by itself. At least the session timeout.
    pub max_poll_interval_ms: u32,
    /// Longest that a fetch waits at the broker; a reader learns so late that it has reached the end.
    pub fetch_wait_ms_max: u32,
    /// Most bytes queued in a producer; a send beyond is refused.
    pub buffer_bytes_max: u64,
}

impl KafkaConfig {
    /// The defaults, for these brokers.
    pub fn new(client_id: impl Into<String>, bootstrap: impl Into<String>) -> Self {
        KafkaConfig {
            bootstrap: bootstrap.into(),
            client_id: client_id.into(),
            replicas_min: 3,
            in_sync_replicas_min: 2,
            request_timeout_ms: 3_000,
            delivery_timeout_ms: 10_000,
            session_timeout_ms: 6_000,
            heartbeat_ms: 300,
            max_poll_interval_ms: 10_000,
            fetch_wait_ms_max: 100,
            buffer_bytes_max: 32 << 20,
        }
    }

    /// A topic with too few replicas is refused.
    pub(crate) fn check_replicas(&self, topic: &str, found: usize) -> Result<(), Reason> {
        let min = self.replicas_min;
        if found < min as usize {
            return Err(Reason::Ended(format!("topic {topic} has {found} replicas, at least {min} are wanted: create it anew, or ask for less")));
        }
        Ok(())
    }

    /// `acks=all` alone promises nothing: so many must have a record before it counts.
    pub(crate) fn check_in_sync(&self, topic: &str, found: u32) -> Result<(), Reason> {
        let min = self.in_sync_replicas_min;
        if found < min {
            return Err(Reason::Ended(format!("topic {topic} has min.insync.replicas {found}, at least {min} are wanted: alter it, or ask for less")));
        }
        Ok(())
    }
}

/// The setting that is read back.
pub(crate) const IN_SYNC_REPLICAS: &str = "min.insync.replicas";

/// Settings of a topic that is created. A log that is state is not thrown away after a week, nor at once where its clock began in 1970.
pub(crate) fn settings(spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let mut all = vec![(IN_SYNC_REPLICAS, spec.min_isr.to_string()), ("retention.ms", "-1".to_owned()), ("retention.bytes", "-1".to_owned())];
    if spec.compacted {
        all.push(("cleanup.policy", "compact".to_owned()));
    }
    all
}
