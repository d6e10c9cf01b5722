//! `cargo xtask bench`: builds the bench and runs it. Everything is its own command line.

use anyhow::{Context, Result};

use super::Command;
use crate::world::{executable, sim_command};
use crate::{process, tree};

pub const COMMAND: Command =
    Command { name: "bench", uses: &[("what it costs: goal, measured, verdict", "cargo xtask bench [CASE] [--quick] [--compare FILE]")], run };

fn run(arguments: &[String]) -> Result<u8> {
    let root = tree::root();
    let mut cargo = process::cargo();
    cargo.current_dir(&root).args(["build", "--release", "--package", "lockstep-bench", "--bench", "lockstep"]);
    let messages = process::output(cargo.arg("--message-format=json-render-diagnostics"))?;
    let bench = executable(&messages, "lockstep").context("cargo built the bench but did not say where it lies")?;
    process::exec(sim_command(&bench, &root)?.args(arguments))
}
