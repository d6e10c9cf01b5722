//! `orderbook-rs` 0.15: lock-free skip lists of price levels, for many threads at once; here one thread uses it. It knows limit (GTC), market and cancel;
//! a replace is a cancel and a limit order, as in its own modify.

use super::{Peer, Step};
use anyhow::{Result, bail};
use bench::flow::TradeHash;
use orderbook_rs::{Id, OrderBook, TimeInForce as Theirs};
use pricelevel::MatchResult;
use wire::order::{self, TimeInForce};
use wire::slot::Command;

/// See the module.
pub struct OrderbookRs {
    markets: Vec<OrderBook<()>>,
}

fn side_of(side: order::Side) -> orderbook_rs::Side {
    match side {
        order::Side::Buy => orderbook_rs::Side::Buy,
        order::Side::Sell => orderbook_rs::Side::Sell,
    }
}

fn add(trades: &mut TradeHash, matched: &MatchResult) {
    let number = |id: Id| id.as_u64().unwrap_or_default();
    for trade in matched.trades().as_vec() {
        trades.add(number(trade.taker_order_id()), number(trade.maker_order_id()), trade.price().as_u128() as i64, trade.quantity().as_u64() as i64);
    }
}

impl OrderbookRs {
    fn limit(&self, step: &Step, order_id: u64, price_ticks: i64, quantity_lots: i64, trades: &mut TradeHash) -> Result<()> {
        let (book, side) = (&self.markets[step.market], side_of(step.side));
        let (_, traded) = book.add_limit_order_with_result(Id::Sequential(order_id), price_ticks as u128, quantity_lots as u64, side, Theirs::Gtc, None)?;
        traded.iter().for_each(|traded| add(trades, &traded.match_result));
        Ok(())
    }
}

impl Peer for OrderbookRs {
    fn new(markets: usize, _orders_max: usize) -> Self {
        OrderbookRs { markets: (0..markets).map(|market| OrderBook::new(&format!("SYM{market:03}"))).collect() }
    }

    fn apply(&mut self, step: &Step, trades: &mut TradeHash) -> Result<()> {
        let book = &self.markets[step.market];
        match step.command {
            Command::Place { order_type: order::OrderType::Limit, time_in_force: TimeInForce::Gtc, order_id, price_ticks, quantity_lots, .. } => {
                self.limit(step, order_id.0, price_ticks, quantity_lots, trades)?;
            }
            Command::Place { order_type: order::OrderType::Market, order_id, quantity_lots, .. } => {
                add(trades, &book.submit_market_order(Id::Sequential(order_id.0), quantity_lots as u64, side_of(step.side))?);
            }
            Command::Cancel { order_id, .. } => drop(book.cancel_order(Id::Sequential(order_id.0))?),
            Command::Replace { order_id, price_ticks, quantity_lots, .. } => {
                drop(book.cancel_order(Id::Sequential(order_id.0))?);
                self.limit(step, order_id.0, price_ticks, quantity_lots, trades)?;
            }
            Command::Reduce { .. } | Command::Place { .. } => bail!("no word for {:?}", step.command),
        }
        Ok(())
    }
}
