//! `cargo xtask loom`: our own lock-free code under the model checker, which tries every order in which its threads can meet.

use anyhow::Result;

use super::Command;
use crate::{no_arguments, process, tree};

pub const COMMAND: Command = Command { name: "loom", uses: &[("our lock-free code, every order of two threads", "cargo xtask loom")], run };

fn run(arguments: &[String]) -> Result<u8> {
    no_arguments(arguments)?;
    check()?;
    Ok(0)
}

/// The atomics of `engine/ring` are the model checker's in this build.
pub fn check() -> Result<()> {
    let mut cargo = process::cargo();
    cargo.current_dir(tree::root()).env("CARGO_ENCODED_RUSTFLAGS", "--cfg\x1floom");
    process::run(cargo.args(["test", "--quiet", "--release", "--package", "lockstep-ring", "--test", "loom"]))
}
