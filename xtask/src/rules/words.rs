//! Words that must not appear: left-overs of work that is not done, tests that do not run, and names that say nothing.

use anyhow::Result;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "words", about: "a word that must not appear in the tree", check };

/// Split so that this file does not contain them itself.
#[rustfmt::skip]
const BANNED: &[(&str, &str)] = &[
    (concat!("FIX", "ME"), "mend it, or say in prose what is missing"),
    (concat!("XX", "X "), "mend it, or say in prose what is missing"),
    (concat!("TO", "DO"), "mend it, or say in prose what is missing"),
    (concat!("to", "do!("), "not done"),
    (concat!("unimpl", "emented!("), "not done"),
    (concat!("db", "g!("), "left over from a hunt"),
    (concat!("#[ig", "nore"), "a test that does not run proves nothing"),
    (concat!("<<<<", "<<< "), "conflict marker"),
    (concat!(">>>>", ">>> "), "conflict marker"),
];

/// The one thing that may wait until somebody asks for it: a measurement, which passes no judgement.
const MEASURES: &str = concat!("#[ig", "nore = \"measures\"]");

/// Names of files and folders that could hold anything.
const BANNED_NAMES: &[&str] = &["common", "helper", "helpers", "manager", "misc", "util", "utils"];

fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut findings: Vec<String> = tree.files.iter().filter_map(|path| findings_in_name(path)).collect();
    for path in tree.files.iter().filter(|path| *path != "Cargo.lock") {
        if let Some(text) = tree.text(path)? {
            findings.extend(findings_in_text(path, &text));
        }
    }
    Ok(findings)
}

fn findings_in_name(path: &str) -> Option<String> {
    let banned = path.split('/').map(|part| part.split('.').next().unwrap_or_default()).find(|part| BANNED_NAMES.contains(part))?;
    Some(format!("{path}: a name like `{banned}` says nothing of what is inside"))
}

fn findings_in_text(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (word, why) in BANNED.iter().filter(|(word, _)| line.contains(word) && !line.contains(MEASURES)) {
            findings.push(format!("{path}:{}: `{}`: {why}", number + 1, word.trim()));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_banned_word_is_found_with_its_line() {
        for (word, _) in BANNED {
            let findings = findings_in_text("a.rs", &format!("fine\n  {word}x\n"));
            assert_eq!(findings.len(), 1, "{word}");
            assert!(findings[0].starts_with("a.rs:2: "), "{word}");
        }
        assert!(findings_in_text("a.rs", MEASURES).is_empty());
        assert!(findings_in_text("a.rs", "a method\nof todos\n").is_empty());
    }

    #[test]
    fn a_name_that_says_nothing_is_found_in_any_part_of_the_path() {
        assert!(findings_in_name("engine/log/src/util.rs").is_some());
        assert!(findings_in_name("engine/common/src/lib.rs").is_some());
        assert!(findings_in_name("engine/log/src/utility_curve.rs").is_none());
    }
}
