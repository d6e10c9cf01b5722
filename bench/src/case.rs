//! What a case is: one file in `cases/`, one line in its list.

use crate::Sheet;

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

impl Options {
    /// How often to repeat.
    pub fn repetitions(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}
