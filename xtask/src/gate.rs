//! Figures against a baseline file: what the gates on instructions and on simulated latency share.

use std::collections::{BTreeMap, BTreeSet};

/// Figures by name; more is worse.
pub type Figures = BTreeMap<String, u64>;

pub struct Gate {
    pub unit: &'static str,
    /// More than this above the baseline is a regression.
    pub tolerance_percent: f64,
    /// The command that takes a new baseline.
    pub update: &'static str,
}

pub struct Line {
    pub text: String,
    pub passes: bool,
}

impl Gate {
    /// One line each, of everything that either side knows.
    pub fn compare(&self, old: &Figures, new: &Figures) -> Vec<Line> {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        names.into_iter().map(|name| self.line(name, old.get(name), new.get(name))).collect()
    }

    fn line(&self, name: &str, old: Option<&u64>, new: Option<&u64>) -> Line {
        let Gate { unit, tolerance_percent, update } = self;
        match (old, new) {
            (Some(old), Some(new)) => {
                let change = (*new as f64 / *old as f64 - 1.0) * 100.0;
                let verdict = match change {
                    change if change > *tolerance_percent => format!("WORSE: make it better, or say why it may be so and `{update}`"),
                    change if change < -tolerance_percent => format!("better: `{update}`, so that it stays"),
                    _ => "same".to_owned(),
                };
                Line { text: format!("{name:<12} {old:>12} -> {new:>12} {unit}  {change:>+7.2} %  {verdict}"), passes: change <= *tolerance_percent }
            }
            (None, _) => Line { text: format!("{name:<12} is not in the baseline: `{update}`"), passes: false },
            (Some(_), None) => Line { text: format!("{name:<12} is in the baseline only: `{update}`"), passes: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: Gate = Gate { unit: "steps", tolerance_percent: 1.0, update: "cargo xtask bench steps --update" };

    #[test]
    fn what_one_side_does_not_know_fails() {
        let book = Figures::from([("book".to_owned(), 1)]);
        assert!(!GATE.compare(&book, &Figures::new())[0].passes);
        assert!(!GATE.compare(&Figures::new(), &book)[0].passes);
        assert!(GATE.compare(&book, &book)[0].passes);
    }
}
