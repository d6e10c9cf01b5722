//! `cargo xtask conformance --log sim --planted [NAME…]`: the contract on a broker with a planted bug. The run must be red, and the contract that the patch's
//! head names (`# contract: NAME`) among those that broke; a plant that goes through fails.

use std::path::Path;

use anyhow::Result;

use crate::plant::{self, Plant};
use crate::scratch::Scratch;
use crate::world::World;
use crate::{Usage, process, tree};

const WORD: &str = "--planted";

/// Runs it if that is what was asked for; answers the exit code.
pub fn asked(arguments: &[String]) -> Result<Option<u8>> {
    let Some(at) = arguments.iter().position(|word| word == WORD) else { return Ok(None) };
    let (before, names) = (&arguments[..at], &arguments[at + 1..]);
    if !matches!(before, [log, sim] if log == "--log" && sim == "sim") && !matches!(before, [log] if log == "--log=sim") {
        return Err(Usage(format!("{WORD} is for the simulated log: --log sim {WORD} [NAME…]")).into());
    }
    let root = tree::root();
    let chosen = choose(plant::all(&root)?, names)?;
    let mut sound = true;
    for (plant, contract) in &chosen {
        sound &= is_caught(&root, plant, contract)?;
    }
    Ok(Some(u8::from(!sound)))
}

/// The named plants, or all, of those whose head names a contract; with it.
fn choose(all: Vec<Plant>, names: &[String]) -> Result<Vec<(Plant, String)>> {
    let all: Vec<(Plant, String)> = all.into_iter().filter_map(|plant| plant.contract.clone().map(|contract| (plant, contract))).collect();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|(plant, _)| plant.name != **name)) {
        let known: Vec<&str> = all.iter().map(|(plant, _)| plant.name.as_str()).collect();
        return Err(Usage(format!("no plant `{unknown}` that names its contract; there are: {}", known.join(", "))).into());
    }
    Ok(all.into_iter().filter(|(plant, _)| names.is_empty() || names.contains(&plant.name)).collect())
}

fn is_caught(root: &Path, plant: &Plant, contract: &str) -> Result<bool> {
    let scratch = Scratch::of(root);
    scratch.plant(&plant.patch)?;
    let mut test = World::Madsim.cargo();
    test.current_dir(&scratch.tree).args(["test", "--quiet", "--profile", "simulation", "--package", "lockstep-sim", "--test", "log_conformance"]);
    let (code, said) = process::heard(test.arg("--target-dir").arg(&scratch.target).env("LOCKSTEP_ROUNDS", "7"))?;
    let broken = broken(&said);
    let is_caught = code != 0 && broken.contains(&contract);
    let verdict = if is_caught { "caught" } else { "NOT CAUGHT" };
    println!("{verdict}: plant {} by {contract}; {} contracts broke: {}", plant.name, broken.len(), broken.join(", "));
    Ok(is_caught)
}

/// Contracts whose line says that they did not hold.
fn broken(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("BROKEN")?.split_whitespace().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_contracts_are_read_from_the_lines_of_a_run() {
        let said =
            "log sim: a controller\nok      one_holds      12 ms  A1\nBROKEN  another_does_not      7 ms  A28, A30\n  seed 0: panic\n1 passed, 1 failed\n";
        assert_eq!(broken(said), ["another_does_not"]);
    }

    #[test]
    fn it_is_for_the_simulated_log_only_and_lists_the_plants_it_knows() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(asked(&words("--log sim")).expect("nothing was asked"), None);
        assert!(asked(&words("--log embedded --planted")).expect_err("embedded").is::<Usage>());
        let plant = |contract: Option<&str>| Plant {
            name: "a".into(),
            patch: "a.patch".into(),
            invariant: "settled_once".into(),
            scenario: "smoke".into(),
            contract: contract.map(str::to_owned),
            exit: 10,
        };
        assert_eq!(choose(vec![plant(Some("c")), plant(None)], &[]).expect("one").len(), 1);
        assert!(choose(vec![plant(Some("c"))], &words("b")).expect_err("unknown").to_string().ends_with("there are: a"));
    }
}
