//! What a simulated run costs: CPU seconds, messages, CPU time a message, memory. Of the reference seed S1, of an exchange where hardly anything happens,
//! and of a busy one that runs longer and longer: what a message costs must not grow with what lies behind it.

use anyhow::{Context, Result, ensure};
use bench::measure::Samples;
use bench::{Case, Goal, Options, Sheet, Unit};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

pub const CASE: Case = Case { name: "sim", about: "CPU seconds, messages, and cost a message of simulated runs: S1, idle, growth", run };

/// The run in which the simulator's speed is quoted.
const REFERENCE: [&str; 4] = ["--scenario", "reference", "--seed", "1"];

/// Ten orders in ten minutes: as few as still show all invariants something.
const IDLE_ORDERS: u64 = 10;

/// Runs that differ in nothing but their length; the first is the unit of `growth`.
const GROWTH: [(&str, u64); 3] = [("growth, 2.5 min", 4), ("growth, 5 min", 2), ("growth, 10 min", 1)];

/// What a message of the longest run may cost, in messages of the shortest. A log of four times the length misses the caches more often.
const GROWTH_GOAL: Goal = Goal::AtMost(1.2);

/// Of `sim --json`, what is read here.
#[derive(Deserialize)]
struct Verdict {
    class: String,
    digest: u64,
    simulated_ms: u64,
    messages: u64,
    cpu_ms: u64,
    peak_kb: u64,
}

impl Verdict {
    fn message_ns(&self) -> f64 {
        self.cpu_ms as f64 * 1e6 / self.messages as f64
    }
}

/// One plan, and what its runs said.
struct Measured {
    name: &'static str,
    plan: Value,
    verdicts: Vec<Verdict>,
}

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    let reference: Value = serde_json::from_str(&sim(&[&REFERENCE[..], &["--print-plan"]].concat(), None)?).context("the plan of the reference seed")?;
    let mut all = plans(&reference);
    sheet.condition("S1", "scenario reference, seed 1: ten minutes, 3 brokers, 16 service instances, 5,000 orders, its faults, all invariants");
    sheet.condition("idle", format!("S1 without faults and with {IDLE_ORDERS} orders: heartbeats, fetches, ticks"));
    sheet.condition("growth", "S1 without faults, cut to a quarter and to half of its time and its orders");
    sheet.condition("figures", "CPU time of run and judgement, as the simulator states it: without the warm-up run of the process; profile `simulation`");
    for _ in 0..options.repetitions(5, 1) {
        for measured in &mut all {
            measured.verdicts.push(simulate(measured.name, &measured.plan)?);
        }
    }
    for Measured { name, verdicts, .. } in &all {
        ensure!(verdicts.iter().all(|verdict| verdict.digest == verdicts[0].digest), "{name}: one plan printed two digests: nothing may be believed");
        rows(sheet, name, verdicts);
    }
    let [shortest, .., longest] = &all[all.len() - GROWTH.len()..] else { unreachable!("the runs of growth are the last") };
    let ratios = longest.verdicts.iter().zip(&shortest.verdicts).map(|(long, short)| long.message_ns() / short.message_ns()).collect();
    sheet.row("growth, a message after 10 min / 2.5 min", Samples::new(ratios), Unit::Times, Some(GROWTH_GOAL));
    sheet.check("every run passed all its invariants, and every repetition printed the same digests");
    Ok(())
}

fn rows(sheet: &mut Sheet, name: &str, verdicts: &[Verdict]) {
    let mut row = |what: &str, of: fn(&Verdict) -> f64, unit| {
        sheet.row(format!("{name}, {what}"), Samples::new(verdicts.iter().map(of).collect()), unit, None);
    };
    row("CPU a run", |run| run.cpu_ms as f64 / 1e3, Unit::S);
    row("CPU a simulated minute", |run| run.cpu_ms as f64 * 60.0 / run.simulated_ms as f64, Unit::S);
    row("messages a run", |run| run.messages as f64, Unit::Count);
    row("CPU a message", Verdict::message_ns, Unit::Ns);
    row("memory at its peak", |run| run.peak_kb as f64 / 1024.0, Unit::MiB);
}

/// S1 as it is, and what is made of it.
fn plans(reference: &Value) -> Vec<Measured> {
    let of = |name, plan| Measured { name, plan, verdicts: Vec::new() };
    let number = |at: &str| reference.pointer(at).and_then(Value::as_u64).unwrap_or_else(|| panic!("{at}: a plan has this number"));
    let calm = |orders: u64, span_ms: u64| {
        let mut plan = reference.clone();
        plan["faults"] = json!([]);
        plan["shape"]["span_ms"] = json!(span_ms);
        plan["workload"]["generator"]["span_ms"] = json!(span_ms);
        plan["workload"]["generator"]["orders"] = json!(orders);
        plan
    };
    let (orders, span_ms) = (number("/workload/generator/orders"), number("/shape/span_ms"));
    let growth = GROWTH.map(|(name, part)| of(name, calm(orders / part, span_ms / part)));
    [of("S1", reference.clone()), of("idle", calm(IDLE_ORDERS, span_ms))].into_iter().chain(growth).collect()
}

fn simulate(name: &str, plan: &Value) -> Result<Verdict> {
    let said = sim(&["--plan", "/dev/stdin", "--json"], Some(&plan.to_string()))?;
    let verdict: Verdict = serde_json::from_str(said.trim()).with_context(|| format!("{name}: {said}"))?;
    ensure!(verdict.class == "pass", "{name}: {}", verdict.class);
    Ok(verdict)
}

/// What the simulator printed; `input` is its standard input.
fn sim(arguments: &[&str], input: Option<&str>) -> Result<String> {
    let program = std::env::var_os("LOCKSTEP_SIM").context("LOCKSTEP_SIM names the program: `cargo xtask bench` sets it")?;
    let mut command = Command::new(program);
    // Its memory is what a user's is, not the bench's own.
    command.args(arguments).env_remove(crate::HUGE_PAGES.0).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start sim")?;
    child.stdin.take().expect("its input is piped").write_all(input.unwrap_or_default().as_bytes()).context("sim did not read its plan")?;
    let output = child.wait_with_output().context("sim was lost")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
