//! `lobster` 0.7: sorted maps of vectors, an arena, SipHash. It knows limit (GTC), market and cancel; a replace is a cancel and a limit order.

use super::{Peer, Step};
use anyhow::{Result, bail};
use bench::flow::TradeHash;
use lobster::{OrderBook, OrderEvent, OrderType};
use wire::order::{self, TimeInForce};
use wire::slot::Command;

/// See the module.
pub struct Lobster {
    markets: Vec<OrderBook>,
}

impl Lobster {
    fn execute(&mut self, market: usize, order: OrderType, trades: &mut TradeHash) {
        match self.markets[market].execute(order) {
            OrderEvent::PartiallyFilled { fills, .. } | OrderEvent::Filled { fills, .. } => {
                for fill in fills {
                    trades.add(fill.order_1 as u64, fill.order_2 as u64, fill.price as i64, fill.qty as i64);
                }
            }
            OrderEvent::Unfilled { .. } | OrderEvent::Placed { .. } | OrderEvent::Canceled { .. } => {}
        }
    }
}

fn side_of(side: order::Side) -> lobster::Side {
    match side {
        order::Side::Buy => lobster::Side::Bid,
        order::Side::Sell => lobster::Side::Ask,
    }
}

impl Peer for Lobster {
    fn new(markets: usize, orders_max: usize) -> Self {
        Lobster { markets: (0..markets).map(|_| OrderBook::new(orders_max, 16, false)).collect() }
    }

    fn apply(&mut self, step: &Step, trades: &mut TradeHash) -> Result<()> {
        let (market, side) = (step.market, side_of(step.side));
        match step.command {
            Command::Place { order_type: order::OrderType::Limit, time_in_force: TimeInForce::Gtc, order_id, price_ticks, quantity_lots, .. } => {
                let order = OrderType::Limit { id: order_id.0.into(), side, qty: quantity_lots as u64, price: price_ticks as u64 };
                self.execute(market, order, trades);
            }
            Command::Place { order_type: order::OrderType::Market, order_id, quantity_lots, .. } => {
                self.execute(market, OrderType::Market { id: order_id.0.into(), side, qty: quantity_lots as u64 }, trades);
            }
            Command::Cancel { order_id, .. } => self.execute(market, OrderType::Cancel { id: order_id.0.into() }, trades),
            Command::Replace { order_id, price_ticks, quantity_lots, .. } => {
                self.execute(market, OrderType::Cancel { id: order_id.0.into() }, trades);
                self.execute(market, OrderType::Limit { id: order_id.0.into(), side, qty: quantity_lots as u64, price: price_ticks as u64 }, trades);
            }
            Command::Reduce { .. } | Command::Place { .. } => bail!("no word for {:?}", step.command),
        }
        Ok(())
    }
}
