//! `sim`: the composition root of simulation. One seed, many, or the proof that a seed is a seed.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // worker processes, wall time, files of plans and runs: the world outside of a run

mod cli;

use clap::Parser;
use cli::args;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Sim::parse();
    if sim::world::NAME.is_empty() {
        eprintln!("this build has no simulated world: run cargo xtask sim");
        return ExitCode::from(sim::report::exit::USAGE);
    }
    ExitCode::from(match args.command {
        None => cli::one::run(&args.one),
        Some(args::Command::Sweep(sweep)) => cli::sweep::run(&sweep),
        Some(args::Command::Meta { scenario, seed, self_test }) => cli::meta::run(scenario.as_deref(), seed, self_test),
        Some(args::Command::Keep { seed, scenario }) => cli::keep::run(seed, scenario.as_deref()),
        Some(args::Command::List) => cli::list::run(),
        Some(args::Command::Worker) => cli::worker::run(),
        Some(args::Command::Trace { scenario, seed, after, planted }) => cli::meta::trace(&scenario, seed, after, planted),
    })
}
