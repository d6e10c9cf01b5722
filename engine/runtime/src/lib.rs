//! The seam between Lockstep and the world it runs in: network, time, tasks, randomness, disk. Production is tokio and `std::fs`; under
//! `--cfg madsim` and `--cfg turmoil` the same names are the simulated world's.
//!
//! **Architecture invariants.** This is the only crate of the engine that names a runtime cfg. It depends on no other crate of the workspace.
//! Engine code reads no other clock, opens no other socket, draws no other random number.

pub mod disk;
pub mod mark;
pub mod net;
pub mod rng;
#[cfg(madsim)]
pub mod simulated;
pub mod task;
pub mod time;

/// A boxed future, where a trait object needs one.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

#[doc(hidden)]
pub use tokio as __tokio;

/// `tokio::select!` that always polls its branches in the order written: an unbiased select draws from a process-wide counter, and the same seed
/// would give another run.
#[macro_export]
macro_rules! select {
    ($($branches:tt)*) => { $crate::__tokio::select! { biased; $($branches)* } };
}

/// Says that a state worth reaching was reached. In production nothing; in simulation it is counted, and a fault may wait for it.
#[macro_export]
macro_rules! reached {
    ($mark:expr) => {
        $crate::mark::hit($mark)
    };
}
