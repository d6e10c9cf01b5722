//! `cargo xtask fuzz`: searches for a time, and says and writes what it found.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a clock ends the search, and files keep what it found")]

use anyhow::{Context, Result, bail};
use clap::Parser;
use fuzz::{Corpus, Crash, Search, Target, from_hex, targets, to_hex};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Feeds bytes that nobody would write to whatever reads bytes.
#[derive(Parser)]
#[command(name = "cargo xtask fuzz", after_help = list())]
struct Arguments {
    /// The target; all of them, each for its share of the time, if none is named.
    target: Option<String>,
    /// How long: 30s, 10m, 2h.
    #[arg(long, default_value = "1m", value_parser = duration)]
    time: Duration,
    /// Decides every input; another one finds other things.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Adds what was new to the corpus in the tree, which every test run reads.
    #[arg(long)]
    keep: bool,
}

fn list() -> String {
    let lines: String = targets::ALL.iter().map(|target| format!("  {:<10} {}\n", target.name, target.about)).collect();
    format!("Targets:\n{lines}")
}

fn duration(text: &str) -> Result<Duration, String> {
    let rule = || format!("{text:?} is not a number with s, m or h behind it");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(rule)?;
    let seconds = [("s", 1), ("m", 60), ("h", 3_600)].iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds).ok_or_else(rule)?;
    number.parse::<u32>().map(|number| Duration::from_secs(u64::from(number) * seconds)).map_err(|_| rule())
}

/// Inputs that the tree keeps of a target, and the longest of them: people pull them.
const KEPT_MAX: usize = 48;
const KEPT_BYTES_MAX: usize = 1_536;

/// No input may take longer.
const RUN_MAX: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let chosen: Vec<&Target> = match &arguments.target {
        None => targets::ALL.iter().collect(),
        Some(name) => vec![targets::ALL.iter().find(|target| target.name == name).with_context(|| format!("no target `{name}`\n{}", list()))?],
    };
    let share = arguments.time / u32::try_from(chosen.len()).context("there are few targets")?;
    let mut crashed = Vec::new();
    for target in chosen {
        if let Some(crash) = search(target, share, &arguments)? {
            crashed.push(target.name);
            eprintln!("  {}\n  input     {}", crash.message, to_hex(&crash.input));
            eprintln!("  written   {}", write_crash(target, &crash.input)?);
            eprintln!("  keep      a line of engine/fuzz/corpus/{}.hex; `cargo test -p lockstep-fuzz` then fails until it is mended", target.name);
        }
    }
    if !crashed.is_empty() {
        bail!("broken: {}", crashed.join(", "));
    }
    Ok(())
}

/// Prints one line.
fn search(target: &Target, time: Duration, arguments: &Arguments) -> Result<Option<Crash>> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{}.hex", target.name));
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let inputs = from_hex(&kept).with_context(|| format!("{}: a line is not hexadecimal", file.display()))?;
    let room = KEPT_MAX.saturating_sub(inputs.len());
    let mut search = Search::new(*target, Corpus::new(target, inputs), arguments.seed);
    let (begin, known) = (Instant::now(), search.kinds());
    let (mut runs, mut new, mut crash) = (0_u64, Vec::new(), None);
    let watched = watch(target);
    // Panics are what we look for; each is told once, by the caller.
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    while crash.is_none() && begin.elapsed() < time {
        let input = search.next_input();
        *watched.lock().expect("the watcher does not panic") = Some((Instant::now(), input.clone()));
        match search.run(&input) {
            Ok(true) => new.push(input),
            Ok(false) => {}
            Err(found) => crash = Some(found),
        }
        runs += 1;
    }
    std::panic::set_hook(said);
    *watched.lock().expect("the watcher does not panic") = None;
    println!(
        "{:<10} {runs:>9} inputs in {:>4.0?}, {known} kinds of outcome known, {} new{}",
        target.name,
        begin.elapsed(),
        new.len(),
        if crash.is_some() { ", BROKEN" } else { "" }
    );
    if arguments.keep && !new.is_empty() {
        // The first kinds that are found are the most telling ones.
        let lines: String = new.iter().filter(|input| input.len() <= KEPT_BYTES_MAX).take(room).map(|input| to_hex(input) + "\n").collect();
        std::fs::write(&file, kept + &lines).with_context(|| file.display().to_string())?;
    }
    Ok(crash)
}

/// Since when which input runs: written by the search, read by a thread that ends the process if that is too long ago.
type Watched = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

fn watch(target: &Target) -> Watched {
    let (watched, target) = (Watched::default(), *target);
    let mine = Arc::clone(&watched);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let running = mine.lock().expect("the search does not panic while it holds this").clone();
            let Some((_, input)) = running.filter(|(since, _)| since.elapsed() > RUN_MAX) else { continue };
            let written = write_crash(&target, &input).unwrap_or_else(|error| format!("{error:#}"));
            eprintln!("{}: an input takes longer than {RUN_MAX:?}: {}\n  written   {written}", target.name, to_hex(&input));
            std::process::exit(1);
        }
    });
    watched
}

/// Into `target/fuzz/`; gives back where.
fn write_crash(target: &Target, input: &[u8]) -> Result<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let file = folder.join(format!("{}-{:08x}", target.name, crc32c::crc32c(input)));
    std::fs::write(&file, input).with_context(|| file.display().to_string())?;
    Ok(file.canonicalize().unwrap_or(file).display().to_string())
}
