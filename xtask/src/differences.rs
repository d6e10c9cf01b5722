//! The table of what differs from log to log: made of records of what each log answered to the questions of the conformance suite's rows, and of the
//! reasons that people gave.
//!
//! A record is a file a log and version, a line a question: `row | question | answer`, as `conformance --write` heard it from a run. `reasons.txt` has a
//! line for every question whose answers differ: `row | question | reason`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result};

use crate::tree;

/// The records, and the reasons.
pub const FOLDER: &str = "engine/log/src/differences";
/// Made of them; part of the crate's docs.
pub const TABLE: &str = "engine/log/src/differences.md";
/// The suite's rows.
pub const SUITE: &str = "sim/src/conformance/log/rows/";
const REASONS: &str = "reasons";

/// Row and question.
pub type Question = (String, String);
/// What was answered, or the reason.
pub type Lines = BTreeMap<Question, String>;

/// Lines of a record, or of a run's output: whatever else stands there is passed over. Two answers to one question in one run are both told.
pub fn parse(text: &str) -> Lines {
    let mut all: BTreeMap<Question, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
        if let [row, question, answer] = parts[..]
            && row.strip_prefix('A').is_some_and(|number| number.parse::<u32>().is_ok())
        {
            all.entry((row.to_owned(), question.to_owned())).or_default().insert(answer);
        }
    }
    all.into_iter().map(|(question, answers)| (question, answers.into_iter().collect::<Vec<_>>().join(" or "))).collect()
}

/// Row numbers are numbers: A9 before A11.
fn in_order(lines: &Lines) -> Vec<(&Question, &String)> {
    let mut all: Vec<_> = lines.iter().collect();
    all.sort_by_key(|((row, question), _)| (row[1..].parse::<u32>().unwrap_or(u32::MAX), question.clone()));
    all
}

/// What was recorded, by log, and the reasons.
#[derive(Default)]
pub struct Records {
    pub logs: BTreeMap<String, Lines>,
    pub reasons: Lines,
}

impl Records {
    /// Those of `files`, by path and text.
    pub fn of(files: impl IntoIterator<Item = (String, String)>) -> Records {
        let mut records = Records::default();
        for (path, text) in files {
            let Some(name) = path.strip_prefix(FOLDER).and_then(|path| path.strip_prefix('/')?.strip_suffix(".txt")) else { continue };
            if name == REASONS {
                records.reasons = parse(&text);
            } else {
                records.logs.insert(name.to_owned(), parse(&text));
            }
        }
        records
    }

    /// What was answered to a question, by log.
    fn answers(&self, question: &Question) -> Vec<&str> {
        self.logs.values().map(|lines| lines.get(question).map_or("not asked", String::as_str)).collect()
    }

    /// Every question, with its answers.
    fn questions(&self) -> Vec<(Question, Vec<&str>)> {
        let all: Lines = self.logs.values().flatten().map(|(question, answer)| (question.clone(), answer.clone())).collect();
        in_order(&all).into_iter().map(|(question, _)| (question.clone(), self.answers(question))).collect()
    }

    /// Questions that were not answered alike.
    pub fn differing(&self) -> Vec<Question> {
        let differ = |answers: &Vec<&str>| answers.windows(2).any(|pair| pair[0] != pair[1]);
        self.questions().into_iter().filter(|(_, answers)| differ(answers)).map(|(question, _)| question).collect()
    }

    /// The table.
    pub fn table(&self) -> String {
        let differing = self.differing();
        let names: Vec<&str> = self.logs.keys().map(String::as_str).collect();
        let mut text = format!(
            "# What differs from log to log\n\nMade by `cargo xtask conformance --write` of what each log answered to the same requests (`sim::conformance::log`).\n\n\
             | row | asked | {} | why |\n|---|---|{}---|\n",
            names.join(" | "),
            "---|".repeat(names.len())
        );
        for (question, answers) in self.questions().into_iter().filter(|(question, _)| differing.contains(question)) {
            let reason = self.reasons.get(&question).map_or("", String::as_str);
            writeln!(text, "| {} | {} | {} | {reason} |", question.0, question.1, answers.join(" | ")).expect("into memory");
        }
        text += "\n# What all of them answer alike\n\n| row | asked | answered |\n|---|---|---|\n";
        for (question, answers) in self.questions().into_iter().filter(|(question, _)| !differing.contains(question)) {
            writeln!(text, "| {} | {} | {} |", question.0, question.1, answers[0]).expect("into memory");
        }
        text
    }
}

/// Keeps what a log answered, and makes the table anew.
pub fn write(log: &str, output: &str) -> Result<()> {
    let root = tree::root();
    let lines = parse(output);
    anyhow::ensure!(!lines.is_empty(), "no row was asked: `--write` is for a run of the whole contract");
    let folder = root.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let record: String = in_order(&lines).into_iter().map(|((row, question), answer)| format!("{row} | {question} | {answer}\n")).collect();
    std::fs::write(folder.join(format!("{log}.txt")), record)?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        files.push((format!("{FOLDER}/{name}"), std::fs::read_to_string(&path)?));
    }
    std::fs::write(root.join(TABLE), Records::of(files).table())?;
    println!("{FOLDER}/{log}.txt: {} answers; {TABLE}", lines.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(files: &[(&str, &str)]) -> Records {
        Records::of(files.iter().map(|(name, text)| (format!("{FOLDER}/{name}.txt"), (*text).to_owned())))
    }

    #[test]
    fn a_run_s_answers_are_told_from_its_other_lines() {
        let lines = parse(
            "ok      name 12 ms  A28\n        A28 | a gap | OutOfOrder\n        A28 | a gap | OutOfOrder\n        A9 | x | b\n        A9 | x | a\n| row | asked | why |\n",
        );
        let told: Vec<_> = in_order(&lines).into_iter().map(|((row, question), answer)| format!("{row} {question} {answer}")).collect();
        assert_eq!(told, ["A9 x a or b", "A28 a gap OutOfOrder"]);
    }

    #[test]
    fn what_differs_has_its_reason_and_what_does_not_stands_below() {
        let records = records(&[("embedded", "A9 | x | a\nA28 | y | c\n"), ("sim", "A9 | x | b\nA28 | y | c\n"), ("reasons", "A9 | x | because\n")]);
        assert_eq!(records.differing(), [("A9".to_owned(), "x".to_owned())]);
        let table = records.table();
        assert!(table.contains("| row | asked | embedded | sim | why |\n"), "{table}");
        assert!(table.contains("| A9 | x | a | b | because |\n"), "{table}");
        assert!(table.contains("| A28 | y | c |\n"), "{table}");
    }
}
