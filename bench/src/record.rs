//! What is kept of a run, and what a later run says beside it.

use crate::host::Host;
use crate::measure::Samples;
use crate::sheet::number;
use crate::{Options, Sheet, Unit};
use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Fewer repetitions say nothing about spread.
const REPETITIONS_MIN: usize = 5;

/// The layout of this file; another one is refused.
const FORMAT: u32 = 2;

/// One case of one run: `target/bench/<case>/result.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    /// As typed.
    pub case: String,
    /// What was measured.
    pub commit: String,
    quick: bool,
    host: Host,
    /// The screen, as it was printed.
    pub screen: String,
    figures: Vec<Figure>,
    /// What the page draws.
    pub distributions: Vec<Distribution>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Figure {
    name: String,
    unit: Unit,
    samples: Samples,
}

/// Latencies of single operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// As in the table.
    pub name: String,
    /// 1 / (1 - quantile), and nanoseconds; rising.
    pub steps: Vec<(f64, u64)>,
}

/// A figure beside its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Same,
    Better,
    Worse,
    /// Too few repetitions on either side.
    Unknown,
}

impl Record {
    /// Of a sheet, on this host; the commit is what `cargo xtask` says.
    pub fn of(case: &str, options: &Options, host: &Host, screen: &str, sheet: &Sheet) -> Self {
        let figure = |row: &crate::Row| Figure { name: row.name.clone(), unit: row.unit, samples: row.samples.clone() };
        let commit = std::env::var("LOCKSTEP_COMMIT").unwrap_or_else(|_| "unknown".to_owned());
        Record {
            format: FORMAT,
            case: case.to_owned(),
            commit,
            quick: options.quick,
            host: host.clone(),
            screen: screen.to_owned(),
            figures: sheet.rows().iter().map(figure).collect(),
            distributions: sheet.histograms().iter().map(|(name, histogram)| Distribution { name: name.clone(), steps: steps(histogram) }).collect(),
        }
    }

    /// Reads a kept one.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("baseline {}", path.display()))?;
        let record: Record = serde_json::from_str(&text).with_context(|| format!("baseline {}", path.display()))?;
        ensure!(record.format == FORMAT, "baseline {}: format {}, this build reads {FORMAT}", path.display(), record.format);
        Ok(record)
    }

    /// Writes into `folder` the `result.json`, a `.hgrm` for every distribution, and one `.hlog` with all of them, measured within `took`; answers the
    /// paths.
    pub fn write(&self, folder: &Path, took: Duration, sheet: &Sheet) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let mut files = vec![(folder.join("result.json"), serde_json::to_string_pretty(self)? + "\n")];
        if !sheet.histograms().is_empty() {
            files.push((folder.join("distributions.hlog"), hlog(&self.commit, took, sheet)?));
        }
        for (name, histogram) in sheet.histograms() {
            files.push((folder.join(format!("{}.hgrm", word(name))), hgrm(histogram)));
        }
        for (path, text) in &files {
            fs::write(path, text).with_context(|| path.display().to_string())?;
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }

    /// This run beside an older one. An error if the two cannot be compared: another host, another case, another way of measuring.
    pub fn compare(&self, baseline: &Record) -> Result<String> {
        if let Some(difference) = self.host.difference(&baseline.host) {
            bail!("the baseline was measured on another host ({difference}): times of two machines are not compared");
        }
        ensure!(self.case == baseline.case, "the baseline is of case `{}`, this is `{}`", baseline.case, self.case);
        ensure!(self.quick == baseline.quick, "one of the two is --quick: the other measured longer");
        let mut text = String::new();
        let width = self.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
        writeln!(
            text,
            "  {:<width$} {:>12} {:>12} {:>9}  verdict (same: the better halves of the repetitions overlap)",
            "", baseline.commit, self.commit, "change"
        )?;
        for new in &self.figures {
            let Some(old) = baseline.figures.iter().find(|old| old.name == new.name && old.unit == new.unit) else {
                writeln!(text, "  {:<width$} is not in the baseline", new.name)?;
                continue;
            };
            let [was, is] = [old.samples.median(), new.samples.median()];
            let verdict = change(new.unit, &old.samples, &new.samples);
            writeln!(text, "  {:<width$} {:>12} {:>12} {:>+7.1} %  {verdict}", new.name, number(was), number(is), (is / was - 1.0) * 100.0)?;
        }
        Ok(text)
    }
}

