//! Real order flow: recorded market data, read ([`lobster`]), turned into actions on a book ([`Mapping`]) or into orders of clients ([`player`]).
//!
//! A recording names orders that nobody here placed, and shows executions without their takers. The mapping invents both, so that a book which is
//! played the actions stands where the recorded one stood.

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

/// A line that is not what its format says: names file, line, field and rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {field}: {rule}")]
pub struct FlowError {
    /// As the caller named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The column's name.
    pub field: &'static str,
    /// What it should be, and what it is.
    pub rule: String,
}
