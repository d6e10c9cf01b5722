//! The command line of bin `sim`.

use clap::{Args, Parser, Subcommand};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// A real exchange in a simulated world: one seed, or many.
#[derive(Debug, Parser)]
#[command(name = "sim", args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Sim {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub one: One,
}

/// One seed.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// The number that decides everything.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Else the seed draws the scenario too.
    #[arg(long)]
    pub scenario: Option<String>,
    /// Replays a saved plan.
    #[arg(long)]
    pub plan: Option<PathBuf>,
    /// Takes the orders from a LOBSTER message file or a NASDAQ ITCH 5.0 file.
    #[arg(long)]
    pub flow: Option<PathBuf>,
    /// The stock of an ITCH file that has orders of several.
    #[arg(long, requires = "flow")]
    pub stock: Option<String>,
    /// Says what services said, and every fault.
    #[arg(short, long)]
    pub verbose: bool,
    /// The verdict as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// Writes the history even if the run passes.
    #[arg(long)]
    pub history: bool,
    /// Prints the plan and runs nothing: edit it, and give it to `--plan`.
    #[arg(long)]
    pub print_plan: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Many seeds.
    Sweep(Sweep),
    /// Is a seed the same run every time?
    Meta {
        /// Only this scenario.
        #[arg(long)]
        scenario: Option<String>,
        /// The seed that is compared.
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// Plants a source of nondeterminism, which must be found.
        #[arg(long, hide = true)]
        self_test: bool,
    },
    /// Saves the shrunk plan of a failing seed as a regression.
    Keep {
        /// The seed.
        seed: u64,
        /// Its scenario, if several failed with this seed.
        #[arg(long)]
        scenario: Option<String>,
    },
    /// Scenarios, faults and invariants.
    List,
    /// Runs what its standard input says, seed by seed.
    #[command(hide = true)]
    Worker,
    /// Prints the trace of one run, for `meta`.
    #[command(hide = true)]
    Trace {
        #[arg(long)]
        scenario: String,
        #[arg(long)]
        seed: u64,
        /// Other seeds to run first in the same process.
        #[arg(long, default_value_t = 0)]
        after: u64,
        #[arg(long)]
        planted: bool,
    },
}

/// Many seeds.
#[derive(Debug, Clone, Args)]
pub struct Sweep {
    /// First and behind the last: `0..1000`.
    #[arg(long, value_parser = parse_range, required_unless_present = "time")]
    pub seeds: Option<Range<u64>>,
    /// Goes on for so long: `5m`.
    #[arg(long, value_parser = parse_time)]
    pub time: Option<Duration>,
    /// Only this scenario; else each seed draws its own.
    #[arg(long)]
    pub scenario: Option<String>,
    /// Worker processes.
    #[arg(long, default_value_t = 2)]
    pub jobs: usize,
    /// Every N-th seed from the I-th: `0/4`.
    #[arg(long, value_parser = parse_shard)]
    pub shard: Option<(u64, u64)>,
    /// Seeds begin at a number made of a commit's hash.
    #[arg(long)]
    pub from_commit: Option<String>,
    /// Ends at the first seed that breaks this invariant.
    #[arg(long)]
    pub until: Option<String>,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let rule = || format!("`{text}`: seeds are written first..end, as 0..1000");
    let (first, end) = text.split_once("..").ok_or_else(rule)?;
    let range = first.parse().map_err(|_| rule())?..end.parse().map_err(|_| rule())?;
    if range.is_empty() { Err(format!("`{text}`: no seed in it")) } else { Ok(range) }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let rule = || format!("`{text}`: a time is a number with s, m or h, as 5m");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(rule)?;
    let number: u64 = number.parse().map_err(|_| rule())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(rule()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(rule)
}

fn parse_shard(text: &str) -> Result<(u64, u64), String> {
    let rule = || format!("`{text}`: a shard is I/N with I below N, as 0/4");
    let (index, count) = text.split_once('/').ok_or_else(rule)?;
    let (index, count) = (index.parse().map_err(|_| rule())?, count.parse().map_err(|_| rule())?);
    if index < count { Ok((index, count)) } else { Err(rule()) }
}

impl Sweep {
    /// The seeds in order; endless with a time and no range.
    pub fn seeds(&self) -> Result<Box<dyn Iterator<Item = u64> + Send>, String> {
        let base = match &self.from_commit {
            None => 0,
            Some(hash) => {
                let digits = hash.get(..hash.len().min(12)).filter(|digits| digits.len() >= 7);
                digits
                    .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                    .ok_or_else(|| format!("`{hash}`: a commit's hash has at least 7 hexadecimal digits"))?
            }
        };
        let range = self.seeds.clone().unwrap_or(0..u64::MAX - base);
        let (index, count) = self.shard.unwrap_or((0, 1));
        Ok(Box::new(range.map(move |seed| base + seed).filter(move |seed| seed % count == index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(line: &str) -> Result<Sweep, String> {
        match Sim::try_parse_from(format!("sim sweep {line}").split_whitespace()) {
            Ok(Sim { command: Some(Command::Sweep(sweep)), .. }) => Ok(sweep),
            Ok(_) => unreachable!("the line says sweep"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn seeds_come_in_order_sharded_and_from_a_commit() {
        assert_eq!(sweep("--seeds 3..6").unwrap().seeds().unwrap().collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(sweep("--seeds 0..6 --shard 1/3").unwrap().seeds().unwrap().collect::<Vec<_>>(), [1, 4]);
        assert_eq!(sweep("--time 5m --from-commit 00000ff").unwrap().seeds().unwrap().take(2).collect::<Vec<_>>(), [255, 256]);
    }

    #[test]
    fn bad_arguments_say_the_rule() {
        for (line, rule) in [
            ("--seeds 6..3", "no seed in it"),
            ("--seeds x", "seeds are written first..end"),
            ("--time 5d", "a number with s, m or h"),
            ("--seeds 0..1 --shard 4/4", "I below N"),
            ("", "--seeds"),
        ] {
            let error = sweep(line).expect_err(line);
            assert!(error.contains(rule), "{line}: {error}");
        }
        assert!(sweep("--time 1s --from-commit xyz").unwrap().seeds().err().expect("not a hash").contains("hexadecimal"));
    }
}
