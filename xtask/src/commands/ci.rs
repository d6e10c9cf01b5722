//! `cargo xtask ci`: everything the CI runs, in its order: cheap and foundational first. Stops at the first step that fails; a failing seed is never
//! tried again, because a seed that passes the second time is a bug of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Command, conformance, fuzz, loom, plants, test};
use crate::world::{World, commit_hash, sim_command};
use crate::{Skipped, Usage, plant, process, tree};

pub const COMMAND: Command =
    Command { name: "ci", uses: &[("everything the CI runs, in its order", "cargo xtask ci"), ("some steps of it", "cargo xtask ci STEP…")], run };

struct Step {
    name: &'static str,
    /// What this machine lacks for it, in words; then it is skipped.
    lacks: fn() -> Option<String>,
    run: fn(&Path) -> Result<()>,
}

const fn step(name: &'static str, run: fn(&Path) -> Result<()>) -> Step {
    Step { name, lacks: || None, run }
}

impl Step {
    const fn unless(self, lacks: fn() -> Option<String>) -> Step {
        Step { lacks, ..self }
    }
}

/// The order matters: nothing is believed before determinism is shown, and no seed is hunted before an alarm has rung.
const STEPS: &[Step] = &[
    step("fmt", fmt),
    step("clippy", clippy),
    step("clippy, madsim", clippy_madsim),
    step("clippy, kafka", clippy_kafka).unless(conformance::lacks_build),
    step("tidy", |_| passes(process::cargo().args(["xtask", "tidy"]))),
    step("tests", |_| test::ordinary()),
    step("tests, madsim", |_| test::simulated()),
    step("fuzz", |_| fuzz::short()),
    step("loom", |_| loom::check()),
    step("instructions", instructions),
    step("build, madsim", |root| World::Madsim.build_sim(root, None).map(drop)),
    step("build, turmoil", build_turmoil),
    step("determinism", |root| sim(root, &["meta"])),
    step("latency", latency),
    step("regressions", regressions),
    step("mixed builds", mixed_builds),
    step("kafka", kafka).unless(conformance::lacks_room),
    step("alarm", alarm),
    step("seeds 1..=20", |root| sim(root, &["sweep", "--seeds", "1..21"])),
    step("sweep", sweep),
];

/// The plant that is caught soonest: CI shows that the alarm rings, the nightly run shows it for all.
const ALARM: &str = "client_order_id_dedup_off";

fn run(arguments: &[String]) -> Result<u8> {
    let steps = chosen(arguments)?;
    let root = tree::root();
    let mut took: Vec<(&str, Duration)> = Vec::new();
    let mut skipped = 0;
    for (index, step) in steps.iter().enumerate() {
        println!("==> [{}/{}] {}", index + 1, steps.len(), step.name);
        if let Some(what) = (step.lacks)() {
            println!("    skipped  {}: {what}", step.name);
            skipped += 1;
            continue;
        }
        let start = Instant::now();
        let result = (step.run)(&root);
        if let Some(what) = result.as_ref().err().and_then(|error| error.downcast_ref::<Skipped>()) {
            println!("    skipped  {}: {}", step.name, what.0);
            skipped += 1;
            continue;
        }
        took.push((step.name, start.elapsed()));
        if let Err(error) = result {
            print_durations(&took);
            println!("\nFAILED  {}: {error:#}", step.name);
            println!("{} passed, 1 failed, {skipped} skipped", took.len() - 1);
            return Ok(1);
        }
        println!("    ok  {} in {}", step.name, minutes(start.elapsed()));
    }
    print_durations(&took);
    println!("{} passed, 0 failed, {skipped} skipped", took.len());
    Ok(0)
}

/// Those that are named, in the CI's order; all, if none is.
fn chosen(names: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(none) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(Usage(format!("no step `{none}`; there are: {}", known.join(" · "))).into());
    }
    Ok(STEPS.iter().filter(|step| names.is_empty() || names.iter().any(|name| name == step.name)).collect())
}

fn print_durations(took: &[(&str, Duration)]) {
    println!();
    for (name, duration) in took {
        println!("  {name:<16} {:>8}", minutes(*duration));
    }
    println!("  {:<16} {:>8}", "all", minutes(took.iter().map(|(_, duration)| *duration).sum()));
}

fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}m {:02}s", seconds / 60, seconds % 60)
}

/// Exit code 0, or an error that names the command.
fn passes(command: &mut std::process::Command) -> Result<()> {
    process::run(command.current_dir(tree::root()))
}

