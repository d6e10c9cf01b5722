//! The screens: what a person sees of a run. Pure functions from data to text, one screen a file; colour is the caller's.

mod crash;
mod failing;
mod nondeterministic;
mod passing;
mod stuck;
mod sweep;

pub use crash::{crash, stalled};
pub use failing::{Shrinking, failing};
pub use nondeterministic::nondeterministic;
pub use passing::{Scored, passing};
pub use stuck::stuck;
pub use sweep::{FailedSeed, Sweep, sweep};

use std::fmt::Write;

/// Exit codes, by kind of verdict; away from the shell's own 126–130.
pub mod exit {
    /// Everything held.
    pub const PASS: u8 = 0;
    /// The command line or a file it names was wrong.
    pub const USAGE: u8 = 2;
    /// An invariant was broken.
    pub const CORRECTNESS: u8 = 10;
    /// Nothing wrong happened, but not everything that should.
    pub const LIVENESS: u8 = 11;
    /// A node panicked, or the simulated clock stood still.
    pub const CRASH: u8 = 12;
    /// The same seed gave another history.
    pub const NONDETERMINISM: u8 = 13;
}

/// What stands above every verdict on one seed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// The seed.
    pub seed: u64,
    /// The scenario.
    pub scenario: String,
    /// `madsim` or `turmoil`.
    pub world: String,
    /// Short commit hash, with `+` if the tree differs from it.
    pub commit: String,
    /// `3 brokers, 4 partitions, …`.
    pub shape: String,
    /// Planned faults by kind.
    pub faults: Vec<(String, u64)>,
    /// Done and wanted units of work, and their name (`orders`).
    pub progress: (u64, u64, String),
    /// Simulated time.
    pub simulated_us: u64,
    /// Wall time.
    pub wall_ms: u64,
    /// Entries of the history.
    pub events: u64,
}

impl Header {
    fn top(&self) -> String {
        let Header { seed, scenario, world, commit, shape, .. } = self;
        let planned: u64 = self.faults.iter().map(|(_, count)| count).sum();
        let kinds: Vec<String> = self.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        format!("seed {seed} · {scenario} · {world} world · {commit}\n  shape    {shape}\n  faults   {planned} planned{kinds}\n")
    }

    fn bar(&self) -> String {
        let (done, wanted, _) = &self.progress;
        let full = if *wanted == 0 { 32 } else { (done.min(wanted) * 32 / wanted) as usize };
        format!("  {:<32} {}/{}", "█".repeat(full), count(*done), count(*wanted))
    }

    /// `cargo xtask sim --scenario NAME --seed N`.
    pub fn reproduce(&self) -> String {
        format!("cargo xtask sim --scenario {} --seed {}", self.scenario, self.seed)
    }

    /// `target/runs/<scenario>-<seed>`.
    pub fn folder(&self) -> String {
        format!("target/runs/{}-{}", self.scenario, self.seed)
    }
}

/// Simulated time as people read it: `9m 02.000s`, `3.200s`.
pub fn time(us: u64) -> String {
    let (minutes, ms) = (us / 60_000_000, us / 1_000 % 60_000);
    if minutes == 0 { format!("{}.{:03}s", ms / 1_000, ms % 1_000) } else { format!("{minutes}m {:02}.{:03}s", ms / 1_000, ms % 1_000) }
}

/// A count with thousands set apart: `184,201`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn line(text: &mut String, args: std::fmt::Arguments<'_>) {
    text.write_fmt(args).expect("a String takes everything");
    text.push('\n');
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn header() -> Header {
        Header {
            seed: 42,
            scenario: "steady_flow".into(),
            world: "madsim".into(),
            commit: "3f9c2ab".into(),
            shape: "3 brokers, 4 partitions, 2 matchers, 6 clients, 5,000 orders".into(),
            faults: vec![("broker_crash".into(), 3), ("rebalance".into(), 5)],
            progress: (1_190, 5_000, "orders".into()),
            simulated_us: 192_480_000,
            wall_ms: 4_100,
            events: 184_201,
        }
    }

    #[test]
    fn times_and_counts_read_well() {
        assert_eq!([time(3_200_000), time(542_000_000), time(0)], ["3.200s", "9m 02.000s", "0.000s"]);
        assert_eq!([count(5), count(1_190), count(184_201), count(1_000_000)], ["5", "1,190", "184,201", "1,000,000"]);
    }
}
