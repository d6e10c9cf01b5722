//! `cargo xtask up`: the exchange for real, with embedded log and database.

use anyhow::Result;

use super::Command;
use crate::{process, tree};

pub const COMMAND: Command = Command { name: "up", uses: &[("the exchange for real: embedded log and database", "cargo xtask up [--help]")], run };

/// Release build: the figures that people see are those of what they would deploy.
fn run(arguments: &[String]) -> Result<u8> {
    let mut cargo = process::cargo();
    cargo.current_dir(tree::root()).args(["run", "--quiet", "--release", "--package", "lockstep-exchange", "--bin", "exchange"]);
    // A client of Kafka is compiled for those who ask for it only.
    if arguments.iter().any(|word| word == "--kafka" || word.starts_with("--kafka=")) {
        let krafka = arguments.iter().any(|word| word == "krafka" || word == "--client=krafka");
        cargo.args(["--features", if krafka { "krafka" } else { "rdkafka" }]);
    }
    process::exec(cargo.args(["--", "up"]).args(arguments))
}
