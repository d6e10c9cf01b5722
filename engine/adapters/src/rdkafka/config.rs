//! What a client is set to. The settings that correctness rests on are not the user's to choose, and are read back from every handle that starts.

use super::native::Handle;
use crate::kafka::KafkaConfig;
use log::Isolation;

/// Before a request is tried again.
pub(super) const RETRY_BACKOFF_MS: u64 = 50;

impl KafkaConfig {
    fn shared(&self) -> Vec<(&'static str, String)> {
        vec![
            ("bootstrap.servers", self.bootstrap.clone()),
            ("client.id", self.client_id.clone()),
            ("allow.auto.create.topics", "false".to_owned()),
            ("enable.metrics.push", "false".to_owned()),
            ("socket.timeout.ms", self.request_timeout_ms.to_string()),
            ("socket.connection.setup.timeout.ms", "1000".to_owned()),
            ("reconnect.backoff.ms", "50".to_owned()),
            ("reconnect.backoff.max.ms", "500".to_owned()),
            ("retry.backoff.ms", RETRY_BACKOFF_MS.to_string()),
            ("retry.backoff.max.ms", "500".to_owned()),
            ("topic.metadata.refresh.fast.interval.ms", "50".to_owned()),
        ]
    }

    /// Of a handle that only asks: a consumer that joins nothing. Told that a coordinator has moved, librdkafka looks the handle's own group up, and reads
    /// through a null pointer where the handle is a producer (a cluster that has just come up moves them).
    pub(super) fn asking(&self) -> Vec<(&'static str, String)> {
        let mut all = self.shared();
        all.push(("group.id", NO_GROUP.to_owned()));
        all.push(("enable.auto.commit", "false".to_owned()));
        // It asks the leader that it remembers, and an answer that this one leads no more does not make it forget.
        all.push(("metadata.max.age.ms", "1000".to_owned()));
        all.push(("topic.metadata.refresh.interval.ms", "1000".to_owned()));
        all
    }

    /// Of plain sends. Deadlines are the adapter's; what it gives up is purged.
    pub(super) fn plain(&self) -> Vec<(&'static str, String)> {
        let mut all = self.sending();
        all.push(("delivery.timeout.ms", "600000".to_owned()));
        all
    }

    /// Of a transactional id.
    pub(super) fn transactional(&self, id: &str, transaction_timeout_ms: u32) -> Vec<(&'static str, String)> {
        let mut all = self.sending();
        // No request may outlive its transaction; the later of two settings of one name counts.
        all.push(("socket.timeout.ms", self.request_timeout_ms.min(transaction_timeout_ms).to_string()));
        // A commit of positions waits for its coordinator until *any* connection changes, whatever its timeout. With all connections kept up, one does soon
        // after a broker went or came; otherwise the wait was for ever (seen: a broker killed and restarted under a running exchange).
        all.push(("enable.sparse.connections", "false".to_owned()));
        all.push(("transactional.id", id.to_owned()));
        all.push(("transaction.timeout.ms", transaction_timeout_ms.to_string()));
        all.push(("delivery.timeout.ms", u64::from(transaction_timeout_ms).min(self.delivery_timeout_ms).to_string()));
        all
    }

    fn sending(&self) -> Vec<(&'static str, String)> {
        let mut all = self.shared();
        all.extend([
            ("enable.idempotence", "true".to_owned()),
            ("acks", "all".to_owned()),
            ("max.in.flight", "5".to_owned()),
            ("linger.ms", "0".to_owned()),
            ("request.timeout.ms", self.request_timeout_ms.to_string()),
            ("queue.buffering.max.kbytes", (self.buffer_bytes_max >> 10).max(1).to_string()),
            // The limit is bytes: see `buffer_bytes_max`.
            ("queue.buffering.max.messages", "1000000".to_owned()),
        ]);
        all
    }

