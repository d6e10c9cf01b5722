//! The order book of one symbol and its matching: price–time priority, integers only.
//!
//! [`Book`] is the contract, [`Fast`] what runs, [`Naive`] its slow obvious twin, [`conformance`] the cases that every implementation passes.
//!
//! **Architecture invariants.** A book is pure: no clock, randomness, async, float or iteration over hash maps, and ([`Naive`] and the doublings of
//! [`Fast::growing`] excepted) no allocation after construction. The same commands give the same reports and the same state hash. A refused command changes no level.

mod book;
pub mod conformance;
mod fast;
mod hash;
mod naive;
mod reports;
mod venue;

pub use book::{Book, BookConfig, Level, NewOrder};
pub use fast::Fast;
pub use hash::StateHash;
pub use naive::Naive;
pub use reports::{Reports, Slots};
pub use venue::Venue;
