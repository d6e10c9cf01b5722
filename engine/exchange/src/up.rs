//! `exchange up`: everything in one process, on one data directory. `--kafka` puts Apache Kafka in the place of the embedded log.
//!
//! The embedded log (controller and one broker, synced before anybody outside hears of it unless told otherwise) serves loopback TCP, so that other
//! processes of this machine reach it too; services are its clients like any other, by a way of their own: they act on what is written, and only what
//! leaves the process (an answer, a row of the database) waits for the disk. Members are static: after a `kill -9` the next start takes their partitions
//! over at once instead of waiting for sessions to end.

use crate::composition::{Fsync, LogArgs, Services, client};
use crate::supervisor::Supervisor;
use crate::terminal::{announce, tell};
use crate::usage::{address, addresses, usage};
use crate::{history, kafka, listing};
use adapters::sqlite::SqliteStore;
use anyhow::{Context, Result};
use clap::Args;
use log::LogPort;
use log::history::SharedObserver;
use runtime::net::Listener;
use services::bootstrap::{self, BootstrapConfig};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wire::SymbolSpec;

/// Settings of `exchange up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// Directory of the log and the database; made if it does not exist.
    #[arg(long, env = "EXCHANGE_DATA", default_value = "exchange-data")]
    pub data: PathBuf,
    /// Where the HTTP interface listens.
    #[arg(long, env = "EXCHANGE_LISTEN", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: String,
    /// Run on this Apache Kafka instead of the embedded log: some of its brokers, host:port, joined by commas. At least three brokers.
    #[arg(long, env = "EXCHANGE_KAFKA", conflicts_with = "log_listen", value_parser = addresses)]
    pub kafka: Option<String>,
    /// Which client library speaks to it.
    #[arg(long, env = "EXCHANGE_KAFKA_CLIENT", requires = "kafka", default_value = "rdkafka")]
    pub client: kafka::Client,
    /// The embedded log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Partitions of every topic but system_ticks. Cannot be changed later: keys would move.
    #[arg(long, env = "EXCHANGE_PARTITIONS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub partitions: u32,
    /// Symbols: a JSON file; without it BTCUSD.
    #[arg(long, env = "EXCHANGE_LISTING")]
    pub listing: Option<PathBuf>,
    /// Money for an account at its first start: ACCOUNT:ASSET:AMOUNT in minor units (applied once, however often the exchange starts). May be repeated.
    #[arg(long = "deposit", value_parser = parse_deposit)]
    pub deposits: Vec<Deposit>,
    /// Append every fact taken at the ports to this file, as JSON Lines. For diagnosis: it costs time.
    #[arg(long, env = "EXCHANGE_HISTORY")]
    pub history: Option<PathBuf>,
}

/// A deposit of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposit {
    account: wire::AccountId,
    asset: wire::Asset,
    amount: i64,
}

fn parse_deposit(text: &str) -> Result<Deposit, String> {
    let mut parts = text.split(':');
    let (Some(account), Some(asset), Some(amount), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("ACCOUNT:ASSET:AMOUNT, for example 1:USD:1000000".to_owned());
    };
    Ok(Deposit {
        account: wire::AccountId(account.parse().map_err(|_| format!("account {account:?}: a number"))?),
        asset: wire::Asset::parse(asset).map_err(|error| format!("asset {asset:?}: {error}"))?,
        amount: amount.parse().ok().filter(|amount| *amount > 0).ok_or_else(|| format!("amount {amount:?}: a positive whole number of minor units"))?,
    })
}

impl Deposit {
    /// The same deposit at every start: its id is made of what it says.
    fn once(&self) -> bootstrap::Deposit {
        let Deposit { account, asset, amount } = *self;
        let deposit_id = runtime::rng::key(0, &["deposit", &account.0.to_string(), asset.as_str(), &amount.to_string()]);
        bootstrap::Deposit { account, deposit_id, asset, amount }
    }
}

/// How long the first start may take to create what it needs.
const BOOTSTRAP_MS: u64 = 60_000;

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: UpArgs) -> Result<()> {
    let specs = args.listing.as_deref().map_or_else(|| Ok(listing::default()), listing::read).map_err(usage)?;
    match &args.kafka {
        None => on_embedded_log(&args, &specs).await,
        Some(brokers) => kafka::run(&args, brokers, &specs).await,
    }
}

