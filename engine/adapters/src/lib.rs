//! Adapters: the only place that names a driver. Each behind a cargo feature, each under the conformance body of the port that it implements.

pub mod sqlite;
