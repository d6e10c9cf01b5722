//! Three nodes, each broker and controller, with short timeouts: formatted anew at every `up`, their logs kept until the next.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::process::{Process, tail};
use super::watchdog::Watchdog;
use super::{NoCluster, Version, jars, probe};
use crate::{process, tree};

const NODES: [u32; 3] = [1, 2, 3];
/// Any 16 bytes in base64url; the nodes of one cluster have it alike.
const CLUSTER_ID: &str = "TG9ja3N0ZXAtS2Fma2EtMQ";
/// On a machine that does other things; one that has ended is told at once.
const START_MAX: Duration = Duration::from_secs(300);
/// Longer than a controlled shutdown; one that takes longer is killed.
const STOP_MAX: Duration = Duration::from_secs(20);

/// The cluster of one version.
pub struct Cluster {
    version: Version,
    home: PathBuf,
}

/// Below 32,768: from there on the kernel gives ports to outgoing connections, and a node that was killed would now and then find its own taken.
fn broker_port(node: u32) -> u16 {
    u16::try_from(node * 3_000 + 16_092).expect("three nodes")
}

/// Of each node, from its broker's on: for everybody, for the controllers, behind the relays of the conformance suite, of the relays themselves.
const PORTS: u16 = 4;

fn controller_port(node: u32) -> u16 {
    broker_port(node) + 1
}

