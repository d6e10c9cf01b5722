//! The table of what differs from log to log is of today's records, and these are of today's questions.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Rule;
use crate::differences::{FOLDER, Question, Records, SUITE, TABLE};
use crate::tree::Tree;

pub const RULE: Rule = Rule {
    name: "differences",
    about: "the questions of the conformance suite's rows, each log's record of answers, the reasons and the table go together",
    check,
};

fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut asked = BTreeSet::new();
    for path in tree.files.iter().filter(|path| path.starts_with(SUITE)) {
        let found = questions(&tree.text(path)?.unwrap_or_default());
        if found.is_empty() && !path.ends_with("/mod.rs") {
            findings.push(format!("{path}: a row that tells no answer"));
        }
        asked.extend(found);
    }
    let mut files = Vec::new();
    for path in tree.files.iter().filter(|path| path.starts_with(FOLDER)) {
        files.push((path.clone(), tree.text(path)?.unwrap_or_default()));
    }
    let records = Records::of(files);
    findings.extend(part_company(&asked, &records));
    if tree.text(TABLE)?.unwrap_or_default() != records.table() {
        findings.push(format!("{TABLE}: not what the records say; `cargo xtask conformance --log embedded --write` makes it anew"));
    }
    Ok(findings)
}

fn part_company(asked: &BTreeSet<Question>, records: &Records) -> Vec<String> {
    let mut findings = Vec::new();
    for (log, lines) in &records.logs {
        let answered: BTreeSet<Question> = lines.keys().cloned().collect();
        let missing = asked.difference(&answered).map(|(row, question)| format!("{FOLDER}/{log}.txt: no answer to {row}, {question}"));
        findings.extend(missing);
        findings.extend(answered.difference(asked).map(|(row, question)| format!("{FOLDER}/{log}.txt: nobody asks any more: {row}, {question}")));
    }
    let differing = records.differing();
    let without = differing.iter().filter(|question| !records.reasons.contains_key(question));
    findings.extend(without.map(|(row, question)| format!("{FOLDER}/reasons.txt: no reason for {row}, {question}")));
    let idle = records.reasons.keys().filter(|question| !differing.contains(question));
    findings.extend(idle.map(|(row, question)| format!("{FOLDER}/reasons.txt: all answer alike: {row}, {question}")));
    findings
}

/// Row and question of every `answered("…", "…", …)`.
fn questions(source: &str) -> Vec<Question> {
    let calls = source.split("answered(").skip(1);
    calls
        .filter_map(|call| {
            let (row, rest) = literal(call)?;
            let (question, _) = literal(rest.trim_start().strip_prefix(',')?)?;
            Some((row.to_owned(), question.to_owned()))
        })
        .collect()
}

/// A string without escapes, and what comes behind it.
fn literal(text: &str) -> Option<(&str, &str)> {
    text.trim_start().strip_prefix('"')?.split_once('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(row: &str, question: &str) -> Question {
        (row.to_owned(), question.to_owned())
    }

    #[test]
    fn questions_are_read_from_the_rows() {
        let source = "fn answered(row: &str) {}\nanswered(\"A28\", \"a gap\", &x);\n    answered(\n        \"A30\",\n        \"unknown\",\n        y,\n    );";
        assert_eq!(questions(source), [question("A28", "a gap"), question("A30", "unknown")]);
    }

    #[test]
    fn a_question_without_an_answer_and_a_difference_without_a_reason_are_found() {
        let file = |name: &str, text: &str| (format!("{FOLDER}/{name}.txt"), text.to_owned());
        let records = Records::of([file("sim", "A1 | x | a\nA2 | y | b\n"), file("embedded", "A1 | x | c\n"), file("reasons", "A7 | z | why\n")]);
        let asked = BTreeSet::from([question("A1", "x"), question("A2", "y"), question("A3", "new")]);
        let found = part_company(&asked, &records).join("\n");
        for wanted in ["embedded.txt: no answer to A2, y", "sim.txt: no answer to A3, new", "no reason for A1, x", "all answer alike: A7, z"] {
            assert!(found.contains(wanted), "{wanted}: {found}");
        }
        let fewer = BTreeSet::from([question("A1", "x")]);
        assert!(part_company(&fewer, &records).iter().any(|finding| finding.contains("nobody asks any more: A2, y")));
    }
}
