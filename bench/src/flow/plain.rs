//! The plain streams: 48 % new, 42 % cancel, 5 % replace, 5 % aggressive, on one symbol or many.

use super::{Flow, LOTS_MAX, Maker};
use book::BookConfig;
use wire::order::{OrderType, Side, TimeInForce};
use wire::slot::Command;

/// One of the plain streams.
#[derive(Debug, Clone, Copy)]
pub struct Plain {
    /// As in a table.
    pub name: &'static str,
    /// How many markets.
    pub symbols: usize,
    /// Orders that rest in each, about.
    pub live: usize,
}

impl Plain {
    /// One symbol, about 10,000 orders.
    pub const DEEP: Plain = Plain { name: "1 symbol, 10k live", symbols: 1, live: 10_000 };
    /// One symbol, about 1,000 orders.
    pub const SMALL: Plain = Plain { name: "1 symbol, 1k live", symbols: 1, live: 1_000 };
    /// 64 symbols, about 120,000 orders together.
    pub const MANY: Plain = Plain { name: "64 symbols, 120k live", symbols: 64, live: 1_875 };
}

/// Where every market begins.
const MIDDLE: i64 = 10_000;

/// Farthest that a new order is from the middle.
const DEPTH_MAX: i64 = 200;

const REST: (OrderType, TimeInForce) = (OrderType::Limit, TimeInForce::Gtc);
const TAKE: (OrderType, TimeInForce) = (OrderType::Market, TimeInForce::Ioc);

impl Plain {
    /// The stream of a seed, `count` commands behind the prefill.
    pub fn flow(self, seed: u64, count: usize) -> Flow {
        let config = BookConfig {
            price_ticks_max: 2 * MIDDLE,
            quantity_lots_max: 10 * LOTS_MAX,
            orders_max: (self.live * 3 / 2).max(256).next_power_of_two(),
            levels_max: 1_024,
            origins_max: 128,
        };
        let mut maker = Maker::new(seed, self.symbols, config);
        let mut middles = vec![MIDDLE; self.symbols];
        for market in 0..self.symbols {
            while maker.markets[market].count() < self.live {
                self.new_order(&mut maker, market, MIDDLE);
            }
        }
        maker.begin();
        while maker.commands.len() < count {
            let market = maker.random.below(self.symbols as u64) as usize;
            // The market walks, so that what is new sometimes meets what is old.
            if maker.random.percent(2) {
                middles[market] = (middles[market] + maker.random.between(-1, 1)).clamp(MIDDLE / 2, MIDDLE * 3 / 2);
            }
            match maker.random.below(100) {
                0..48 => self.new_order(&mut maker, market, middles[market]),
                48..90 => maker.cancel(market),
                90..95 => replace(&mut maker, market, middles[market]),
                _ => self.take(&mut maker, market),
            }
        }
        maker.finish(self.name, config)
    }

    fn new_order(self, maker: &mut Maker, market: usize, middle: i64) {
        let (side, lots) = (maker.side(), maker.random.between(1, LOTS_MAX));
        let price = price(maker, side, middle);
        maker.place(market, side, REST, price, lots);
    }

    /// A market order of any price; larger while there are too many orders, so that their number stays about the same.
    fn take(self, maker: &mut Maker, market: usize) {
        let lots_max = if maker.markets[market].count() > self.live { 4 * LOTS_MAX } else { LOTS_MAX / 4 };
        let (side, lots) = (maker.side(), maker.random.between(1, lots_max));
        let price = match side {
            Side::Buy => 2 * MIDDLE,
            Side::Sell => 1,
        };
        maker.place(market, side, TAKE, price, lots);
    }
}

/// On its own side of the middle, nearer ones likelier.
fn price(maker: &mut Maker, side: Side, middle: i64) -> i64 {
    let depth = maker.random.between(1, DEPTH_MAX).min(maker.random.between(1, DEPTH_MAX));
    match side {
        Side::Buy => middle - depth,
        Side::Sell => middle + depth,
    }
}

fn replace(maker: &mut Maker, market: usize, middle: i64) {
    if let Some(order) = maker.markets[market].any(&mut maker.random) {
        let (symbol, quantity_lots) = (maker.markets[market].symbol, maker.random.between(1, order.lots));
        let price_ticks = price(maker, order.side, middle);
        maker.say(market, Command::Replace { symbol, order_id: order.order_id, account: order.account, price_ticks, quantity_lots });
    }
}
