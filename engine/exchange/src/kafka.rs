//! `exchange up --kafka`: the same services on Apache Kafka. Topics have three replicas, two of which must have a record before it counts.

use crate::measure::{MeasureArgs, Measured};
use crate::up::UpArgs;
use anyhow::Result;
use wire::SymbolSpec;

/// Which library speaks to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Client {
    /// librdkafka, in C: years in production elsewhere.
    Rdkafka,
    /// krafka, in Rust: young.
    Krafka,
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: &UpArgs, brokers: &str, specs: &[SymbolSpec]) -> Result<()> {
    match args.client {
        #[cfg(feature = "rdkafka")]
        Client::Rdkafka => real::on_rdkafka(args, brokers, specs).await,
        #[cfg(feature = "krafka")]
        Client::Krafka => real::on_krafka(args, brokers, specs).await,
        #[cfg(not(all(feature = "rdkafka", feature = "krafka")))]
        client => {
            let _without_a_client = specs;
            Err(no_client(client, brokers))
        }
    }
}

/// A measurement on a new topic of that cluster.
pub async fn measure(args: &MeasureArgs, client: Client, brokers: &str, round: u32, partitions: u32) -> Result<Measured> {
    match client {
        #[cfg(feature = "rdkafka")]
        Client::Rdkafka => real::measure(args, brokers, round, partitions, adapters::rdkafka::Kafka::new).await,
        #[cfg(feature = "krafka")]
        Client::Krafka => real::measure(args, brokers, round, partitions, |config, observer| Ok(adapters::krafka::Kafka::new(config, observer))).await,
        #[cfg(not(all(feature = "rdkafka", feature = "krafka")))]
        client => {
            let _without_a_client = (args, round, partitions);
            Err(no_client(client, brokers))
        }
    }
}

#[cfg(not(all(feature = "rdkafka", feature = "krafka")))]
fn no_client(client: Client, brokers: &str) -> anyhow::Error {
    let feature = format!("{client:?}").to_lowercase();
    crate::usage::usage(anyhow::anyhow!(
        "--kafka {brokers}: this build has no client {feature}; build with `--features {feature}` (needs a C compiler; rdkafka needs make too)"
    ))
}

#[cfg(any(feature = "rdkafka", feature = "krafka"))]
mod real {
    use super::{MeasureArgs, Measured, Result, SymbolSpec, UpArgs};
    use crate::composition::nobody;
    use crate::supervisor::Supervisor;
    use crate::terminal::tell;
    use crate::up::{Parts, Replication, asked_to_stop, live};
    use crate::usage::usage;
    use crate::{history, measure};
    use adapters::kafka::KafkaConfig;
    use adapters::sqlite::SqliteStore;
    use anyhow::Context;
    use log::history::SharedObserver;
    use log::{LogPort, TopicSpec};
    use runtime::net::Listener;
    use std::sync::Arc;

    const REPLICATION: Replication = Replication { replicas: 3, min_isr: 2 };

    #[cfg(feature = "rdkafka")]
    pub async fn on_rdkafka(args: &UpArgs, brokers: &str, specs: &[SymbolSpec]) -> Result<()> {
        /// Of the services' inputs that are owned: account_commands, order_commands, and the wallet's two.
        const OWNED_INPUTS: u32 = 4;
        /// Measured: librdkafka's threads for one producer on three brokers.
        const THREADS: u32 = 7;
        let owned = OWNED_INPUTS * args.partitions;
        tell!("exchange: {owned} owned input partitions, a transactional producer each: {} threads of librdkafka (--partitions)", owned * THREADS);
        on(args, brokers, specs, adapters::rdkafka::Kafka::new).await
    }

    #[cfg(feature = "krafka")]
    pub async fn on_krafka(args: &UpArgs, brokers: &str, specs: &[SymbolSpec]) -> Result<()> {
        on(args, brokers, specs, |config, observer| Ok(adapters::krafka::Kafka::new(config, observer))).await
    }

    pub async fn measure<L: LogPort>(
        args: &MeasureArgs,
        brokers: &str,
        round: u32,
        partitions: u32,
        new: impl Fn(KafkaConfig, SharedObserver) -> Result<L, String>,
    ) -> Result<Measured> {
        let client = new(KafkaConfig::new("measure", brokers), nobody()).map_err(|what| usage(anyhow::anyhow!("--kafka {brokers}: {what}")))?;
        // Topics outlive a run.
        let name = format!("measure-{}-{round}-{partitions}", std::process::id());
        let spec = TopicSpec { name, partitions, replication: REPLICATION.replicas, min_isr: REPLICATION.min_isr, compacted: false };
        measure::through(args, &client, spec).await
    }

    async fn on<L: LogPort>(args: &UpArgs, brokers: &str, specs: &[SymbolSpec], new: impl Fn(KafkaConfig, SharedObserver) -> Result<L, String>) -> Result<()> {
        std::fs::create_dir_all(&args.data).with_context(|| format!("data directory {}", args.data.display()))?;
        let store = Arc::new(SqliteStore::open(&args.data.join("exchange.sqlite"))?);
        // Whoever connects before the services stand waits for them.
        let gateway = Listener::bind(&args.listen).await.with_context(|| format!("--listen {}", args.listen))?;
        let observer = history::open(args.history.as_deref())?;
        let connect = |name: &str| {
            let defaults = KafkaConfig::new(name, brokers);
            let config = KafkaConfig { replicas_min: REPLICATION.replicas, in_sync_replicas_min: REPLICATION.min_isr, ..defaults };
            new(config, Arc::clone(&observer))
        };
        // A setting that the client does not take shows here; each service's own client has the same.
        drop(connect("exchange").map_err(|what| usage(anyhow::anyhow!("--kafka {brokers}: {what}")))?);
        let client = |name: &str| connect(name).expect("the same settings were taken before");
        let mut supervisor = Supervisor::default();
        let parts = Parts { client: &client, store: &store, observer: &observer, replication: REPLICATION, log: brokers };
        runtime::select! {
            asked = asked_to_stop() => asked?,
            failed = live(args, specs, &mut supervisor, gateway, parts) => drop(failed?),
        }
        supervisor.stop().await;
        Ok(())
    }
}