/// Others on the machine only ever make a figure worse, so that the worse half of the repetitions says more about them than about the code. What is
/// compared are the better halves: the best to the median.
fn change(unit: Unit, old: &Samples, new: &Samples) -> Change {
    if old.count().min(new.count()) < REPETITIONS_MIN {
        return Change::Unknown;
    }
    // Less is better in this scale.
    let half = |samples: &Samples| if unit.more_is_better() { (-samples.max(), -samples.median()) } else { (samples.min(), samples.median()) };
    let ((old_best, old_median), (new_best, new_median)) = (half(old), half(new));
    match () {
        () if new_median < old_best => Change::Better,
        () if new_best > old_median => Change::Worse,
        () => Change::Same,
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Change::Same => "same",
            Change::Better => "better",
            Change::Worse => "WORSE",
            Change::Unknown => "unknown: fewer than 5 repetitions",
        })
    }
}

/// For a file's name, or a tag.
fn word(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// 1 / (1 - quantile) and value, twenty steps to each halving of what is above, up to the largest value.
fn steps(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let steps = histogram.iter_quantiles(20).map(|step| {
        // To thousandths: short decimals come back from JSON as they were.
        let above = (1e3 / (1.0 - step.quantile_iterated_to())).round() / 1e3;
        (above, step.value_iterated_to())
    });
    steps.filter(|(above, _)| above.is_finite()).collect()
}

/// The interval log that HdrHistogram's own tools read and merge: one interval, as long as the run, for each distribution, tagged with its name.
fn hlog(commit: &str, took: Duration, sheet: &Sheet) -> Result<String> {
    let (mut text, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!("[Logged by lockstep {commit}; nanoseconds]"))
        .begin_log_with(&mut text, &mut serializer)?;
    for (name, histogram) in sheet.histograms() {
        let name = word(name);
        let wrote = log.write_histogram(histogram, Duration::ZERO, took, Tag::new(&name));
        wrote.map_err(|error| anyhow::anyhow!("the interval log of {name}: {error:?}"))?;
    }
    Ok(String::from_utf8(text)?)
}

/// The text that the public plotter of histograms reads: `Value Percentile TotalCount 1/(1-Percentile)`, five steps to each halving of what is above.
fn hgrm(histogram: &Histogram<u64>) -> String {
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    for step in histogram.iter_quantiles(5) {
        let (value, quantile, count) = (step.value_iterated_to(), step.quantile_iterated_to(), histogram.count_between(0, step.value_iterated_to()));
        let above = 1.0 / (1.0 - quantile);
        let line = if above.is_finite() {
            format!("{value:>12} {quantile:>14.12} {count:>10} {above:>14.2}\n")
        } else {
            format!("{value:>12} {quantile:>14.12} {count:>10}\n")
        };
        text += &line;
    }
    text += &format!("#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]\n", histogram.mean(), histogram.stdev());
    text += &format!("#[Max     = {:>12}, Total count    = {:>12}]\n", histogram.max(), histogram.len());
    text += &format!("#[Buckets = {:>12}, SubBuckets     = {:>12}]\n", histogram.buckets(), 1_u64 << (histogram.sigfig() as u32 * 10).div_ceil(3));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogHistogram, IntervalLogIterator, LogEntry};

    fn samples(values: [f64; 5]) -> Samples {
        Samples::new(values.to_vec())
    }

    #[test]
    fn a_verdict_needs_more_than_the_spread() {
        let old = samples([10.0, 11.0, 12.0, 30.0, 90.0]);
        assert_eq!(change(Unit::Ns, &old, &samples([11.5, 12.5, 13.0, 14.0, 15.0])), Change::Same);
        assert_eq!(change(Unit::Ns, &old, &samples([12.5, 13.0, 14.0, 15.0, 16.0])), Change::Worse);
        assert_eq!(change(Unit::Ns, &old, &samples([7.0, 8.0, 9.0, 50.0, 99.0])), Change::Better);
        assert_eq!(change(Unit::Ns, &old, &Samples::new(vec![1.0])), Change::Unknown);
    }

    #[test]
    fn of_throughput_more_is_better() {
        let old = samples([5.0, 9.0, 10.0, 11.0, 12.0]);
        assert_eq!(change(Unit::MPerS, &old, &samples([1.0, 12.5, 13.0, 13.5, 14.0])), Change::Better);
        assert_eq!(change(Unit::MPerS, &old, &samples([5.0, 6.0, 7.0, 8.0, 9.0])), Change::Worse);
    }

    #[test]
    fn a_baseline_from_another_host_is_refused_by_the_field_that_differs() {
        let host = Host::here();
        let here = Record::of("ring", &Options::default(), &host, "", &Sheet::default());
        let there = Record { host: Host { memory_gib: host.memory_gib + 1, ..host.clone() }, ..here.clone() };
        assert!(here.compare(&here).is_ok());
        let error = here.compare(&there).expect_err("another host").to_string();
        assert!(error.contains("another host (memory_gib: here"), "{error}");
    }

    #[test]
    fn what_was_written_is_read_again_and_a_distribution_has_its_file() {
        let folder = std::env::temp_dir().join(format!("lockstep-bench-{}", std::process::id()));
        let (mut sheet, mut histogram) = (Sheet::default(), Histogram::new(3).expect("three digits"));
        (1..=1_000_u64).for_each(|value| histogram.record(value).expect("it grows"));
        sheet.row("hop", samples([1.5, 2.0, 3.0, 4.0, 5.0]), Unit::Ns, None);
        sheet.percentiles("round trip", histogram);
        let record = Record::of("ring", &Options::default(), &Host::here(), "a screen", &sheet);
        let files = record.write(&folder, Duration::from_secs(1), &sheet).expect("a folder for temporary files");
        assert_eq!(Record::read(&files[0]).expect("as written"), record);
        let [hlog, hgrm] = [1, 2].map(|at| fs::read_to_string(&files[at]).expect("as written"));
        fs::remove_dir_all(&folder).expect("ours");
        let median = hgrm.lines().find(|line| line.contains("0.500000000000")).expect("the median");
        assert_eq!(median.split_whitespace().collect::<Vec<_>>(), ["500", "0.500000000000", "500", "2.00"]);
        assert!(hgrm.contains("Max     =         1000, Total count    =         1000]"), "{hgrm}");
        assert_eq!(read_hlog(&hlog), [("round_trip".to_owned(), 1_000, 500)]);
    }

    /// Tag, count and median of every interval.
    fn read_hlog(text: &str) -> Vec<(String, u64, u64)> {
        let mut deserializer = Deserializer::new();
        let intervals = IntervalLogIterator::new(text.as_bytes()).filter_map(|entry| match entry.expect("well formed") {
            LogEntry::Interval(interval) => Some(interval),
            _ => None,
        });
        let read = |interval: IntervalLogHistogram<'_>| {
            let bytes = STANDARD.decode(interval.encoded_histogram()).expect("base 64");
            let histogram: Histogram<u64> = deserializer.deserialize(&mut bytes.as_slice()).expect("as written");
            (interval.tag().expect("tagged").as_str().to_owned(), histogram.len(), histogram.value_at_quantile(0.5))
        };
        intervals.map(read).collect()
    }
}
