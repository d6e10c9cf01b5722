//! A planted bug: a patch in `scenarios/plants/` whose head says which invariant must catch it, and in which scenario.
//!
//! ```text
//! # invariant: no_duplicate_execution
//! # scenario: rebalance_storm
//! # expect-exit: 10
//! # contract: a_lost_ack_makes_no_duplicate
//! diff --git a/… b/…
//! ```
//! `expect-exit` may be left out: 10 (correctness) is meant; 11 is liveness. `contract`, of a broker's plant: which contract of the log breaks
//! too. Other lines that start with `#` are for the reader.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::tree;

pub const FOLDER: &str = "scenarios/plants";

/// Slow-downs that the gates of `cargo xtask bench` must catch, each named as its gate.
pub const OF_GATES: &str = "bench/plants";

/// Not a bug: a build to come, for tests of two builds on one log.
pub const NEXT_BUILD: &str = "engine/exchange/tests/next_build.patch";

#[derive(Debug, PartialEq, Eq)]
pub struct Plant {
    pub name: String,
    pub patch: PathBuf,
    /// The invariant that must catch it; another one does not count.
    pub invariant: String,
    pub scenario: String,
    /// The contract of the log that breaks too, if the plant says so.
    pub contract: Option<String>,
    /// Exit code that `sim` must give: 10 or 11.
    pub exit: u8,
}

/// Every plant of the tree, by name.
pub fn all(root: &Path) -> Result<Vec<Plant>> {
    let files = tree::files(root)?;
    files.iter().filter(|path| path.starts_with(FOLDER) && path.ends_with(".patch")).map(|path| read(&root.join(path))).collect()
}

fn read(patch: &Path) -> Result<Plant> {
    let name = patch.file_stem().and_then(|stem| stem.to_str()).context("a patch has a name in UTF-8")?.to_owned();
    let text = std::fs::read_to_string(patch).with_context(|| format!("cannot read {}", patch.display()))?;
    parse(&name, patch, &text).with_context(|| format!("{FOLDER}/{name}.patch"))
}

fn parse(name: &str, patch: &Path, text: &str) -> Result<Plant> {
    let head: Vec<&str> = text.lines().take_while(|line| !line.starts_with("diff ") && !line.starts_with("--- ")).collect();
    let field = |key: &str| head.iter().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(':')).map(|value| value.trim().to_owned());
    let invariant = field("invariant").context("no line `# invariant: NAME` above the diff")?;
    let scenario = field("scenario").context("no line `# scenario: NAME` above the diff")?;
    let exit = match field("expect-exit").as_deref() {
        None | Some("10") => 10,
        Some("11") => 11,
        Some(other) => bail!("`# expect-exit: {other}` is neither 10 (correctness) nor 11 (liveness)"),
    };
    Ok(Plant { name: name.to_owned(), patch: patch.to_owned(), invariant, scenario, contract: field("contract"), exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plant(text: &str) -> Result<Plant> {
        parse("a", Path::new("a.patch"), text)
    }

    #[test]
    fn the_head_names_invariant_scenario_and_exit() {
        let plant =
            plant("# Why it bites.\n# invariant: settled_once\n# scenario: smoke\n# expect-exit: 11\ndiff --git a/x b/x\n# scenario: inside\n").unwrap();
        assert_eq!((plant.invariant.as_str(), plant.scenario.as_str(), plant.exit), ("settled_once", "smoke", 11));
    }

    #[test]
    fn a_head_without_a_field_says_which() {
        assert!(plant("# scenario: smoke\ndiff").unwrap_err().to_string().contains("# invariant: NAME"));
        assert!(plant("# invariant: a\ndiff --git\n# scenario: b").unwrap_err().to_string().contains("# scenario: NAME"));
        assert!(plant("# invariant: a\n# scenario: b\n# expect-exit: 12\n").unwrap_err().to_string().contains("12"));
    }
}
