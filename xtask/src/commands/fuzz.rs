//! `cargo xtask fuzz`: bytes that nobody would write, for whatever reads bytes (`engine/fuzz`). Needs no other toolchain than the workspace's.

use anyhow::{Context, Result};

use super::Command;
use crate::world::executable;
use crate::{process, tree};

pub const COMMAND: Command =
    Command { name: "fuzz", uses: &[("bytes that nobody would write, for every reader", "cargo xtask fuzz [TARGET] [--time 10m] [--seed N] [--keep]")], run };

/// Optimised, with every assertion on, and unwinding: what the simulator runs.
fn run(arguments: &[String]) -> Result<u8> {
    search("simulation", arguments)
}

/// A look at every target, in the build that the tests have made.
pub fn short() -> Result<()> {
    let code = search("dev", &["--time".to_owned(), "20s".to_owned()])?;
    anyhow::ensure!(code == 0, "a reader broke; the input stands above");
    Ok(())
}

fn search(profile: &str, arguments: &[String]) -> Result<u8> {
    let mut cargo = process::cargo();
    cargo.current_dir(tree::root()).args(["build", "--quiet", "--profile", profile, "--package", "lockstep-fuzz", "--bin", "fuzz"]);
    let messages = process::output(cargo.arg("--message-format=json-render-diagnostics"))?;
    let fuzz = executable(&messages, "fuzz").context("cargo built `fuzz` but did not say where it lies")?;
    process::code(std::process::Command::new(fuzz).args(arguments))
}
