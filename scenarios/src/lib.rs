//! Scenarios: what is run under a seed, and what the exchange owes its users.

pub mod composition;
pub mod evidence;
#[cfg(test)]
mod hand_made;
pub mod invariants;
pub mod judge;
pub mod ledger;
pub mod operation;
pub mod scenarios;
pub mod sieve;
pub mod store;
pub mod tally;
pub mod verdict;
pub mod workload;
