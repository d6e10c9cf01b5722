//! What may lie in the root of the checkout: the prescribed folders, and what tools demand.

use anyhow::Result;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "entries", about: "nothing else belongs in the root", check };

#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "Cargo.toml", "engine", "sim", "faults", "scenarios", "bench", "xtask", "README.md",
    ".cargo", ".ci", ".config", ".github", ".gitignore", "CHANGELOG.md", "Cargo.lock", "LICENSE", "clippy.toml", "deny.toml", "rustfmt.toml",
];

fn check(tree: &Tree) -> Result<Vec<String>> {
    Ok(findings(&tree.files))
}

fn findings(files: &[String]) -> Vec<String> {
    let mut entries: Vec<&str> = files.iter().map(|path| path.split('/').next().expect("split gives at least one part")).collect();
    entries.dedup();
    entries.into_iter().filter(|entry| !ALLOWED.contains(entry)).map(|entry| format!("{entry}: not an entry of the root")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_folder_is_found_once() {
        let files = ["engine/wire/src/lib.rs", "notes/a.md", "notes/b.md", "Cargo.toml"].map(str::to_owned);
        assert_eq!(findings(&files), ["notes: not an entry of the root"]);
    }
}