impl Cluster {
    /// Where it lies; nothing is started.
    pub fn at(version: Version) -> Cluster {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree::root().join("target"), PathBuf::from);
        let target = std::path::absolute(&target).unwrap_or(target);
        Cluster { version, home: target.join("kafka").join(version.full()) }
    }

    /// Where its brokers listen.
    pub fn bootstrap() -> String {
        NODES.map(|node| format!("127.0.0.1:{}", broker_port(node))).join(",")
    }

    /// Fetches the jars, if they are not there.
    pub fn fetch(&self) -> Result<()> {
        jars::fetch(&self.home, self.version).map(drop)
    }

    /// Do all of its nodes run?
    pub fn is_running(&self) -> bool {
        self.running().len() == NODES.len()
    }

    fn node(&self, node: u32) -> Process {
        let file = |kind: &str| self.home.join(format!("n{node}.{kind}"));
        Process { properties: file("properties"), log: file("log"), pid: file("pid") }
    }

    fn running(&self) -> Vec<u32> {
        NODES.into_iter().filter(|node| self.node(*node).running().is_some()).collect()
    }

    /// Started from nothing for as long as `work` lasts; gone after it, and gone with this process however that ends. [`NoCluster`] if it does not come up.
    pub fn during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let watchdog = Watchdog::over(self.version)?;
        // What an earlier run left may be half dead.
        self.down()?;
        let result = match self.up() {
            Ok(_) => work(),
            Err(error) => Err(error.context(NoCluster)),
        };
        self.down()?;
        watchdog.dismiss()?;
        result
    }

    /// Starts it from nothing and waits until every node knows all three. One that runs is left alone.
    pub fn up(&self) -> Result<u8> {
        if self.is_running() {
            self.await_ready(&NODES)?;
            println!("kafka: {} runs already: {}", self.version.full(), Self::bootstrap());
            return Ok(0);
        }
        self.down()?;
        for port in NODES.into_iter().flat_map(|node| broker_port(node)..broker_port(node) + PORTS) {
            ensure!(probe_is_silent(port), "port {port} of loopback is taken: another Kafka? `cargo xtask kafka down --version …` ends ours");
        }
        let begin = Instant::now();
        self.fetch()?;
        self.write_logging()?;
        for node in NODES {
            self.format(node)?;
        }
        for node in NODES {
            self.launch(node)?;
        }
        self.await_ready(&NODES)?;
        println!(
            "kafka: {} is up after {:.1} s: {}  logs {}/n*.log",
            self.version.full(),
            begin.elapsed().as_secs_f64(),
            Self::bootstrap(),
            self.home.display()
        );
        Ok(0)
    }

    /// Stops what runs, by recorded process ids.
    pub fn down(&self) -> Result<u8> {
        let running = self.running();
        for node in &running {
            // One that was paused would not hear the other signal.
            self.node(*node).signal("CONT")?;
            self.node(*node).signal("TERM")?;
        }
        for node in &running {
            let process = self.node(*node);
            if !process.await_end(STOP_MAX) {
                process.signal("KILL")?;
                ensure!(process.await_end(STOP_MAX), "node {node} does not end");
            }
        }
        for node in NODES {
            let _there_was_none = std::fs::remove_file(self.node(node).pid);
        }
        if !running.is_empty() {
            println!("kafka: {} stopped; logs {}/n*.log", self.version.full(), self.home.display());
        }
        Ok(0)
    }

    /// One line a node; exit code 1 unless all are up.
    pub fn status(&self) -> Result<u8> {
        let mut up = 0;
        for node in NODES {
            let port = broker_port(node);
            match (self.node(node).running(), probe::live_brokers(port)) {
                (None, _) => println!("kafka-{node}  127.0.0.1:{port}  down"),
                (Some(pid), Err(error)) => println!("kafka-{node}  127.0.0.1:{port}  pid {pid}  does not answer: {error:#}"),
                (Some(pid), Ok(known)) => {
                    println!("kafka-{node}  127.0.0.1:{port}  pid {pid}  knows {known:?}");
                    up += usize::from(known.len() == NODES.len());
                }
            }
        }
        Ok(u8::from(up < NODES.len()))
    }

    /// `kill -9`.
    pub fn kill(&self, node: u32) -> Result<u8> {
        let process = self.node(node);
        ensure!(process.signal("KILL")?, "node {node} does not run");
        ensure!(process.await_end(STOP_MAX), "node {node} does not end");
        println!("kafka-{node} killed");
        Ok(0)
    }

    /// Starts a node that was killed, on what it left on disk.
    pub fn start(&self, node: u32) -> Result<u8> {
        self.launch(node)?;
        self.await_ready(&[node])?;
        println!("kafka-{node} started");
        Ok(0)
    }

    /// Stops its clock and its threads; its connections stay open.
    pub fn pause(&self, node: u32) -> Result<u8> {
        ensure!(self.node(node).signal("STOP")?, "node {node} does not run");
        println!("kafka-{node} paused");
        Ok(0)
    }

    /// Lets it go on.
    pub fn resume(&self, node: u32) -> Result<u8> {
        ensure!(self.node(node).signal("CONT")?, "node {node} does not run");
        println!("kafka-{node} goes on");
        Ok(0)
    }

    fn java(&self, level: &str) -> Command {
        let mut java = Command::new("java");
        // Small and quick to start: tests do not run long enough for the second compiler.
        java.args(["-Xms256m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        let logging = match self.version {
            Version::V3_9 => format!("-Dlog4j.configuration=file:{}/log4j-{level}.properties", self.home.display()),
            Version::V4 => format!("-Dlog4j2.configurationFile=file:{}/log4j2-{level}.yaml", self.home.display()),
        };
        java.arg(logging).arg("-cp").arg(format!("{}/libs/*", self.home.display()));
        java
    }

    fn write_logging(&self) -> Result<()> {
        for level in ["INFO", "ERROR"] {
            std::fs::write(
                self.home.join(format!("log4j-{level}.properties")),
                format!(
                    "log4j.rootLogger={level}, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\n\
                     log4j.appender.out.layout.ConversionPattern=%d{{ISO8601}} %p %c{{1}}: %m%n\n"
                ),
            )?;
            std::fs::write(
                self.home.join(format!("log4j2-{level}.yaml")),
                format!(
                    "Configuration:\n  status: WARN\n  Appenders:\n    Console:\n      name: out\n      target: SYSTEM_OUT\n      PatternLayout:\n        \
                     pattern: \"%d{{ISO8601}} %p %c{{1}}: %m%n\"\n  Loggers:\n    Root:\n      level: {level}\n      AppenderRef:\n        - ref: out\n"
                ),
            )?;
        }
        Ok(())
    }

    fn format(&self, node: u32) -> Result<()> {
        let data = self.home.join(format!("n{node}"));
        if data.exists() {
            std::fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        }
        let files = self.node(node);
        let _there_was_none = std::fs::remove_file(&files.log);
        std::fs::write(&files.properties, properties(node, &data.display().to_string()))?;
        let mut format = self.java("ERROR");
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).arg(&files.properties).stdout(Stdio::null());
        process::run(&mut format).context("Kafka could not format its storage")
    }

    fn launch(&self, node: u32) -> Result<()> {
        let files = self.node(node);
        ensure!(files.properties.is_file(), "there is no cluster: `cargo xtask kafka up` first");
        files.start(self.java("INFO").arg("kafka.Kafka").arg(&files.properties))
    }

    /// Until each of these nodes knows all brokers that run.
    fn await_ready(&self, nodes: &[u32]) -> Result<()> {
        let begin = Instant::now();
        for node in nodes {
            let process = self.node(*node);
            while !probe::live_brokers(broker_port(*node)).is_ok_and(|known| known.len() >= self.running().len()) {
                if process.running().is_none() {
                    bail!("node {node} ended by itself; the end of {}:\n{}", process.log.display(), tail(&process.log, 15));
                }
                ensure!(begin.elapsed() < START_MAX, "node {node} is not ready after {} s; see {}", START_MAX.as_secs(), process.log.display());
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    }
}

fn probe_is_silent(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Every setting was accepted by 3.9.1 and 4.3.1. First the durability under test, then what makes it small and quick, then how long a node may be silent:
/// longer than one that a busy machine starves, so that nobody is voted out but who was killed or paused.
fn properties(node: u32, data: &str) -> String {
    let (broker, controller, proxied) = (broker_port(node), controller_port(node), broker_port(node) + 2);
    // A relay of the conformance suite listens there: clients that come through it are told to go on through it.
    let relay = proxied + 1;
    let voters = NODES.map(|node| format!("{node}@127.0.0.1:{}", controller_port(node))).join(",");
    format!(
        "process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{broker},PROXIED://127.0.0.1:{proxied},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker},PROXIED://127.0.0.1:{relay}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
default.replication.factor=3
min.insync.replicas=2
unclean.leader.election.enable=false
auto.create.topics.enable=false
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
num.network.threads=2
num.io.threads=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
replica.fetch.backoff.ms=100
auto.leader.rebalance.enable=false
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
producer.id.expiration.check.interval.ms=1000
log.initial.task.delay.ms=1000
log.retention.check.interval.ms=2000
log.cleaner.backoff.ms=1000
log.cleaner.dedupe.buffer.size=16777216
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=6000
replica.lag.time.max.ms=6000
controller.quorum.election.timeout.ms=2000
controller.quorum.fetch.timeout.ms=4000
initial.broker.registration.timeout.ms=300000
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_differ_in_id_ports_and_folder_and_share_the_voters() {
        let (first, second) = (properties(1, "/a"), properties(2, "/b"));
        assert!(first.contains("node.id=1\n") && second.contains("node.id=2\n"));
        assert!(first.contains("PLAINTEXT://127.0.0.1:19092,") && second.contains("PLAINTEXT://127.0.0.1:22092,"));
        let voters = "controller.quorum.voters=1@127.0.0.1:19093,2@127.0.0.1:22093,3@127.0.0.1:25093\n";
        assert!(first.contains(voters) && second.contains(voters));
        assert!(first.contains("log.dirs=/a\n"));
        assert!(NODES.iter().all(|node| broker_port(*node) + 3 < 32_768), "the last is the relay's");
    }
}
