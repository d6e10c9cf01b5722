//! The exchange: one file per machine, policy, projection and edge; three loops that carry them (`runner/`); the ports they need (`ports/`).
//!
//! **Architecture invariants.** A machine is `apply(inputs, outputs)` over one ordered partition: no clock, no I/O, no randomness, no iteration over
//! hash maps. Services see ports only. Exactly-once is written in `runner/`, not here.

pub mod account;
pub mod api_gateway;
pub mod bootstrap;
pub mod client;
pub mod clock_service;
pub mod data_recorder;
pub mod decimal;
pub mod flow;
pub mod listing;
pub mod matching_engine;
pub mod ports;
pub mod runner;
#[cfg(test)]
mod samples;
pub mod wallet;
#[cfg(test)]
mod wired;