fn fmt(_: &Path) -> Result<()> {
    passes(process::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(_: &Path) -> Result<()> {
    passes(process::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// What is compiled only under madsim is seen by clippy only there.
fn clippy_madsim(_: &Path) -> Result<()> {
    let packages = ["--package", "lockstep-sim", "--package", "lockstep-faults", "--package", "lockstep-scenarios"];
    passes(World::Madsim.cargo().args(["clippy", "--quiet", "--all-targets"]).args(packages).args(["--", "-D", "warnings"]))
}

/// Apache Kafka's clients are behind features: what only they compile is seen only here.
fn clippy_kafka(_: &Path) -> Result<()> {
    let packages = ["--package", "lockstep-adapters", "--package", "lockstep-exchange", "--features", "rdkafka,krafka"];
    passes(process::cargo().args(["clippy", "--quiet", "--all-targets"]).args(packages).args(["--", "-D", "warnings"]))
}

/// The third build of the workspace: it compiles.
fn build_turmoil(_: &Path) -> Result<()> {
    passes(World::Turmoil.cargo().args(["check", "--quiet", "--package", "lockstep-scenarios", "--all-targets"]))
}

/// Speed, as exactly as it can be told on a machine with others on it.
fn instructions(root: &Path) -> Result<()> {
    anyhow::ensure!(crate::instructions::gate(root, None)?, "something costs more instructions than bench/instructions.json allows");
    Ok(())
}

/// The same in simulated time, which the machine does not bend at all.
fn latency(root: &Path) -> Result<()> {
    anyhow::ensure!(crate::latency::gate(root, None)?, "an order waits longer for its acknowledgement than bench/latency.json allows");
    Ok(())
}

fn sim(root: &Path, arguments: &[&str]) -> Result<()> {
    let sim = World::Madsim.build_sim(root, None)?;
    process::run(sim_command(&sim, root)?.args(arguments))
}

/// Every shrunk plan that was kept: what failed once may not fail again.
fn regressions(root: &Path) -> Result<()> {
    let plans: Vec<String> = tree::files(root)?.into_iter().filter(|path| path.starts_with("scenarios/regressions/") && path.ends_with(".json")).collect();
    println!("    {} plans", plans.len());
    for plan in plans {
        sim(root, &["--plan", &plan])?;
    }
    Ok(())
}

/// Today's exchange and one to come, on one log.
fn mixed_builds(_: &Path) -> Result<()> {
    match conformance::mixed_builds()? {
        0 => Ok(()),
        code => bail!("the test of two builds exited with {code}"),
    }
}

/// The log port's contract on a real Apache Kafka, where this machine gives one.
fn kafka(_: &Path) -> Result<()> {
    match conformance::shortly()? {
        0 => Ok(()),
        code => bail!("the contract on Apache Kafka exited with {code}"),
    }
}

fn alarm(root: &Path) -> Result<()> {
    let chosen = plants::choose(plant::all(root)?, &[ALARM.to_owned()])?;
    if !plants::prove(root, &chosen)? {
        bail!("the planted bug was not caught as it should be");
    }
    Ok(())
}

/// New seeds with every commit, and the same ones for whoever checks that commit out.
fn sweep(root: &Path) -> Result<()> {
    let hash = commit_hash(root)?;
    println!("    seeds from commit {hash}");
    sim(root, &["sweep", "--scenario", "rebalance_storm", "--time", "5m", "--from-commit", &hash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_a_person_says_them() {
        assert_eq!(minutes(Duration::from_millis(61_900)), "1m 01s");
    }

    #[test]
    fn steps_are_chosen_by_name_and_keep_their_order() {
        let names = |line: &[&str]| {
            chosen(&line.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["kafka", "fmt"]).expect("both are there"), ["fmt", "kafka"]);
        assert_eq!(names(&[]).expect("all").len(), STEPS.len());
        assert!(names(&["kafak"]).expect_err("no such step").is::<Usage>());
    }

    /// A seed is hunted only after determinism is shown and an alarm has rung.
    #[test]
    fn determinism_and_the_alarm_come_before_the_seeds() {
        let place = |name: &str| STEPS.iter().position(|step| step.name == name).expect("a step");
        assert!(place("determinism") < place("alarm"));
        assert!(place("alarm") < place("seeds 1..=20"));
        assert_eq!(place("sweep"), STEPS.len() - 1);
    }
}
