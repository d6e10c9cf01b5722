//! Stages over rings: one thread each in production, stepped by the seed in simulation. Rings know nothing of what they carry.
//!
//! A [`Producer`] fills slots that exist since the start, a chain of [`Poller`]s reads them in order: a later one sees only what the one before
//! released. A [`Stage`] does some work when it is told to, and says what it did; [`stepped`] and [`threaded`] tell them. [`Pipeline`] is the most
//! common shape: a ring in, one stage, a ring out.
//!
//! **Architecture invariants.** Nothing here waits for room or for events: a full ring is an error that the caller sees, and an empty one is
//! [`Step::Idle`]. A stage that fails, or panics, keeps the event at which it did. Only [`threaded`] knows threads.

mod atomics;
mod line;
mod pipeline;
mod ring;
mod stage;
pub mod stepped;
pub mod threaded;

pub use line::{LAP_BITS, LinePoller, LineProducer, WORDS, line_ring};
pub use pipeline::Pipeline;
pub use ring::{Full, Poller, Producer, Read, ring};
pub use stage::{Consume, Fault, Handler, Relay, Sink, Source, Stage, Step};
