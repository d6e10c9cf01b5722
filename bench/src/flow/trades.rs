//! What a stream traded, in one number.

use wire::ids::OrderId;
use wire::slot::{Command, Report};

/// A hash over every trade in order: taker, maker, price, lots. Trade ids are left out, for not every book has them. Two multiplications a trade, paid
/// by every contestant alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TradeHash {
    hash: u64,
    /// How many.
    pub trades: u64,
}

impl TradeHash {
    /// Adds a trade.
    #[inline]
    pub fn add(&mut self, taker: u64, maker: u64, price_ticks: i64, quantity_lots: i64) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let who = (self.hash.rotate_left(5) ^ taker ^ maker.rotate_left(32)).wrapping_mul(ODD);
        self.hash = (who.rotate_left(29) ^ price_ticks.cast_unsigned() ^ quantity_lots.cast_unsigned() << 32).wrapping_mul(ODD);
        self.trades += 1;
    }

    /// Adds the trades of a command's reports.
    #[inline]
    pub fn add_reports(&mut self, command: &Command, reports: &[Report]) {
        // One report is never a trade.
        if reports.len() < 2 {
            return;
        }
        let (Command::Place { order_id: OrderId(taker), .. }
        | Command::Replace { order_id: OrderId(taker), .. }
        | Command::Reduce { order_id: OrderId(taker), .. }
        | Command::Cancel { order_id: OrderId(taker), .. }) = *command;
        for report in reports {
            if let Report::Traded { maker_order_id, price_ticks, quantity_lots, .. } = *report {
                self.add(taker, maker_order_id.0, price_ticks, quantity_lots);
            }
        }
    }
}
