//! The exchange on Apache Kafka. `cargo xtask conformance --log rdkafka|krafka --kills|--mixed` starts a cluster with nothing on it and tells where it is
//! (`LOCKSTEP_KAFKA_BROKERS`) and through which library it is spoken to (`LOCKSTEP_KAFKA_CLIENT`), which is the name of a feature as well.

use crate::kill_nine::nothing_is_lost_or_done_twice;
use crate::mixed_builds::{next_build, two_builds};
use crate::process::{PARTITIONS, Place, exchange};
use adapters::kafka::KafkaConfig;
use log::LogPort;
use log::history::Silent;
use std::process::Command;
use std::sync::Arc;

/// The cluster of this run.
struct Cluster {
    brokers: String,
    client: String,
}

impl Cluster {
    fn given() -> Option<Cluster> {
        let variable = |name: &str| std::env::var(name).ok();
        let given = variable("LOCKSTEP_KAFKA_BROKERS").zip(variable("LOCKSTEP_KAFKA_CLIENT"));
        if given.is_none() {
            println!("no Kafka: `cargo xtask conformance --log rdkafka|krafka --kills|--mixed` starts one");
        }
        given.map(|(brokers, client)| Cluster { brokers, client })
    }

    fn config(&self, name: &str) -> KafkaConfig {
        KafkaConfig::new(name, self.brokers.clone())
    }

    /// `exchange up` on it.
    fn up(&self, place: &Place) -> Command {
        let mut up = exchange("up");
        up.arg("--data").arg(place.data()).args(["--listen", &place.http, "--kafka", &self.brokers, "--client", &self.client]);
        up.args(["--partitions", &PARTITIONS.to_string()]);
        up
    }
}

/// What is to be tested, whichever library it is.
trait Test {
    async fn of<L: LogPort>(self, cluster: &Cluster, log: impl Fn(&str) -> L);
}

async fn through_its_client(cluster: &Cluster, test: impl Test) {
    match cluster.client.as_str() {
        #[cfg(feature = "rdkafka")]
        "rdkafka" => test.of(cluster, |name| adapters::rdkafka::Kafka::new(cluster.config(name), Arc::new(Silent)).expect("the settings are known")).await,
        #[cfg(feature = "krafka")]
        "krafka" => test.of(cluster, |name| adapters::krafka::Kafka::new(cluster.config(name), Arc::new(Silent))).await,
        other => panic!("this build has no client `{other}`"),
    }
}

struct TwentyKills;

impl Test for TwentyKills {
    async fn of<L: LogPort>(self, cluster: &Cluster, log: impl Fn(&str) -> L) {
        let place = Place::new();
        nothing_is_lost_or_done_twice(&place, 20, &log("check"), || cluster.up(&place)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_over_twenty_kills_on_kafka() {
    let Some(cluster) = Cluster::given() else { return };
    through_its_client(&cluster, TwentyKills).await;
}

struct TwoBuilds(std::ffi::OsString);

impl Test for TwoBuilds {
    async fn of<L: LogPort>(self, cluster: &Cluster, log: impl Fn(&str) -> L) {
        let place = Place::new();
        two_builds(&place, &self.0, log, || cluster.up(&place)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_builds_on_kafka_live_together_and_the_elder_refuses_a_younger_frame() {
    let (Some(cluster), Some(next)) = (Cluster::given(), next_build()) else { return };
    through_its_client(&cluster, TwoBuilds(next)).await;
}
