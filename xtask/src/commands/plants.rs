//! `cargo xtask plants [NAME…]`: plants a bug, runs seeds until it is caught, and says by which invariant and after how many. It proves the alarm,
//! not the exchange: a plant that is not caught, or caught by another invariant, fails, and so does an unpatched tree that fails on the same seeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use super::Command;
use crate::plant::{self, Plant};
use crate::scratch::Scratch;
use crate::world::{World, sim_command};
use crate::{Usage, process, tree};

pub const COMMAND: Command = Command { name: "plants", uses: &[("planted bugs, each caught by its invariant", "cargo xtask plants [NAME…]")], run };

/// A plant that hides longer than this is not caught.
const SEEDS_MAX: u64 = 500;

fn run(arguments: &[String]) -> Result<u8> {
    let root = tree::root();
    let chosen = choose(plant::all(&root)?, arguments)?;
    Ok(u8::from(!prove(&root, &chosen)?))
}

/// The named plants, or all of them.
pub fn choose(all: Vec<Plant>, names: &[String]) -> Result<Vec<Plant>> {
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|plant| plant.name != **name)) {
        let known: Vec<&str> = all.iter().map(|plant| plant.name.as_str()).collect();
        return Err(Usage(format!("no plant `{unknown}`; there are: {}", known.join(", "))).into());
    }
    Ok(all.into_iter().filter(|plant| names.is_empty() || names.contains(&plant.name)).collect())
}

/// Runs every plant and then the unpatched tree on the same seeds; prints the table; true when all is as it should be.
pub fn prove(root: &Path, plants: &[Plant]) -> Result<bool> {
    if plants.is_empty() {
        bail!("{} holds no plant", plant::FOLDER);
    }
    let unpatched = World::Madsim.build_sim(root, None)?;
    let scratch = Scratch::of(root);
    println!("{:<36} {:<32} {:>16} {:>15}", "plant", "invariant", "seeds-to-detect", "rebuild seconds");
    let (mut sound, mut seeds_by_scenario) = (true, BTreeMap::<&str, u64>::new());
    for plant in plants {
        let grown = grow(&scratch, plant)?;
        println!("{:<36} {:<32} {:>16} {:>15}", plant.name, plant.invariant, grown.verdict(plant), grown.rebuild_seconds);
        sound &= grown.caught_by(plant);
        let seeds = seeds_by_scenario.entry(&plant.scenario).or_default();
        *seeds = (*seeds).max(grown.seeds);
    }
    for (scenario, seeds) in seeds_by_scenario {
        let code = process::code(sweep(&unpatched, root, scenario, seeds, None)?.stdout(std::process::Stdio::null()))?;
        println!("{:<36} {:<32} {:>16}", "(unpatched)", scenario, if code == 0 { format!("{seeds} pass") } else { format!("exit {code}") });
        sound &= code == 0;
    }
    Ok(sound)
}

/// What came of one plant.
struct Grown {
    rebuild_seconds: u64,
    /// The exit code that the seed which caught it gives alone. (Of a sweep it is that of its worst seed: a plant may make others panic.)
    exit: u8,
    /// The named invariant if a seed broke it, else the first that was broken.
    caught: Option<String>,
    /// Seeds run until it was caught, or all of them.
    seeds: u64,
}

impl Grown {
    fn caught_by(&self, plant: &Plant) -> bool {
        self.caught.as_deref() == Some(plant.invariant.as_str()) && self.exit == plant.exit
    }

    fn verdict(&self, plant: &Plant) -> String {
        match &self.caught {
            _ if self.caught_by(plant) => self.seeds.to_string(),
            None => format!("NOT CAUGHT in {}, exit {}", self.seeds, self.exit),
            Some(other) => format!("CAUGHT BY {other}, exit {}", self.exit),
        }
    }
}

fn grow(scratch: &Scratch, plant: &Plant) -> Result<Grown> {
    scratch.plant(&plant.patch)?;
    let start = Instant::now();
    let sim = World::Madsim.build_sim(&scratch.tree, Some(&scratch.target))?;
    let rebuild_seconds = start.elapsed().as_secs();
    let (exit, text) = process::output_and_code(&mut sweep(&sim, &scratch.tree, &plant.scenario, SEEDS_MAX, Some(&plant.invariant))?)?;
    let failures = failures(&text);
    let named = failures.iter().filter(|failure| failure.broken.contains(&plant.invariant)).min_by_key(|failure| failure.seed);
    let found = named.map(|failure| (failure, plant.invariant.clone())).or_else(|| failures.first().map(|failure| (failure, failure.broken[0].clone())));
    if exit == 2 {
        bail!("plant {}: sim did not understand its command line", plant.name);
    }
    let seeds = found.as_ref().map_or(SEEDS_MAX, |(failure, _)| failure.seed + 1);
    Ok(Grown { rebuild_seconds, exit: found.as_ref().map_or(exit, |(failure, _)| failure.exit), caught: found.map(|(_, invariant)| invariant), seeds })
}

