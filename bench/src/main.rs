//! `cargo xtask bench`: measures one case or all, prints its table, keeps its distributions under `target/bench/<case>/`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measures the real world")]

mod cases;
mod hops;
mod peers;

use anyhow::{Context, Result};
use bench::host::Host;
use bench::measure::Clock;
use bench::{Case, Options, Sheet};
use clap::Parser;

/// Measures, and says goal, measured and verdict.
#[derive(Parser)]
#[command(name = "cargo xtask bench", after_help = list())]
struct Arguments {
    /// The case; all of them, one after the other, if none is named.
    case: Option<String>,
    /// Fewer repetitions: a look, not a measurement.
    #[arg(long)]
    quick: bool,
    /// What `cargo bench` adds to every command line.
    #[arg(long, hide = true)]
    bench: bool,
}

fn list() -> String {
    let lines: String = cases::all().iter().map(|case| format!("  {:<10} {}\n", case.name, case.about)).collect();
    format!("Cases:\n{lines}")
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let options = Options { quick: arguments.quick };
    let chosen: Vec<&Case> = match &arguments.case {
        None => cases::all().iter().collect(),
        Some(name) => vec![cases::all().iter().find(|case| case.name == name).with_context(|| format!("no case `{name}`\n{}", list()))?],
    };
    let host = Host::here();
    for case in chosen {
        println!("{}: {}{}", case.name, case.about, if options.quick { " (quick)" } else { "" });
        println!("  {:<9} {host}", "host");
        println!("  {:<9} {}", "warnings", host.warnings().join("; "));
        println!("  {:<9} one reading costs {:.1} ns; contained in the figures, never subtracted", "clock", Clock::start().cost_ns());
        let mut sheet = Sheet::default();
        (case.run)(&options, &mut sheet).with_context(|| format!("case {}", case.name))?;
        println!("{}", sheet.text().with_context(|| format!("case {}", case.name))?);
    }
    Ok(())
}
