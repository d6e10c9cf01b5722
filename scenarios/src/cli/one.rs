//! `sim --seed N`: one seed on one screen.

use super::args::One;
use super::worker::{Task, Worker};
use super::{commit, process, story, usage};
use scenarios::judge::{self, Judged};
use scenarios::scenarios as list;
use scenarios::verdict::{Class, SeedReport};
use services::flow::player;
use sim::report::{self, Header, Shrinking};
use sim::{Plan, Workload, shrink};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Most runs of a shrink.
const SHRINK_RUNS_MAX: u64 = 60;

pub fn run(args: &One) -> u8 {
    let plan = match plan(args) {
        Ok(plan) => plan,
        Err(error) => return usage(&error),
    };
    if args.print_plan {
        print!("{}", plan.to_text());
        return 0;
    }
    let begun = Instant::now();
    let judged = match judge_measured(&plan) {
        Ok(judged) => judged,
        Err(error) => return usage(&format!("{}: {error}", args.plan.as_ref().map_or("plan".to_owned(), |path| path.display().to_string()))),
    };
    let header = header(&plan, &judged, begun.elapsed().as_millis() as u64);
    let folder = PathBuf::from(header.folder());
    if (judged.report.class != Class::Pass || args.history)
        && let Err(error) = save(&folder, &plan, &judged)
    {
        eprintln!("sim: {}: {error}", folder.display());
    }
    if args.verbose {
        story::say_all(&judged.history);
    }
    if args.json {
        println!("{}", serde_json::to_string(&judged.report).expect("a report is plain values"));
        return judged.report.class as u8;
    }
    if let Some(again) = differs_in_a_fresh_process(args, &judged) {
        print!("{}", nondeterministic(&header, &judged.report, &again));
        return report::exit::NONDETERMINISM;
    }
    print!("{}", screen(&header, &plan, &judged, &folder));
    judged.report.class as u8
}

/// The plan that the command line asks for.
fn plan(args: &One) -> Result<Plan, String> {
    let mut plan = match (&args.plan, args.seed) {
        (Some(path), _) => read_plan(path)?,
        (None, Some(seed)) => drawn(seed, args.scenario.as_deref())?,
        (None, None) => return Err("which seed? sim --seed 42".to_owned()),
    };
    if let Some(path) = &args.flow {
        plan.workload = flow(path, args.stock.as_deref(), &plan)?;
    }
    Ok(plan)
}

/// The plan of a seed, with the scenario it draws or is given.
pub fn drawn(seed: u64, scenario: Option<&str>) -> Result<Plan, String> {
    let scenario = match scenario {
        None => list::of_seed(seed),
        Some(name) => list::by_name(name).ok_or_else(|| {
            let names: Vec<&str> = list::ALL.iter().map(|scenario| scenario.name).collect();
            format!("--scenario {name}: there are {}", names.join(", "))
        })?,
    };
    Ok(list::plan(scenario, seed, &commit()))
}

fn read_plan(path: &Path) -> Result<Plan, String> {
    let source = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| format!("{source}: {error}"))?;
    let plan = Plan::from_text(&source, &text)?;
    if plan.commit != commit() {
        eprintln!("sim: {source} was made at commit {}, this is {}: it may run otherwise", plan.commit, commit());
    }
    Ok(plan)
}

/// A recorded flow as the orders of a plan: as many as fit its span, dealt to its clients in turn.
fn flow(path: &Path, stock: Option<&str>, plan: &Plan) -> Result<Workload, String> {
    let source = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| format!("{source}: {error}"))?;
    let orders = player::read((&source, &bytes), None, stock, TICK).map_err(|error| error.to_string())?;
    let (exchange, _) = judge::read(plan)?;
    let actions = scenarios::workload::of_flow(&orders, &exchange.shape);
    Ok(Workload::List(actions.iter().map(|action| serde_json::to_value(action).expect("an action is plain values")).collect()))
}

/// Price units of either format in a cent.
const TICK: i64 = 100;

/// Runs a plan and takes down what it cost.
pub fn judge_measured(plan: &Plan) -> Result<Judged, String> {
    let cpu_ms = process::cpu_ms();
    process::forget_peak();
    let mut judged = judge::judge(plan)?;
    judged.report.cpu_ms = process::cpu_ms() - cpu_ms;
    judged.report.peak_kb = process::peak_kb();
    Ok(judged)
}

/// A failing seed is run again in a fresh process; the other run's report if its history is another.
fn differs_in_a_fresh_process(args: &One, judged: &Judged) -> Option<SeedReport> {
    if judged.report.class == Class::Pass || judged.thread_is_lost || args.plan.is_some() || args.flow.is_some() {
        return None;
    }
    let mut fresh = Worker::new();
    let again = fresh.judge(&Task { seed: judged.report.seed, scenario: Some(judged.report.scenario.clone()) });
    fresh.end();
    again.ok().filter(|again| again.digest != judged.report.digest)
}

