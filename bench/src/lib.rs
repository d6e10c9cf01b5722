//! How Lockstep measures itself: a clock whose own cost is known, interleaved repetitions, tables that say goal, measured and verdict, and a
//! comparison that says "same" inside the spread. What is measured are the cases of the program (`src/main.rs`, `src/cases/`).
//!
//! **Architecture invariants.** Conditions are printed before numbers. No mean is shown. A figure counts only after what was computed was checked
//! (a [`Sheet`] without a check refuses to print). Nothing here passes judgement on a build by the wall clock: that is left to instruction counts.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measures the real world")]

mod case;
pub mod flow;
pub mod host;
pub mod latency;
pub mod measure;
mod record;
mod sheet;
mod verdict;

pub use case::{Case, Options};
pub use record::{Distribution, Record};
pub use sheet::{Row, Sheet, Unit};
pub use verdict::{Goal, Verdict};
