//! The simulated world, the history that is taken in it, and what is said about a run. Knows nothing of orders: this is what makes the harness
//! usable for somebody else's service on a log.
//!
//! * [`world`]: nodes, network, disks and clocks under one seed, and the verbs that faults are made of.
//! * [`history`]: facts taken at the ports, their digest, JSON Lines.
//! * [`invariants`]: properties of the log, one per file; [`checkers`]: Jepsen's anomalies, judged by what clients were told.
//! * [`plan`]: a run as data; [`shrink`]: a smaller plan that breaks the same invariant; [`meta`]: is the harness itself deterministic?
//! * [`report`]: the screens. [`conformance`]: what every Disk must do.
//!
//! **Architecture invariants.** Invariants read the history and nothing else. Only `world/` names a cfg. A fault can do only what [`World`] offers.

pub mod checkers;
pub mod conformance;
pub mod history;
pub mod invariants;
pub mod meta;
pub mod plan;
pub mod reached;
pub mod report;
pub mod shrink;
pub mod world;

/// What faults and scenarios of a stranger's service need beside the world itself.
pub use {broker, log, runtime};

pub use history::{Entry, History};
pub use invariants::{Finding, Invariant, Violation};
pub use plan::{Plan, PlannedFault, Trigger, Workload};
pub use reached::Reached;
pub use world::{Crash, Ended, NodeCtx, NodeState, RunOutcome, Settings, World, run};
