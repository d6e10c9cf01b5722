//! A real Apache Kafka: plain jars fetched by Maven, three KRaft nodes (each broker and controller) on loopback, all below `target/kafka/<version>/`.

mod cluster;
mod jars;
mod probe;
mod process;
mod watchdog;

pub use cluster::Cluster;
pub use watchdog::watch;

use std::process::{Command, Stdio};

/// Which Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The last of the 3.x: transactions without KIP-890.
    V3_9,
    /// The 4.x: KIP-890 on, for clients that speak it.
    V4,
}

impl Version {
    /// Accepts what `--version` takes.
    pub fn parse(name: &str) -> Option<Version> {
        match name {
            "3.9" => Some(Version::V3_9),
            "4" => Some(Version::V4),
            _ => None,
        }
    }

    /// What `--version` takes.
    pub fn name(self) -> &'static str {
        match self {
            Version::V3_9 => "3.9",
            Version::V4 => "4",
        }
    }

    /// The version of the jars.
    pub fn full(self) -> &'static str {
        match self {
            Version::V3_9 => "3.9.1",
            Version::V4 => "4.3.1",
        }
    }
}

/// Said of an error: there was no cluster to do anything with.
#[derive(Debug)]
pub struct NoCluster;

impl std::fmt::Display for NoCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no Kafka came up here")
    }
}

/// What this machine lacks for a Kafka, if anything, and what would help.
pub fn missing() -> Option<&'static str> {
    let runs = |program: &str, argument: &str| {
        let status = Command::new(program).arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !runs("java", "-version") {
        return Some("no Java; on Debian and Ubuntu: apt-get install default-jre-headless");
    }
    if !runs("mvn", "-version") {
        return Some("no Maven; on Debian and Ubuntu: apt-get install maven");
    }
    None
}
