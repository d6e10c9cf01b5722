//! `exchange up`: everything in one process, on one data directory.
//!
//! The embedded log (controller and one broker, `fsync = always`) serves loopback TCP, so that other processes of this machine reach it too; services
//! are its clients like any other. Members are static: after a `kill -9` the next start takes their partitions over at once instead of waiting for
//! sessions to end.

use crate::supervisor::Supervisor;
use crate::{history, listing};
use adapters::sqlite::SqliteStore;
use anyhow::{Context, Result};
use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, FsyncPolicy};
use clap::Args;
use log::Durability;
use log::history::SharedObserver;
use log::host::{self, HostConfig};
use log::native::{ClientConfig, Native};
use runtime::disk::RealDisk;
use runtime::net::Listener;
use runtime::task::{JoinHandle, Stopper, stop_channel};
use services::account::AccountService;
use services::api_gateway::{self, GatewayConfig};
use services::bootstrap::{self, BootstrapConfig};
use services::clock_service::{self, ClockConfig};
use services::data_recorder::DataRecorder;
use services::matching_engine::MatchingService;
use services::runner::project::{self, ProjectConfig};
use services::runner::{TransactConfig, transact};
use services::wallet::WalletService;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use wire::SymbolSpec;

/// Settings of `exchange up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// Directory of the log and the database; made if it does not exist.
    #[arg(long, env = "EXCHANGE_DATA", default_value = "exchange-data")]
    pub data: PathBuf,
    /// Where the HTTP interface listens.
    #[arg(long, env = "EXCHANGE_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Where the log listens.
    #[arg(long, env = "EXCHANGE_LOG_LISTEN", default_value = "127.0.0.1:9092")]
    pub log_listen: String,
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

const NODE: broker::NodeId = 1;

/// How long the first start may take to create what it needs.
const BOOTSTRAP_MS: u64 = 60_000;

struct Log {
    address: String,
    stopper: Stopper,
    host: JoinHandle<std::io::Result<()>>,
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: UpArgs) -> Result<()> {
    let specs = args.listing.as_deref().map_or_else(|| Ok(listing::default()), listing::read)?;
    let disk = RealDisk::open(args.data.join("log")).with_context(|| format!("data directory {}", args.data.display()))?;
    let store = SqliteStore::open(&args.data.join("exchange.sqlite"))?;
    let observer = history::open(args.history.as_deref())?;
    let mut log = start_log(&args, disk, &observer).await?;
    bootstrap(&args, &log.address, &specs, &observer).await?;
    let supervisor = start_services(&args, &log.address, Arc::new(store), &specs, &observer);
    println!("exchange: http://{}  log {}  data {}", args.listen, log.address, args.data.display());
    let ended = runtime::select! {
        asked = asked_to_stop() => { asked?; None }
        ended = &mut log.host => Some(ended),
    };
    if let Some(ended) = ended {
        ended.context("the log's task")?.context("the log")?;
        anyhow::bail!("the log ended by itself");
    }
    eprintln!("exchange: stopping");
    supervisor.stop().await;
    log.stopper.stop();
    log.host.await.context("the log's task")?.context("the log")
}

async fn asked_to_stop() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    runtime::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn start_log(args: &UpArgs, disk: RealDisk, observer: &SharedObserver) -> Result<Log> {
    let listener = Listener::bind(&args.log_listen).await.with_context(|| format!("--log-listen {}", args.log_listen))?;
    let address = listener.local_address();
    let nodes = BTreeMap::from([(broker::protocol::CONTROLLER, address.clone()), (NODE, address.clone())]);
    let broker = Broker::new(BrokerConfig { fsync: FsyncPolicy::Always, ..BrokerConfig::new(NODE, &address) });
    let controller = Controller::new(ControllerConfig::beside(NODE));
    let cores: Vec<(broker::NodeId, Box<dyn Core>)> = vec![(broker::protocol::CONTROLLER, Box::new(controller)), (NODE, Box::new(broker))];
    let (stopper, stop) = stop_channel();
    let incarnation = runtime::rng::Rng::of_node("incarnation").next_u64();
    let config = HostConfig::new(address.clone(), nodes);
    let host = runtime::task::spawn(host::serve(listener, config, cores, Arc::new(disk), Arc::clone(observer), incarnation, stop));
    Ok(Log { address, stopper, host })
}

