//! The log: one port that hides nothing, its native client, and the host that runs the broker core.
//!
//! * [`port`]: what services see. Revocation, fencing, unknown outcomes, out-of-range, truncation and sparse offsets are values in its types.
//! * [`native`]: the client of our own broker, embedded or simulated: metadata cache, in-flight window, retries, delivery timeout, prefetch,
//!   background heartbeats.
//! * [`link`]: calls to one peer over one ordered connection.
//! * [`host`]: runs `broker` cores on a Disk and a network: one node of a cluster, or all of the embedded log.
//! * [`history`]: what is taken down at the ports, for the checkers; a no-op in production.
//!
//! **Architecture invariants.** No retry past the deadline given, no auto commit, no auto reset, no auto create, no delivery after revoke. Nothing
//! here knows of orders.
//!
#![doc = include_str!("differences.md")]

pub mod history;
pub mod host;
pub mod link;
pub mod native;
pub mod port;

pub use broker::protocol::{ErrorCode, Isolation, TopicId, TopicSpec, Tp};
pub use history::{Event, Observer};
pub use port::*;
