//! Which world the code is compiled for is known in three places; everywhere else it is the same code.

use anyhow::Result;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "cfgs", about: "only the runtime, sim's world and scenarios' main name a world", check };

/// `xtask` sets the cfgs and is compiled without any; an integration test of a world is compiled for that world only.
const MAY_NAME: &[&str] = &["engine/runtime/", "faults/tests/", "scenarios/src/main.rs", "scenarios/tests/", "sim/src/world/", "sim/tests/", "xtask/"];

fn check(tree: &Tree) -> Result<Vec<String>> {
    Ok(findings(&tree.sources()?))
}

fn findings(sources: &[(String, String)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| !MAY_NAME.iter().any(|allowed| path.starts_with(allowed))) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| names_a_world(line)) {
            findings.push(format!("{path}:{}: {}", number + 1, line.trim()));
        }
    }
    findings
}

/// True for `#[cfg(madsim)]`, `cfg!(turmoil)`, `#[cfg_attr(not(madsim), …)]`; not for a comment.
fn names_a_world(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let mut rest = code;
    while let Some(at) = rest.find("cfg") {
        rest = &rest[at + 3..];
        let inside = rest.trim_start_matches("_attr").trim_start_matches('!');
        if inside.starts_with('(') && inside.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "madsim" || word == "turmoil") {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_asks_for_its_world_is_found() {
        for line in ["#[cfg(madsim)]", "if cfg!(turmoil) {", "#[cfg_attr(not(madsim), test)]", "#[cfg(all(test, not(turmoil)))]"] {
            let sources = [("engine/services/src/wallet.rs".to_owned(), format!("\n    {line}\n"))];
            assert_eq!(findings(&sources), [format!("engine/services/src/wallet.rs:2: {line}")]);
        }
    }

    #[test]
    fn comments_other_cfgs_and_the_runtime_are_not() {
        let text = "// built with cfg(madsim)\n#[cfg(test)]\nuse madsim::x; // cfg(madsim)\n".to_owned();
        assert!(findings(&[("sim/src/plan.rs".to_owned(), text)]).is_empty());
        assert!(findings(&[("engine/runtime/src/net.rs".to_owned(), "#[cfg(madsim)]".to_owned())]).is_empty());
    }
}
