//! Who may depend on whom. The direction of these arrows is the architecture; an absence here is a promise.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "dependencies", about: "a crate depends only on what the table allows", check };

/// One crate of the workspace (its folder), what it may depend on, and what its tests may in addition.
struct Row {
    folder: &'static str,
    may: &'static [&'static str],
    tests_may: &'static [&'static str],
}

/// `sim` and `faults` know nothing of orders: that is what lets somebody else's service live under this harness.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { folder: "engine/wire",     may: &[], tests_may: &[] },
    Row { folder: "engine/book",     may: &["engine/wire"], tests_may: &[] },
    Row { folder: "engine/book-capi", may: &["engine/wire", "engine/book"], tests_may: &[] },
    Row { folder: "engine/ring",     may: &[], tests_may: &[] },
    Row { folder: "engine/runtime",  may: &[], tests_may: &[] },
    Row { folder: "engine/broker",   may: &[], tests_may: &[] },
    Row { folder: "engine/log",      may: &["engine/broker", "engine/runtime"], tests_may: &["engine/wire"] },
    Row { folder: "engine/services", may: &["engine/wire", "engine/book", "engine/ring", "engine/log", "engine/runtime"], tests_may: &[] },
    Row { folder: "engine/adapters", may: &["engine/wire", "engine/log", "engine/runtime", "engine/services"], tests_may: &["sim"] },
    Row { folder: "engine/fuzz",     may: &["engine/wire", "engine/book", "engine/services", "sim", "scenarios"], tests_may: &[] },
    Row { folder: "engine/exchange", may: &["engine/wire", "engine/book", "engine/ring", "engine/broker", "engine/log", "engine/runtime", "engine/services", "engine/adapters"], tests_may: &["scenarios"] },
    Row { folder: "sim",             may: &["engine/broker", "engine/log", "engine/runtime"], tests_may: &[] },
    Row { folder: "faults",          may: &["sim"], tests_may: &[] },
    Row { folder: "scenarios",       may: &["sim", "faults", "engine/wire", "engine/book", "engine/ring", "engine/broker", "engine/log", "engine/runtime", "engine/services"], tests_may: &[] },
    Row { folder: "bench",           may: &["engine/wire", "engine/book", "engine/ring", "engine/broker", "engine/log", "engine/runtime", "engine/services", "engine/adapters", "engine/exchange", "scenarios"], tests_may: &[] },
    Row { folder: "xtask",           may: &[], tests_may: &[] },
];

fn check(tree: &Tree) -> Result<Vec<String>> {
    findings(&tree.metadata)
}

fn findings(metadata: &Value) -> Result<Vec<String>> {
    let root = metadata["workspace_root"].as_str().context("metadata names the root")?;
    let packages = metadata["packages"].as_array().context("metadata lists packages")?;
    let members = packages.iter().filter(|package| package["source"].is_null());
    let mut findings = Vec::new();
    for package in members {
        let folder = inside(root, package["manifest_path"].as_str().unwrap_or_default().trim_end_matches("/Cargo.toml"));
        let Some(row) = TABLE.iter().find(|row| row.folder == folder) else {
            findings.push(format!("{folder}: a crate without a row in the table of xtask/src/rules/dependencies.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("a package lists dependencies")? {
            let Some(path) = dependency["path"].as_str() else { continue };
            let on = inside(root, path);
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            let allowed = row.may.contains(&on) || (kind == "dev" && row.tests_may.contains(&on));
            if !allowed {
                findings.push(format!("{folder} may not depend on {on} ({kind})"));
            }
        }
    }
    Ok(findings)
}

fn inside<'a>(root: &str, path: &'a str) -> &'a str {
    path.strip_prefix(root).unwrap_or(path).trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(folder: &str, on: &str, kind: Value) -> Value {
        json!({ "workspace_root": "/w", "packages": [
            { "source": null, "manifest_path": format!("/w/{folder}/Cargo.toml"), "dependencies": [
                { "path": format!("/w/{on}"), "kind": kind },
                { "kind": null, "name": "serde" },
            ] },
            { "source": "registry+x", "manifest_path": "/r/serde/Cargo.toml", "dependencies": [] },
        ] })
    }

    #[test]
    fn an_arrow_against_the_direction_is_found() {
        assert_eq!(findings(&metadata("faults", "engine/wire", Value::Null)).unwrap(), ["faults may not depend on engine/wire (normal)"]);
        assert_eq!(findings(&metadata("engine/broker", "engine/log", json!("dev"))).unwrap(), ["engine/broker may not depend on engine/log (dev)"]);
        assert_eq!(findings(&metadata("xtask", "sim", json!("build"))).unwrap(), ["xtask may not depend on sim (build)"]);
    }

    #[test]
    fn what_tests_may_is_not_what_the_crate_may() {
        assert!(findings(&metadata("engine/adapters", "sim", json!("dev"))).unwrap().is_empty());
        assert_eq!(findings(&metadata("engine/adapters", "sim", Value::Null)).unwrap().len(), 1);
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_found() {
        assert!(findings(&metadata("engine/telemetry", "engine/wire", Value::Null)).unwrap()[0].contains("without a row"));
    }
}
