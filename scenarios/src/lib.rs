//! Scenarios: what is run under a seed, and what the exchange owes its users.

pub mod evidence;
#[cfg(test)]
mod hand_made;
pub mod invariants;
pub mod ledger;
pub mod operation;
pub mod sieve;
pub mod store;
pub mod workload;
