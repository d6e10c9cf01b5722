//! What a simulated run costs: CPU seconds, messages, and CPU time a message, of fixed seeds of two scenarios.

use anyhow::{Context, Result, ensure};
use bench::measure::Samples;
use bench::{Case, Options, Sheet, Unit};
use serde::Deserialize;
use std::process::Command;

pub const CASE: Case = Case { name: "sim", about: "CPU seconds, messages, and cost a message of simulated runs", run };

const SCENARIOS: [&str; 2] = ["smoke", "steady_flow"];

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

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

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    sheet.condition(
        "method",
        format!("seeds {} to {} of each scenario, a process each, scenarios in turn; a figure is of all seeds together", SEEDS.start(), SEEDS.end()),
    );
    sheet.condition("figures", "CPU time of the run itself, as the simulator states it: without the warm-up run of the process; profile `simulation`");
    let mut rounds: Vec<Vec<Vec<Verdict>>> = Vec::new();
    for _ in 0..options.repetitions(5, 2) {
        rounds.push(SCENARIOS.into_iter().map(|scenario| SEEDS.map(|seed| simulate(scenario, seed)).collect()).collect::<Result<_>>()?);
    }
    for (at, scenario) in SCENARIOS.into_iter().enumerate() {
        let digests = |round: &Vec<Vec<Verdict>>| round[at].iter().map(|verdict| verdict.digest).collect::<Vec<_>>();
        ensure!(rounds.iter().all(|round| digests(round) == digests(&rounds[0])), "{scenario}: a seed printed two digests: nothing may be believed");
        let figure = |of: &dyn Fn(&[Verdict]) -> f64| Samples::new(rounds.iter().map(|round| of(&round[at])).collect());
        let sum = |verdicts: &[Verdict], of: fn(&Verdict) -> u64| verdicts.iter().map(of).sum::<u64>() as f64;
        let count = SEEDS.count() as f64;
        sheet.row(format!("{scenario}, CPU a run"), figure(&|runs| sum(runs, |run| run.cpu_ms) / count / 1e3), Unit::S, None);
        sheet.row(
            format!("{scenario}, CPU a simulated minute"),
            figure(&|runs| sum(runs, |run| run.cpu_ms) / sum(runs, |run| run.simulated_ms) * 60.0),
            Unit::S,
            None,
        );
        sheet.row(format!("{scenario}, messages a run"), figure(&|runs| sum(runs, |run| run.messages) / count), Unit::Count, None);
        sheet.row(format!("{scenario}, CPU a message"), figure(&|runs| sum(runs, |run| run.cpu_ms) * 1e6 / sum(runs, |run| run.messages)), Unit::Ns, None);
        sheet.row(format!("{scenario}, memory at its peak"), figure(&|runs| sum(runs, |run| run.peak_kb) / count / 1024.0), Unit::MiB, None);
    }
    sheet.check("every run passed all its invariants, and every repetition printed the same digests");
    Ok(())
}

fn simulate(scenario: &str, seed: u64) -> Result<Verdict> {
    let program = std::env::var_os("LOCKSTEP_SIM").context("LOCKSTEP_SIM names the program: `cargo xtask bench` sets it")?;
    let output = Command::new(program).args(["--scenario", scenario, "--seed", &seed.to_string(), "--json"]).output().context("cannot start sim")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict: Verdict = serde_json::from_str(said.trim()).with_context(|| format!("{scenario}, seed {seed}: {said}"))?;
    ensure!(verdict.class == "pass", "{scenario}, seed {seed}: {}", verdict.class);
    Ok(verdict)
}