async fn on_embedded_log(args: &UpArgs, specs: &[SymbolSpec]) -> Result<()> {
    let disk = args.log.disk(&args.data.join("log"))?;
    let store = Arc::new(SqliteStore::open(&args.data.join("exchange.sqlite"))?);
    // Whoever connects before the services stand waits for them.
    let gateway = Listener::bind(&args.listen).await.with_context(|| format!("--listen {}", args.listen))?;
    let observer = history::open(args.history.as_deref())?;
    let mut log = args.log.start(disk, &observer).await?;
    let (address, inside, durable) = (log.address.clone(), log.inside.clone(), args.log.fsync.durability());
    let client = |name: &str| client(name, &address, Some(&inside), durable, &observer);
    let mut supervisor = Supervisor::default();
    if args.log.fsync != Fsync::Always {
        announce!("exchange: not synced before it is acknowledged: a power loss may take the newest orders");
    }
    let life = live(args, specs, &mut supervisor, gateway, Parts { client: &client, store: &store, observer: &observer, replication: ONE, log: &address });
    let ended = runtime::select! {
        asked = asked_to_stop() => { asked?; None }
        ended = &mut log.host => Some(ended),
        failed = life => { failed?; None }
    };
    if let Some(ended) = ended {
        ended.context("the log's task")?.context("the log")?;
        anyhow::bail!("the log ended by itself");
    }
    supervisor.stop().await;
    log.stop().await
}

/// What an exchange is made of, whatever its log is.
pub struct Parts<'a, L> {
    pub client: &'a dyn Fn(&str) -> L,
    pub store: &'a Arc<SqliteStore>,
    pub observer: &'a SharedObserver,
    pub replication: Replication,
    /// Where the log is, for people.
    pub log: &'a str,
}

/// How often a topic is there, and how many of these must have a record before it is acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct Replication {
    pub replicas: u32,
    pub min_isr: u32,
}

/// The embedded log is one broker.
const ONE: Replication = Replication { replicas: 1, min_isr: 1 };

/// Bootstraps, starts every service, and goes on until dropped.
pub async fn live<L: LogPort>(args: &UpArgs, specs: &[SymbolSpec], supervisor: &mut Supervisor, gateway: Listener, parts: Parts<'_, L>) -> Result<Infallible> {
    bootstrap(args, specs, &parts).await?;
    let listens = gateway.local_address();
    Services { client: parts.client, store: parts.store, symbols: specs, observer: parts.observer }.start(supervisor, gateway);
    announce!("exchange: http://{listens}  log {}  data {}", parts.log, args.data.display());
    std::future::pending().await
}

/// Waits for Ctrl-C or SIGTERM, and says that it stops. Asked once more, the process ends at once, as by `kill -9`: what was acknowledged stands.
pub async fn asked_to_stop() -> Result<()> {
    let [mut interrupt, mut terminate] = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    asked(&mut interrupt, &mut terminate).await;
    tell!("exchange: stopping; Ctrl-C again ends it at once");
    runtime::task::spawn(async move {
        let number = asked(&mut interrupt, &mut terminate).await;
        tell!("exchange: ended before it had stopped; the next start goes on as after a kill");
        std::process::exit(128 + number)
    });
    Ok(())
}

/// The number of the signal that came.
async fn asked(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    runtime::select! {
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
    }
}

/// Topics, listings, deposits; the same at every start, and done once.
async fn bootstrap<L: LogPort>(args: &UpArgs, specs: &[SymbolSpec], parts: &Parts<'_, L>) -> Result<()> {
    let config = BootstrapConfig {
        account_partitions: args.partitions,
        symbol_partitions: args.partitions,
        replication: parts.replication.replicas,
        min_isr: parts.replication.min_isr,
        listings: specs.to_vec(),
        deposits: args.deposits.iter().map(Deposit::once).collect(),
        deadline_ms: runtime::time::monotonic_ms() + BOOTSTRAP_MS,
    };
    bootstrap::run((parts.client)("operator"), &config).await.context("creating topics, listings and deposits")
}
