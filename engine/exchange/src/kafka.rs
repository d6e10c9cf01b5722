//! `exchange up --kafka`: the same services on Apache Kafka. Topics have three replicas, two of which must have a record before it counts.

use crate::up::UpArgs;
use anyhow::Result;
use wire::SymbolSpec;

#[cfg(feature = "rdkafka")]
pub use real::run;

/// This build has no client for it.
#[cfg(not(feature = "rdkafka"))]
pub async fn run(_args: &UpArgs, brokers: &str, _specs: &[SymbolSpec]) -> Result<()> {
    let what = anyhow::anyhow!("--kafka {brokers}: this build has no Kafka client; build with `--features rdkafka` (needs a C compiler and make)");
    Err(crate::usage::usage(what))
}

#[cfg(feature = "rdkafka")]
mod real {
    use super::{Result, SymbolSpec, UpArgs};
    use crate::history;
    use crate::supervisor::Supervisor;
    use crate::up::{Parts, Replication, asked_to_stop, live};
    use crate::usage::usage;
    use adapters::rdkafka::{Kafka, KafkaConfig};
    use adapters::sqlite::SqliteStore;
    use anyhow::Context;
    use log::history::SharedObserver;
    use runtime::net::Listener;
    use std::sync::Arc;

    const REPLICATION: Replication = Replication { replicas: 3, min_isr: 2 };
    /// Of the services' inputs that are owned: account_commands, order_commands, and the wallet's two.
    const OWNED_INPUTS: u32 = 4;
    /// Measured: librdkafka's threads for one producer on three brokers.
    const THREADS: u32 = 7;

    /// Runs until Ctrl-C or SIGTERM.
    pub async fn run(args: &UpArgs, brokers: &str, specs: &[SymbolSpec]) -> Result<()> {
        std::fs::create_dir_all(&args.data).with_context(|| format!("data directory {}", args.data.display()))?;
        let store = Arc::new(SqliteStore::open(&args.data.join("exchange.sqlite"))?);
        // Whoever connects before the services stand waits for them.
        let gateway = Listener::bind(&args.listen).await.with_context(|| format!("--listen {}", args.listen))?;
        let observer = history::open(args.history.as_deref())?;
        // A setting that librdkafka does not take shows here; each service's own client has the same.
        drop(connect("exchange", brokers, &observer).map_err(|what| usage(anyhow::anyhow!("--kafka {brokers}: {what}")))?);
        let client = |name: &str| connect(name, brokers, &observer).expect("the same settings were taken before");
        let owned = OWNED_INPUTS * args.partitions;
        eprintln!("exchange: {owned} owned input partitions, a transactional producer each: {} threads of librdkafka (--partitions)", owned * THREADS);
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

    fn connect(name: &str, brokers: &str, observer: &SharedObserver) -> Result<Kafka, String> {
        let defaults = KafkaConfig::new(name, brokers);
        let config = KafkaConfig { replicas_min: REPLICATION.replicas, in_sync_replicas_min: REPLICATION.min_isr, ..defaults };
        Kafka::new(config, Arc::clone(observer))
    }
}
