//! Which parts make the exchange, and how each is set.

use crate::descriptors::room;
use crate::soundness;
use crate::supervisor::Supervisor;
use crate::terminal::tell;
use crate::usage::address;
use adapters::sqlite::SqliteStore;
use anyhow::{Context, Result};
use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, FsyncPolicy};
use clap::{Args, ValueEnum};
use log::history::{SharedObserver, Silent};
use log::host::{Host, HostConfig, Inside};
use log::native::{ClientConfig, Native};
use log::{Durability, LogPort};
use runtime::disk::{Disk, JournalConfig, JournalDisk};
use runtime::net::Listener;
use runtime::task::{JoinHandle, Stopper, stop_channel};
use services::account::AccountService;
use services::api_gateway::{self, GatewayConfig};
use services::clock_service::{self, ClockConfig};
use services::data_recorder::DataRecorder;
use services::matching_engine::MatchingService;
use services::runner::machine::Service;
use services::runner::project::{self, ProjectConfig};
use services::runner::{TransactConfig, transact};
use services::wallet::WalletService;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wire::SymbolSpec;

/// When an acknowledged record is on the platter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// Before it is acknowledged.
    Always,
    /// Some time later: a power loss takes the newest records, of all partitions together. A kill takes none.
    Interval,
    /// When the operating system likes. A kill takes none.
    Never,
}

impl Fsync {
    /// What a client may say of an acknowledged record.
    pub fn durability(self) -> Durability {
        match self {
            Fsync::Always => Durability::Fsync,
            Fsync::Interval | Fsync::Never => Durability::PageCache,
        }
    }
}

/// Settings of the embedded log.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Where the log listens.
    #[arg(long, env = "EXCHANGE_LOG_LISTEN", default_value = "127.0.0.1:9092", value_parser = address)]
    pub log_listen: String,
    /// When an acknowledged record is on the platter; only `always` survives a power loss.
    #[arg(long, env = "EXCHANGE_FSYNC", value_enum, default_value_t = Fsync::Always)]
    pub fsync: Fsync,
    /// With `--fsync interval`: milliseconds between two syncs.
    #[arg(long, env = "EXCHANGE_FSYNC_INTERVAL_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub fsync_interval_ms: u64,
    /// Bytes of each of the journal's two files, which are allocated at the first start.
    #[arg(long, env = "EXCHANGE_JOURNAL_BYTES", default_value_t = 16 << 20, value_parser = clap::value_parser!(u64).range(1 << 16..=1 << 30))]
    pub journal_bytes: u64,
}

impl LogArgs {
    /// Opens the log's directory, and checks every file of it.
    pub fn disk(&self, directory: &Path) -> Result<Arc<JournalDisk>> {
        let of = || format!("data directory {}", directory.display());
        // Without a journal a power loss may have left a torn tail, which the broker cuts off.
        let had_journal = directory.join(".format").exists();
        let disk = JournalDisk::open(directory, JournalConfig { journal_bytes: self.journal_bytes }).with_context(of)?;
        if had_journal {
            soundness::check(&disk).with_context(of)?;
        }
        Ok(Arc::new(disk))
    }

    /// Starts the log on that directory.
    pub async fn start(&self, disk: Arc<JournalDisk>, observer: &SharedObserver) -> Result<Log> {
        let mut log = Log::start(&self.log_listen, Arc::clone(&disk) as Arc<dyn Disk>, self.fsync, observer).await?;
        log.journal = Some(Arc::clone(&disk));
        if self.fsync == Fsync::Interval {
            let pause = Duration::from_millis(self.fsync_interval_ms);
            runtime::task::spawn(async move {
                loop {
                    runtime::time::sleep(pause).await;
                    if let Err(error) = disk.sync_all().await {
                        // Every later append is refused, and ends the log with its reason.
                        return tell!("the log: {error}");
                    }
                }
            });
        }
        Ok(log)
    }
}

/// The embedded log: controller and one broker.
pub struct Log {
    /// Where it listens.
    pub address: String,
    stopper: Stopper,
    /// It ends by itself only after an error.
    pub host: JoinHandle<std::io::Result<()>>,
    /// The way in for this process.
    pub inside: Inside,
    /// Comes to rest when the log has ended.
    journal: Option<Arc<JournalDisk>>,
}

const NODE: broker::NodeId = 1;

/// A start reads one segment at a time into memory.
const SEGMENT_BYTES: u64 = 16 << 20;

impl Log {
    /// Starts it on `listen` with its files on `disk`.
    pub async fn start(listen: &str, disk: Arc<dyn Disk>, fsync: Fsync, observer: &SharedObserver) -> Result<Log> {
        let listener = Listener::bind(listen).await.with_context(|| format!("--log-listen {listen}"))?;
        let address = listener.local_address();
        let nodes = BTreeMap::from([(broker::protocol::CONTROLLER, address.clone()), (NODE, address.clone())]);
        // An interval is the disk's matter: to the core it is a page cache. So is "always" that of what leaves the process, where the disk keeps the order; on
        // any other the core itself waits.
        let is_always = fsync == Fsync::Always;
        let withholds = is_always && disk.keeps_order();
        let policy = if is_always && !withholds { FsyncPolicy::Always } else { FsyncPolicy::Never };
        let broker = Broker::new(BrokerConfig { fsync: policy, segment_bytes: SEGMENT_BYTES, ..BrokerConfig::new(NODE, &address) });
        let controller = Controller::new(ControllerConfig::beside(NODE));
        let cores: Vec<(broker::NodeId, Box<dyn Core>)> = vec![(broker::protocol::CONTROLLER, Box::new(controller)), (NODE, Box::new(broker))];
        let (stopper, stop) = stop_channel();
        let incarnation = runtime::rng::Rng::of_node("incarnation").next_u64();
        let config = HostConfig { withholds, connections_max: room().log, ..HostConfig::new(address.clone(), nodes) };
        let host = Host::new(config, cores, disk, Arc::clone(observer), incarnation)?;
        let inside = host.inside();
        Ok(Log { address, stopper, host: runtime::task::spawn(host.serve(listener, stop)), inside, journal: None })
    }

