//! A fault, scenario, invariant, command or rule is one file and one line in one alphabetical list that a person can read.

use anyhow::Result;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "lists", about: "each file of a registered folder is named once in its list, in alphabetical order", check };

/// The folder, the file in it that lists it, and the words by which a file there is one of the listed kind. Other files of the folder support
/// those: they are only declared.
const LISTS: &[(&str, &str, &str)] = &[
    ("bench/src/cases", "bench/src/cases/mod.rs", ": Case = "),
    ("engine/fuzz/src/targets", "engine/fuzz/src/targets/mod.rs", ": Target = "),
    ("faults/src", "faults/src/lib.rs", "impl Fault for "),
    ("scenarios/src/invariants", "scenarios/src/invariants/mod.rs", "impl Invariant for "),
    ("scenarios/src/scenarios", "scenarios/src/scenarios/mod.rs", ": Scenario = "),
    ("sim/src/checkers", "sim/src/checkers/mod.rs", "impl Anomaly for "),
    ("sim/src/invariants", "sim/src/invariants/mod.rs", "impl Invariant for "),
    ("xtask/src/commands", "xtask/src/commands/mod.rs", "pub const COMMAND: Command ="),
    ("xtask/src/rules", "xtask/src/rules/mod.rs", "pub const RULE: Rule ="),
];

fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (folder, list, kind) in LISTS {
        let mut listed = Vec::new();
        let files = modules(&tree.files, folder);
        for name in &files {
            if tree.text(&format!("{folder}/{name}.rs"))?.is_some_and(|text| text.contains(kind)) {
                listed.push(name.clone());
            }
        }
        if listed.is_empty() {
            findings.push(format!("{folder}: no file says `{kind}`"));
        }
        findings.extend(findings_in(list, &files, &listed, &tree.text(list)?.unwrap_or_default()));
    }
    Ok(findings)
}

/// Names of the modules that are files directly in `folder`, sorted.
fn modules(files: &[String], folder: &str) -> Vec<String> {
    let below = files.iter().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs"));
    below.filter(|name| !name.contains('/') && !matches!(*name, "mod" | "lib" | "main")).map(str::to_owned).collect()
}

/// Every file must have its `mod` line, or it is dead; every listed one also its entry (`name::…` at the start of a path); both in order.
fn findings_in(list: &str, files: &[String], listed: &[String], text: &str) -> Vec<String> {
    let code: Vec<&str> = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().map(without_comment).collect();
    let declared: Vec<&str> = code.iter().filter_map(|line| declaration(line)).collect();
    let entries: Vec<&str> = code.iter().filter(|line| !is_use(line)).flat_map(|line| paths(line)).collect();
    let mut findings = once(list, "mod", files, &declared);
    findings.extend(once(list, "entry", listed, &entries));
    findings.extend(in_order(list, "mod", listed, &declared));
    findings.extend(in_order(list, "entry", listed, &entries));
    findings
}

fn once(list: &str, what: &str, names: &[String], found: &[&str]) -> Vec<String> {
    let counts = names.iter().map(|name| (name, found.iter().filter(|other| *other == name).count()));
    counts.filter(|(_, count)| *count != 1).map(|(name, count)| format!("{list}: {what} `{name}` stands there {count} times")).collect()
}

fn in_order(list: &str, what: &str, names: &[String], found: &[&str]) -> Option<String> {
    let found: Vec<&str> = found.iter().copied().filter(|found| names.iter().any(|name| name == found)).collect();
    let pair = found.windows(2).find(|pair| pair[0] > pair[1])?;
    Some(format!("{list}: {what} `{}` stands after `{}`", pair[1], pair[0]))
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn declaration(line: &str) -> Option<&str> {
    visible(line).strip_prefix("mod ")?.strip_suffix(';')
}

/// An item without its visibility.
fn visible(line: &str) -> &str {
    line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ")
}

fn is_use(line: &str) -> bool {
    visible(line).starts_with("use ")
}

/// First segments of the paths in a line: `a` and `c` of `[a::B, &c::d::E]`.
fn paths(line: &str) -> Vec<&str> {
    let mut first = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("::") {
        let start = rest[..at].rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |before| before + 1);
        if start < at {
            first.push(&rest[start..at]);
        }
        // Skip the other segments of the same path.
        let end = rest[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').map_or(rest.len(), |after| at + after);
        rest = &rest[end..];
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn modules_are_the_files_of_the_folder_itself() {
        let files = names(&["faults/src/broker_crash.rs", "faults/src/lib.rs", "faults/src/deep/other.rs", "sim/src/lib.rs"]);
        assert_eq!(modules(&files, "faults/src"), ["broker_crash"]);
    }

    const FILES: &[&str] = &["broker_crash", "model", "partition"];
    const LISTED: &[&str] = &["broker_crash", "partition"];

    #[test]
    fn a_complete_alphabetical_list_passes_and_a_supporting_file_is_only_declared() {
        let text = "mod broker_crash;\npub mod partition;\nmod model;\nuse partition::Side;\n#[cfg(test)]\npub(crate) use partition::cut;\npub const ALL: &[&dyn Fault] = &[&broker_crash::BrokerCrash, &partition::Partition]; // partition::X\n#[cfg(test)]\nmod tests { partition::twice(); }";
        assert_eq!(findings_in("l", &names(FILES), &names(LISTED), text), Vec::<String>::new());
    }

    #[test]
    fn a_file_left_out_one_named_twice_and_one_out_of_order_are_found() {
        let text = "mod partition;\nmod broker_crash;\nconst ALL: &[&F] = &[&partition::A, &partition::A];";
        assert_eq!(
            findings_in("l", &names(FILES), &names(LISTED), text),
            [
                "l: mod `model` stands there 0 times",
                "l: entry `broker_crash` stands there 0 times",
                "l: entry `partition` stands there 2 times",
                "l: mod `broker_crash` stands after `partition`",
            ]
        );
    }
}
