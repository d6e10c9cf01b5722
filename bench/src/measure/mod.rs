//! Clock, repetitions, cores.

mod clock;
mod cores;
mod hiccup;
mod interleave;
mod samples;

pub use clock::Clock;
pub use cores::{count as core_count, pin};
pub use hiccup::HiccupMeter;
pub use interleave::{Contestant, interleave, rounds};
pub use samples::Samples;
