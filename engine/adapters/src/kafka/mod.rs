//! What the adapters of Apache Kafka have in common, whichever client library they call.

pub(crate) mod codes;
pub(crate) mod config;
pub(crate) mod consumed;
pub(crate) mod membership;
pub(crate) mod patience;
pub(crate) mod reading;
pub(crate) mod sending;
pub(crate) mod topics;

pub use config::KafkaConfig;
