//! The log port's contract on Apache Kafka, through either client library: `cargo xtask conformance --log rdkafka|krafka`.
//!
//! Needs the cluster of `cargo xtask kafka up`; `LOCKSTEP_KAFKA` tells that it is there, `LOCKSTEP_KAFKA_CONTROL` the command that kills and starts its
//! nodes, `LOCKSTEP_KAFKA_CLIENT` which library. `LOCKSTEP_ROUNDS`: rounds of faults over the workload, 3 without it. `LOCKSTEP_RECORDING`: what it
//! answers is recorded, and not compared with the record. `LOCKSTEP_ENDS_WITH_STDIN`: it ends when its standard input does. Without the first three there is
//! nothing to judge. An argument runs only the contracts whose names contain it.
#![allow(clippy::disallowed_methods)] // it measures threads, and runs the cluster's command

mod kafka;

use adapters::kafka::KafkaConfig;
use log::LogPort;
use log::history::Silent;
use runtime::BoxFuture;
use sim::conformance::log::asked::{Request, Response};
use sim::conformance::log::{Bench, Client, Load, conclude, only, run};
use sim::conformance::proxy::{Framing, Proxy, Trip};
use std::marker::PhantomData;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NODES: [u32; 3] = [1, 2, 3];

fn port(node: u32, listener: u32) -> String {
    format!("127.0.0.1:{}", node * 3_000 + 16_092 + listener)
}

fn brokers(listener: u32) -> String {
    NODES.map(|node| port(node, listener)).join(",")
}

/// The listener for everybody, the one behind the relays, and where the relays listen: as `cargo xtask kafka` sets them up.
const PLAIN: u32 = 0;
const PROXIED: u32 = 2;
const RELAY: u32 = 3;

/// Until a restarted node has caught up, on a machine that does other things.
const IN_SYNC_MS_MAX: u64 = 300_000;
/// Until one broker has answered one question; one that is gone says so at once.
const ANSWER_MS_MAX: u64 = 60_000;
/// Of a member that no contract puts out, between two of its polls: so long may it take to give up what is asked back.
const POLL_MS_MAX: u32 = 60_000;
/// Of the same: nobody waits for it to be put out, and a busy machine does not.
const SESSION_MS_MAX: u32 = 30_000;

/// A client library under test.
trait Library: Send + Sync + 'static {
    type Log: LogPort;
    const NAME: &'static str;
    /// What no contract provokes through it: what of the port, why not, and the tests of the adapter that have it.
    const NOT_PROVOKED: &'static [(&'static str, &'static str, &'static str)];

    fn connect(config: KafkaConfig) -> Self::Log;
}

#[cfg(feature = "krafka")]
struct Krafka;

#[cfg(feature = "krafka")]
impl Library for Krafka {
    type Log = adapters::krafka::Kafka;
    const NAME: &'static str = "krafka";
    const NOT_PROVOKED: &'static [(&'static str, &'static str, &'static str)] = &[
        ("ConsumerEvent::Truncated", "the cluster loses nothing that a reader saw, short of a power loss", "krafka::reader::held"),
        ("StartPoint::Pending", "A46 asks the brokers themselves; a worker of the contract never joins so early", "kafka::membership"),
        ("NotDone(the record itself)", "no contract sends what a broker refuses for what it is", "krafka::errors"),
        ("Unknown(a refused commit that was tried before)", "krafka hides its attempts: told from the time it took", "krafka::errors"),
        ("Lost, by a revocation that nobody answers", "a worker of the contract always answers", "kafka::membership"),
    ];

    fn connect(config: KafkaConfig) -> Self::Log {
        adapters::krafka::Kafka::new(config, Arc::new(Silent))
    }
}

#[cfg(feature = "rdkafka")]
struct Rdkafka;

