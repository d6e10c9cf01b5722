//! Ports that services need besides the log.

pub mod store;
