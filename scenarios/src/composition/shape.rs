//! Shape and timers of a run: plain values of the plan.

use super::listing::SYMBOLS_MAX;
use runtime::rng::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How many of everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// 3 or 4 (replication 3, min ISR 2, no fsync), or 1 (synced before it counts; controller and broker in one process).
    pub brokers: u32,
    /// 1, or a quorum of 3.
    #[serde(default = "alone")]
    pub controllers: u32,
    /// Instances of `api_gateway`.
    pub gateways: u32,
    /// Instances of each of account, matching_engine and wallet.
    pub instances: u32,
    /// Further instances of each that may join.
    pub spares: u32,
    /// Users, each with an account.
    pub clients: u32,
    /// Orders that a user may wait for at a time.
    pub lanes: u32,
    /// Partitions of `account_commands`.
    pub account_partitions: u32,
    /// Partitions of `order_commands`.
    pub symbol_partitions: u32,
    /// Symbols.
    pub symbols: u32,
    /// Outputs and position in one transaction, or plain sends.
    pub transactions: bool,
    /// Of the cluster's transactions: 1, or 2 (KIP-890).
    #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
    pub transaction_version: u8,
    /// Groups are divided by their coordinator (KIP-848), not by one of their members.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub coordinator_divides: bool,
    /// Whether brokers compact: small segments, of which those of the coordinators' topics are cleaned all the time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log_cleaner: bool,
    /// What a connection may write and read, bytes a second; beyond that it is not listened to for a while (A69).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_bytes_per_s: Option<u64>,
    /// Log and services in one process that acts on what is written and lets nothing out before it is synced, as `exchange up` does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_process: bool,
    /// The phase of trading under faults, simulated ms.
    pub span_ms: u64,
    /// Shortest time of a message, µs.
    pub latency_us: u64,
}

fn alone() -> u32 {
    1
}

fn first_version() -> u8 {
    1
}

fn is_first_version(version: &u8) -> bool {
    *version == 1
}

impl Shape {
    /// Replicas of each partition.
    pub fn replication(&self) -> u32 {
        self.brokers.min(3)
    }

    /// From a plan; the error names the field.
    pub fn from_value(value: &Value) -> Result<Self, String> {
        let shape: Shape = serde_json::from_value(value.clone()).map_err(|error| format!("field shape: {error}"))?;
        let rules = [
            ("brokers", matches!(shape.brokers, 1 | 3 | 4), "is 1, 3 or 4"),
            ("one_process", !shape.one_process || shape.brokers == 1 && shape.gateways == 1, "is of 1 broker and 1 gateway"),
            ("controllers", shape.controllers == 1 || shape.controllers == 3 && shape.brokers >= 3, "is 1, or 3 beside 3 brokers or more"),
            ("gateways", (1..=8).contains(&shape.gateways), "is 1 to 8"),
            ("instances", (1..=8).contains(&shape.instances), "is 1 to 8"),
            ("spares", shape.spares <= 4, "is at most 4"),
            ("clients", (1..=64).contains(&shape.clients), "is 1 to 64"),
            ("lanes", (1..=16).contains(&shape.lanes), "is 1 to 16"),
            ("account_partitions", (1..=16).contains(&shape.account_partitions), "is 1 to 16"),
            ("symbol_partitions", (1..=16).contains(&shape.symbol_partitions), "is 1 to 16"),
            ("symbols", (1..=SYMBOLS_MAX).contains(&shape.symbols), "is 1 to 4"),
            ("transaction_version", (1..=2).contains(&shape.transaction_version), "is 1 or 2"),
            ("client_bytes_per_s", shape.client_bytes_per_s.is_none_or(|bytes| bytes >= 1_000), "is at least 1,000"),
            ("span_ms", (1_000..=3_600_000).contains(&shape.span_ms), "is 1 s to 1 h"),
            ("latency_us", (10..=100_000).contains(&shape.latency_us), "is 10 µs to 100 ms"),
        ];
        match rules.iter().find(|(_, holds, _)| !holds) {
            Some((field, _, rule)) => Err(format!("field shape.{field}: {rule}")),
            None => Ok(shape),
        }
    }

    /// As it stands in a plan.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("a shape is plain values")
    }
}

/// Every configured timer, ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Timers {
    pub broker_heartbeat_ms: u64,
    pub broker_session_ms: u64,
    pub client_deadline_ms: u64,
    pub delivery_timeout_ms: u64,
    pub gateway_timeout_ms: u64,
    pub heartbeat_ms: u64,
    pub idle_commit_ms: u64,
    pub max_poll_ms: u64,
    pub publish_deadline_ms: u64,
    pub replica_lag_ms: u64,
    pub request_timeout_ms: u64,
    pub session_timeout_ms: u64,
    pub takeover_deadline_ms: u64,
    pub tick_ms: u64,
    pub transaction_scan_ms: u64,
    pub transaction_timeout_ms: u64,
}

impl Timers {
    /// The scaled-down options of `kafka.md` B.2 and the broker settings of G.2.
    pub const BASE: Timers = Timers {
        broker_heartbeat_ms: 300,
        broker_session_ms: 2_000,
        client_deadline_ms: 4_000,
        delivery_timeout_ms: 10_000,
        gateway_timeout_ms: 3_000,
        heartbeat_ms: 300,
        idle_commit_ms: 1_000,
        max_poll_ms: 10_000,
        publish_deadline_ms: 10_000,
        replica_lag_ms: 3_000,
        request_timeout_ms: 3_000,
        session_timeout_ms: 6_000,
        takeover_deadline_ms: 10_000,
        tick_ms: 1_000,
        transaction_scan_ms: 1_000,
        transaction_timeout_ms: 5_000,
    };