#[cfg(feature = "rdkafka")]
impl Library for Rdkafka {
    type Log = adapters::rdkafka::Kafka;
    const NAME: &'static str = "rdkafka";
    const NOT_PROVOKED: &'static [(&'static str, &'static str, &'static str)] = &[
        ("StartPoint::Pending", "A46 asks the brokers themselves; a worker of the contract never joins so early", "kafka::membership"),
        ("NotDone(the record itself)", "no contract sends what a broker refuses for what it is", "rdkafka::errors"),
        ("Unknown(a refused commit that was tried before)", "librdkafka hides its attempts: told from the time it took", "rdkafka::errors"),
        ("Lost, by a revocation that nobody answers", "a worker of the contract always answers", "kafka::membership"),
    ];

    fn connect(config: KafkaConfig) -> Self::Log {
        // Of what a transaction sends, if its own time is not shorter: as long as anything else may take here.
        adapters::rdkafka::Kafka::new(KafkaConfig { delivery_timeout_ms: ANSWER_MS_MAX, ..config }, Arc::new(Silent)).expect("the settings are known")
    }
}

/// The real cluster, through a client library.
struct Real<C> {
    library: PhantomData<C>,
    relays: Vec<Proxy>,
    /// Topics outlive a run.
    run: u64,
    numbers: AtomicU64,
    /// Of faults over the workload.
    rounds: u32,
    control: Vec<String>,
    wire: kafka::Wire,
}

impl<C: Library> Real<C> {
    async fn start(control: &str) -> Real<C> {
        let mut relays = Vec::new();
        for node in NODES {
            relays.push(Proxy::start(&port(node, RELAY), port(node, PROXIED), Framing::Kafka).await.expect("the relay's port is free"));
        }
        let run = runtime::rng::Rng::of_node("conformance").next_u64() >> 32;
        let rounds = std::env::var("LOCKSTEP_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
        Real {
            library: PhantomData,
            relays,
            run,
            numbers: AtomicU64::new(0),
            rounds,
            control: control.split_whitespace().map(str::to_owned).collect(),
            wire: kafka::Wire::default(),
        }
    }

    /// Every replica of every topic, in the eyes of every node?
    async fn is_in_sync(&self) -> bool {
        for node in NODES {
            let Some(Response::Metadata { topics, .. }) = self.ask(node, Request::Metadata { topics: None }).await else { return false };
            if topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.isr.len() < partition.replicas.len()) {
                return false;
            }
        }
        true
    }

    fn control(&self, verb: &'static str, node: u32) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (program, before) = self.control.split_first().expect("a command");
            let mut command = Command::new(program);
            command.args(before).args([verb, &node.to_string()]);
            let status = tokio::task::spawn_blocking(move || command.status()).await.expect("no panic").expect("the cluster's command starts");
            assert!(status.success(), "{verb} {node}");
        })
    }
}

impl<C: Library> Bench for Real<C> {
    type Log = C::Log;

    fn client(&self, client: Client) -> C::Log {
        let defaults = KafkaConfig::new("conformance", brokers(if client.proxied { RELAY } else { PLAIN }));
        let config = KafkaConfig {
            session_timeout_ms: client.session_timeout_ms.unwrap_or(SESSION_MS_MAX),
            max_poll_interval_ms: client.session_timeout_ms.unwrap_or(POLL_MS_MAX),
            buffer_bytes_max: client.buffer_bytes_max.map_or(defaults.buffer_bytes_max, |bytes| bytes as u64),
            ..defaults
        };
        C::connect(config)
    }

    fn brokers(&self) -> u32 {
        3
    }

    fn replication(&self) -> (u32, u32) {
        (3, 2)
    }

    fn load(&self) -> Load {
        Load { rounds: self.rounds, ahead: 40, pause_ms: 50, outage_ms: 7_500 }
    }

    fn hides_tries(&self) -> bool {
        true
    }

