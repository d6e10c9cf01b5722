//! `cargo xtask miri`: the stages, the books and the slots under the interpreter that knows what is undefined, where the toolchain has it.

use std::process::{Command as Process, Stdio};

use anyhow::Result;

use super::Command;
use crate::{no_arguments, process, tree};

pub const COMMAND: Command = Command { name: "miri", uses: &[("our unsafe code, interpreted", "cargo xtask miri")], run };

/// Tests that are small enough to be interpreted, of every crate whose `unsafe` or threads are ours.
const TESTS: &[&[&str]] = &[
    &["--package", "lockstep-ring", "--test", "ring", "--test", "line"],
    &["--package", "lockstep-book", "--lib"],
    &["--package", "lockstep-wire", "--test", "slot"],
];

fn run(arguments: &[String]) -> Result<u8> {
    no_arguments(arguments)?;
    let Some(toolchain) = ["", "+nightly"].into_iter().find(|toolchain| has_miri(toolchain)) else {
        println!("skipped: no toolchain here has Miri (rustup toolchain install nightly --component miri)");
        return Ok(0);
    };
    for tests in TESTS {
        // Proptest asks for its folder, and a few cases are all there is time for.
        let mut cargo = cargo(toolchain);
        cargo.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "4");
        process::run(cargo.args(["miri", "test", "--quiet"]).args(*tests))?;
    }
    Ok(0)
}

/// By the name alone, so that rustup may choose another toolchain than the one that runs us.
fn cargo(toolchain: &str) -> Process {
    let mut cargo = Process::new("cargo");
    cargo
        .current_dir(tree::root())
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .env_remove("CARGO")
        .args(Some(toolchain).filter(|word| !word.is_empty()));
    cargo
}

fn has_miri(toolchain: &str) -> bool {
    let status = cargo(toolchain).args(["miri", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
