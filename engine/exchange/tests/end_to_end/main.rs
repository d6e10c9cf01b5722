//! The exchange as a process: real tokio, loopback TCP, a real disk, HTTP clients.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests of a real process: real clock, threads, files

mod bad_requests;
mod connections;
mod damage;
mod deposits;
mod disk_full;
mod foreign_records;
mod inspection;
#[cfg(any(feature = "rdkafka", feature = "krafka"))]
mod kafka;
mod kill_nine;
mod lobster_flow;
mod log_kills;
mod measure;
mod mixed_builds;
mod process;
mod start_and_stop;
mod trading;
