//! `cargo xtask conformance`: the log port's contract on every implementation of it. The same bodies, the same judge.

use std::process::{Command as Process, Stdio};

use anyhow::Result;

use super::Command;
use super::kafka::take_version;
use crate::kafka::{Cluster, Version, missing};
use crate::world::World;
use crate::{Usage, process, tree};

pub const COMMAND: Command = Command {
    name: "conformance",
    uses: &[
        ("the log port's contract", "cargo xtask conformance --log embedded|sim|rdkafka|krafka [--version 3.9|4] [NAME]"),
        ("kill -9 of the log amid producers and consumers", "cargo xtask conformance --log embedded --kills N"),
        ("20 times kill -9 of the exchange on a real Kafka", "cargo xtask conformance --log rdkafka --kills [--version 3.9|4]"),
    ],
    run,
};

fn run(arguments: &[String]) -> Result<u8> {
    let (version, words) = take_version(arguments)?;
    let mut words = words.iter().map(String::as_str);
    let (mut log, mut only, mut kills) = (None, None, false);
    while let Some(word) = words.next() {
        match word.strip_prefix("--log") {
            None if word == "--kills" => kills = true,
            Some("") => log = words.next(),
            Some(value) if value.starts_with('=') => log = Some(&value[1..]),
            None if only.is_none() && !word.starts_with('-') => only = Some(word),
            _ => return Err(Usage(format!("unexpected argument `{word}`")).into()),
        }
    }
    match log {
        Some("embedded") if kills => {
            let count = only.filter(|count| count.parse::<u32>().is_ok()).ok_or_else(|| Usage("--kills N: a number".to_owned()))?;
            contract(process::cargo(), &[], &["--kills", count])
        }
        Some("sim" | "krafka") if kills => Err(Usage("--kills is for embedded and rdkafka: a process is killed".to_owned()).into()),
        Some("embedded") => native(process::cargo(), &[], only, "20"),
        Some("sim") => native(World::Madsim.cargo(), &["--profile", "simulation"], only, "7"),
        Some("rdkafka") => match lacks_kafka() {
            None if kills => kills_on_kafka(version),
            None => kafka("rdkafka", version, only, &[]),
            Some(what) => skipped(&what),
        },
        Some("krafka") => match missing() {
            None => kafka("krafka", version, only, &[]),
            Some(what) => skipped(what),
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
fn native(mut cargo: std::process::Command, profile: &[&str], only: Option<&str>, rounds: &str) -> Result<u8> {
    cargo.env("LOCKSTEP_ROUNDS", rounds);
    contract(cargo, profile, &only.into_iter().collect::<Vec<_>>())
}

fn contract(mut cargo: std::process::Command, profile: &[&str], words: &[&str]) -> Result<u8> {
    cargo.current_dir(tree::root()).args(["test", "--quiet", "--package", "lockstep-sim", "--test", "log_conformance"]).args(profile);
    process::code(cargo.arg("--").args(words))
}

/// The exchange keeps its topics' names: it needs a cluster with nothing on it.
fn kills_on_kafka(version: Version) -> Result<u8> {
    let test = || {
        let mut cargo = process::cargo();
        let what = ["--package", "lockstep-exchange", "--features", "rdkafka", "--test", "end_to_end"];
        cargo.current_dir(tree::root()).args(["test", "--quiet"]).args(what);
        cargo
    };
    process::run(test().arg("--no-run"))?;
    let cluster = Cluster::at(version);
    cluster.down()?;
    cluster.up()?;
    let code = process::code(test().args(["--", "--nocapture", "on_kafka"]).env("LOCKSTEP_KAFKA_BROKERS", Cluster::bootstrap()));
    cluster.down()?;
    code
}

/// What this machine lacks to build librdkafka, if anything, and what would help.
pub fn lacks_build() -> Option<String> {
    let finds = |program: &str| Process::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    (!finds("make")).then(|| "no make, which builds librdkafka; on Debian and Ubuntu: apt-get install make".to_owned())
}

/// What it lacks to run the contract on Apache Kafka.
pub fn lacks_kafka() -> Option<String> {
    lacks_build().or_else(|| missing().map(str::to_owned))
}

/// Apache Kafka through `client`, which is the name of a feature as well. A cluster that ran before is left running; one started here is stopped, whatever
/// came out.
fn kafka(client: &str, version: Version, only: Option<&str>, settings: &[(&str, &str)]) -> Result<u8> {
    let test = || {
        let mut cargo = process::cargo();
        let what = ["--package", "lockstep-adapters", "--features", client, "--test", "conformance"];
        cargo.current_dir(tree::root()).args(["test", "--quiet"]).args(what);
        cargo
    };
    let cluster = Cluster::at(version);
    let ran = cluster.is_running();
    // Built before the cluster is started: both at once are slow.
    process::run(test().arg("--no-run"))?;
    cluster.up()?;
    let control = format!("{} kafka --version {}", std::env::current_exe()?.display(), version.name());
    let told = [("LOCKSTEP_KAFKA", version.full()), ("LOCKSTEP_KAFKA_CONTROL", &control), ("LOCKSTEP_KAFKA_CLIENT", client)];
    let code = process::code(test().arg("--").args(only).envs(settings.iter().copied()).envs(told));
    if !ran {
        cluster.down()?;
    }
    code
}
