//! Who runs where: every process of the exchange as a node of the world.

use super::auditor::SharedAudit;
use super::listing::specs;
use super::{Shape, Timers};
use crate::invariants::{BOOK_LEVELS_MAX, BOOK_ORDERS_MAX};
use crate::store::DiskStore;
use broker::protocol::{CONTROLLER, NodeId};
use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, FsyncPolicy, QuorumConfig};
use faults::model::{Group, Terrain};
use log::Durability;
use log::history::Event;
use log::host::{self, Host, HostConfig, Inside};
use log::native::{Assignor, ClientConfig, Native};
use runtime::BoxFuture;
use runtime::net::Listener;
use services::account::AccountService;
use services::api_gateway::{self, GatewayConfig};
use services::clock_service::{self, ClockConfig};
use services::data_recorder::DataRecorder;
use services::matching_engine::MatchingService;
use services::ports::store::Store;
use services::runner::{Service, ServiceError, TransactConfig, project, transact};
use services::wallet::WalletService;
use sim::{NodeCtx, World};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Names of the `count` nodes of a kind, from 1.
pub fn names(kind: &str, count: u32) -> Vec<String> {
    (1..=count).map(|number| format!("{kind}-{number}")).collect()
}

/// Shape and timers, and what follows from them.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// How many of everything.
    pub shape: Shape,
    /// Every timer.
    pub timers: Timers,
}

/// Node ids of a quorum.
const VOTERS: [NodeId; 3] = [901, 902, 903];

/// Stopped before the end, so that nothing is written any more; a node of its own in every shape.
pub const CLOCK: &str = "clock_service-1";

/// Pause before a service that ended by an error is started again.
const RESTART_MS: u64 = 500;

/// Pause of the cleaner, where it is on: a few rounds between any two faults.
const CLEANER_BACKOFF_MS: u64 = 1_000;

/// Segments where the cleaner is on: of a run, a coordinator's partition fills several.
const CLEANED_SEGMENT_BYTES: u64 = 8 << 10;

/// The node that is everything, where one process is.
const ALL_IN_ONE: &str = "broker-1";

/// Where a host keeps the files of its cores.
const LOG_FILES: &str = "node-";

/// A service: what runs in a process of its own, or as a part of the one.
#[derive(Clone)]
struct Part {
    name: String,
    /// Spares join later.
    starts: bool,
    run: Arc<dyn Fn(Exchange, NodeCtx, Native) -> BoxFuture<'static, Result<(), ServiceError>> + Send + Sync>,
}

impl Exchange {
    fn is_single(&self) -> bool {
        self.shape.brokers == 1
    }

    fn brokers(&self) -> Vec<String> {
        names("broker", self.shape.brokers)
    }

    /// The nodes of the controllers.
    fn controllers(&self) -> Vec<String> {
        match (self.is_single(), self.shape.controllers) {
            (true, _) => vec!["broker-1".to_owned()],
            (false, 1) => vec!["controller".to_owned()],
            (false, voters) => names("controller", voters),
        }
    }

    /// Their ids, in the same order.
    fn controller_ids(&self) -> Vec<NodeId> {
        if self.shape.controllers == 1 { vec![CONTROLLER] } else { VOTERS.to_vec() }
    }

    /// Where users connect to.
    pub fn gateway_addresses(&self) -> Vec<String> {
        self.edges().into_iter().map(|node| format!("{node}:8080")).collect()
    }

    /// The nodes of the gateways.
    fn edges(&self) -> Vec<String> {
        if self.shape.one_process { vec![ALL_IN_ONE.to_owned()] } else { names("api_gateway", self.shape.gateways) }
    }

