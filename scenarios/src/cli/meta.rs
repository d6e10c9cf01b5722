//! `sim meta`: a broken meta test means that seeds are not reproducible, and that no failure could be hunted. So it comes first in CI.
//!
//! For each scenario the same seed runs in two fresh processes; their whole histories are compared line by line. Then a seed alone is compared with the
//! same seed run last of several in one process.

use super::one;
use sim::meta::first_difference;
use sim::report::{self, Header, exit};
use std::io::{BufReader, Write};
use std::process::{Command, Stdio};

/// Seeds that run before it in the second process.
const AFTER: u64 = 2;

pub fn run(scenario: Option<&str>, seed: u64, self_test: bool) -> u8 {
    let chosen: Vec<&str> = scenarios::scenarios::ALL.iter().map(|of| of.name).filter(|name| scenario.is_none_or(|wanted| wanted == *name)).collect();
    if chosen.is_empty() {
        return super::usage(&format!("--scenario {}: there is none of that name", scenario.unwrap_or_default()));
    }
    for name in chosen {
        for (what, after) in [("in two fresh processes", 0), ("alone and last of three", AFTER)] {
            match compare(name, seed, after, self_test) {
                Ok(None) => println!("  {name:<28} seed {seed} {what}: equal"),
                Ok(Some(difference)) => {
                    let header = Header { seed, scenario: name.to_owned(), world: sim::world::NAME.to_owned(), commit: super::commit(), ..Header::default() };
                    print!("{}", report::nondeterministic(&header, &difference));
                    return exit::NONDETERMINISM;
                }
                Err(error) => return super::usage(&error),
            }
        }
    }
    println!("PASS");
    exit::PASS
}

fn compare(scenario: &str, seed: u64, after: u64, planted: bool) -> Result<Option<sim::meta::Difference>, String> {
    let program = std::env::current_exe().map_err(|error| format!("where this program lies: {error}"))?;
    let start = |after: u64| {
        let mut command = Command::new(&program);
        command.args(["trace", "--scenario", scenario, "--seed", &seed.to_string(), "--after", &after.to_string()]);
        if planted {
            command.arg("--planted");
        }
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("starting a run: {error}"))
    };
    let (mut a, mut b) = (start(0)?, start(after)?);
    let (first, second) = (a.stdout.take().expect("it was piped"), b.stdout.take().expect("it was piped"));
    let difference = first_difference(BufReader::new(first), BufReader::new(second)).map_err(|error| format!("reading a trace: {error}"))?;
    if difference.is_some() {
        // Whoever has more to say is not listened to any longer.
        let _ = (a.kill(), b.kill());
    }
    let ended = [a.wait(), b.wait()];
    match (&difference, ended) {
        (None, [Ok(a), Ok(b)]) if !a.success() || !b.success() => Err(format!("a traced run ended with {a} and {b}")),
        _ => Ok(difference),
    }
}

/// Prints every fact of one run, one a line, after `after` other seeds in this process.
pub fn trace(scenario: &str, seed: u64, after: u64, planted: bool) -> u8 {
    for before in 0..after {
        let Ok(plan) = one::drawn(seed + 1 + before, Some(scenario)) else { return exit::USAGE };
        if scenarios::judge::judge(&plan).is_err() {
            return exit::USAGE;
        }
    }
    let Ok(mut plan) = one::drawn(seed, Some(scenario)) else { return exit::USAGE };
    if planted {
        // What an address, a clock or a hash of the process would do: it decides something, and no seed decides it.
        plan.scheduler_seed ^= u64::from(std::process::id());
    }
    let Ok(judged) = scenarios::judge::judge(&plan) else { return exit::USAGE };
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let told = sim::history::write_json_lines(&judged.history, &mut stdout)
        .and_then(|()| writeln!(stdout, "{} {:016x} {} messages", judged.report.what, judged.report.digest, judged.report.messages))
        .and_then(|()| stdout.flush());
    // A reader that has found a difference does not listen to the end.
    if told.is_err() { exit::NONDETERMINISM } else { exit::PASS }
}
