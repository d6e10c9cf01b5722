//! A flow as an equity market has it: the middle is a geometric Brownian motion along a path, depth follows a power law, nearly everything is
//! cancelled. Shape and shares after the description of a public harness (arXiv 2606.01183): 15 % of the orders are immediate-or-cancel, 95 % of those
//! that rest are cancelled, 20 % are modified first.

use super::{Flow, LOTS_MAX, Maker, ONE, PowerLaw};
use book::BookConfig;
use wire::order::{OrderType, Side, TimeInForce};
use wire::slot::Command;

/// What the market does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// The middle stands still.
    Static,
    /// The random walk alone: about 0.2 % over a million commands.
    Calm,
    /// Up by so many percent, down to as many below, and back.
    Swing(i64),
    /// Half way, 30 % are lost within 1 % of the stream; half of it comes back within a tenth.
    FlashCrash,
}

/// A flow on one symbol.
#[derive(Debug, Clone, Copy)]
pub struct Equity {
    /// As in a table.
    pub name: &'static str,
    /// See [`Path`].
    pub path: Path,
    /// Orders that rest, about.
    pub live: usize,
}

impl Equity {
    /// All of them, with about 10,000 resting orders.
    pub const ALL: [Equity; 5] = [
        Equity { name: "calm", path: Path::Calm, live: LIVE },
        Equity { name: "static", path: Path::Static, live: LIVE },
        Equity { name: "swing 25 %", path: Path::Swing(25), live: LIVE },
        Equity { name: "swing 40 %", path: Path::Swing(40), live: LIVE },
        Equity { name: "flash crash", path: Path::FlashCrash, live: LIVE },
    ];
}

/// Where the market begins: 100.00 in hundredths.
const MIDDLE: i64 = 10_000;
const PRICE_MAX: i64 = 1 << 20;
const DEPTH_MAX: u64 = 1_000;
const LIVE: usize = 10_000;

/// A command's share of the random walk: one in so many, times a standard normal.
const STEP: i128 = 500_000;

const GTC: (OrderType, TimeInForce) = (OrderType::Limit, TimeInForce::Gtc);
const IOC: (OrderType, TimeInForce) = (OrderType::Limit, TimeInForce::Ioc);

impl Equity {
    /// The stream of a seed, `count` commands behind the prefill.
    pub fn flow(self, seed: u64, count: usize) -> Flow {
        let config = BookConfig {
            price_ticks_max: PRICE_MAX,
            quantity_lots_max: 10 * LOTS_MAX,
            orders_max: (self.live * 3 / 2).max(256).next_power_of_two(),
            levels_max: 2_048,
            origins_max: 128,
        };
        let (mut maker, depths) = (Maker::new(seed, 1, config), PowerLaw::new(DEPTH_MAX));
        while maker.markets[0].count() < self.live {
            new_order(&mut maker, &depths, MIDDLE);
        }
        maker.begin();
        let mut walk = MIDDLE * ONE;
        while maker.commands.len() < count {
            if self.path != Path::Static {
                walk += (i128::from(walk) * i128::from(maker.random.normal()) / i128::from(ONE) / STEP) as i64;
            }
            let along = self.path.factor(maker.commands.len() as i64, count as i64);
            let middle = ((i128::from(walk) * i128::from(along)) >> 64) as i64;
            self.step(&mut maker, &depths, middle);
        }
        maker.finish(self.name, config)
    }

    /// Of 1,000 commands 423 rest and 75 do not (15 % of 498), 402 cancel (95 % of 423), 100 modify (20 % of 498); the number of resting orders is kept.
    fn step(self, maker: &mut Maker, depths: &PowerLaw, middle: i64) {
        let live = maker.markets[0].count();
        match maker.random.below(1_000) {
            0..423 if live > self.live + self.live / 20 => maker.cancel(0),
            423..825 if live < self.live - self.live / 20 => new_order(maker, depths, middle),
            0..423 => new_order(maker, depths, middle),
            423..825 => maker.cancel(0),
            825..925 => modify(maker, depths, middle),
            _ => take(maker, middle),
        }
    }
}

fn new_order(maker: &mut Maker, depths: &PowerLaw, middle: i64) {
    let (side, lots) = (maker.side(), maker.random.between(1, LOTS_MAX));
    let price = price(maker, depths, side, middle);
    maker.place(0, side, GTC, price, lots);
}

/// Up to ten ticks through the middle.
fn take(maker: &mut Maker, middle: i64) {
    let (side, lots, through) = (maker.side(), maker.random.between(1, LOTS_MAX / 2), maker.random.between(0, 10));
    let price = match side {
        Side::Buy => middle + through,
        Side::Sell => (middle - through).max(1),
    };
    maker.place(0, side, IOC, price, lots);
}

/// Half of the modifications only make the order smaller.
fn modify(maker: &mut Maker, depths: &PowerLaw, middle: i64) {
    let Some(order) = maker.markets[0].any(&mut maker.random) else { return };
    let (symbol, order_id, account) = (maker.markets[0].symbol, order.order_id, order.account);
    if order.lots > 1 && maker.random.percent(50) {
        let lots = maker.random.between(1, order.lots - 1);
        return maker.say(0, Command::Reduce { symbol, order_id, account, lots });
    }
    let price_ticks = price(maker, depths, order.side, middle);
    maker.say(0, Command::Replace { symbol, order_id, account, price_ticks, quantity_lots: order.lots });
}

fn price(maker: &mut Maker, depths: &PowerLaw, side: Side, middle: i64) -> i64 {
    let depth = depths.draw(&mut maker.random);
    match side {
        Side::Buy => (middle - depth).max(1),
        Side::Sell => (middle + depth).min(PRICE_MAX),
    }
}

impl Path {
    /// What the walk is multiplied with at a command, in units of [`ONE`].
    fn factor(self, at: i64, count: i64) -> i64 {
        let percent = ONE / 100;
        match self {
            Path::Static | Path::Calm => ONE,
            Path::Swing(height) => {
                // A triangle: 0, +height, 0, -height, 0.
                let quarter = (count / 4).max(1);
                let along = match at / quarter {
                    0 => at,
                    1 | 2 => 2 * quarter - at,
                    _ => at - 4 * quarter,
                };
                ONE + height * percent / quarter * along
            }
            Path::FlashCrash => {
                let (crash, fall, rise) = (count / 2, (count / 100).max(1), (count / 10).max(1));
                let fallen = (at - crash).clamp(0, fall) * 30 * percent / fall;
                let risen = (at - crash - fall).clamp(0, rise) * 15 * percent / rise;
                ONE - fallen + risen
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_where_they_say() {
        let percent = |path: Path, at| ((path.factor(at, 1_000) - ONE) * 100 + ONE / 2).div_euclid(ONE);
        assert_eq!([0, 250, 500, 750, 1_000].map(|at| percent(Path::Swing(40), at)), [0, 40, 0, -40, 0]);
        assert_eq!([500, 510, 560, 610, 999].map(|at| percent(Path::FlashCrash, at)), [0, -30, -22, -15, -15]);
    }
}
