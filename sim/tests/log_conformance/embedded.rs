//! The embedded log: controller and one broker in one process, every append synced, on a directory that outlives them.

use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, FsyncPolicy, NodeId};
use log::Durability;
use log::history::Silent;
use log::host::{self, HostConfig};
use log::link::{Link, LinkConfig};
use log::native::{ClientConfig, Native};
use runtime::BoxFuture;
use runtime::disk::RealDisk;
use runtime::net::Listener;
use runtime::task::{JoinHandle, Stopper, stop_channel};
use sim::conformance::log::asked::{Request, Response};
use sim::conformance::log::{Bench, Client, run};
use sim::conformance::proxy::{Framing, Proxy, Trip};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const NODE: NodeId = 1;

/// The process, and what it needs to come back.
struct Embedded {
    listen: String,
    proxy: Proxy,
    directory: PathBuf,
    lives: AtomicU64,
    running: Mutex<Option<(JoinHandle<io::Result<()>>, Stopper)>>,
    numbers: AtomicU64,
}

impl Embedded {
    async fn start(directory: PathBuf) -> Embedded {
        let listen = Listener::bind("127.0.0.1:0").await.expect("a free port").local_address();
        let proxy = Proxy::start("127.0.0.1:0", listen.clone(), Framing::Native).await.expect("a free port");
        let embedded = Embedded { listen, proxy, directory, lives: AtomicU64::new(0), running: Mutex::new(None), numbers: AtomicU64::new(0) };
        embedded.live();
        embedded
    }

    fn live(&self) {
        let disk = Arc::new(RealDisk::open(&self.directory).expect("a directory of its own"));
        // Clients learn the proxy's address.
        let address = self.proxy.address();
        let nodes = BTreeMap::from([(broker::protocol::CONTROLLER, self.listen.clone()), (NODE, self.listen.clone())]);
        let broker = Broker::new(BrokerConfig { fsync: FsyncPolicy::Always, ..BrokerConfig::new(NODE, &address) });
        let controller = Controller::new(ControllerConfig::beside(NODE));
        let cores: Vec<(NodeId, Box<dyn Core>)> = vec![(broker::protocol::CONTROLLER, Box::new(controller)), (NODE, Box::new(broker))];
        let (stopper, stop) = stop_channel();
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let host = host::run(HostConfig::new(self.listen.clone(), nodes), cores, disk, Arc::new(Silent), life, stop);
        *self.running.lock().expect("no panic under the lock") = Some((runtime::task::spawn(host), stopper));
    }
}

impl Bench for Embedded {
    type Log = Native;

    fn client(&self, client: Client) -> Native {
        let defaults = ClientConfig::default();
        let config = ClientConfig {
            durable: Durability::Fsync,
            session_timeout_ms: client.session_timeout_ms.unwrap_or(defaults.session_timeout_ms),
            max_poll_interval_ms: client.session_timeout_ms.unwrap_or(defaults.max_poll_interval_ms),
            buffer_bytes_max: client.buffer_bytes_max.unwrap_or(defaults.buffer_bytes_max),
            ..ClientConfig::new("conformance", [self.proxy.address()])
        };
        Native::new(config, Arc::new(Silent))
    }

    fn brokers(&self) -> u32 {
        1
    }

    fn replication(&self) -> (u32, u32) {
        (1, 1)
    }

    fn fresh(&self, word: &str) -> String {
        format!("{word}-{}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    fn swallow_answers(&self) -> BoxFuture<'_, ()> {
        self.proxy.swallow();
        Box::pin(std::future::ready(()))
    }

    fn pass_answers(&self) -> BoxFuture<'_, ()> {
        self.proxy.pass();
        Box::pin(std::future::ready(()))
    }

    fn trip(&self, kind: u16, trip: Trip) -> BoxFuture<'_, ()> {
        self.proxy.trip(kind, trip);
        Box::pin(std::future::ready(()))
    }

    fn ask(&self, _broker: u32, request: Request) -> BoxFuture<'_, Option<Response>> {
        let config = LinkConfig { connect_timeout_ms: 1_000, request_timeout_ms: 5_000, backoff_ms_min: 10, backoff_ms_max: 100 };
        let link = Link::open(self.listen.clone(), config);
        Box::pin(async move { link.call(&request, 0).await.ok() })
    }

    /// A process of tasks cannot be stopped; for a client, one that answers nothing is the same.
    fn pause(&self, _broker: u32) -> BoxFuture<'_, ()> {
        self.proxy.hold();
        Box::pin(std::future::ready(()))
    }

    fn resume(&self, _broker: u32) -> BoxFuture<'_, ()> {
        self.proxy.pass();
        Box::pin(std::future::ready(()))
    }

    fn kill(&self, _broker: u32) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let (task, _stopper) = self.running.lock().expect("no panic under the lock").take().expect("it runs");
            task.abort();
            // The error says that it was aborted.
            let _ = task.await;
        })
    }

    fn restart(&self, _broker: u32) -> BoxFuture<'_, ()> {
        Box::pin(async { self.live() })
    }
}

pub fn judge(only: &str) -> usize {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the operating system gives threads");
    let (_, broken) = runtime.block_on(async {
        let bench = Arc::new(Embedded::start(directory.path().to_owned()).await);
        println!("log embedded: one node, fsync = always");
        run(bench, only).await
    });
    broken
}
