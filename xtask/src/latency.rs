//! The gate on simulated time: order to acknowledgement of fixed seeds of two scenarios, against `bench/latency.json`. Simulated time does not know how
//! busy the machine is: the figures of a build repeat exactly, and change only when the exchange takes another way, more of it, or waits longer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::gate::{Figures, Gate};
use crate::world::{World, sim_command};

/// The baseline, from the root.
const BASELINE: &str = "bench/latency.json";

/// Cheap ones: some hundred orders each, with a crash, a rebalance and a lost answer among them, or without.
const SCENARIOS: [&str; 2] = ["smoke", "no_transactions"];

/// Of each scenario.
const SEEDS: std::ops::Range<u64> = 1..51;

/// Processes at once.
const JOBS: usize = 2;

const GATE: Gate = Gate { unit: "simulated µs", tolerance_percent: 5.0, update: "cargo xtask bench latency --update" };

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// What all seeds of a scenario gave.
#[derive(Default)]
struct Pooled {
    /// Orders by simulated µs to their acknowledgement.
    acks: BTreeMap<u64, u64>,
    cpu_ms: u64,
}

/// Whether nothing takes longer than the baseline allows; says every figure. `target` overrides the caller's target directory.
pub fn gate(root: &Path, target: Option<&Path>) -> Result<bool> {
    let text = std::fs::read_to_string(root.join(BASELINE)).with_context(|| format!("{BASELINE}: `cargo xtask bench latency --update` makes it"))?;
    let baseline: BTreeMap<String, Figures> = serde_json::from_str(&text).with_context(|| format!("{BASELINE}: scenarios, each with its quantiles"))?;
    let mut passes = true;
    for (scenario, latencies) in measure(root, target)? {
        for line in GATE.compare(baseline.get(&scenario).unwrap_or(&Figures::new()), &latencies) {
            println!("    {scenario:<16} {}", line.text);
            passes &= line.passes;
        }
    }
    Ok(passes)
}

/// Takes what is measured now as the baseline.
pub fn update(root: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(&json!(measure(root, None)?))? + "\n";
    std::fs::write(root.join(BASELINE), text).with_context(|| BASELINE.to_owned())
}

fn measure(root: &Path, target: Option<&Path>) -> Result<BTreeMap<String, Figures>> {
    let sim = World::Madsim.build_sim(root, target)?;
    let mut measured = BTreeMap::new();
    for scenario in SCENARIOS {
        let pooled = pool(&sim, root, scenario)?;
        let orders: u64 = pooled.acks.values().sum();
        ensure!(orders > 0, "{scenario}: no order was acknowledged");
        println!("    {scenario:<16} {} seeds, {orders} orders, {}.{} CPU seconds", SEEDS.count(), pooled.cpu_ms / 1_000, pooled.cpu_ms % 1_000 / 100);
        measured.insert(scenario.to_owned(), QUANTILES.map(|(name, quantile)| (name.to_owned(), at(&pooled.acks, quantile))).into());
    }
    Ok(measured)
}

/// All seeds of a scenario, dealt to the jobs in turn.
fn pool(sim: &Path, root: &Path, scenario: &str) -> Result<Pooled> {
    let mut pooled = Pooled::default();
    let reports: Vec<Result<Vec<Value>>> = std::thread::scope(|scope| {
        let jobs = (0..JOBS).map(|job| scope.spawn(move || work(sim_command(sim, root)?, scenario, SEEDS.skip(job).step_by(JOBS))));
        jobs.collect::<Vec<_>>().into_iter().map(|job| job.join().expect("a job does not panic")).collect()
    });
    for report in reports.into_iter().collect::<Result<Vec<_>>>()?.concat() {
        ensure!(report["class"] == "pass", "{scenario}, seed {}: {} {}", report["seed"], report["what"], report["headline"]);
        let acks: Vec<(u64, u64)> = serde_json::from_value(report["acks"].clone()).context("a report's acks: pairs of µs and orders")?;
        acks.into_iter().for_each(|(us, count)| *pooled.acks.entry(us).or_default() += count);
        pooled.cpu_ms += report["cpu_ms"].as_u64().unwrap_or(0);
    }
    Ok(pooled)
}

/// One worker process of `sim`: a task a line in, a report a line out.
fn work(mut sim: Command, scenario: &str, seeds: impl Iterator<Item = u64>) -> Result<Vec<Value>> {
    let mut worker = sim.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start a worker of sim")?;
    let (mut tasks, mut reports) = (worker.stdin.take().expect("piped"), BufReader::new(worker.stdout.take().expect("piped")));
    let mut said = Vec::new();
    for seed in seeds {
        let mut report = String::new();
        writeln!(tasks, "{}", json!({ "seed": seed, "scenario": scenario }))?;
        if reports.read_line(&mut report)? == 0 {
            bail!("{scenario}, seed {seed}: the worker ended in the middle of it ({})", worker.wait()?);
        }
        said.push(serde_json::from_str(&report).with_context(|| format!("{scenario}, seed {seed}: {report}"))?);
    }
    drop(tasks);
    worker.wait()?;
    Ok(said)
}

/// The smallest value with that share of all at or below it.
fn at(counts: &BTreeMap<u64, u64>, quantile: f64) -> u64 {
    let rank = (quantile * counts.values().sum::<u64>() as f64).ceil() as u64;
    let mut seen = 0;
    let reached = counts.iter().find(|(_, count)| {
        seen += **count;
        seen >= rank
    });
    reached.map_or(0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(us: [u64; 3]) -> Figures {
        QUANTILES.iter().map(|(name, _)| (*name).to_owned()).zip(us).collect()
    }

    #[test]
    fn six_percent_more_at_any_quantile_fail_and_four_do_not() {
        let old = latencies([1_000, 10_000, 100_000]);
        let passes = |new| GATE.compare(&old, &latencies(new)).iter().map(|line| line.passes).collect::<Vec<_>>();
        assert_eq!(passes([1_040, 10_000, 104_000]), [true, true, true]);
        assert_eq!(passes([1_060, 10_000, 100_000]), [false, true, true]);
        assert_eq!(passes([1_000, 10_600, 106_000]), [true, false, false]);
        assert_eq!(passes([500, 5_000, 50_000]), [true, true, true]);
    }

    #[test]
    fn a_scenario_that_the_baseline_does_not_know_fails() {
        assert!(GATE.compare(&Figures::new(), &latencies([1, 2, 3])).iter().all(|line| !line.passes));
    }

    #[test]
    fn a_quantile_is_the_smallest_value_with_that_share_below() {
        let counts = BTreeMap::from([(10, 500), (20, 490), (30, 9), (40, 1)]);
        assert_eq!([0.5, 0.501, 0.99, 0.999, 0.9995, 1.0].map(|quantile| at(&counts, quantile)), [10, 20, 20, 30, 40, 40]);
    }
}
