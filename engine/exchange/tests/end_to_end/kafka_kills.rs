//! The same on Apache Kafka: `cargo xtask conformance --log rdkafka --kills` starts a cluster with nothing on it and tells where it is (`LOCKSTEP_KAFKA_BROKERS`).

use crate::kill_nine::nothing_is_lost_or_done_twice;
use crate::process::{PARTITIONS, Place, exchange};
use adapters::rdkafka::{Kafka, KafkaConfig};
use log::history::Silent;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_over_twenty_kills_on_kafka() {
    let Ok(brokers) = std::env::var("LOCKSTEP_KAFKA_BROKERS") else {
        println!("no Kafka: `cargo xtask conformance --log rdkafka --kills` starts one");
        return;
    };
    let place = Place::new();
    let log = Kafka::new(KafkaConfig::new("check", brokers.clone()), Arc::new(Silent)).expect("the settings are known");
    let up = || {
        let mut up = exchange("up");
        up.arg("--data").arg(place.data()).args(["--listen", &place.http, "--kafka", &brokers, "--partitions", &PARTITIONS.to_string()]);
        up
    };
    nothing_is_lost_or_done_twice(&place, 20, &log, up).await;
}