    /// Of a reader; `group`: its name, and its instance id.
    pub(super) fn reading(&self, isolation: Isolation, group: Option<(&str, Option<&str>)>) -> Vec<(&'static str, String)> {
        let isolation = match isolation {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        };
        let mut all = self.shared();
        all.extend([
            ("group.id", group.map_or(NO_GROUP, |(group, _)| group).to_owned()),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            ("auto.offset.reset", "error".to_owned()),
            ("isolation.level", isolation.to_owned()),
            ("enable.partition.eof", "true".to_owned()),
            ("check.crcs", "true".to_owned()),
            // Of one generation all leases are given anew: a kept partition would carry the generation of an older assignment.
            ("partition.assignment.strategy", "range".to_owned()),
            ("session.timeout.ms", self.session_timeout_ms.to_string()),
            ("heartbeat.interval.ms", self.heartbeat_ms.to_string()),
            ("max.poll.interval.ms", self.max_poll_interval_ms.max(self.session_timeout_ms).to_string()),
            ("fetch.wait.max.ms", self.fetch_wait_ms_max.to_string()),
            ("fetch.error.backoff.ms", "50".to_owned()),
            ("queued.min.messages", "2000".to_owned()),
            ("queued.max.messages.kbytes", "8192".to_owned()),
            // A full queue is looked at again only then, whether or not it was emptied meanwhile. One fetch of small records fills it, and the default, a
            // second, made one or two fetches a second of one partition (measured: 4,352 records a second, and 215,296 with this).
            ("fetch.queue.backoff.ms", "5".to_owned()),
        ]);
        if let Some((_, Some(instance))) = group {
            all.push(("group.instance.id", instance.to_owned()));
        }
        all
    }
}

/// Without a group a consumer must have a name for one all the same; it is never joined.
const NO_GROUP: &str = "lockstep-no-group";

/// Must stand so in every handle of its kind, whatever the defaults of the library's next version are.
const MANDATORY_SENDING: &[(&str, &str)] = &[("enable.idempotence", "true"), ("acks", "-1"), ("max.in.flight", "5"), ("allow.auto.create.topics", "false")];

/// The same of readers.
const MANDATORY_READING: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("partition.assignment.strategy", "range"),
    ("allow.auto.create.topics", "false"),
];

/// Panics on a mandatory setting that is not in force.
pub(super) fn assert_sending(handle: &Handle) {
    assert_in_force(handle, MANDATORY_SENDING);
}

/// The same of readers.
pub(super) fn assert_reading(handle: &Handle, isolation: Isolation) {
    assert_in_force(handle, MANDATORY_READING);
    let wanted = if isolation == Isolation::ReadCommitted { "read_committed" } else { "read_uncommitted" };
    assert_in_force(handle, &[("isolation.level", wanted)]);
}

fn assert_in_force(handle: &Handle, mandatory: &[(&str, &str)]) {
    for (name, wanted) in mandatory {
        let found = handle.setting(name);
        assert_eq!(found.as_deref(), Some(*wanted), "{name} is mandatory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdkafka::native::Kind;

    fn config() -> KafkaConfig {
        // Nobody listens there: a handle starts all the same.
        KafkaConfig::new("test", "127.0.0.1:1")
    }

    #[test]
    fn every_kind_of_handle_starts_with_the_mandatory_settings() {
        assert_sending(&Handle::new(Kind::Producer, &config().plain()).expect("the settings are known"));
        assert_sending(&Handle::new(Kind::Producer, &config().transactional("id", 5_000)).expect("the settings are known"));
        for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
            for group in [None, Some(("group", None)), Some(("group", Some("instance-1")))] {
                assert_reading(&Handle::new(Kind::Consumer, &config().reading(isolation, group)).expect("the settings are known"), isolation);
            }
        }
    }

    #[test]
    #[should_panic(expected = "enable.idempotence is mandatory")]
    fn a_handle_without_them_is_refused() {
        assert_sending(&Handle::new(Kind::Producer, &config().asking()).expect("the settings are known"));
    }

    #[test]
    fn a_setting_that_the_library_does_not_know_is_an_error_that_names_it() {
        let error = Handle::new(Kind::Producer, &[("no.such.setting", "1".to_owned())]).err().expect("unknown");
        assert!(error.contains("no.such.setting"), "{error}");
    }
}
