//! Clock, repetitions, cores.

mod clock;
mod cores;
mod hiccup;
mod interleave;
mod open_loop;
mod samples;

pub use clock::Clock;
pub use cores::{count as core_count, pin};
pub use hiccup::HiccupMeter;
pub use interleave::{Contestant, column, interleave, rounds};
pub use open_loop::{due, knee, open_loop};
pub use samples::Samples;
