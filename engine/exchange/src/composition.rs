//! Which parts make the exchange, and how each is set.

use crate::supervisor::Supervisor;
use adapters::sqlite::SqliteStore;
use anyhow::{Context, Result};
use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, FsyncPolicy};
use log::history::{SharedObserver, Silent};
use log::host::{self, HostConfig};
use log::native::{ClientConfig, Native};
use log::{Durability, LogPort};
use runtime::disk::RealDisk;
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
use std::sync::Arc;
use wire::SymbolSpec;

/// The embedded log: controller and one broker.
pub struct Log {
    /// Where it listens.
    pub address: String,
    /// Ends it in good order.
    pub stopper: Stopper,
    /// It ends by itself only after an error.
    pub host: JoinHandle<std::io::Result<()>>,
}

const NODE: broker::NodeId = 1;

impl Log {
    /// Starts it on `listen` with its files on `disk`.
    pub async fn start(listen: &str, disk: RealDisk, observer: &SharedObserver) -> Result<Log> {
        let listener = Listener::bind(listen).await.with_context(|| format!("--log-listen {listen}"))?;
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
}

/// An observer for those who take nothing down.
pub fn nobody() -> SharedObserver {
    Arc::new(Silent)
}

/// A client of the log at `address`.
pub fn client(name: &str, address: &str, observer: &SharedObserver) -> Native {
    let config = ClientConfig { durable: Durability::Fsync, ..ClientConfig::new(name, [address.to_owned()]) };
    Native::new(config, Arc::clone(observer))
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

/// Resting orders and levels per book.
const ORDERS_MAX: usize = 1 << 20;
const LEVELS_MAX: usize = 1 << 18;

/// Distance of ticks.
const TICK_MS: u64 = 5_000;

impl<L: LogPort> Services<'_, L> {
    /// Starts all of them; `gateway` is the socket of the HTTP interface.
    pub fn start(&self, supervisor: &mut Supervisor, gateway: Listener) {
        self.recorder(supervisor);
        self.transact(supervisor, WalletService);
        self.transact(supervisor, MatchingService::naive(ORDERS_MAX, LEVELS_MAX));
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
                match listener {
                    Some(listener) => api_gateway::run_on(listener, log, config, observer, stop).await,
                    None => api_gateway::run(log, config, observer, stop).await,
                }
            }
        });
    }
}
