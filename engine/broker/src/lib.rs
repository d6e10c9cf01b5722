//! The broker core: what a Kafka broker and its controller decide, as state machines without I/O. One core serves the embedded log (one node, a
//! real disk) and the simulated cluster (several nodes, a simulated disk and network).
//!
//! **Architecture invariants.** No async, no socket, no file, no clock, no random number, no hash-ordered iteration. I/O is data in both directions
//! ([`Input`], [`Output`]). What Kafka keeps per replica is kept per replica. Coordinators are state machines over their own internal partitions.

pub mod assignment;
pub mod batch;
mod broker;
pub mod config;
mod controller;
pub mod coordinator;
pub mod io;
pub mod metadata;
pub mod note;
mod outbox;
pub mod protocol;
mod replica;

pub use batch::{Batch, BatchHeader, ControlKind, Record};
pub use broker::Broker;
pub use config::{BrokerConfig, ControllerConfig, FsyncPolicy, QuorumConfig};
pub use controller::Controller;
pub use io::{Core, DiskAnswer, DiskError, Input, Now, Output, RequestId};
pub use note::{Content, Note};
pub use protocol::{ErrorCode, NodeId, Request, Response, TopicId, Tp};
