//! The embedded log: controller and one broker, every append synced, on a directory with a journal that outlives them. As tasks of this process, where a
//! kill ends the tasks; or, for `--kills`, as a process of its own, where a kill is `kill -9`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // it kills a real process

use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, FsyncPolicy, NodeId};
use log::Durability;
use log::history::Silent;
use log::host::{self, HostConfig};
use log::link::{Link, LinkConfig};
use log::native::{ClientConfig, Native};
use runtime::BoxFuture;
use runtime::disk::{JournalConfig, JournalDisk};
use runtime::net::Listener;
use runtime::task::{JoinHandle, Stop, Stopper, stop_channel};
use sim::conformance::log::asked::{Request, Response};
use sim::conformance::log::{Bench, Client, Load, run, under_kills};
use sim::conformance::proxy::{Framing, Proxy, Trip};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const NODE: NodeId = 1;

/// How it lives.
enum Life {
    Tasks(JoinHandle<io::Result<()>>, Stopper),
    Process(Child),
}

/// The log, and what it needs to come back.
struct Embedded {
    is_process: bool,
    listen: String,
    proxy: Proxy,
    directory: PathBuf,
    lives: AtomicU64,
    running: Mutex<Option<Life>>,
    numbers: AtomicU64,
}

impl Embedded {
    async fn start(directory: PathBuf, is_process: bool) -> Embedded {
        let listen = Listener::bind("127.0.0.1:0").await.expect("a free port").local_address();
        let proxy = Proxy::start("127.0.0.1:0", listen.clone(), Framing::Native).await.expect("a free port");
        let (lives, running, numbers) = (AtomicU64::new(0), Mutex::new(None), AtomicU64::new(0));
        let embedded = Embedded { is_process, listen, proxy, directory, lives, running, numbers };
        embedded.live();
        embedded
    }

    fn live(&self) {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let living = if self.is_process {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args(["--serve", &self.listen, &self.proxy.address()]).arg(&self.directory).arg(life.to_string()).stdin(Stdio::null());
            Life::Process(command.spawn().expect("it starts"))
        } else {
            let (stopper, stop) = stop_channel();
            Life::Tasks(runtime::task::spawn(host(&self.directory, &self.listen, &self.proxy.address(), life, stop)), stopper)
        };
        *self.running.lock().expect("no panic under the lock") = Some(living);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(Life::Process(child)) = self.running.get_mut().expect("no panic under the lock") {
            let _it_may_have_ended = child.kill();
            let _its_code = child.wait();
        }
    }
}

/// One life of it. Clients are told to come through `advertised`.
fn host(directory: &Path, listen: &str, advertised: &str, life: u64, stop: Stop) -> impl Future<Output = io::Result<()>> + use<> {
    let disk = Arc::new(JournalDisk::open(directory, JournalConfig::default()).expect("a directory of its own"));
    let nodes = BTreeMap::from([(broker::protocol::CONTROLLER, listen.to_owned()), (NODE, listen.to_owned())]);
    let broker = Broker::new(BrokerConfig { fsync: FsyncPolicy::Never, ..BrokerConfig::new(NODE, advertised) });
    let controller = Controller::new(ControllerConfig::beside(NODE));
    let cores: Vec<(NodeId, Box<dyn Core>)> = vec![(broker::protocol::CONTROLLER, Box::new(controller)), (NODE, Box::new(broker))];
    let config = HostConfig { withholds: true, ..HostConfig::new(listen.to_owned(), nodes) };
    host::run(config, cores, disk, Arc::new(Silent), life, stop)
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

    fn load(&self) -> Load {
        Load { rounds: crate::rounds(3), ahead: 40, pause_ms: 20, outage_ms: 2_500 }
    }

    fn recorded(&self) -> Option<&'static str> {
        (!crate::is_recording()).then_some(include_str!("../../../engine/log/src/differences/embedded.txt"))
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
            let life = self.running.lock().expect("no panic under the lock").take().expect("it runs");
            match life {
                Life::Tasks(task, _stopper) => {
                    task.abort();
                    // The error says that it was aborted.
                    let _ = task.await;
                }
                Life::Process(mut child) => {
                    child.kill().expect("it had not ended by itself");
                    child.wait().expect("it has ended");
                }
            }
        })
    }

    fn restart(&self, _broker: u32) -> BoxFuture<'_, ()> {
        Box::pin(async { self.live() })
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the operating system gives threads")
}

/// How many contracts held, and how many did not.
pub fn judge(only: &str) -> (usize, usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    runtime().block_on(async {
        let bench = Arc::new(Embedded::start(directory.path().to_owned(), false).await);
        println!("log embedded: one node, fsync = always");
        run(bench, only).await
    })
}

/// Ends the log's process so many times amid the workload; panics if the log does not keep its word.
pub fn kills(kills: u32) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    println!("log embedded: one node, a process of its own, fsync = always; kill -9, {kills} times");
    runtime().block_on(async {
        let bench = Arc::new(Embedded::start(directory.path().to_owned(), true).await);
        under_kills(bench, kills).await;
    });
    println!("ok");
}

/// Is the log until it is killed: address, address for clients, directory, number of this life.
pub fn serve(words: &[String]) {
    let [listen, advertised, directory, life] = words else { panic!("four words: {words:?}") };
    let life = life.parse().expect("a number");
    runtime().block_on(async {
        let (_stopper, stop) = stop_channel();
        host(Path::new(directory), listen, advertised, life, stop).await.expect("a host that runs");
    });
}
