//! Only the parts that meet the real world may lift clippy's rules of determinism (`clippy.toml`).

use anyhow::Result;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "allows", about: "clippy's rules of determinism may be lifted only where the real world begins", check };

/// Files and folders (with a slash behind them) that may say `allow(clippy::disallowed_…)`. The simulated world's `run.rs` starts the one fresh
/// thread that each seed runs on, and watches it from outside.
#[rustfmt::skip]
const MAY_ALLOW: &[&str] = &[
    "bench/", "engine/adapters/", "engine/exchange/", "engine/fuzz/src/main.rs", "engine/ring/src/threaded.rs", "engine/runtime/", "scenarios/src/main.rs", "sim/src/world/madsim/run.rs", "xtask/",
];

/// Integration tests are never linked into what runs under a seed, and read golden files and recorded order flow.
fn may_allow(path: &str) -> bool {
    MAY_ALLOW.iter().any(|allowed| path.starts_with(allowed)) || path.contains("/tests/")
}

fn check(tree: &Tree) -> Result<Vec<String>> {
    Ok(findings(&tree.sources()?))
}

fn findings(sources: &[(String, String)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| !may_allow(path)) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| lifts(line)) {
            findings.push(format!("{path}:{}: {}", number + 1, line.trim()));
        }
    }
    findings
}

fn lifts(line: &str) -> bool {
    line.contains("clippy::disallowed_") && (line.contains("allow(") || line.contains("expect(") || line.contains("warn("))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_may_not_lift_the_rules_and_an_adapter_may() {
        let line = "#![allow(clippy::disallowed_methods)]\n".to_owned();
        let sources = [("engine/services/src/account.rs".to_owned(), line.clone()), ("engine/adapters/src/sqlite.rs".to_owned(), line)];
        assert_eq!(findings(&sources), ["engine/services/src/account.rs:1: #![allow(clippy::disallowed_methods)]"]);
    }
}
