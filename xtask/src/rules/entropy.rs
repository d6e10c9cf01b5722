//! madsim answers `getrandom(2)` from the seed, but getrandom 0.2 makes the raw system call and slips through, and rand 0.8's `thread_rng` with
//! it. madsim itself carries them and never asks them; nobody else in the simulated build may.

use anyhow::Result;

use super::Rule;
use crate::process;
use crate::tree::Tree;
use crate::world::World;

pub const RULE: Rule = Rule { name: "entropy", about: "entropy that the seed does not decide, in the simulated build", check };

/// Each crate that leads to the raw system call, and who is known to lead there: madsim's own chain, no more.
const KNOWN: &[(&str, &[&str])] = &[
    ("getrandom v0.2", &["rand_core v0.6"]),
    ("rand v0.8", &["madsim v0.2"]),
    ("rand_chacha v0.3", &["rand v0.8"]),
    ("rand_core v0.6", &["rand v0.8", "rand_chacha v0.3", "rand_xoshiro v0.6"]),
    ("rand_xoshiro v0.6", &["madsim v0.2"]),
];

fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut cargo = World::Madsim.cargo();
    cargo.current_dir(&tree.root).args(["tree", "--locked", "--edges", "normal", "--prefix", "depth", "--package", "lockstep-scenarios"]);
    Ok(findings(&process::output(&mut cargo)?))
}

/// `text`: lines `<depth><crate> v<version> …`, a depth-first walk; a subtree is printed once, so that each edge stands somewhere.
fn findings(text: &str) -> Vec<String> {
    let mut path: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let name = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let depth: usize = line[..line.len() - name.len()].parse().expect("cargo tree prints the depth first");
        path.truncate(depth);
        let known = KNOWN.iter().find(|(entropy, _)| is(name, entropy)).map(|(_, parents)| *parents);
        if let (Some(parents), Some(parent)) = (known, path.last())
            && !parents.iter().any(|known| is(parent, known))
        {
            findings.push(format!("{} brings in {}", two_words(parent), two_words(name)));
        }
        path.push(name);
    }
    findings.sort();
    findings.dedup();
    findings
}

/// `rand v0.8` matches `rand v0.8.5`, not `rand v0.81.0`.
fn is(name: &str, series: &str) -> bool {
    name.strip_prefix(series).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
}

fn two_words(name: &str) -> String {
    name.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADSIMS_OWN: &str = "0lockstep-scenarios v0.1.0 (/w)
1madsim v0.2.34
2rand v0.8.8
3rand_chacha v0.3.1
4rand_core v0.6.4
5getrandom v0.2.17
3rand_core v0.6.4 (*)
2rand_xoshiro v0.6.0
3rand_core v0.6.4 (*)
1getrandom v0.3.1
";

    #[test]
    fn madsims_own_chain_and_newer_getrandom_are_allowed() {
        assert!(findings(MADSIMS_OWN).is_empty());
    }

    #[test]
    fn anybody_else_is_named() {
        let text = format!("{MADSIMS_OWN}1uuid v0.8.2\n2getrandom v0.2.17 (*)\n1lockstep-sim v0.1.0 (/w/sim)\n2rand v0.8.8 (*)\n");
        assert_eq!(findings(&text), ["lockstep-sim v0.1.0 brings in rand v0.8.8", "uuid v0.8.2 brings in getrandom v0.2.17"]);
    }
}
