//! `exchange`: the composition root of production. Settings come from the command line or the environment; everything else is a library's.
//!
//! Exit codes: 0 stopped as asked, 1 an error that a person must look at, 2 usage.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // production: real clocks, threads and files

mod history;
mod listing;
mod supervisor;
mod up;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// An exchange that can be crashed on purpose.
#[derive(Debug, Parser)]
#[command(name = "exchange", version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole exchange in one process: embedded log (synced before it acknowledges), every service, SQLite.
    Up(up::UpArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the operating system gives threads");
    let outcome = runtime.block_on(async {
        match args.command {
            Command::Up(args) => up::run(args).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("exchange: {error:#}");
            ExitCode::from(1)
        }
    }
}
