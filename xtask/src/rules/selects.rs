//! An unbiased `select!` draws its order from a counter of the process, so that the same seed gives another run. `runtime::select!` is biased.
//! Clippy cannot hold this one: it looks through `runtime::select!` and finds the forbidden macro inside.

use anyhow::Result;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "selects", about: "use runtime::select!, whose order is the written one", check };

const UNBIASED: &[&str] = &["tokio::select!", "futures::select!", "futures_util::select!", "use tokio::select"];

fn check(tree: &Tree) -> Result<Vec<String>> {
    Ok(findings(&tree.sources()?))
}

fn findings(sources: &[(String, String)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| !path.starts_with("engine/runtime/") && !path.starts_with("xtask/")) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if UNBIASED.iter().any(|name| code.contains(name)) {
                findings.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokios_own_select_is_found_and_the_runtimes_is_not() {
        let text = "runtime::select! { a => 1 }\ntokio::select! { biased; a => 1 }\n// tokio::select! is unbiased\n".to_owned();
        assert_eq!(findings(&[("engine/log/src/native.rs".to_owned(), text)]), ["engine/log/src/native.rs:2: tokio::select! { biased; a => 1 }"]);
    }
}
