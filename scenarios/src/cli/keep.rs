//! `sim keep N`: saves the shrunk plan of a failing seed as a regression that every later test runs.

use super::usage;
use sim::Plan;
use sim::report::exit;
use std::fs;
use std::path::{Path, PathBuf};

/// Where regressions live.
const FOLDER: &str = "scenarios/regressions";

pub fn run(seed: u64, scenario: Option<&str>) -> u8 {
    match keep(seed, scenario) {
        Ok(path) => {
            println!("kept {}", path.display());
            exit::PASS
        }
        Err(error) => usage(&error),
    }
}

fn keep(seed: u64, scenario: Option<&str>) -> Result<PathBuf, String> {
    let found = runs_of(seed, scenario)?;
    let [folder] = found.as_slice() else {
        let names: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
        return Err(match names.is_empty() {
            true => format!("no failing run of seed {seed} in target/runs: run sim --seed {seed} first"),
            false => format!("several runs of seed {seed}: {}; say --scenario", names.join(", ")),
        });
    };
    let source = folder.join("shrunk.json");
    let text = fs::read_to_string(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    let plan = Plan::from_text(&source.display().to_string(), &text)?;
    fs::create_dir_all(FOLDER).map_err(|error| format!("{FOLDER}: {error}"))?;
    let path = Path::new(FOLDER).join(format!("{seed:04}-{}.json", plan.scenario.replace('_', "-")));
    fs::write(&path, plan.to_text()).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Run folders of a seed that hold a shrunk plan, by name.
fn runs_of(seed: u64, scenario: Option<&str>) -> Result<Vec<PathBuf>, String> {
    let Ok(entries) = fs::read_dir("target/runs") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("target/runs: {error}"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let fits = name.strip_suffix(&format!("-{seed}")).is_some_and(|of| scenario.is_none_or(|wanted| wanted == of));
        if fits && path.join("shrunk.json").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