    /// Through either library, of either version, and of ours: what comes by chance may have come elsewhere. What none of them knows, Kafka does and we
    /// do not.
    fn recorded(&self) -> Option<&'static str> {
        let all = concat!(
            include_str!("../../log/src/differences/sim.txt"),
            include_str!("../../log/src/differences/rdkafka-3.9.1.txt"),
            include_str!("../../log/src/differences/rdkafka-4.3.1.txt"),
            include_str!("../../log/src/differences/krafka-3.9.1.txt"),
            include_str!("../../log/src/differences/krafka-4.3.1.txt"),
        );
        std::env::var_os("LOCKSTEP_RECORDING").is_none().then_some(all)
    }

    fn fresh(&self, word: &str) -> String {
        format!("{word}-{:08x}-{}", self.run, self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    fn swallow_answers(&self) -> BoxFuture<'_, ()> {
        self.relays.iter().for_each(Proxy::swallow);
        Box::pin(std::future::ready(()))
    }

    fn pass_answers(&self) -> BoxFuture<'_, ()> {
        self.relays.iter().for_each(Proxy::pass);
        Box::pin(std::future::ready(()))
    }

    fn trip(&self, kind: u16, trip: Trip) -> BoxFuture<'_, ()> {
        self.relays.iter().for_each(|relay| relay.trip(kind, trip));
        Box::pin(std::future::ready(()))
    }

    fn ask(&self, broker: u32, request: Request) -> BoxFuture<'_, Option<Response>> {
        Box::pin(async move {
            let address = port(broker, PLAIN);
            runtime::time::timeout(Duration::from_millis(ANSWER_MS_MAX), self.wire.ask(&address, &request)).await.ok().flatten()
        })
    }

    fn pause(&self, broker: u32) -> BoxFuture<'_, ()> {
        self.control("pause", broker)
    }

    fn resume(&self, broker: u32) -> BoxFuture<'_, ()> {
        self.control("resume", broker)
    }

    fn kill(&self, broker: u32) -> BoxFuture<'_, ()> {
        self.control("kill", broker)
    }

    fn restart(&self, broker: u32) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.control("start", broker).await;
            let by_ms = runtime::time::monotonic_ms() + IN_SYNC_MS_MAX;
            while !self.is_in_sync().await {
                assert!(runtime::time::monotonic_ms() < by_ms, "every replica comes back in sync");
                runtime::time::sleep(Duration::from_millis(200)).await;
            }
        })
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// What one transactional id costs in threads.
async fn print_threads<C: Library>(bench: &Real<C>) {
    let log = bench.client(Client::default());
    let id = bench.fresh("id");
    let before = threads();
    let session = log.tx_session(&id, 5_000, runtime::time::monotonic_ms() + 30_000).await.expect("a session");
    println!("threads: {} for one transactional producer ({} in all)", threads() - before, threads());
    drop(session);
}

async fn judge<C: Library>(version: &str, control: &str, only: &str) -> (usize, usize) {
    let bench = Arc::new(Real::<C>::start(control).await);
    println!("log {}: Apache Kafka {version}, three nodes, replication 3, min.insync.replicas 2", C::NAME);
    print_threads(&bench).await;
    let told = run(bench, only).await;
    for (what, why, tests) in C::NOT_PROVOKED.iter().filter(|_| only.is_empty()) {
        println!("table   {what:<72} tests of {tests}: {why}");
    }
    told
}

fn main() {
    let asked = ["LOCKSTEP_KAFKA", "LOCKSTEP_KAFKA_CONTROL", "LOCKSTEP_KAFKA_CLIENT"].map(std::env::var);
    let [Ok(version), Ok(control), Ok(client)] = asked else {
        println!("no Kafka: `cargo xtask conformance --log rdkafka|krafka` starts one");
        return;
    };
    if std::env::var_os("LOCKSTEP_ENDS_WITH_STDIN").is_some() {
        std::thread::spawn(|| {
            let _what_it_says = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(2);
        });
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let only = only(&words);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the operating system gives threads");
    let told = match client.as_str() {
        #[cfg(feature = "krafka")]
        Krafka::NAME => runtime.block_on(judge::<Krafka>(&version, &control, only)),
        #[cfg(feature = "rdkafka")]
        Rdkafka::NAME => runtime.block_on(judge::<Rdkafka>(&version, &control, only)),
        other => panic!("this build has no client `{other}`"),
    };
    std::process::exit(conclude(&words, told));
}
