//! `cargo xtask test`: every test of the workspace in the ordinary build, then those of the simulated parts under madsim.

use anyhow::Result;

use super::Command;
use crate::world::World;
use crate::{no_arguments, process, tree};

pub const COMMAND: Command = Command { name: "test", uses: &[("every test, ordinary and simulated", "cargo xtask test")], run };

fn run(arguments: &[String]) -> Result<u8> {
    no_arguments(arguments)?;
    ordinary()?;
    simulated()?;
    Ok(0)
}

/// Invariants, history, plans, shrinking, books, the broker, and the exchange on real sockets and a real disk; doctests too.
pub fn ordinary() -> Result<()> {
    process::run(process::cargo().current_dir(tree::root()).args(["test", "--quiet", "--workspace"]))
}

/// What needs nodes, a network that can be cut and a disk that can lose power.
pub fn simulated() -> Result<()> {
    let packages = ["--package", "lockstep-sim", "--package", "lockstep-faults", "--package", "lockstep-scenarios"];
    process::run(World::Madsim.cargo().current_dir(tree::root()).args(["test", "--quiet", "--profile", "simulation"]).args(packages))
}
