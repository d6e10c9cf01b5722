//! Every dependency's licence permits commercial use, on every platform and in every world.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "licences", about: "a dependency's licence is not on the list of those that permit commercial use", check };

/// The same list as in `deny.toml`.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0",
    "Unicode-3.0", "Unlicense", "Zlib",
];

fn check(tree: &Tree) -> Result<Vec<String>> {
    findings(&tree.metadata)
}

fn findings(metadata: &Value) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().context("metadata lists packages")? {
        let name = format!("{} {}", package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"));
        match package["license"].as_str() {
            None => findings.push(format!("{name}: names no licence")),
            Some(licence) => match permits(licence) {
                Ok(true) => {}
                Ok(false) => findings.push(format!("{name}: {licence}")),
                Err(error) => findings.push(format!("{name}: cannot read `{licence}`: {error}")),
            },
        }
    }
    Ok(findings)
}

/// Whether an SPDX expression can be satisfied from the list: `OR` needs one side, `AND` (which binds tighter) both. The old `/` means `OR`.
fn permits(expression: &str) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let verdict = any_of(&words, &mut at)?;
    anyhow::ensure!(at == words.len(), "`{}` is left over", words[at]);
    Ok(verdict)
}

fn any_of(words: &[&str], at: &mut usize) -> Result<bool> {
    let mut verdict = all_of(words, at)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        verdict |= all_of(words, at)?;
    }
    Ok(verdict)
}

fn all_of(words: &[&str], at: &mut usize) -> Result<bool> {
    let mut verdict = one(words, at)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        verdict &= one(words, at)?;
    }
    Ok(verdict)
}

fn one(words: &[&str], at: &mut usize) -> Result<bool> {
    let word = *words.get(*at).context("a licence is missing at the end")?;
    *at += 1;
    if word == "(" {
        let verdict = any_of(words, at)?;
        anyhow::ensure!(words.get(*at) == Some(&")"), "a `)` is missing");
        *at += 1;
        return Ok(verdict);
    }
    anyhow::ensure!(!matches!(word, ")" | "OR" | "AND" | "WITH"), "`{word}` where a licence should stand");
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).context("WITH needs an exception")?;
        *at += 2;
        return Ok(ALLOWED.contains(&format!("{word} WITH {exception}").as_str()));
    }
    Ok(ALLOWED.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        for (expression, verdict) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT/Apache-2.0", true),
            ("MIT OR GPL-2.0-only", true),
            ("MIT AND GPL-2.0-only", false),
            ("GPL-2.0-only AND MIT OR ISC", true),
            ("GPL-2.0-only AND (MIT OR ISC)", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0-only WITH Classpath-exception-2.0", false),
        ] {
            assert_eq!(permits(expression).unwrap(), verdict, "{expression}");
        }
        for broken in ["", "MIT OR", "(MIT", "MIT ISC", "AND MIT"] {
            assert!(permits(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_dependency_and_its_licence_are_named() {
        let metadata = json!({ "packages": [
            { "name": "good", "version": "1.0.0", "license": "MIT" },
            { "name": "copyleft", "version": "2.1.0", "license": "AGPL-3.0-only" },
            { "name": "silent", "version": "0.1.0", "license": null },
        ] });
        assert_eq!(findings(&metadata).unwrap(), ["copyleft 2.1.0: AGPL-3.0-only", "silent 0.1.0: names no licence"]);
    }
}