    /// Ends it in good order: the next start needs nothing of its journal.
    pub async fn stop(self) -> Result<()> {
        self.stopper.stop();
        self.host.await.context("the log's task")?.context("the log")?;
        let Some(journal) = self.journal else { return Ok(()) };
        runtime::task::off_thread(move || journal.rest()).await.context("the log's files")
    }
}

/// An observer for those who take nothing down.
pub fn nobody() -> SharedObserver {
    Arc::new(Silent)
}

/// A client of the log at `address`; `durable`: what its operator promises; `inside`: the way into the log of this process.
pub fn client(name: &str, address: &str, inside: Option<&Inside>, durable: Durability, observer: &SharedObserver) -> Native {
    let config = ClientConfig { durable, inside: inside.cloned(), ..ClientConfig::new(name, [address.to_owned()]) };
    Native::new(config, Arc::clone(observer))
}

/// A client of a log that somebody else runs: it promises nothing.
pub fn visitor(address: &str) -> Native {
    client("operator", address, None, Durability::PageCache, &nobody())
}

/// What the services are given.
pub struct Services<'a, L> {
    /// A client of the log for each, by its name.
    pub client: &'a dyn Fn(&str) -> L,
    /// Where the recorder writes.
    pub store: &'a Arc<SqliteStore>,
    /// What is traded.
    pub symbols: &'a [SymbolSpec],
    /// Takes down what the services and their clients state.
    pub observer: &'a SharedObserver,
}

/// Resting orders and levels per book, which takes memory as it fills: 68 KiB when its symbol is listed, at most 92 MiB.
const ORDERS_MAX: usize = 1 << 20;
const LEVELS_MAX: usize = 1 << 18;

/// Distance of ticks.
const TICK_MS: u64 = 5_000;

impl<L: LogPort> Services<'_, L> {
    /// Starts all of them; `gateway` is the socket of the HTTP interface.
    pub fn start(&self, supervisor: &mut Supervisor, gateway: Listener) {
        self.recorder(supervisor);
        self.transact(supervisor, WalletService);
        self.transact(supervisor, MatchingService::fast(ORDERS_MAX, LEVELS_MAX));
        self.transact(supervisor, AccountService);
        self.clock(supervisor);
        self.gateway(supervisor, gateway);
    }

    fn client(&self, name: &str) -> L {
        (self.client)(name)
    }

    fn transact<S: Service>(&self, supervisor: &mut Supervisor, service: S) {
        let name = service.name();
        let (log, observer) = (self.client(name), Arc::clone(self.observer));
        let instance = format!("{name}-1");
        let config = TransactConfig { instance: instance.clone(), instance_id: Some(instance), tick_ms: TICK_MS, ..TransactConfig::default() };
        supervisor.start(name, move |stop| transact::run(log.clone(), service.clone(), config.clone(), Arc::clone(&observer), stop));
    }

    fn recorder(&self, supervisor: &mut Supervisor) {
        let (log, store, observer) = (self.client("data_recorder"), Arc::clone(self.store), Arc::clone(self.observer));
        let config = ProjectConfig { instance_id: Some("data_recorder-1".to_owned()) };
        supervisor.start("data_recorder", move |stop| project::run(log.clone(), DataRecorder, config.clone(), Arc::clone(&store), Arc::clone(&observer), stop));
    }

    fn clock(&self, supervisor: &mut Supervisor) {
        let log = self.client("clock_service");
        let config = ClockConfig { tick_ms: TICK_MS, instance_id: Some("clock_service-1".to_owned()) };
        supervisor.start("clock_service", move |stop| clock_service::run(log.clone(), config.clone(), stop));
    }

    fn gateway(&self, supervisor: &mut Supervisor, listener: Listener) {
        let (log, observer) = (self.client("api_gateway"), Arc::clone(self.observer));
        let config = GatewayConfig {
            instance: "api_gateway-1".to_owned(),
            listen: listener.local_address(),
            symbols: self.symbols.to_vec(),
            request_timeout_ms: 5_000,
            in_flight_max: 1_024,
        };
        let mut listener = Some(listener);
        supervisor.start("api_gateway", move |stop| {
            let (log, config, observer, listener) = (log.clone(), config.clone(), Arc::clone(&observer), listener.take());
            async move {
                let listener = match listener {
                    Some(listener) => listener,
                    None => Listener::bind(&config.listen).await?,
                };
                api_gateway::run_on(listener.at_most(room().http), log, config, observer, stop).await
            }
        });
    }
}
