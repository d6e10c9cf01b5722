//! `cargo xtask fix`: formats, and applies what clippy can mend by itself. With `sim keep` the only command that writes sources.

use anyhow::Result;

use super::Command;
use crate::{no_arguments, process, tree};

pub const COMMAND: Command = Command { name: "fix", uses: &[("format, and apply the lints' own fixes", "cargo xtask fix")], run };

fn run(arguments: &[String]) -> Result<u8> {
    no_arguments(arguments)?;
    let root = tree::root();
    process::run(process::cargo().current_dir(&root).args(["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace", "--all-targets"]))?;
    process::run(process::cargo().current_dir(&root).args(["fmt", "--all"]))?;
    Ok(0)
}
