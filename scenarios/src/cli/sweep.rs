//! `sim sweep`: a parent with workers, totals, floors.

use super::args;
use super::worker::{Task, Worker};
use scenarios::tally::{FLOORS, SHARES, Tally};
use scenarios::verdict::{Class, SeedReport};
use sim::Reached;
use sim::report::count as grouped;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Instant;

/// Everything so far.
#[derive(Default)]
struct Totals {
    seeds: u64,
    failed: Vec<SeedReport>,
    tally: Tally,
    reached: Reached,
    scenarios: BTreeSet<String>,
    simulated_ms: u64,
    messages: u64,
    cpu_ms: u64,
    /// Peak memory of every seed, kB, in order of their ends.
    peaks_kb: Vec<u64>,
}

pub fn run(args: &args::Sweep) -> u8 {
    if let Some(unknown) = args.scenario.as_deref().filter(|name| scenarios::scenarios::by_name(name).is_none()) {
        return super::usage(&format!("--scenario {unknown}: there is none of that name; see sim list"));
    }
    let seeds = match args.seeds() {
        Ok(seeds) => Mutex::new(seeds),
        Err(error) => return super::usage(&error),
    };
    if let Some(hash) = &args.from_commit {
        println!("seeds from commit {hash}");
    }
    let begun = Instant::now();
    let stop = AtomicBool::new(false);
    let (reports_in, reports) = mpsc::channel();
    let mut totals = Totals::default();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            let (seeds, stop, reports_in) = (&seeds, &stop, reports_in.clone());
            scope.spawn(move || work(args, begun, seeds, stop, &reports_in));
        }
        drop(reports_in);
        for report in reports {
            if report.class != Class::Pass {
                println!("\r{}", failure_line(&report));
                if args.until.as_ref().is_some_and(|name| report.broken.contains(name)) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            totals.take(report);
            progress(&totals, begun);
        }
    });
    finish(args, &totals, begun)
}

/// A worker process ends after so many seeds. Measured over 130 seeds: a run leaves about 0.6 MB in its process, tasks of the simulated executor that wait for
/// each other and that nobody drops; a sweep that runs day and night must not grow.
const SEEDS_PER_LIFE: u64 = 40;

/// One job: one worker process after the other, and the seeds that they are given.
fn work(args: &args::Sweep, begun: Instant, seeds: &Mutex<Box<dyn Iterator<Item = u64> + Send>>, stop: &AtomicBool, reports: &mpsc::Sender<SeedReport>) {
    let (mut worker, mut judged) = (Worker::new(), 0);
    while !stop.load(Ordering::Relaxed) && args.time.is_none_or(|time| begun.elapsed() < time) {
        let Some(seed) = seeds.lock().expect("a job does not panic while it draws").next() else { break };
        let task = Task { seed, scenario: args.scenario.clone() };
        judged += 1;
        if judged % SEEDS_PER_LIFE == 0 {
            worker.end();
        }
        let mut report = worker.judge(&task).unwrap_or_else(|ended| died(&task, ended));
        if report.class != Class::Pass && report.what != "worker" {
            report = in_a_fresh_process(&task, report);
        }
        if reports.send(report).is_err() {
            break;
        }
    }
    worker.end();
}

/// A failing seed must fail in the same way alone.
fn in_a_fresh_process(task: &Task, report: SeedReport) -> SeedReport {
    let mut fresh = Worker::new();
    let again = fresh.judge(task);
    fresh.end();
    match again {
        Ok(again) if again.digest != report.digest => SeedReport {
            class: Class::Nondeterminism,
            what: "nondeterminism".to_owned(),
            headline: format!("digest {:016x} after other seeds ({}), {:016x} alone ({})", report.digest, report.what, again.digest, again.what),
            ..report
        },
        _ => report,
    }
}

fn died(task: &Task, ended: String) -> SeedReport {
    SeedReport {
        seed: task.seed,
        scenario: task.scenario.clone().unwrap_or_else(|| scenarios::scenarios::of_seed(task.seed).name.to_owned()),
        class: Class::Crash,
        what: "worker".to_owned(),
        headline: ended,
        facts: Vec::new(),
        broken: Vec::new(),
        checked: Default::default(),
        tally: Tally::default(),
        reached: Reached::default(),
        digest: 0,
        simulated_ms: 0,
        messages: 0,
        ack_us: [0; 3],
        acks: Vec::new(),
        cpu_ms: 0,
        peak_kb: 0,
    }
}

fn failure_line(report: &SeedReport) -> String {
    let word = match report.class {
        Class::Liveness => "STUCK",
        Class::Crash => "CRASH",
        Class::Nondeterminism => "NOT DETERMINISTIC",
        _ => "FAIL",
    };
    let others: Vec<&str> = report.broken.iter().map(String::as_str).filter(|name| *name != report.what).collect();
    let also = if others.is_empty() { String::new() } else { format!(" (also {})", others.join(", ")) };
    format!("  {word:<8} seed {}  {}  {}{also}: {}     {}", grouped(report.seed), report.scenario, report.what, report.headline, report.reproduce())
}

