//! The tree that `tidy` judges: its files as git sees them, and what cargo says of its packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The root of the checkout; `xtask` always lies directly below it. As cargo says it when it runs us: a checkout may have been moved since the build. A test
/// that runs us has been told of its own package.
pub fn root() -> PathBuf {
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|package| package.ends_with("xtask"));
    let package = told.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    package.parent().expect("xtask lies in the root of the workspace").to_owned()
}

/// Paths that git tracks or would track, relative to `root`, sorted; what `.gitignore` names is not part of the tree.
pub fn files(root: &Path) -> Result<Vec<String>> {
    let list = process::output(Command::new("git").current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let mut files: Vec<String> = list.split('\0').filter(|path| !path.is_empty() && root.join(path).is_file()).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// What a rule reads. Nothing here writes.
pub struct Tree {
    pub root: PathBuf,
    pub files: Vec<String>,
    /// `cargo metadata --format-version 1`, of every platform and every world.
    pub metadata: Value,
}

impl Tree {
    /// Reads the checkout; fails where `Cargo.lock` does not fit the manifests.
    pub fn load() -> Result<Tree> {
        let root = root();
        let files = files(&root)?;
        let metadata = process::output(process::cargo().current_dir(&root).args(["metadata", "--format-version", "1", "--locked"]))?;
        let metadata = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
        Ok(Tree { root, files, metadata })
    }

    /// Text of a file, or nothing where it is not UTF-8.
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        let bytes = std::fs::read(self.root.join(path)).with_context(|| format!("cannot read {path}"))?;
        Ok(String::from_utf8(bytes).ok())
    }

    /// Every Rust source with its path.
    pub fn sources(&self) -> Result<Vec<(String, String)>> {
        let mut sources = Vec::new();
        for path in self.files.iter().filter(|path| path.ends_with(".rs")) {
            let text = self.text(path)?.with_context(|| format!("{path} is not UTF-8"))?;
            sources.push((path.clone(), text));
        }
        Ok(sources)
    }
}
