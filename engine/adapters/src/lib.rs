//! Adapters: the only place that names a driver. Each behind a cargo feature, each under the conformance body of the port that it implements.

// Drivers block, and open real files: here the real world begins.
#![allow(clippy::disallowed_methods)]

#[cfg(any(feature = "krafka", feature = "rdkafka"))]
pub mod kafka;
#[cfg(feature = "krafka")]
pub mod krafka;
#[cfg(feature = "rdkafka")]
pub mod rdkafka;
pub mod sqlite;