impl Totals {
    fn take(&mut self, report: SeedReport) {
        self.seeds += 1;
        self.tally.merge(&report.tally);
        self.reached.merge(&report.reached);
        self.scenarios.insert(report.scenario.clone());
        self.simulated_ms += report.simulated_ms;
        self.messages += report.messages;
        self.cpu_ms += report.cpu_ms;
        self.peaks_kb.push(report.peak_kb);
        if report.class != Class::Pass {
            self.failed.push(report);
        }
    }

    /// Marks that every swept scenario's own list owes.
    fn missing_marks(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for scenario in scenarios::scenarios::ALL.iter().filter(|scenario| self.scenarios.contains(scenario.name)) {
            missing.extend(self.reached.missing(scenario.marks).into_iter().map(|mark| format!("{mark} ({})", scenario.name)));
        }
        missing
    }
}

fn line(totals: &Totals, begun: Instant) -> String {
    let seconds = begun.elapsed().as_secs();
    let stuck = totals.failed.iter().filter(|report| report.class == Class::Liveness).count();
    format!(
        "  {}:{:02}   {} seeds · {} scenarios · {} failed · {stuck} stuck",
        seconds / 60,
        seconds % 60,
        grouped(totals.seeds),
        totals.scenarios.len(),
        totals.failed.len() - stuck
    )
}

fn progress(totals: &Totals, begun: Instant) {
    if std::io::stdout().is_terminal() {
        print!("\r{}", line(totals, begun));
        // The line is a courtesy: nothing depends on it.
        let _ = std::io::stdout().flush();
    }
}

fn finish(args: &args::Sweep, totals: &Totals, begun: Instant) -> u8 {
    println!("\r{}", line(totals, begun));
    println!(
        "  simulated {} min · {} messages · {} CPU s ({:.1} a seed)",
        grouped(totals.simulated_ms / 60_000),
        grouped(totals.messages),
        grouped(totals.cpu_ms / 1_000),
        totals.cpu_ms as f64 / 1_000.0 / totals.seeds.max(1) as f64
    );
    let marks: Vec<String> = totals.reached.totals().map(|(mark, count)| format!("{mark} {}", grouped(count))).collect();
    println!("  reached  {}", marks.join(" · "));
    println!();
    print_totals(totals);
    let below = totals.tally.below_floor(totals.seeds);
    // A sweep of one scenario shows what that scenario is for; the floors are those of the mix.
    let below = if args.scenario.is_none() { below } else { Vec::new() };
    for line in &below {
        println!("  BELOW THE FLOOR  {line}");
    }
    let missing = if totals.seeds >= 200 { totals.missing_marks() } else { Vec::new() };
    for mark in &missing {
        println!("  NEVER REACHED    {mark}: add a scenario or a fault");
    }
    let memory = memory(&totals.peaks_kb);
    for report in &totals.failed {
        println!("{}", failure_line(report));
    }
    let order = [Class::Nondeterminism, Class::Crash, Class::Correctness, Class::Liveness];
    let worst = order.into_iter().find(|class| totals.failed.iter().any(|report| report.class == *class)).map_or(0, |class| class as u8);
    let code = if worst == 0 && !(below.is_empty() && missing.is_empty() && memory) { Class::Correctness as u8 } else { worst };
    println!("{}", if code == 0 { format!("PASS  {} seeds", grouped(totals.seeds)) } else { format!("FAIL  (exit {code})") });
    code
}

fn print_totals(totals: &Totals) {
    let accepted = totals.tally.of("orders accepted");
    for floor in FLOORS {
        let (count, least) = (totals.tally.of(floor.name), floor.per_thousand * totals.seeds / 1_000);
        println!("  {:<40} {:>12}   floor {:>10}", floor.name, grouped(count), grouped(least));
    }
    for (name, share) in SHARES {
        let count = totals.tally.of(name);
        println!("  {name:<40} {:>12}   {} % of accepted, {share:?}", grouped(count), (count * 100).checked_div(accepted).unwrap_or(0));
    }
    for (name, count) in &totals.tally.0 {
        if !FLOORS.iter().any(|floor| floor.name == name) && !SHARES.iter().any(|(share, _)| share == name) {
            println!("  {name:<40} {:>12}", grouped(*count));
        }
    }
}

/// Prints peak memory; false if it grew by more than a tenth from the first hundred seeds to the last of a whole sweep. In a shorter one the heaviest
/// seed decides the peak, whichever hundred it falls into.
fn memory(peaks_kb: &[u64]) -> bool {
    let highest = |peaks: &[u64]| peaks.iter().copied().max().unwrap_or(0);
    let hundred = peaks_kb.len().min(100);
    let (first, last) = (highest(&peaks_kb[..hundred]), highest(&peaks_kb[peaks_kb.len() - hundred..]));
    println!("  peak memory of a worker: first {hundred} seeds {} MB, last {hundred} {} MB", first / 1_024, last / 1_024);
    let fits = peaks_kb.len() < 1_000 || last * 10 <= first * 11;
    if !fits {
        println!("  MEMORY GREW by more than a tenth");
    }
    fits
}
