//! The simulated world: nodes with a life, a disk and a clock, on a network that can be cut; and the verbs that faults are made of.
//!
//! Under `--cfg madsim` it runs; in every other build its types are there, so that faults and scenarios compile, and no [`World`] can be made.

mod ctx;
pub mod disk;
mod outcome;

pub use ctx::{NodeCtx, NodeState, Start};
pub use disk::{DiskFault, PowerLoss, SimulatedDisk};
pub use outcome::{Crash, Ended, RunOutcome, Settings};

#[cfg(madsim)]
mod madsim;
#[cfg(madsim)]
pub use madsim::{Latency, Touched, World, run};

#[cfg(not(madsim))]
mod absent;
#[cfg(not(madsim))]
pub use absent::{Latency, Touched, World, run};

/// The world of this build; empty: none.
pub const NAME: &str = if cfg!(madsim) {
    "madsim"
} else if cfg!(turmoil) {
    "turmoil"
} else {
    ""
};