/// A seed that failed in a sweep.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    seed: u64,
    exit: u8,
    broken: Vec<String>,
}

/// How a sweep's line begins, and the exit code of a seed that fails so.
const KINDS: [(&str, u8); 4] = [("FAIL", 10), ("STUCK", 11), ("CRASH", 12), ("NOT DETERMINISTIC", 13)];

fn sweep(sim: &Path, root: &Path, scenario: &str, seeds: u64, until: Option<&str>) -> Result<std::process::Command> {
    let mut command = sim_command(sim, root)?;
    command.args(["sweep", "--seeds", &format!("0..{seeds}"), "--scenario", scenario]);
    command.args(until.map(|invariant| ["--until", invariant]).iter().flatten());
    Ok(command)
}

/// Each of the sweep's lines `FAIL seed <seed> <scenario> <invariant> (also <invariant>, …): …`; a liveness failure says STUCK.
fn failures(text: &str) -> Vec<Failure> {
    let failure = |line: &str| {
        let (_, exit) = KINDS.into_iter().find(|(kind, _)| line.trim_start().starts_with(kind))?;
        let (_, rest) = line.split_once("seed ")?;
        let (numbered, _headline) = rest.split_once(": ")?;
        let mut words = numbered.split_whitespace();
        let (seed, _scenario) = (words.next()?.replace(',', "").parse().ok()?, words.next()?);
        let broken = words.filter(|word| *word != "(also").map(|word| word.trim_end_matches([',', ')']).to_owned()).collect();
        Some(Failure { seed, exit, broken })
    };
    text.lines().filter_map(failure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plant() -> Plant {
        Plant { name: "a".into(), patch: "a.patch".into(), invariant: "settled_once".into(), scenario: "smoke".into(), contract: None, exit: 10 }
    }

    #[test]
    fn failing_seeds_and_all_that_they_broke_are_read_from_the_sweeps_lines() {
        let line = "  FAIL     seed 9,118,224  crash_mid_commit  no_lost_order: order 7: gone     cargo xtask sim --scenario crash_mid_commit --seed 9118224";
        let text = format!("  0:12   3 seeds · 1 failed · 0 stuck\n{line}\nFAIL  (exit 10)\n");
        let failed = |seed: u64, exit: u8, broken: &[&str]| vec![Failure { seed, exit, broken: broken.iter().map(|name| (*name).to_owned()).collect() }];
        assert_eq!(failures(&text), failed(9_118_224, 10, &["no_lost_order"]));
        assert_eq!(failures("  STUCK    seed 3  smoke  eventually_settled: 4 orders     cargo"), failed(3, 11, &["eventually_settled"]));
        assert_eq!(failures("  NOT DETERMINISTIC seed 3  smoke  nondeterminism: digest"), failed(3, 13, &["nondeterminism"]));
        let several = failures("  FAIL     seed 0  smoke  single_writer (also gapless_sequence, settled_once): two nodes");
        assert_eq!(several, failed(0, 10, &["single_writer", "gapless_sequence", "settled_once"]));
        assert_eq!(failures("PASS  12 seeds\nFAIL  (exit 10)\n"), []);
    }

    #[test]
    fn only_the_named_invariant_with_the_named_exit_counts() {
        let grown = |caught: Option<&str>, exit| Grown { rebuild_seconds: 1, exit, caught: caught.map(str::to_owned), seeds: 3 };
        assert!(grown(Some("settled_once"), 10).caught_by(&plant()));
        assert!(!grown(Some("settled_once"), 12).caught_by(&plant()));
        assert!(!grown(Some("conservation"), 10).caught_by(&plant()));
        assert!(!grown(None, 0).caught_by(&plant()));
        assert_eq!(grown(None, 0).verdict(&plant()), "NOT CAUGHT in 3, exit 0");
    }

    #[test]
    fn an_unknown_name_is_a_usage_error_that_lists_the_known() {
        let error = choose(vec![plant()], &["b".to_owned()]).unwrap_err();
        assert!(error.is::<Usage>());
        assert!(error.to_string().ends_with("there are: a"));
        assert_eq!(choose(vec![plant()], &[]).unwrap().len(), 1);
    }
}
