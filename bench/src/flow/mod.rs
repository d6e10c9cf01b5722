//! Streams of orders to measure with: made before anything is measured, from a seed, the same on every machine.

mod equity;
mod live;
mod plain;
mod random;
mod trades;

pub use equity::{Equity, Path};
pub use plain::Plain;
pub use random::{ONE, PowerLaw, Random};
pub use trades::TradeHash;

use book::BookConfig;
use live::Live;
use wire::ids::{AccountId, OrderId, Symbol};
use wire::order::{OrderType, Side, TimeInForce};
use wire::slot::Command;

/// A stream, ready to be applied.
#[derive(Debug, Clone)]
pub struct Flow {
    /// As in a table.
    pub name: &'static str,
    /// Its symbols.
    pub symbols: Vec<Symbol>,
    /// Room that it needs, per symbol.
    pub config: BookConfig,
    /// Fills the books; measured by nobody.
    pub prefill: Vec<Command>,
    /// What is measured.
    pub commands: Vec<Command>,
    /// Orders resting after the prefill, all symbols together, and at the end.
    pub live: [usize; 2],
    /// Trades of the measured part.
    pub trades: u64,
}

impl Flow {
    /// Which of the symbols a command is for.
    pub fn symbol_of(command: &Command) -> Symbol {
        match *command {
            Command::Place { symbol, .. } | Command::Cancel { symbol, .. } | Command::Reduce { symbol, .. } | Command::Replace { symbol, .. } => symbol,
        }
    }
}

/// Accounts that trade.
const ACCOUNTS: u64 = 1_000;

/// Account partitions; an order's number rises along its own.
const ORIGINS: u64 = 64;

/// Largest ordinary order.
const LOTS_MAX: i64 = 100;

/// Markets under construction, and what was said to them.
struct Maker {
    random: Random,
    markets: Vec<Live>,
    /// Last number of each origin: sparse, as an exchange with many symbols makes them.
    numbers: [u64; ORIGINS as usize],
    commands: Vec<Command>,
    prefill: Vec<Command>,
    live_before: usize,
    trades_before: u64,
}

impl Maker {
    fn new(seed: u64, symbols: usize, config: BookConfig) -> Self {
        let markets = (0..symbols).map(|n| Live::new(symbol(n), config)).collect();
        Maker {
            random: Random::new(seed),
            markets,
            numbers: [0; ORIGINS as usize],
            commands: Vec::new(),
            prefill: Vec::new(),
            live_before: 0,
            trades_before: 0,
        }
    }

    /// What was said until now was prefill.
    fn begin(&mut self) {
        self.prefill = std::mem::take(&mut self.commands);
        self.live_before = self.live();
        self.trades_before = self.trades();
    }

    fn live(&self) -> usize {
        self.markets.iter().map(Live::count).sum()
    }

    fn trades(&self) -> u64 {
        self.markets.iter().map(|market| market.trades).sum()
    }

    fn finish(self, name: &'static str, config: BookConfig) -> Flow {
        Flow {
            name,
            symbols: self.markets.iter().map(|market| market.symbol).collect(),
            config,
            live: [self.live_before, self.live()],
            trades: self.trades() - self.trades_before,
            prefill: self.prefill,
            commands: self.commands,
        }
    }

    fn say(&mut self, market: usize, command: Command) {
        self.markets[market].apply(&command);
        self.commands.push(command);
    }

    fn side(&mut self) -> Side {
        if self.random.percent(50) { Side::Buy } else { Side::Sell }
    }

    fn order_id(&mut self) -> OrderId {
        let origin = self.random.below(ORIGINS);
        let number = &mut self.numbers[origin as usize];
        *number += 1 + self.random.below(1_000);
        OrderId(origin << 40 | *number)
    }

    fn place(&mut self, market: usize, side: Side, (order_type, time_in_force): (OrderType, TimeInForce), price_ticks: i64, quantity_lots: i64) {
        let (order_id, account) = (self.order_id(), AccountId(1 + self.random.below(ACCOUNTS)));
        let symbol = self.markets[market].symbol;
        self.say(market, Command::Place { symbol, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots });
    }

    /// Any resting order, with the same chance each; nothing if there is none.
    fn cancel(&mut self, market: usize) {
        if let Some(order) = self.markets[market].any(&mut self.random) {
            let symbol = self.markets[market].symbol;
            self.say(market, Command::Cancel { symbol, order_id: order.order_id, account: order.account });
        }
    }
}

/// `SYM000`, `SYM001` …
fn symbol(n: usize) -> Symbol {
    Symbol::parse(&format!("SYM{n:03}")).expect("six letters and digits, up to 999")
}