    /// The node of the recorder.
    pub fn recorder(&self) -> &'static str {
        if self.shape.one_process { ALL_IN_ONE } else { "data_recorder-1" }
    }

    /// Partitions of every topic.
    pub fn partitions_of(&self) -> BTreeMap<wire::Topic, u32> {
        use wire::Topic::*;
        let of = |topic| match topic {
            AccountCommands | AccountEvents => self.shape.account_partitions,
            OrderCommands | OrderEvents | TradeExecuted => self.shape.symbol_partitions,
            SystemTicks => 1,
        };
        wire::Topic::ALL.into_iter().map(|topic| (topic, of(topic))).collect()
    }

    /// What faults may choose from.
    pub fn terrain(&self) -> Terrain {
        let group = |name: &str, kind: &str| {
            let all = names(kind, self.shape.instances + self.shape.spares);
            let (members, spares) = all.split_at(self.shape.instances as usize);
            Group { name: name.to_owned(), members: members.to_vec(), spares: spares.to_vec() }
        };
        let mut groups = vec![group("account", "account"), group("matching", "matching_engine"), group("wallet", "wallet")];
        let edges = self.edges();
        let mut services: Vec<String> = groups.iter().flat_map(|group| group.members.clone()).collect();
        services.extend(edges.iter().cloned());
        services.extend([CLOCK.to_owned(), "data_recorder-1".to_owned()]);
        if self.shape.one_process {
            groups.clear();
            services = vec![CLOCK.to_owned()];
        }
        Terrain {
            controllers: self.controllers(),
            brokers: self.brokers(),
            groups,
            services,
            edges,
            clients: names("client", self.shape.clients),
            fsync_always: self.is_single(),
            timers_ms: self.timers.thresholds(),
            span_ms: self.shape.span_ms,
        }
    }

    /// A client of the log for a node.
    pub fn native(&self, ctx: &NodeCtx) -> Native {
        self.native_by(ctx, None)
    }

    /// The same, by the way in of the log's own process.
    fn native_by(&self, ctx: &NodeCtx, inside: Option<Inside>) -> Native {
        let timers = &self.timers;
        let config = ClientConfig {
            inside,
            durable: if self.is_single() { Durability::Fsync } else { Durability::Replicated(self.shape.replication()) },
            request_timeout_ms: timers.request_timeout_ms,
            delivery_timeout_ms: timers.delivery_timeout_ms,
            session_timeout_ms: timers.session_timeout_ms as u32,
            heartbeat_ms: timers.heartbeat_ms,
            max_poll_interval_ms: timers.max_poll_ms as u32,
            assignor: if self.shape.coordinator_divides { Assignor::Coordinator } else { Assignor::Range },
            ..ClientConfig::new(ctx.name.clone(), self.brokers().into_iter().map(|node| format!("{node}:9092")))
        };
        Native::new(config, ctx.observer.clone())
    }

    /// Brokers and controller; where one process is everything, that process.
    pub fn add_log(&self, world: &World, audit: &SharedAudit) {
        if self.shape.one_process {
            return self.add_one_process(world, audit);
        }
        for number in 1..=self.shape.brokers {
            let this = self.clone();
            world.node(&format!("broker-{number}"), move |ctx| {
                let cores = if this.is_single() { this.both_cores() } else { vec![(number, Box::new(this.broker(number)) as Box<dyn Core>)] };
                this.host(ctx, "9092", cores)
            });
        }
        if !self.is_single() {
            for (id, name) in self.controller_ids().into_iter().zip(self.controllers()) {
                let this = self.clone();
                world.node(&name, move |ctx| {
                    let quorum = (id != CONTROLLER).then(|| QuorumConfig::new(id, VOTERS));
                    let controller = Controller::new(ControllerConfig { quorum, ..this.controller_config() });
                    this.host(ctx, "9093", vec![(id, Box::new(controller))])
                });
            }
        }
    }

    fn both_cores(&self) -> Vec<(NodeId, Box<dyn Core>)> {
        vec![(CONTROLLER, Box::new(Controller::new(self.controller_config()))), (1, Box::new(self.broker(1)))]
    }

    /// `exchange up`: the log and every service but the clock in one process, on a disk whose journal keeps the order. The services act on what is written.
    fn add_one_process(&self, world: &World, audit: &SharedAudit) {
        let (this, parts) = (self.clone(), self.parts(audit));
        world.add(ALL_IN_ONE, move |ctx| {
            let (this, parts) = (this.clone(), parts.clone());
            Box::pin(async move {
                let ended = this.all_in_one(&ctx, parts).await;
                say(&ctx, ended.err().map_or("stopped".to_owned(), |error| error.to_string()));
            })
        });
        world.keep_order(ALL_IN_ONE, LOG_FILES);
        world.join(ALL_IN_ONE);
    }

    async fn all_in_one(self, ctx: &NodeCtx, parts: Vec<Part>) -> std::io::Result<()> {
        let config = HostConfig { withholds: true, ..self.host_config(ctx, "9092") };
        let listener = Listener::bind(&config.listen).await?;
        let host = Host::new(config, self.both_cores(), ctx.disk.clone(), ctx.observer.clone(), ctx.incarnation)?;
        for part in parts.into_iter().filter(|part| part.starts && !part.is_clock()) {
            let (this, inside) = (self.clone(), host.inside());
            let log = move |ctx: &NodeCtx| this.native_by(ctx, Some(inside.clone()));
            let ctx = ctx.part(&part.name);
            runtime::task::spawn(part.keep_running(self.clone(), ctx, log));
        }
        host.serve(listener, ctx.stop.clone()).await
    }

    fn host(&self, ctx: NodeCtx, port: &str, cores: Vec<(NodeId, Box<dyn Core>)>) -> BoxFuture<'static, ()> {
        let config = self.host_config(&ctx, port);
        Box::pin(async move {
            let ended = host::run(config, cores, ctx.disk.clone(), ctx.observer.clone(), ctx.incarnation, ctx.stop.clone()).await;
            say(&ctx, ended.err().map_or("stopped".to_owned(), |error| error.to_string()));
        })
    }

    fn host_config(&self, ctx: &NodeCtx, port: &str) -> HostConfig {
        let port_of_controllers = if self.is_single() { "9092" } else { "9093" };
        let controllers = self.controllers().into_iter().map(|name| format!("{name}:{port_of_controllers}"));
        let mut nodes: BTreeMap<NodeId, String> = self.controller_ids().into_iter().zip(controllers).collect();
        nodes.extend((1..=self.shape.brokers).map(|number| (number, format!("broker-{number}:9092"))));
        let mut config = HostConfig::new(format!("{}:{port}", ctx.name), nodes);
        config.link.request_timeout_ms = self.timers.request_timeout_ms;
        config
    }

    fn broker(&self, number: NodeId) -> Broker {
        let timers = &self.timers;
        let mut config = BrokerConfig::new(number, &format!("broker-{number}:9092"));
        config.controllers = self.controller_ids();
        config.fsync = if self.is_single() && !self.shape.one_process { FsyncPolicy::Always } else { FsyncPolicy::Never };
        config.heartbeat_interval_ms = timers.broker_heartbeat_ms;
        config.replica_lag_ms_max = timers.replica_lag_ms;
        config.coordinator.transaction_scan_ms = timers.transaction_scan_ms;
        config.coordinator.consumer_session_ms = timers.session_timeout_ms as u32;
        config.coordinator.consumer_heartbeat_ms = timers.heartbeat_ms as u32;
        config.client_bytes_per_s = self.shape.client_bytes_per_s;
        config.quota_window_s = 1;
        // What clients read is not compacted: the invariants of readers know nothing of that.
        config.log_cleaner = self.shape.log_cleaner;
        if self.shape.log_cleaner {
            config.log_cleaner_tells = true;
            config.cleaner_backoff_ms = CLEANER_BACKOFF_MS;
            config.segment_bytes = CLEANED_SEGMENT_BYTES;
        }
        Broker::new(config)
    }

    fn controller_config(&self) -> ControllerConfig {
        let base = if self.is_single() { ControllerConfig::beside(1) } else { ControllerConfig::default() };
        // A run is over before Kafka's five minutes are. Where there are more brokers than replicas, somebody looks after the balance all the time.
        let leader_rebalance_ms = (self.shape.brokers > 3).then_some(20_000);
        let Shape { transaction_version, .. } = self.shape;
        ControllerConfig { session_timeout_ms: self.timers.broker_session_ms, transaction_version, leader_rebalance_ms, ..base }
    }

    /// Every service; spares are added and not started.
    pub fn add_services(&self, world: &World, audit: &SharedAudit) {
        for part in self.parts(audit).into_iter().filter(|part| !self.shape.one_process || part.is_clock()) {
            let (this, name, starts) = (self.clone(), part.name.clone(), part.starts);
            let start = move |ctx: NodeCtx| -> BoxFuture<'static, ()> {
                let exchange = this.clone();
                Box::pin(part.clone().keep_running(this.clone(), ctx, move |ctx: &NodeCtx| exchange.native(ctx)))
            };
            if starts { world.node(&name, start) } else { world.add(&name, start) }
        }
    }

    fn parts(&self, audit: &SharedAudit) -> Vec<Part> {
        let mut parts = Vec::new();
        parts.extend(self.transact("account", &AccountService));
        parts.extend(self.transact("matching_engine", &MatchingService::fast(BOOK_ORDERS_MAX, BOOK_LEVELS_MAX)));
        parts.extend(self.transact("wallet", &WalletService));
        for (name, edge) in names("api_gateway", self.shape.gateways).into_iter().zip(self.edges()) {
            parts.push(Part::new(&name, true, move |this, ctx, log| {
                let config = GatewayConfig {
                    instance: ctx.name.clone(),
                    listen: format!("{edge}:8080"),
                    symbols: specs(this.shape.symbols),
                    request_timeout_ms: this.timers.gateway_timeout_ms,
                    in_flight_max: 1_024,
                };
                Box::pin(api_gateway::run(log, config, ctx.observer.clone(), ctx.stop))
            }));
        }
        parts.push(Part::new(CLOCK, true, |this, ctx, log| {
            Box::pin(clock_service::run(log, ClockConfig { tick_ms: this.timers.tick_ms, instance_id: None }, ctx.stop))
        }));
        let audit = audit.clone();
        parts.push(Part::new("data_recorder-1", true, move |this, ctx, log| {
            let audit = audit.clone();
            Box::pin(async move {
                let store = DiskStore::open(ctx.disk.clone()).await.map_err(|error| ServiceError::Io(error.to_string()))?;
                audit.store_opened(store.clone());
                if audit.is_over() {
                    // The last life only shows what the disk holds.
                    let rows = store.rows().await.map_err(|error| ServiceError::Io(error.to_string()))?;
                    audit.set_rows(rows);
                    return Ok(());
                }
                let config = project::ProjectConfig { instance_id: this.instance_id(&ctx) };
                project::run(log, DataRecorder, config, Arc::new(store), ctx.observer.clone(), ctx.stop).await
            })
        }));
        parts
    }

    /// The parts of the one process are static members, as `exchange up` has them.
    fn instance_id(&self, ctx: &NodeCtx) -> Option<String> {
        self.shape.one_process.then(|| ctx.name.clone())
    }

    /// The instances of a transact service.
    fn transact<S: Service>(&self, kind: &str, service: &S) -> Vec<Part> {
        let part = |(at, name): (usize, String)| {
            let service = service.clone();
            Part::new(&name, at < self.shape.instances as usize, move |this, ctx, log| {
                let timers = &this.timers;
                let config = TransactConfig {
                    instance: ctx.name.clone(),
                    transactions: this.shape.transactions,
                    transaction_timeout_ms: timers.transaction_timeout_ms as u32,
                    idle_commit_ms: timers.idle_commit_ms,
                    tick_ms: timers.tick_ms,
                    takeover_deadline_ms: timers.takeover_deadline_ms,
                    publish_deadline_ms: timers.publish_deadline_ms,
                    rebuild_backoff_ms: timers.heartbeat_ms + 400,
                    instance_id: this.instance_id(&ctx),
                };
                Box::pin(transact::run(log, service.clone(), config, ctx.observer.clone(), ctx.stop))
            })
        };
        names(kind, self.shape.instances + self.shape.spares).into_iter().enumerate().map(part).collect()
    }
}

impl Part {
    fn new(name: &str, starts: bool, run: impl Fn(Exchange, NodeCtx, Native) -> BoxFuture<'static, Result<(), ServiceError>> + Send + Sync + 'static) -> Part {
        Part { name: name.to_owned(), starts, run: Arc::new(run) }
    }

    fn is_clock(&self) -> bool {
        self.name == CLOCK
    }

    /// A service that ended by an error is started again.
    async fn keep_running(self, exchange: Exchange, ctx: NodeCtx, log: impl Fn(&NodeCtx) -> Native + Send + 'static) {
        while let Err(error) = (self.run)(exchange.clone(), ctx.clone(), log(&ctx)).await {
            say(&ctx, error.to_string());
            if ctx.stop.is_requested() {
                return;
            }
            runtime::time::sleep(Duration::from_millis(RESTART_MS)).await;
        }
    }
}

fn say(ctx: &NodeCtx, why: String) {
    ctx.observer.observe(Event::Service { name: ctx.name.clone(), up: false, why });
}
