//! How a run is set up and what comes back.

use crate::{Entry, Reached};
use std::time::Duration;

/// How a run is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Keys every draw: network, disks, random streams of nodes.
    pub seed: u64,
    /// Orders the tasks.
    pub scheduler_seed: u64,
    /// The run is over after so much simulated time.
    pub time_limit: Duration,
    /// Wall seconds for which the simulated clock may stand still.
    pub stall_limit: Duration,
    /// The process's first run is done twice and the first result dropped, after so much simulated time: lazies of the process draw from the
    /// stream of the run that meets them first.
    pub warm_up: Duration,
}

impl Settings {
    /// A seed with the usual limits: one simulated hour.
    pub fn of_seed(seed: u64) -> Self {
        Settings { seed, scheduler_seed: seed, time_limit: Duration::from_secs(3_600), stall_limit: Duration::from_secs(30), warm_up: Duration::from_secs(5) }
    }
}

/// A panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// The node in whose task it happened; `world`: in the scenario itself.
    pub node: String,
    /// `file:line`.
    pub place: String,
    /// What it said.
    pub message: String,
    /// Simulated microseconds.
    pub at_us: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended<T> {
    /// The body returned.
    Finished(T),
    /// A panic ended it.
    Crashed(Crash),
    /// The body had not returned at the time limit.
    TimeLimit,
    /// The simulated clock stood still: a task does not yield. Its thread is lost; end the process soon.
    Stalled(Crash),
}

/// What a run leaves.
#[derive(Debug)]
pub struct RunOutcome<T> {
    /// As in the settings.
    pub seed: u64,
    /// How it ended.
    pub ended: Ended<T>,
    /// Every fact. Empty after a stall.
    pub history: Vec<Entry>,
    /// Of the history: equal for equal seeds.
    pub digest: u64,
    /// Marks.
    pub reached: Reached,
    /// Simulated microseconds.
    pub simulated_us: u64,
    /// Messages sent over the network.
    pub messages: u64,
}
