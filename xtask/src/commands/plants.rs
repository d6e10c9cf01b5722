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
        let code = process::code(sweep(&unpatched, root, scenario, seeds)?.stdout(std::process::Stdio::null()))?;
        println!("{:<36} {:<32} {:>16}", "(unpatched)", scenario, if code == 0 { format!("{seeds} pass") } else { format!("exit {code}") });
        sound &= code == 0;
    }
    Ok(sound)
}

/// What came of one plant.
struct Grown {
    rebuild_seconds: u64,
    exit: u8,
    /// First invariant that was broken, as the sweep names it.
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
    let (exit, text) = process::output_and_code(&mut sweep(&sim, &scratch.tree, &plant.scenario, SEEDS_MAX)?)?;
    let found = first_failure(&text);
    if exit == 2 {
        bail!("plant {}: sim did not understand its command line", plant.name);
    }
    let seeds = found.as_ref().map_or(SEEDS_MAX, |(seed, _)| seed + 1);
    Ok(Grown { rebuild_seconds, exit, caught: found.map(|(_, invariant)| invariant), seeds })
}

fn sweep(sim: &Path, root: &Path, scenario: &str, seeds: u64) -> Result<std::process::Command> {
    let mut command = sim_command(sim, root)?;
    command.args(["sweep", "--seeds", &format!("0..{seeds}"), "--scenario", scenario, "--stop-at-first"]);
    Ok(command)
}

/// Seed and invariant of the sweep's first line `FAIL seed <seed> <scenario> <invariant>: …`; a liveness failure says STUCK.
fn first_failure(text: &str) -> Option<(u64, String)> {
    let failures = text.lines().filter(|line| ["FAIL", "STUCK", "CRASH", "NOT DETERMINISTIC"].iter().any(|kind| line.trim_start().starts_with(kind)));
    failures.into_iter().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "seed").skip(1);
        let (seed, _scenario, invariant) = (words.next()?, words.next()?, words.next()?);
        Some((seed.replace(',', "").parse().ok()?, invariant.trim_end_matches(':').to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plant() -> Plant {
        Plant { name: "a".into(), patch: "a.patch".into(), invariant: "settled_once".into(), scenario: "smoke".into(), exit: 10 }
    }

    #[test]
    fn the_failing_seed_is_read_from_the_sweeps_line() {
        let line = "  FAIL     seed 9,118,224  crash_mid_commit  no_lost_order: order 7 is gone     cargo xtask sim --scenario crash_mid_commit --seed 9118224";
        assert_eq!(first_failure(&format!("  0:12   3 seeds · 1 failed · 0 stuck\n{line}\nFAIL  (exit 10)\n")), Some((9_118_224, "no_lost_order".to_owned())));
        assert_eq!(first_failure("  STUCK    seed 3  smoke  eventually_settled: 4 orders     cargo"), Some((3, "eventually_settled".to_owned())));
        assert_eq!(first_failure("  NOT DETERMINISTIC seed 3  smoke  nondeterminism: digest"), Some((3, "nondeterminism".to_owned())));
        assert_eq!(first_failure("PASS  12 seeds\nFAIL  (exit 10)\n"), None);
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
