//! The scratch copy of the tree in which plants grow: `target/plants/tree`, compiled into `target/plants/target`, which stays warm between plants.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, tree};

pub struct Scratch {
    origin: PathBuf,
    pub tree: PathBuf,
    pub target: PathBuf,
}

impl Scratch {
    pub fn of(origin: &Path) -> Scratch {
        let folder = origin.join("target/plants");
        Scratch { origin: origin.to_owned(), tree: folder.join("tree"), target: folder.join("target") }
    }

    /// Makes the copy equal to the original. Files that are equal already are not touched: cargo rebuilds by modification time, and a warm
    /// target directory is what makes forty plants affordable.
    pub fn refresh(&self) -> Result<()> {
        std::fs::create_dir_all(&self.tree).with_context(|| format!("cannot create {}", self.tree.display()))?;
        let files: BTreeSet<String> = tree::files(&self.origin)?.into_iter().collect();
        for stale in walk(&self.tree, Path::new(""))?.into_iter().filter(|path| !files.contains(path)) {
            std::fs::remove_file(self.tree.join(&stale)).with_context(|| format!("cannot remove {stale}"))?;
        }
        for path in &files {
            copy_if_changed(&self.origin.join(path), &self.tree.join(path))?;
        }
        Ok(())
    }

    /// Applies a patch to the fresh copy.
    pub fn plant(&self, patch: &Path) -> Result<()> {
        self.refresh()?;
        // The copy lies inside the checkout; git must take it for a plain folder, or it would skip every path of the patch.
        let ceiling = self.tree.parent().context("the copy lies in target/plants")?;
        process::run(Command::new("git").current_dir(&self.tree).env("GIT_CEILING_DIRECTORIES", ceiling).arg("apply").arg(patch))
    }
}

fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let fresh = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if std::fs::read(to).is_ok_and(|old| old == fresh) {
        return Ok(());
    }
    std::fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
    std::fs::write(to, fresh).with_context(|| format!("cannot write {}", to.display()))
}

/// Every file below `root`, relative to it.
fn walk(root: &Path, below: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.extend(walk(root, &path)?);
        } else {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_file_keeps_its_modification_time_and_a_changed_one_is_copied() {
        let folder = std::env::temp_dir().join(format!("lockstep-scratch-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("from")).unwrap();
        let (from, to) = (folder.join("from/a"), folder.join("to/b/a"));
        std::fs::write(&from, "one").unwrap();
        copy_if_changed(&from, &to).unwrap();
        let before = std::fs::metadata(&to).unwrap().modified().unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(std::fs::metadata(&to).unwrap().modified().unwrap(), before);
        std::fs::write(&from, "two").unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "two");
        assert_eq!(walk(&folder, Path::new("")).unwrap().len(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
