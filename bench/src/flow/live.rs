//! What a generator must know of the market that it feeds: which orders rest, and the best prices. It knows from a book that it feeds as it goes.

use super::Random;
use book::{Book, BookConfig, Fast};
use std::collections::HashMap;
use wire::ids::{AccountId, OrderId, Symbol};
use wire::order::Side;
use wire::slot::{Command, Report};

/// A resting order.
#[derive(Debug, Clone, Copy)]
pub struct Rests {
    /// Its number.
    pub order_id: OrderId,
    /// Whose it is.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// Ordered lots less those that traded.
    pub lots: i64,
}

/// One symbol's market.
pub struct Live {
    /// Of this market.
    pub symbol: Symbol,
    book: Fast,
    rests: Vec<Rests>,
    /// Where in `rests`; never iterated.
    at: HashMap<OrderId, usize>,
    reports: Vec<Report>,
    /// How many trades there were.
    pub trades: u64,
}

impl Live {
    /// An empty market.
    pub fn new(symbol: Symbol, config: BookConfig) -> Self {
        Live { symbol, book: Fast::new(config), rests: Vec::new(), at: HashMap::new(), reports: Vec::new(), trades: 0 }
    }

    /// How many orders rest.
    pub fn count(&self) -> usize {
        self.rests.len()
    }

    /// One of them, uniformly; none if there is none.
    pub fn any(&self, random: &mut Random) -> Option<Rests> {
        (!self.rests.is_empty()).then(|| self.rests[random.below(self.rests.len() as u64) as usize])
    }

    /// Applies a command and follows what it did.
    pub fn apply(&mut self, command: &Command) {
        self.reports.clear();
        self.book.apply(command, &mut self.reports);
        let (mut taken, mut is_resting) = (0, false);
        for at in 0..self.reports.len() {
            match self.reports[at] {
                Report::Accepted { .. } => is_resting = true,
                Report::Traded { maker_order_id, quantity_lots, .. } => {
                    self.trades += 1;
                    taken += quantity_lots;
                    let at = self.at[&maker_order_id];
                    self.rests[at].lots -= quantity_lots;
                }
                Report::Ended { order_id, .. } => {
                    // The order of a Place is in no list yet; of the others only its own end comes last.
                    is_resting &= self.forget(order_id);
                }
                _ => {}
            }
        }
        match *command {
            Command::Place { order_id, account, side, quantity_lots, .. } if is_resting => {
                self.at.insert(order_id, self.rests.len());
                self.rests.push(Rests { order_id, account, side, lots: quantity_lots - taken });
            }
            Command::Replace { order_id, quantity_lots, .. } => {
                if let Some(at) = self.at.get(&order_id) {
                    self.rests[*at].lots = quantity_lots - taken;
                }
            }
            Command::Reduce { order_id, lots, .. } => {
                if let Some(at) = self.at.get(&order_id) {
                    self.rests[*at].lots -= lots;
                }
            }
            Command::Place { .. } | Command::Cancel { .. } => {}
        }
    }

    /// Says whether it rested: a taker that ended at once never did.
    fn forget(&mut self, order_id: OrderId) -> bool {
        let Some(at) = self.at.remove(&order_id) else { return false };
        self.rests.swap_remove(at);
        if let Some(moved) = self.rests.get(at) {
            self.at.insert(moved.order_id, at);
        }
        true
    }
}
