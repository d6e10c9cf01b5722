//! `cargo xtask bench`: measures one case or all, prints its table, keeps its distributions under `target/bench/<case>/`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measures the real world")]

mod cases;
mod exchange;
mod hops;
mod peers;

use anyhow::{Context, Result};
use bench::host::Host;
use bench::measure::Clock;
use bench::{Case, Options, Record, Sheet};
use clap::Parser;
use std::path::{Path, PathBuf};

/// Measures, and says goal, measured and verdict.
#[derive(Parser)]
#[command(name = "cargo xtask bench", after_help = list())]
struct Arguments {
    /// The case; all of them, one after the other, if none is named.
    case: Option<String>,
    /// Fewer repetitions: a look, not a measurement.
    #[arg(long)]
    quick: bool,
    /// A kept `result.json` of the case, to stand beside this run: same, better or worse than the spread.
    #[arg(long, value_name = "FILE", requires = "case")]
    compare: Option<PathBuf>,
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
    // Read before it is written over by this run.
    let baseline = arguments.compare.as_deref().map(Record::read).transpose()?;
    for case in chosen {
        measure(case, &options, baseline.as_ref())?;
    }
    Ok(())
}

fn measure(case: &Case, options: &Options, baseline: Option<&Record>) -> Result<()> {
    let host = Host::here();
    if let Some(baseline) = baseline {
        // Refused before minutes are spent.
        Record::of(case.name, options, &host, &Sheet::default()).compare(baseline)?;
    }
    println!("{}: {}{}", case.name, case.about, if options.quick { " (quick)" } else { "" });
    println!("  {:<9} {host}", "host");
    println!("  {:<9} {}", "warnings", host.warnings().join("; "));
    println!("  {:<9} one reading costs {:.1} ns; contained in the figures, never subtracted", "clock", Clock::start().cost_ns());
    let mut sheet = Sheet::default();
    (case.run)(options, &mut sheet).with_context(|| format!("case {}", case.name))?;
    println!("{}", sheet.text().with_context(|| format!("case {}", case.name))?);
    let record = Record::of(case.name, options, &host, &sheet);
    if let Some(baseline) = baseline {
        println!("{}", record.compare(baseline)?);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let files = record.write(&Path::new(&target).join("bench").join(case.name), &sheet)?;
    println!("  files     {}\n", files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" "));
    Ok(())
}
