//! Every planted bug still applies to the tree, and says which invariant must catch it.

use std::process::Command;

use anyhow::Result;

use super::Rule;
use crate::tree::Tree;
use crate::{plant, process};

pub const RULE: Rule = Rule { name: "plants", about: "a plant that no longer applies proves nothing", check };

fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for patch in tree.files.iter().filter(|file| file.starts_with(plant::OF_GATES) || *file == plant::NEXT_BUILD) {
        if !applies(&tree.root, &tree.root.join(patch))? {
            findings.push(format!("{patch}: does not apply"));
        }
    }
    for plant in plant::all(&tree.root)? {
        if !applies(&tree.root, &plant.patch)? {
            findings.push(format!("{}/{}.patch: does not apply", plant::FOLDER, plant.name));
        }
        for (folder, name) in [("invariants", &plant.invariant), ("scenarios", &plant.scenario)] {
            let is_named = |folder: &str| tree.files.iter().any(|file| file.ends_with(&format!("src/{folder}/{name}.rs")));
            let is_anomaly = folder == "invariants" && is_named("checkers");
            if !is_named(folder) && !is_anomaly {
                findings.push(format!("{}/{}.patch: no file of that name in {folder}: {name}", plant::FOLDER, plant.name));
            }
        }
    }
    Ok(findings)
}

fn applies(root: &std::path::Path, patch: &std::path::Path) -> Result<bool> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["apply", "--check"]).arg(patch);
    Ok(process::code(&mut git)? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_against_other_text_does_not_apply() {
        let folder = std::env::temp_dir().join(format!("lockstep-plants-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.rs"), "fence(generation)\n").unwrap();
        let patch = |from: &str| format!("# invariant: x\n# scenario: y\n--- a/a.rs\n+++ b/a.rs\n@@ -1 +1 @@\n-{from}\n+accept()\n");
        std::fs::write(folder.join("good.patch"), patch("fence(generation)")).unwrap();
        std::fs::write(folder.join("bad.patch"), patch("fence(epoch)")).unwrap();
        assert!(applies(&folder, &folder.join("good.patch")).unwrap());
        assert!(!applies(&folder, &folder.join("bad.patch")).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
