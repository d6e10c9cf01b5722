//! Other books, each fed the same stream: markets by number, prices and lots as they are, the same hash over its trades.

mod lobster;
#[cfg(feature = "full")]
mod orderbook_rs;

pub use self::lobster::Lobster;
#[cfg(feature = "full")]
pub use self::orderbook_rs::OrderbookRs;

use bench::flow::{Flow, TradeHash};
use std::collections::HashMap;
use wire::order::Side;
use wire::slot::Command;

/// A command as a peer gets it: what our book finds out itself is found out for him before the clock runs.
pub struct Step {
    /// Number of the symbol.
    pub market: usize,
    /// Side of the order, also of one that is replaced.
    pub side: Side,
    /// The command.
    pub command: Command,
}

/// The steps of a flow: its prefill, and what is measured.
pub fn steps(flow: &Flow) -> (Vec<Step>, Vec<Step>) {
    let markets: HashMap<_, _> = flow.symbols.iter().enumerate().map(|(number, symbol)| (*symbol, number)).collect();
    let mut sides = HashMap::new();
    let mut step = |command: &Command| {
        let side = match *command {
            Command::Place { order_id, side, .. } => {
                sides.insert(order_id, side);
                side
            }
            Command::Cancel { order_id, .. } | Command::Reduce { order_id, .. } | Command::Replace { order_id, .. } => sides[&order_id],
        };
        Step { market: markets[&Flow::symbol_of(command)], side, command: *command }
    };
    let prefill = flow.prefill.iter().map(&mut step).collect();
    (prefill, flow.commands.iter().map(&mut step).collect())
}

/// A book of somebody else, for every symbol of a stream.
pub trait Peer {
    /// Empty books.
    fn new(markets: usize, orders_max: usize) -> Self;

    /// Does what a command says, as this book would be used for it, and adds the trades. An error names a command that it has no word for.
    fn apply(&mut self, step: &Step, trades: &mut TradeHash) -> anyhow::Result<()>;
}
