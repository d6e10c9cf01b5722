//! `cargo xtask conformance`: the log port's contract on every implementation of it. The same bodies, the same judge.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use anyhow::Result;

use super::Command;
use super::kafka::take_version;
use crate::kafka::{Cluster, NoCluster, Version, missing};
use crate::plant;
use crate::scratch::Scratch;
use crate::world::World;
use crate::{Skipped, Usage, differences, planted, process, tree};

pub const COMMAND: Command = Command {
    name: "conformance",
    uses: &[
        ("the log port's contract", "cargo xtask conformance --log embedded|sim|rdkafka|krafka [--version 3.9|4] [NAME]"),
        ("what differs from log to log, as heard in a run", "cargo xtask conformance --log embedded|sim|rdkafka|krafka [--version 3.9|4] --write"),
        ("planted brokers, each of which breaks it", "cargo xtask conformance --log sim --planted [NAME…]"),
        ("kill -9 of the log amid producers and consumers", "cargo xtask conformance --log embedded --kills N"),
        ("two builds of the exchange on one log", "cargo xtask conformance --log embedded|rdkafka|krafka --mixed [--version 3.9|4]"),
        ("20 times kill -9 of the exchange on a real Kafka", "cargo xtask conformance --log rdkafka|krafka --kills [--version 3.9|4]"),
    ],
    run,
};

fn run(arguments: &[String]) -> Result<u8> {
    if let Some(code) = planted::asked(arguments)? {
        return Ok(code);
    }
    let (version, words) = take_version(arguments)?;
    let mut words = words.iter().map(String::as_str);
    let (mut log, mut only, mut kills, mut write, mut mixed) = (None, None, false, false, false);
    while let Some(word) = words.next() {
        match word.strip_prefix("--log") {
            None if word == "--kills" => kills = true,
            None if word == "--write" => write = true,
            None if word == "--mixed" => mixed = true,
            Some("") => log = words.next(),
            Some(value) if value.starts_with('=') => log = Some(&value[1..]),
            None if only.is_none() && !word.starts_with('-') => only = Some(word),
            _ => return Err(Usage(format!("unexpected argument `{word}`")).into()),
        }
    }
    match log {
        Some("embedded") if kills => {
            let count = only.filter(|count| count.parse::<u32>().is_ok()).ok_or_else(|| Usage("--kills N: a number".to_owned()))?;
            contract(process::cargo(), &[], &["--kills", count], None)
        }
        Some("embedded") if mixed => mixed_builds(),
        Some("sim") if kills || mixed => Err(Usage("--kills and --mixed are not for sim: they kill processes".to_owned()).into()),
        Some("embedded") => native(process::cargo(), &[], only, "20", write.then_some("embedded")),
        Some("sim") => native(World::Madsim.cargo(), &["--profile", "simulation"], only, "7", write.then_some("sim")),
        Some(client @ ("rdkafka" | "krafka")) => match lacks_kafka(client) {
            None if kills => exchange_on_kafka(client, version, "twenty_kills_on_kafka", None),
            None if mixed => exchange_on_kafka(client, version, "two_builds_on_kafka", Some(&next_build(&["--features", client])?)),
            None => kafka(client, version, only, write),
            Some(what) => skipped(&what),
        },
        other => Err(Usage(format!("--log is embedded, sim, rdkafka or krafka, not `{}`", other.unwrap_or_default())).into()),
    }
}

fn skipped(what: &str) -> Result<u8> {
    println!("conformance: skipped: {what}");
    Ok(0)
}

/// Our own broker, in the build that this cargo makes.
/// `rounds` of faults fly over the workload; of a simulated one under each of three seeds.
fn native(mut cargo: std::process::Command, profile: &[&str], only: Option<&str>, rounds: &str, record: Option<&str>) -> Result<u8> {
    cargo.env("LOCKSTEP_ROUNDS", rounds);
    contract(cargo, profile, &named(only), record)
}

/// A name that must be a contract's, in words of the suite.
fn named(only: Option<&str>) -> Vec<&str> {
    only.map_or(Vec::new(), |name| vec!["--contract", name])
}

fn contract(mut cargo: std::process::Command, profile: &[&str], words: &[&str], record: Option<&str>) -> Result<u8> {
    cargo.current_dir(tree::root()).args(["test", "--quiet", "--package", "lockstep-sim", "--test", "log_conformance"]).args(profile);
    judge(cargo.arg("--").args(words), record)
}

/// Runs a contract; keeps what the log answered as the record of this name.
fn judge(test: &mut std::process::Command, record: Option<&str>) -> Result<u8> {
    let Some(name) = record else { return process::code(test) };
    let (code, said) = process::heard(test.env("LOCKSTEP_RECORDING", name))?;
    if code == 0 {
        differences::write(name, &said)?;
    }
    Ok(code)
}

/// The exchange that a patch makes of this tree.
fn next_build(features: &[&str]) -> Result<PathBuf> {
    let root = tree::root();
    let scratch = Scratch::of(&root);
    scratch.plant(&root.join(plant::NEXT_BUILD))?;
    let mut build = process::cargo();
    build.current_dir(&scratch.tree).args(["build", "--quiet", "--package", "lockstep-exchange"]).args(features).arg("--target-dir").arg(&scratch.target);
    process::run(&mut build)?;
    Ok(scratch.target.join("debug/exchange"))
}

/// This tree's exchange and the next one on one embedded log.
pub fn mixed_builds() -> Result<u8> {
    let next = next_build(&[])?;
    let mut test = process::cargo();
    test.current_dir(tree::root()).args(["test", "--quiet", "--package", "lockstep-exchange", "--test", "end_to_end", "--", "two_builds"]);
    process::code(test.env("LOCKSTEP_NEXT_BUILD", next))
}