    /// The base scaled by one factor, so that more timers end in a run, and a few drawn on their own.
    pub fn draw(rng: &mut Rng) -> Self {
        let percent = *rng.pick(&[50, 75, 100, 100]);
        let scaled = |ms: u64| ms * percent / 100;
        let base = Timers::BASE;
        Timers {
            broker_heartbeat_ms: scaled(base.broker_heartbeat_ms),
            broker_session_ms: scaled(base.broker_session_ms),
            client_deadline_ms: scaled(base.client_deadline_ms),
            delivery_timeout_ms: scaled(base.delivery_timeout_ms),
            gateway_timeout_ms: scaled(base.gateway_timeout_ms),
            heartbeat_ms: scaled(base.heartbeat_ms),
            idle_commit_ms: *rng.pick(&[200, 1_000, 2_000]),
            max_poll_ms: scaled(base.max_poll_ms),
            publish_deadline_ms: scaled(base.publish_deadline_ms),
            replica_lag_ms: scaled(base.replica_lag_ms),
            request_timeout_ms: scaled(base.request_timeout_ms),
            session_timeout_ms: scaled(base.session_timeout_ms),
            takeover_deadline_ms: scaled(base.takeover_deadline_ms),
            tick_ms: *rng.pick(&[500, 1_000, 2_000]),
            transaction_scan_ms: scaled(base.transaction_scan_ms),
            transaction_timeout_ms: scaled(*rng.pick(&[1_500, 3_000, 5_000])),
        }
    }

    /// The same with sends that give up before the transaction around them times out, which librdkafka demands of its users (`message.timeout.ms` at most
    /// `transaction.timeout.ms`), at the first request that is not answered: then the producer ends the transaction by itself, and not the coordinator under a
    /// raised epoch.
    pub fn delivered_within_transactions(self) -> Self {
        Timers { transaction_timeout_ms: self.request_timeout_ms * 5 / 3, delivery_timeout_ms: self.request_timeout_ms, ..self }
    }

    /// As they stand in a plan.
    pub fn to_map(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(serde_json::to_value(self).expect("timers are plain numbers")).expect("every timer is a number")
    }

    /// From a plan; the error names the timer.
    pub fn from_map(map: &BTreeMap<String, u64>) -> Result<Self, String> {
        let value = serde_json::to_value(map).expect("a map of numbers");
        let timers: Timers = serde_json::from_value(value).map_err(|error| format!("field timers: {error}"))?;
        let rules = [
            ("heartbeat_ms", timers.heartbeat_ms >= 1 && timers.heartbeat_ms * 3 <= timers.session_timeout_ms, "is at most a third of session_timeout_ms"),
            ("session_timeout_ms", timers.session_timeout_ms >= 500, "is at least 500"),
            ("delivery_timeout_ms", timers.delivery_timeout_ms >= timers.request_timeout_ms, "is at least request_timeout_ms"),
            ("transaction_timeout_ms", (1..=5_000).contains(&timers.transaction_timeout_ms), "is 1 to 5000"),
            ("tick_ms", (100..=5_000).contains(&timers.tick_ms), "is 100 to 5000"),
            (
                "broker_heartbeat_ms",
                timers.broker_heartbeat_ms >= 1 && timers.broker_heartbeat_ms * 3 <= timers.broker_session_ms,
                "is at most a third of broker_session_ms",
            ),
        ];
        match rules.iter().find(|(_, holds, _)| !holds) {
            Some((timer, _, rule)) => Err(format!("field timers.{timer}: {rule}")),
            None => Ok(timers),
        }
    }

    /// Those that a pause or an outage is aligned to.
    pub fn thresholds(&self) -> Vec<(String, u64)> {
        let named = [
            ("session", self.session_timeout_ms),
            ("heartbeat", self.heartbeat_ms),
            ("max_poll", self.max_poll_ms),
            ("request", self.request_timeout_ms),
            ("delivery", self.delivery_timeout_ms),
            ("transaction", self.transaction_timeout_ms),
            ("broker_session", self.broker_session_ms),
            ("replica_lag", self.replica_lag_ms),
            ("gateway", self.gateway_timeout_ms),
        ];
        named.map(|(name, ms)| (name.to_owned(), ms)).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_timers_fit_each_other_and_come_back() {
        for seed in 0..200 {
            let drawn = Timers::draw(&mut Rng::from_seed(seed));
            for timers in [drawn.clone(), drawn.delivered_within_transactions()] {
                assert_eq!(Timers::from_map(&timers.to_map()), Ok(timers));
            }
        }
    }

    #[test]
    fn bad_values_name_field_and_rule() {
        let timers = Timers { heartbeat_ms: 9_000, ..Timers::BASE };
        assert_eq!(Timers::from_map(&timers.to_map()).unwrap_err(), "field timers.heartbeat_ms: is at most a third of session_timeout_ms");
        let mut map = Timers::BASE.to_map();
        map.insert("sesion_ms".to_owned(), 4);
        assert!(Timers::from_map(&map).unwrap_err().contains("unknown field `sesion_ms`"));
        assert!(Shape::from_value(&serde_json::json!({ "brokers": 2 })).unwrap_err().starts_with("field shape: missing field"));
    }
}
