//! `cargo xtask kafka`: a real Apache Kafka for tests, three nodes on this machine.

use anyhow::Result;

use super::Command;
use super::conformance::lacks_build;
use crate::kafka::{Cluster, Version, missing, watch};
use crate::{Usage, process, tree};

pub const COMMAND: Command = Command {
    name: "kafka",
    uses: &[
        ("a real three-node Kafka for tests", "cargo xtask kafka up|down|status [--version 3.9|4]"),
        ("the embedded log beside it, measured in turns", "cargo xtask kafka measure [--version 3.9|4] [-- SETTINGS OF `exchange measure`]"),
        ("a fault on one of its nodes", "cargo xtask kafka kill|start|pause|resume NODE [--version 3.9|4]"),
    ],
    run,
};

fn run(arguments: &[String]) -> Result<u8> {
    let (version, words) = take_version(arguments)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(what) = missing() {
        println!("kafka: skipped: {what}");
        return Ok(0);
    }
    let cluster = Cluster::at(version);
    match words[..] {
        ["measure"] => measure(&cluster, &[]),
        ["measure", "--", ref settings @ ..] => measure(&cluster, settings),
        ["up"] => cluster.up(),
        ["down"] => cluster.down(),
        ["status"] => cluster.status(),
        // For a run that brings up its own; nothing that a person calls.
        ["watch"] => watch(&cluster),
        ["kill", node] => cluster.kill(node_of(node)?),
        ["start", node] => cluster.start(node_of(node)?),
        ["pause", node] => cluster.pause(node_of(node)?),
        ["resume", node] => cluster.resume(node_of(node)?),
        _ => Err(Usage(format!("cannot read `{}`", words.join(" "))).into()),
    }
}

/// Of a release build, on a cluster of its own.
fn measure(cluster: &Cluster, settings: &[&str]) -> Result<u8> {
    if let Some(what) = lacks_build() {
        println!("kafka: skipped: {what}");
        return Ok(0);
    }
    let exchange = || {
        let mut cargo = process::cargo();
        cargo.current_dir(tree::root());
        cargo
    };
    let client = if settings.iter().any(|word| word.ends_with("krafka")) { "krafka" } else { "rdkafka" };
    let what = ["--quiet", "--release", "--package", "lockstep-exchange", "--features", client];
    process::run(exchange().arg("build").args(what))?;
    let mut run = exchange();
    run.arg("run").args(what).args(["--", "measure", "--kafka", &Cluster::bootstrap()]).args(settings);
    cluster.during(|| process::code(&mut run))
}

fn node_of(word: &str) -> Result<u32> {
    word.parse().ok().filter(|node| (1..=3).contains(node)).ok_or_else(|| Usage(format!("NODE is 1, 2 or 3, not `{word}`")).into())
}

/// `--version` with its value; all else in order.
pub fn take_version(arguments: &[String]) -> Result<(Version, Vec<String>)> {
    let (mut version, mut rest) = (Version::V3_9, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let name = match word.strip_prefix("--version") {
            Some("") => words.next().map(String::as_str).unwrap_or_default(),
            Some(value) if value.starts_with('=') => &value[1..],
            _ => {
                rest.push(word.clone());
                continue;
            }
        };
        version = Version::parse(name).ok_or_else(|| Usage(format!("--version is 3.9 or 4, not `{name}`")))?;
    }
    Ok((version, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_version_is_taken_out_and_3_9_without_one() {
        assert_eq!(take_version(&words("up")).unwrap(), (Version::V3_9, words("up")));
        assert_eq!(take_version(&words("kill 2 --version 4")).unwrap(), (Version::V4, words("kill 2")));
        assert_eq!(take_version(&words("--version=3.9 down")).unwrap(), (Version::V3_9, words("down")));
        assert!(take_version(&words("up --version 2")).unwrap_err().is::<Usage>());
    }

    #[test]
    fn a_node_that_is_none_is_a_usage_error() {
        assert_eq!(node_of("3").unwrap(), 3);
        for word in ["0", "4", "x"] {
            assert!(node_of(word).unwrap_err().is::<Usage>(), "{word}");
        }
    }
}