fn nondeterministic(header: &Header, a: &SeedReport, b: &SeedReport) -> String {
    let told = |report: &SeedReport| {
        format!("history {:016x}, {} messages, {}", report.digest, report.messages, if report.what.is_empty() { "pass" } else { &report.what })
    };
    report::nondeterministic(header, &sim::meta::Difference { line: 0, a: Some(told(a)), b: Some(told(b)) })
}

fn header(plan: &Plan, judged: &Judged, wall_ms: u64) -> Header {
    let shape = &plan.shape;
    let of = |field: &str| shape.get(field).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let (orders, done) = (judged.orders, judged.report.tally.of("orders accepted") + judged.report.tally.of("orders refused"));
    Header {
        seed: plan.seed,
        scenario: plan.scenario.clone(),
        world: sim::world::NAME.to_owned(),
        commit: plan.commit.clone(),
        shape: format!(
            "{} brokers, {}+{} partitions, {} of each machine, {} gateways, {} clients, {} orders{}",
            of("brokers"),
            of("account_partitions"),
            of("symbol_partitions"),
            of("instances"),
            of("gateways"),
            of("clients"),
            report::count(orders),
            if shape.get("transactions") == Some(&serde_json::Value::Bool(false)) { ", no transactions" } else { "" }
        ),
        faults: plan.kinds().into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
        progress: (done, orders, "orders".to_owned()),
        simulated_us: judged.report.simulated_ms * 1_000,
        wall_ms,
        events: judged.history.len() as u64,
    }
}

fn save(folder: &Path, plan: &Plan, judged: &Judged) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("plan.json"), plan.to_text())?;
    let mut file = std::io::BufWriter::new(fs::File::create(folder.join("history.jsonl"))?);
    sim::history::write_json_lines(&judged.history, &mut file)
}

fn screen(header: &Header, plan: &Plan, judged: &Judged, folder: &Path) -> String {
    match (judged.report.class, &judged.violation, &judged.crash) {
        (Class::Pass, _, _) => {
            let [p50, p99, p999] = judged.report.ack_us.map(report::time);
            let tally: Vec<String> = judged.report.tally.0.iter().map(|(name, count)| format!("{name} {}", report::count(*count))).collect();
            let latency = format!("latency    order to ack, simulated: p50 {p50} · p99 {p99} · p99.9 {p999}");
            let cost = format!(
                "cost       {} messages · {}.{:03} CPU s",
                report::count(judged.report.messages),
                judged.report.cpu_ms / 1_000,
                judged.report.cpu_ms % 1_000
            );
            let measures = [format!("did        {}", tally.join(" · ")), latency, cost];
            report::passing(header, &judged.scores, &judged.report.reached, &measures, judged.report.digest)
        }
        (_, _, Some(crash)) if judged.thread_is_lost => report::stalled(header, crash),
        (_, _, Some(crash)) => report::crash(header, crash),
        (Class::Liveness, Some((name, violation)), _) => report::stuck(header, name, violation),
        (_, Some((name, violation)), _) => {
            let shrinking = shrunk(plan, judged, name, folder);
            report::failing(header, name, &rule(name), violation, &judged.said, shrinking.as_ref())
        }
        (_, None, None) => unreachable!("a run that did not pass says why"),
    }
}

/// Where the broken rule is written.
fn rule(name: &str) -> String {
    let of_exchange = scenarios::invariants::ALL.iter().any(|invariant| invariant.name() == name);
    format!("{}/src/invariants/{name}.rs", if of_exchange { "scenarios" } else { "sim" })
}

/// Finds a smaller plan that breaks the same invariant, and saves it.
fn shrunk(plan: &Plan, judged: &Judged, name: &str, folder: &Path) -> Option<Shrinking> {
    let begun = Instant::now();
    let listed = judge::written_out(plan).ok()?;
    eprint!("shrinking ");
    let mut last: Option<Judged> = None;
    let found = shrink::shrink(&listed, name, SHRINK_RUNS_MAX, |candidate| {
        eprint!(".");
        let judged = judge::judge(candidate).ok()?;
        let broken = judged.violation.as_ref().map(|(name, _)| name.clone());
        if broken.as_deref() == Some(name) {
            last = Some(judged);
        }
        broken
    });
    eprintln!();
    if let Err(error) = fs::write(folder.join("shrunk.json"), found.plan.to_text()) {
        eprintln!("sim: {}: {error}", folder.display());
    }
    let orders = |plan: &Plan| judge::read(plan).map_or(0, |(_, actions)| actions.len() as u64);
    let smallest = judge::judge(&found.plan).ok()?;
    Some(Shrinking {
        runs: found.runs,
        wall_ms: begun.elapsed().as_millis() as u64,
        faults: (plan.faults.len() as u64, found.plan.faults.len() as u64),
        work: (judged.orders, orders(&found.plan), "orders".to_owned()),
        story: story::six_lines(&smallest),
        stable: (found.stable, shrink::RERUNS),
    })
}