/// One of the exchange's own tests. The exchange keeps its topics' names: it needs a cluster with nothing on it.
fn exchange_on_kafka(client: &str, version: Version, only: &str, next: Option<&Path>) -> Result<u8> {
    let test = || {
        let mut cargo = process::cargo();
        let what = ["--package", "lockstep-exchange", "--features", client, "--test", "end_to_end"];
        cargo.current_dir(tree::root()).args(["test", "--quiet"]).args(what);
        cargo
    };
    process::run(test().arg("--no-run"))?;
    let mut test = test();
    test.args(["--", "--nocapture", only]).env("LOCKSTEP_KAFKA_BROKERS", Cluster::bootstrap()).env("LOCKSTEP_KAFKA_CLIENT", client);
    if let Some(next) = next {
        test.env("LOCKSTEP_NEXT_BUILD", next);
    }
    Cluster::at(version).during(|| process::code(&mut test))
}

fn finds(program: &str) -> bool {
    Process::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// What this machine lacks to build librdkafka, if anything, and what would help.
pub fn lacks_build() -> Option<String> {
    (!finds("make")).then(|| "no make, which builds librdkafka; on Debian and Ubuntu: apt-get install make".to_owned())
}

/// Of three nodes, each with a heap of 320 MB, and of a build's test.
const MEMORY_KIB: u64 = 3 << 20;

/// What it lacks for a run that must not fail for want of anything.
pub fn lacks_room() -> Option<String> {
    let known = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = known.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let short = free.filter(|free_kib| *free_kib < MEMORY_KIB);
    lacks_kafka("rdkafka")
        .or_else(|| short.map(|free_kib| format!("{} MiB of memory are free, a Kafka of three nodes wants {}", free_kib >> 10, MEMORY_KIB >> 10)))
}

/// What it lacks to run the contract on Apache Kafka.
fn lacks_kafka(client: &str) -> Option<String> {
    let library = if client == "rdkafka" { lacks_build() } else { None };
    library.or_else(|| missing().map(str::to_owned))
}

/// Rounds of faults over the workload: twenty of each kind.
const ROUNDS: &str = "20";

/// Apache Kafka through `client`, which is the name of a feature as well. A cluster that ran before is left running; one started here is stopped, whatever
/// came out. `LOCKSTEP_ROUNDS` rounds of faults, else all.
fn kafka(client: &str, version: Version, only: Option<&str>, write: bool) -> Result<u8> {
    let cluster = Cluster::at(version);
    let ran = cluster.is_running();
    // Built before the cluster is started: both at once are slow.
    process::run(contract_of(client).arg("--no-run"))?;
    let rounds = std::env::var("LOCKSTEP_ROUNDS").unwrap_or_else(|_| ROUNDS.to_owned());
    let record = format!("{client}-{}", version.full());
    let contract = || {
        let mut test = contract_of(client);
        if finds("gdb") {
            test.args(["--config", UNDER_GDB]);
        }
        test.env("LOCKSTEP_ROUNDS", &rounds).arg("--").args(named(only));
        on_cluster(test, client, version, |test| judge(test, write.then_some(&record)))
    };
    if !ran {
        return cluster.during(contract);
    }
    cluster.up()?;
    contract()
}

/// The contract on the elder Kafka through librdkafka, with one round of faults. A machine that gives no cluster (no jars, a port that is taken, nodes that
/// do not come up) is [`Skipped`]; whatever goes wrong afterwards is the cluster's word or ours.
pub fn shortly() -> Result<u8> {
    let (client, version) = ("rdkafka", Version::V3_9);
    process::run(contract_of(client).arg("--no-run"))?;
    let mut briefly = contract_of(client);
    briefly.env("LOCKSTEP_ROUNDS", "1");
    match Cluster::at(version).during(|| on_cluster(briefly, client, version, process::code)) {
        Err(error) if error.is::<NoCluster>() => {
            let why = format!("{error:#}");
            Err(Skipped(why.lines().next().unwrap_or_default().to_owned()).into())
        }
        result => result,
    }
}

fn contract_of(client: &str) -> Process {
    let mut cargo = process::cargo();
    let what = ["--package", "lockstep-adapters", "--features", client, "--test", "conformance"];
    cargo.current_dir(tree::root()).args(["test", "--quiet"]).args(what);
    cargo
}

/// On the cluster of this version, which runs. The test ends with this process: it would kill and start nodes for nobody.
fn on_cluster(mut cargo: Process, client: &str, version: Version, run: impl FnOnce(&mut Process) -> Result<u8>) -> Result<u8> {
    let control = format!("{} kafka --version {}", std::env::current_exe()?.display(), version.name());
    let (its_end, ours) = std::io::pipe()?;
    cargo.stdin(its_end).env("LOCKSTEP_ENDS_WITH_STDIN", "yes").env("LOCKSTEP_KAFKA", version.full());
    let code = run(cargo.env("LOCKSTEP_KAFKA_CONTROL", control).env("LOCKSTEP_KAFKA_CLIENT", client));
    drop(ours);
    code
}

/// librdkafka is C: where there is a gdb, a crash of it is told with the stacks of all threads. (Rust ignores the signal of a closed pipe.)
const UNDER_GDB: &str = r#"target.'cfg(all())'.runner = ["gdb", "-nx", "-batch", "-return-child-result", "-iex", "set debuginfod enabled off",
    "-ex", "handle SIGPIPE nostop noprint pass", "-ex", "set print thread-events off", "-ex", "run", "-ex", "thread apply all backtrace", "--args"]"#;
