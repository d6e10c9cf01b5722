//! What is told about one seed: to the screen, to the parent of a sweep, to tools.

use crate::tally::Tally;
use serde::{Deserialize, Serialize};
use sim::Reached;
use std::collections::BTreeMap;

/// How a seed ended; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Everything held, and something was checked.
    Pass = 0,
    /// An invariant was violated, or nothing was checked.
    Correctness = 10,
    /// Not everything ended in time.
    Liveness = 11,
    /// A panic, or a task that never yields.
    Crash = 12,
    /// The same seed gave another run.
    Nondeterminism = 13,
}

/// One seed's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedReport {
    /// The seed.
    pub seed: u64,
    /// Its scenario.
    pub scenario: String,
    /// How it ended.
    pub class: Class,
    /// The invariant that was violated; `crash` for a panic; empty for a pass.
    pub what: String,
    /// One line about it.
    pub headline: String,
    /// The facts behind it.
    pub facts: Vec<String>,
    /// Every invariant that was violated, by name.
    pub broken: Vec<String>,
    /// Evaluations and remark of each invariant.
    pub checked: BTreeMap<String, (u64, String)>,
    /// What the run did.
    pub tally: Tally,
    /// Marks.
    pub reached: Reached,
    /// Of the history.
    pub digest: u64,
    /// Simulated ms.
    pub simulated_ms: u64,
    /// Messages over the network.
    pub messages: u64,
    /// Order to acknowledgement, simulated µs: p50, p99, p99.9.
    pub ack_us: [u64; 3],
    /// The same in full: simulated µs to three digits, and how many orders, in rising order.
    pub acks: Vec<(u64, u64)>,
    /// CPU ms of this process for this seed.
    pub cpu_ms: u64,
    /// Highest resident memory during this seed, kB.
    pub peak_kb: u64,
}

impl SeedReport {
    /// The command that shows it again.
    pub fn reproduce(&self) -> String {
        format!("cargo xtask sim --scenario {} --seed {}", self.scenario, self.seed)
    }
}
