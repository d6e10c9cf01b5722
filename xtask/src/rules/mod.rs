//! Every rule of `cargo xtask tidy`: one file each, one line in `all`. A rule is a pure function of the tree that answers its findings.

mod allows;
mod cfgs;
mod dependencies;
mod differences;
mod entries;
mod entropy;
mod licences;
mod lists;
mod plants;
mod selects;
mod words;

use anyhow::Result;

use crate::tree::Tree;

pub struct Rule {
    pub name: &'static str,
    /// What it asks for, printed above its findings.
    pub about: &'static str,
    /// Findings, each one line that names the place and what is wrong with it.
    pub check: fn(&Tree) -> Result<Vec<String>>,
}

/// In alphabetical order.
pub const fn all() -> &'static [Rule] {
    &[
        allows::RULE,
        cfgs::RULE,
        dependencies::RULE,
        differences::RULE,
        entries::RULE,
        entropy::RULE,
        licences::RULE,
        lists::RULE,
        plants::RULE,
        selects::RULE,
        words::RULE,
    ]
}
