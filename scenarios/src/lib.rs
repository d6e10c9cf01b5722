//! Scenarios: what is run under a seed, and what the exchange owes its users.
//!
//! * [`scenarios`]: ranges of shape, workload and faults; seed → plan. [`workload`]: what clients do, as plain values.
//! * [`composition`]: the exchange as nodes of the world; the phases of a run; users; the auditor. [`store`]: the recorder's, on the simulated disk.
//! * [`judge`]: one plan, run and judged. [`evidence`]: what the judges see; [`sieve`] and [`ledger`]: the drop rule and the accounts, written a second
//!   time, because the services' own are on trial.
//! * [`invariants`]: what the exchange owes, one property per file. [`tally`]: what a run did, and the floors of a sweep. [`verdict`]: how it ended.
//! * [`said`]: the lines of the services that put out what a violation cites. [`operation`]: clients' operations as they stand in the history.
//!
//! **Architecture invariants.** A plan decides a run, nothing else does. Invariants are pure functions of the evidence. Only `main.rs` meets the world
//! outside of a run.

pub mod composition;
pub mod evidence;
#[cfg(test)]
mod hand_made;
pub mod invariants;
pub mod judge;
pub mod ledger;
pub mod operation;
pub mod said;
pub mod scenarios;
pub mod sieve;
pub mod store;
pub mod tally;
pub mod verdict;
pub mod workload;
