//! `cargo xtask bench`: builds the bench and runs it; everything is its own command line. `instructions` and `latency` are the gates that CI runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Command;
use crate::scratch::Scratch;
use crate::world::{World, executable, sim_command};
use crate::{Usage, instructions, latency, plant, process, tree};

pub const COMMAND: Command = Command {
    name: "bench",
    uses: &[
        ("what it costs: goal, measured, verdict", "cargo xtask bench [CASE] [--quick] [--compare FILE]"),
        ("instructions against the baseline, as CI counts", "cargo xtask bench instructions [--update | --planted]"),
        ("order to ack in simulated time, likewise", "cargo xtask bench latency [--update | --planted]"),
    ],
    run,
};

fn run(arguments: &[String]) -> Result<u8> {
    let root = tree::root();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["instructions"] => Ok(u8::from(!instructions::gate(&root, None)?)),
        ["instructions", "--planted"] => planted(&root, "instructions", instructions::gate),
        ["instructions", "--update"] => instructions::update(&root).map(|()| 0),
        ["latency"] => Ok(u8::from(!latency::gate(&root, None)?)),
        ["latency", "--planted"] => planted(&root, "latency", latency::gate),
        ["latency", "--update"] => latency::update(&root).map(|()| 0),
        ["instructions" | "latency", word, ..] => Err(Usage(format!("unexpected argument `{word}`")).into()),
        _ => measure(&root, arguments),
    }
}

/// The alarm of a gate rings: in a scratch copy of the tree with a slow-down planted, it must fail.
fn planted(root: &Path, name: &str, gate: fn(&Path, Option<&Path>) -> Result<bool>) -> Result<u8> {
    let scratch = Scratch::of(root);
    scratch.plant(&root.join(plant::OF_GATES).join(format!("{name}.patch")))?;
    let passes = gate(&scratch.tree, Some(&scratch.target))?;
    println!("{name}: the planted slow-down was {}", if passes { "NOT CAUGHT" } else { "caught" });
    Ok(u8::from(passes))
}

fn measure(root: &Path, arguments: &[String]) -> Result<u8> {
    let mut cargo = process::cargo();
    cargo.current_dir(root).args(["build", "--release", "--package", "lockstep-bench", "--features", "full", "--bench", "lockstep"]);
    let messages = process::output(cargo.arg("--message-format=json-render-diagnostics"))?;
    let bench = executable(&messages, "lockstep").context("cargo built the bench but did not say where it lies")?;
    let mut command = sim_command(&bench, root)?;
    let asked = |case: &str| arguments.iter().all(|word| word.starts_with('-')) || arguments.iter().any(|word| word == case);
    if asked("sim") {
        command.env("LOCKSTEP_SIM", World::Madsim.build_sim(root, None)?);
    }
    if asked("e2e") || asked("gateway") {
        command.env("LOCKSTEP_EXCHANGE", build_exchange(root)?);
    }
    process::exec(command.args(arguments))
}

fn build_exchange(root: &Path) -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.current_dir(root).args(["build", "--release", "--package", "lockstep-exchange", "--bin", "exchange", "--message-format=json-render-diagnostics"]);
    executable(&process::output(&mut cargo)?, "exchange").context("cargo built `exchange` but did not say where it lies")
}