fn client(name: &str, address: &str, observer: &SharedObserver) -> Native {
    let config = ClientConfig { durable: Durability::Fsync, ..ClientConfig::new(name, [address.to_owned()]) };
    Native::new(config, Arc::clone(observer))
}

fn transact_config(name: &str) -> TransactConfig {
    TransactConfig { instance: format!("{name}-1"), instance_id: Some(format!("{name}-1")), ..TransactConfig::default() }
}

fn project_config() -> ProjectConfig {
    ProjectConfig { instance_id: Some("data_recorder-1".to_owned()) }
}

fn clock_config() -> ClockConfig {
    ClockConfig { tick_ms: 5_000, instance_id: Some("clock_service-1".to_owned()) }
}

/// Resting orders and levels per book.
const ORDERS_MAX: usize = 1 << 20;
const LEVELS_MAX: usize = 1 << 18;

fn start_services(args: &UpArgs, address: &str, store: Arc<SqliteStore>, specs: &[SymbolSpec], observer: &SharedObserver) -> Supervisor {
    let mut supervisor = Supervisor::default();
    let (log, seen) = (client("data_recorder", address, observer), Arc::clone(observer));
    supervisor.start("data_recorder", move |stop| project::run(log.clone(), DataRecorder, project_config(), Arc::clone(&store), Arc::clone(&seen), stop));
    let (log, seen) = (client("wallet", address, observer), Arc::clone(observer));
    supervisor.start("wallet", move |stop| transact::run(log.clone(), WalletService, transact_config("wallet"), Arc::clone(&seen), stop));
    let (log, seen) = (client("matching_engine", address, observer), Arc::clone(observer));
    let matching = MatchingService::naive(ORDERS_MAX, LEVELS_MAX);
    supervisor.start("matching_engine", move |stop| transact::run(log.clone(), matching.clone(), transact_config("matching_engine"), Arc::clone(&seen), stop));
    let (log, seen) = (client("account", address, observer), Arc::clone(observer));
    supervisor.start("account", move |stop| transact::run(log.clone(), AccountService, transact_config("account"), Arc::clone(&seen), stop));
    let log = client("clock_service", address, observer);
    supervisor.start("clock_service", move |stop| clock_service::run(log.clone(), clock_config(), stop));
    let (log, seen) = (client("api_gateway", address, observer), Arc::clone(observer));
    let gateway = GatewayConfig {
        instance: "api_gateway-1".to_owned(),
        listen: args.listen.clone(),
        symbols: specs.to_vec(),
        request_timeout_ms: 5_000,
        in_flight_max: 1_024,
    };
    supervisor.start("api_gateway", move |stop| api_gateway::run(log.clone(), gateway.clone(), Arc::clone(&seen), stop));
    supervisor
}

/// Topics, listings, deposits; the same at every start, and done once.
async fn bootstrap(args: &UpArgs, address: &str, specs: &[SymbolSpec], observer: &SharedObserver) -> Result<()> {
    let config = BootstrapConfig {
        account_partitions: args.partitions,
        symbol_partitions: args.partitions,
        replication: 1,
        min_isr: 1,
        listings: specs.to_vec(),
        deposits: args.deposits.iter().map(Deposit::once).collect(),
        deadline_ms: runtime::time::monotonic_ms() + BOOTSTRAP_MS,
    };
    bootstrap::run(client("operator", address, observer), &config).await.context("creating topics, listings and deposits")
}
