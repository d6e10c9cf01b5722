//! One tool for everything: `cargo xtask` alone is the manual, one command per file in `commands/`, one rule of `tidy` per file in `rules/`.
//!
//! **Architecture invariants.** `xtask` depends on no crate of the workspace, so that it builds in seconds and can judge a tree that does not compile.
//! Checks never write sources; only `fix`, `sim keep`, `fuzz --keep`, `bench instructions --update` and `conformance --write` do. Exit codes: 0 pass, 1 a check failed, 2 usage; `sim` hands its own code on unchanged.

// A tool of the desk: it lives in real time, on real files.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod commands;
mod differences;
mod gate;
mod instructions;
mod kafka;
mod latency;
mod plant;
mod planted;
mod process;
mod rules;
mod scratch;
mod tree;
mod world;

use std::process::ExitCode;

use commands::Command;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, arguments)) = words.split_first() else {
        print!("{}", manual());
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", manual());
        return ExitCode::SUCCESS;
    }
    let Some(command) = commands::all().iter().find(|command| command.name == name) else {
        eprintln!("error: no command `{name}`; `cargo xtask` lists them");
        return ExitCode::from(2);
    };
    match (command.run)(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is::<Usage>() && arguments.iter().any(|word| matches!(word.as_str(), "-h" | "--help")) => {
            print!("{}", entry(command));
            ExitCode::SUCCESS
        }
        Err(error) if error.is::<Usage>() => {
            eprintln!("error: {error}");
            for (_, line) in command.uses {
                eprintln!("usage: {line}");
            }
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The command line itself was wrong: exit code 2, and the usage line of the command.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// This machine cannot do it, for the reason given; nothing was found wrong.
#[derive(Debug)]
struct Skipped(String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "skipped: {}", self.0)
    }
}

impl std::error::Error for Skipped {}

/// For commands that take nothing: anything given is a mistake that must be told.
fn no_arguments(arguments: &[String]) -> anyhow::Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(word) => Err(Usage(format!("unexpected argument `{word}`")).into()),
    }
}

fn manual() -> String {
    let lines: String = commands::all().iter().map(entry).collect();
    format!(
        "cargo xtask <command>

{lines}
Checks never write sources; only `fix`, `sim keep`, `fuzz --keep`, `bench instructions --update` and `conformance --write` do.
Exit codes: 0 pass, 2 usage, 10 correctness, 11 liveness, 12 crash, 13 nondeterminism; 1 for any other check that failed.

New here?  cargo xtask sim --seed 42            one seed: a real exchange under broker crashes, rebalances and cuts
           cargo xtask plants                   watch planted bugs being caught
"
    )
}

/// A command's lines in the manual: its name stands on the first.
fn entry(command: &Command) -> String {
    let names = std::iter::once(command.name).chain(std::iter::repeat(""));
    names.zip(command.uses).map(|(name, (about, line))| format!("  {name:<11} {about:<50} {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    /// The manual is drawn from the list, so a command that exists is in it, on one line of its own.
    #[test]
    fn the_manual_names_every_command_once() {
        let manual = super::manual();
        for command in super::commands::all() {
            let lines = manual.lines().filter(|line| line.starts_with(&format!("  {} ", command.name))).count();
            assert_eq!(lines, 1, "{}", command.name);
        }
    }

    #[test]
    fn an_unexpected_argument_is_a_usage_error_that_names_it() {
        let error = super::no_arguments(&["--fast".into()]).expect_err("takes nothing");
        assert!(error.is::<super::Usage>());
        assert!(error.to_string().contains("--fast"));
    }
}
