//! `cargo xtask tidy`: what the compiler does not check. Reads only.

use anyhow::{Context, Result};

use super::Command;
use crate::no_arguments;
use crate::rules;
use crate::tree::Tree;

pub const COMMAND: Command = Command { name: "tidy", uses: &[("layout, lists, dependency direction, licences", "cargo xtask tidy")], run };

fn run(arguments: &[String]) -> Result<u8> {
    no_arguments(arguments)?;
    let tree = Tree::load()?;
    let mut broken = 0;
    for rule in rules::all() {
        let findings = (rule.check)(&tree).with_context(|| format!("rule {}", rule.name))?;
        println!("{:<14} {}", rule.name, if findings.is_empty() { "ok".to_owned() } else { format!("{} findings: {}", findings.len(), rule.about) });
        for finding in &findings {
            println!("  {finding}");
        }
        broken += findings.len();
    }
    if broken > 0 {
        println!("tidy: {broken} findings");
    }
    Ok(u8::from(broken > 0))
}
