//! What a case says: conditions, then rows with goal, measured and verdict.

use crate::measure::Samples;
use crate::{Goal, Verdict};
use hdrhistogram::Histogram;
use std::fmt::Write;

/// What a figure counts, and which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds; less is better.
    Ns,
    /// Milliseconds; less is better.
    Ms,
    /// Seconds; less is better.
    S,
    /// Millions a second; more is better.
    MPerS,
    /// A multiple of something measured in the same run; less is better.
    Times,
    /// Pieces a second; more is better.
    PerS,
    /// Millions of bytes a second; more is better.
    MbPerS,
    /// Mebibytes; less is better.
    MiB,
    /// Pieces of something that is meant to be small; less is better.
    Count,
}

impl Unit {
    /// As in the table.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::Ns => "ns",
            Unit::Ms => "ms",
            Unit::S => "s",
            Unit::MPerS => "M/s",
            Unit::PerS => "/s",
            Unit::MbPerS => "MB/s",
            Unit::MiB => "MiB",
            Unit::Times => "x",
            Unit::Count => "",
        }
    }

    /// Whether a larger figure is the better one.
    pub fn more_is_better(self) -> bool {
        matches!(self, Unit::MPerS | Unit::MbPerS | Unit::PerS)
    }
}

/// One figure of a case.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured; unique in its case.
    pub name: String,
    /// Every repetition.
    pub samples: Samples,
    /// What it counts.
    pub unit: Unit,
    /// What it is meant to be; none for peers and for what is only told.
    pub goal: Option<Goal>,
}

impl Row {
    /// Against the goal, if there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        self.goal.map(|goal| goal.judge(&self.samples))
    }
}

/// The page of one case.
#[derive(Default)]
pub struct Sheet {
    conditions: Vec<(&'static str, String)>,
    checks: Vec<String>,
    rows: Vec<Row>,
    percentiles: Vec<(String, Histogram<u64>)>,
}

/// The quantiles that are shown; never a mean.
const QUANTILES: [(&str, f64); 6] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

impl Sheet {
    /// Printed above the numbers: `method`, `excludes`, `stream` …
    pub fn condition(&mut self, label: &'static str, text: impl Into<String>) {
        self.conditions.push((label, text.into()));
    }

    /// What was computed was compared with something independent, and was equal.
    pub fn check(&mut self, text: impl Into<String>) {
        self.checks.push(text.into());
    }

    /// A figure.
    pub fn row(&mut self, name: impl Into<String>, samples: Samples, unit: Unit, goal: Option<Goal>) {
        let name = name.into();
        assert!(self.rows.iter().all(|row| row.name != name), "{name}: two rows of one name");
        self.rows.push(Row { name, samples, unit, goal });
    }

    /// A distribution of latencies in nanoseconds, of single operations.
    pub fn percentiles(&mut self, name: impl Into<String>, histogram: Histogram<u64>) {
        self.percentiles.push((name.into(), histogram));
    }

    /// All figures.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All distributions.
    pub fn histograms(&self) -> &[(String, Histogram<u64>)] {
        &self.percentiles
    }

    /// The page as text. An error if nothing was checked: figures of work that nobody looked at are worth nothing.
    pub fn text(&self) -> anyhow::Result<String> {
        anyhow::ensure!(!self.checks.is_empty(), "the case checked nothing of what it computed, so that its figures mean nothing");
        let mut text = String::new();
        for (label, condition) in &self.conditions {
            writeln!(text, "  {label:<9} {condition}")?;
        }
        for check in &self.checks {
            writeln!(text, "  {:<9} {check}", "checked")?;
        }
        self.write_rows(&mut text)?;
        self.write_percentiles(&mut text)?;
        Ok(text)
    }

    fn write_rows(&self, text: &mut String) -> std::fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        writeln!(text, "\n  {:<width$} {:>10} {:>10} {:>10}      {:>9}  {:<11} repetitions", "", "median", "min", "max", "goal", "verdict")?;
        for row in &self.rows {
            let (samples, unit) = (&row.samples, row.unit.symbol());
            let goal = row.goal.map_or("-".to_owned(), |goal| goal.to_string());
            let verdict = row.verdict().map_or("-".to_owned(), |verdict| verdict.to_string());
            let [median, min, max] = [samples.median(), samples.min(), samples.max()].map(number);
            writeln!(text, "  {:<width$} {median:>10} {min:>10} {max:>10} {unit:<4} {goal:>9}  {verdict:<11} {}", row.name, samples.count())?;
        }
        Ok(())
    }

    fn write_percentiles(&self, text: &mut String) -> std::fmt::Result {
        if self.percentiles.is_empty() {
            return Ok(());
        }
        let width = self.percentiles.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        write!(text, "\n  {:<width$}", "")?;
        for (name, _) in QUANTILES {
            write!(text, " {name:>11}")?;
        }
        writeln!(text, "  (ns)")?;
        for (name, histogram) in &self.percentiles {
            write!(text, "  {name:<width$}")?;
            for (_, quantile) in QUANTILES {
                write!(text, " {:>11}", number(histogram.value_at_quantile(quantile) as f64))?;
            }
            writeln!(text)?;
        }
        Ok(())
    }
}

/// Three significant digits at least, thousands separated: `0.087`, `3.14`, `52.1`, `1,234`.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size < 1.0 => 3,
        size if size < 10.0 => 2,
        size if size < 1000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_a_person_writes_them() {
        let read = [0.0871, 3.1432, 52.13, 999.94, 1234.4, 1_234_567.0, -2500.0].map(number);
        assert_eq!(read, ["0.087", "3.14", "52.1", "999.9", "1,234", "1,234,567", "-2,500"]);
    }

    #[test]
    fn a_row_says_goal_measured_and_verdict() {
        let mut sheet = Sheet::default();
        sheet.condition("method", "by hand");
        sheet.check("hashes equal");
        sheet.row("hop", Samples::new(vec![100.0, 110.0, 190.0]), Unit::Ns, Some(Goal::AtMost(120.0)));
        let text = sheet.text().expect("it was checked");
        let row = text.lines().find(|line| line.contains("hop")).expect("the row");
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["hop", "110.0", "100.0", "190.0", "ns", "<=", "120", "met", "3"]);
        assert!(text.find("by hand") < text.find("hop"), "conditions come first");
    }

    #[test]
    fn a_sheet_that_checked_nothing_is_not_printed() {
        let mut sheet = Sheet::default();
        sheet.row("hop", Samples::new(vec![1.0]), Unit::Ns, None);
        assert!(sheet.text().is_err());
    }
}
