//! What a case is: one file in `cases/`, one line in its list.

use crate::Sheet;
use std::time::{Duration, Instant};

/// One thing that is measured.
pub struct Case {
    /// As typed: `cargo xtask bench NAME`.
    pub name: &'static str,
    /// One line for the list.
    pub about: &'static str,
    /// Measures, and writes conditions and rows into the sheet. An error means that nothing may be believed: a hash differed, a program failed.
    pub run: fn(&Options, &mut Sheet) -> anyhow::Result<()>,
}

/// How much is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A look in seconds instead of a measurement in minutes: fewer repetitions, the same work in each.
    pub quick: bool,
}

/// Longest that one figure is repeated: where others have the cores, two threads that need both at once wait for each other most of the time.
const PATIENCE: Duration = Duration::from_secs(50);

/// So often at least, however long it takes.
const REPETITIONS_MIN: usize = 5;

impl Options {
    /// Whether a figure that was begun at `begin`, and was measured `done` times, has taken its share of the time.
    pub fn is_enough(&self, done: usize, begin: Instant) -> bool {
        done >= REPETITIONS_MIN && begin.elapsed() > PATIENCE
    }

    /// How often to repeat.
    pub fn repetitions(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}
