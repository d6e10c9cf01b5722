//! A fault, scenario, invariant, command or rule is one file and one line in one alphabetical list that a person can read.

use anyhow::Result;

use super::Rule;
use crate::tree::Tree;

pub const RULE: Rule = Rule { name: "lists", about: "each file of a registered folder is named once in its list, in alphabetical order", check };

/// The folder, and the file in it (or beside it) that lists it.
const LISTS: &[(&str, &str)] = &[
    ("faults/src", "faults/src/lib.rs"),
    ("scenarios/src/invariants", "scenarios/src/invariants/mod.rs"),
    ("scenarios/src/scenarios", "scenarios/src/scenarios/mod.rs"),
    ("sim/src/invariants", "sim/src/invariants/mod.rs"),
    ("xtask/src/commands", "xtask/src/commands/mod.rs"),
    ("xtask/src/rules", "xtask/src/rules/mod.rs"),
];

fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (folder, list) in LISTS {
        let names = modules(&tree.files, folder);
        if names.is_empty() {
            continue;
        }
        match tree.files.iter().any(|file| file == list) {
            true => findings.extend(findings_in(list, &names, &tree.text(list)?.unwrap_or_default())),
            false => findings.push(format!("{list}: missing, though {folder} has {} files", names.len())),
        }
    }
    Ok(findings)
}

/// Names of the modules that are files directly in `folder`, sorted.
fn modules(files: &[String], folder: &str) -> Vec<String> {
    let below = files.iter().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs"));
    below.filter(|name| !name.contains('/') && !matches!(*name, "mod" | "lib" | "main")).map(str::to_owned).collect()
}

/// The `mod` lines must be the files, and so must the entries (`name::…` at the start of a path) of the registered list.
fn findings_in(list: &str, names: &[String], text: &str) -> Vec<String> {
    let code: Vec<&str> = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().map(without_comment).collect();
    let declared: Vec<&str> = code.iter().filter_map(|line| declaration(line)).filter(|name| names.iter().any(|known| known == name)).collect();
    let entries: Vec<&str> =
        code.iter().filter(|line| !is_use(line)).flat_map(|line| paths(line)).filter(|name| names.iter().any(|known| known == name)).collect();
    let mut findings = compare(list, "mod", names, &declared);
    findings.extend(compare(list, "entry", names, &entries));
    findings
}

fn compare(list: &str, what: &str, names: &[String], found: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for name in names {
        match found.iter().filter(|other| *other == name).count() {
            1 => {}
            count => findings.push(format!("{list}: {what} `{name}` stands there {count} times")),
        }
    }
    if let Some(pair) = found.windows(2).find(|pair| pair[0] > pair[1]) {
        findings.push(format!("{list}: {what} `{}` stands after `{}`", pair[1], pair[0]));
    }
    findings
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

    #[test]
    fn a_complete_alphabetical_list_passes() {
        let text = "mod broker_crash;\npub mod partition;\nuse partition::Side;\n#[cfg(test)]\npub(crate) use partition::cut;\npub const ALL: &[&dyn Fault] = &[&broker_crash::BrokerCrash, &partition::Partition]; // partition::X\n#[cfg(test)]\nmod tests { partition::twice(); }";
        assert_eq!(findings_in("l", &names(&["broker_crash", "partition"]), text), Vec::<String>::new());
    }

    #[test]
    fn a_file_left_out_one_named_twice_and_one_out_of_order_are_found() {
        let text = "mod partition;\nmod broker_crash;\nconst ALL: &[&F] = &[&partition::A, &partition::A];";
        assert_eq!(
            findings_in("l", &names(&["broker_crash", "partition"]), text),
            ["l: mod `broker_crash` stands after `partition`", "l: entry `broker_crash` stands there 0 times", "l: entry `partition` stands there 2 times"]
        );
    }
}
