//! `exchange up --kafka`: the same services on Apache Kafka. Topics have three replicas, two of which must have a record before it counts.

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
            let (feature, _without_a_client) = (format!("{client:?}").to_lowercase(), specs);
            Err(crate::usage::usage(anyhow::anyhow!(
                "--kafka {brokers}: this build has no client {feature}; build with `--features {feature}` (needs a C compiler; rdkafka needs make too)"
            )))
        }
    }
}

#[cfg(any(feature = "rdkafka", feature = "krafka"))]
mod real {
    use super::{Result, SymbolSpec, UpArgs};
    use crate::history;
    use crate::supervisor::Supervisor;
    use crate::up::{Parts, Replication, asked_to_stop, live};
    use crate::usage::usage;
    use adapters::kafka::KafkaConfig;
    use adapters::sqlite::SqliteStore;
    use anyhow::Context;
    use log::LogPort;
    use log::history::SharedObserver;
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
        eprintln!("exchange: {owned} owned input partitions, a transactional producer each: {} threads of librdkafka (--partitions)", owned * THREADS);
        on(args, brokers, specs, adapters::rdkafka::Kafka::new).await
    }

    #[cfg(feature = "krafka")]
    pub async fn on_krafka(args: &UpArgs, brokers: &str, specs: &[SymbolSpec]) -> Result<()> {
        on(args, brokers, specs, |config, observer| Ok(adapters::krafka::Kafka::new(config, observer))).await
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
        eprintln!("exchange: stopping");
        supervisor.stop().await;
        Ok(())
    }
}
