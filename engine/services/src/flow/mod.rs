//! Real order flow: recorded market data, read ([`lobster`], [`itch`]), turned into actions on a book ([`Mapping`]) or into orders of clients ([`player`]).
//!
//! A recording names orders that nobody here placed, and shows executions without their takers. The mapping invents both, so that a book which is
//! played the actions stands where the recorded one stood.

pub mod itch;
pub mod lobster;
mod mapping;
pub mod player;

pub use mapping::Mapping;

use wire::Side;

/// What a player does next. `number` is the flow's own, rising from 1 with every `Rest` and `Take`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A limit order, good till cancelled.
    Rest { number: u64, side: Side, price_ticks: i64, lots: i64 },
    /// A limit order, immediate or cancel: the taker of a recorded execution.
    Take { number: u64, side: Side, price_ticks: i64, lots: i64 },
    /// A resting order becomes smaller by `lots`, and stays with `left`.
    Reduce { number: u64, lots: i64, left: i64 },
    /// A resting order goes.
    Cancel { number: u64 },
}

/// A line or a message that is not what its format says: names file, place, field and rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{place}: {field}: {rule}")]
pub struct FlowError {
    /// As the caller named it.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// The column's or the field's name.
    pub field: &'static str,
    /// What it should be, and what it is.
    pub rule: String,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Of a text, from 1.
    Line(usize),
    /// Of a binary file, from 0.
    Byte(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Line(line) => write!(f, ":{line}"),
            Place::Byte(offset) => write!(f, ", byte {offset}"),
        }
    }
}
