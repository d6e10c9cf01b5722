//! `exchange`: the composition root of production. Settings come from the command line or the environment; everything else is a library's.
//!
//! Exit codes: 0 stopped as asked, 1 an error that a person must look at, 2 usage.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // production: real clocks, threads and files

mod composition;
mod deposit;
mod descriptors;
mod flow;
mod history;
mod inspect;
mod kafka;
mod listing;
mod log_alone;
mod measure;
mod soundness;
mod supervisor;
mod terminal;
mod up;
mod usage;

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
    /// Credit an account of a running exchange, once per account and id.
    Deposit(deposit::DepositArgs),
    /// Show what the log of an exchange that does not run holds, batch by batch, and check every checksum.
    Dump(inspect::dump::DumpArgs),
    /// Play recorded order flow (LOBSTER, ITCH) against a running exchange, and print what became of it.
    Flow(flow::FlowArgs),
    /// Show the consumer groups of a running exchange: members, committed positions, lag.
    Groups(inspect::LogAt),
    /// Run the embedded log alone, for clients in other processes.
    Log(log_alone::LogAloneArgs),
    /// Measure what the embedded log gives on this machine, beside the disk's own sync.
    Measure(measure::MeasureArgs),
    /// Show the newest records of a topic of a running exchange.
    Tail(inspect::tail::TailArgs),
    /// Show the topics of a running exchange.
    Topics(inspect::LogAt),
    /// Run the whole exchange in one process: embedded log (synced before it acknowledges), every service, SQLite.
    Up(up::UpArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut runtime = match &args.command {
        // An order goes from task to task some thirty times. On one thread that takes two thirds of the time and of the processor that it takes where each
        // step may wake another; at saturation both do the same (2 cores; 1, 16 and 64 connections).
        Command::Up(args) if args.kafka.is_none() => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build().expect("the operating system gives threads");
    let outcome = runtime.block_on(async {
        match args.command {
            Command::Deposit(args) => deposit::run(args).await,
            Command::Dump(args) => inspect::dump::run(&args),
            Command::Flow(args) => flow::run(args).await,
            Command::Groups(at) => inspect::groups::run(&at).await,
            Command::Log(args) => log_alone::run(args).await,
            Command::Measure(args) => measure::run(args).await,
            Command::Tail(args) => inspect::tail::run(args).await,
            Command::Topics(at) => inspect::topics::run(&at).await,
            Command::Up(args) => up::run(args).await,
        }
    });
    // A driver's call that blocks its thread may not return: it does not keep a process that was asked to end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<terminal::Unread>() => ExitCode::SUCCESS,
        Err(error) => {
            terminal::tell!("exchange: {error:#}");
            ExitCode::from(if error.is::<usage::Usage>() { 2 } else { 1 })
        }
    }
}
