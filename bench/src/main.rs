//! `cargo xtask bench`: measures one case or all, prints its table, keeps its distributions under `target/bench/<case>/`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measures the real world")]

mod cases;
mod embedded;
mod exchange;
mod hops;
#[cfg(feature = "full")]
mod page;
mod peers;

use anyhow::{Context, Result};
use bench::host::Host;
use bench::measure::Clock;
use bench::{Case, Options, Record, Sheet};
use clap::Parser;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

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

/// What asks glibc for huge pages: for all memory, and large tables beside each other in one heap, since one that is smaller than a huge page gets none.
const HUGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296");

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if std::env::var_os(HUGE_PAGES.0).is_none() {
        return Err(again_with_huge_pages()).context("cannot start again with huge pages");
    }
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

/// glibc reads it once, when a process starts. Who sets it, to nothing too, measures what he set.
fn again_with_huge_pages() -> std::io::Error {
    let program = std::env::current_exe();
    program.map_or_else(|error| error, |program| Command::new(program).args(std::env::args_os().skip(1)).env(HUGE_PAGES.0, HUGE_PAGES.1).exec())
}

fn measure(case: &Case, options: &Options, baseline: Option<&Record>) -> Result<()> {
    let host = Host::here();
    if let Some(baseline) = baseline {
        // Refused before minutes are spent.
        Record::of(case.name, options, &host, "", &Sheet::default()).compare(baseline)?;
    }
    let heading = heading(case, options, &host);
    print!("{heading}");
    let (mut sheet, begin) = (Sheet::default(), Instant::now());
    (case.run)(options, &mut sheet).with_context(|| format!("case {}", case.name))?;
    let took = begin.elapsed();
    sheet.condition("took", format!("{:.0} s, with the load at {:.1} in the end", took.as_secs_f64(), bench::host::load()));
    let table = sheet.text().with_context(|| format!("case {}", case.name))?;
    println!("{table}");
    let record = Record::of(case.name, options, &host, &(heading + &table), &sheet);
    if let Some(baseline) = baseline {
        println!("{}", record.compare(baseline)?);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let folder = Path::new(&target).join("bench");
    record.write(&folder.join(case.name), took, &sheet)?;
    println!("  files     {}/ (result.json, .hlog, .hgrm)", folder.join(case.name).display());
    #[cfg(feature = "full")]
    println!("  page      {}", page::write(&folder, baseline)?.display());
    println!();
    Ok(())
}

/// What stands above the conditions of every case.
fn heading(case: &Case, options: &Options, host: &Host) -> String {
    let clock = format!("one reading costs {:.1} ns; contained in the figures, never subtracted", Clock::start().cost_ns());
    let pages = format!("{}={}", HUGE_PAGES.0, std::env::var(HUGE_PAGES.0).unwrap_or_default());
    let lines = [("host", host.to_string()), ("warnings", host.warnings().join("; ")), ("pages", pages), ("clock", clock)];
    let lines: String = lines.iter().map(|(label, text)| format!("  {label:<9} {text}\n")).collect();
    format!("{}: {}{}\n{lines}", case.name, case.about, if options.quick { " (quick)" } else { "" })
}
