//! Three loops carry every service, so that exactly-once is written three times in all, not once per service.
//!
//! * [`transact`]: machines and policies: outputs and position in one log transaction (or, with transactions off, sends, then position).
//! * [`project`]: rows and position in one transaction of a store.
//! * [`edge`]: plain sends, assigned reads; *unknown* is resolved by reading.

pub mod drop_rule;
pub mod edge;
pub mod machine;
pub mod project;
pub mod restore;
pub mod transact;

pub use machine::{Input, Machine, Outputs, To};
