//! What clients do, drawn before the run: a list of plain values, so that a failing run can be replayed with three orders of a thousand.

use crate::composition::{Shape, specs};
use runtime::rng::Rng;
use serde::{Deserialize, Serialize};
use services::flow::player;
use wire::{Side, TimeInForce};

/// Where the orders of a run come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Drawn from the seed.
    Generator(Market),
    /// These and no others.
    List(Vec<Action>),
}

/// What the generator draws.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// Orders in all.
    pub orders: u32,
    /// Clients that place them.
    pub clients: u32,
    /// Over this many simulated ms.
    pub span_ms: u64,
    /// Traded symbols.
    pub symbols: Vec<String>,
    /// Where the mid price starts, in ticks.
    pub mid_ticks: i64,
    /// Percent of the resting orders that their clients will try to cancel.
    pub cancel_percent: u64,
}

/// An order and what its client will do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Unique in the run; the client order id is made of it.
    pub id: u32,
    /// Who, from 0.
    pub client: u32,
    /// When, ms after trading begins.
    pub at_ms: u64,
    /// What.
    pub symbol: String,
    /// Buy or sell.
    pub buy: bool,
    /// How.
    pub kind: Kind,
    /// Limit; 0 for a market order.
    pub price_ticks: i64,
    /// How much.
    pub quantity_lots: i64,
    /// Cancel so long after the answer.
    pub cancel_after_ms: Option<u64>,
    /// Ask so long after the answer.
    pub query_after_ms: Option<u64>,
}

/// How an order takes and rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Kind {
    Limit,
    Market,
    Ioc,
    Fok,
    PostOnly,
}

impl Action {
    /// Can this action be done in an exchange of this shape? The error names the field and the rule.
    pub fn check(&self, shape: &Shape) -> Result<(), String> {
        let listed = specs(shape.symbols);
        let Some(spec) = listed.iter().find(|spec| spec.symbol.as_str() == self.symbol) else {
            return Err(format!("symbol: `{}` is not listed", self.symbol));
        };
        let price_fits = if self.kind == Kind::Market { self.price_ticks == 0 } else { (1..=spec.price_ticks_max).contains(&self.price_ticks) };
        match () {
            () if self.client >= shape.clients => Err(format!("client: {} of {} clients", self.client, shape.clients)),
            () if !price_fits => Err(format!("price_ticks: {} of a {:?} order", self.price_ticks, self.kind)),
            () if !(1..=spec.quantity_lots_max).contains(&self.quantity_lots) => {
                Err(format!("quantity_lots: {} is not 1 to {}", self.quantity_lots, spec.quantity_lots_max))
            }
            () => Ok(()),
        }
    }

    /// What the client calls this order.
    pub fn client_order_id(&self) -> String {
        format!("c{}-{}", self.client, self.id)
    }
}

impl Workload {
    /// The list, whichever way it is given; in order of time.
    pub fn actions(&self, seed: u64) -> Vec<Action> {
        match self {
            Workload::Generator(market) => market.draw(seed),
            Workload::List(actions) => actions.clone(),
        }
    }
}

impl Market {
    /// Does it fit this shape? The error names the field and the rule.
    pub fn check(&self, shape: &Shape) -> Result<(), String> {
        let listed = specs(shape.symbols);
        let unlisted = self.symbols.iter().find(|symbol| listed.iter().all(|spec| spec.symbol.as_str() != symbol.as_str()));
        match unlisted {
            Some(symbol) => Err(format!("symbols: `{symbol}` is not listed")),
            None if self.symbols.is_empty() => Err("symbols: at least one".to_owned()),
            None if self.clients == 0 || self.clients > shape.clients => Err(format!("clients: 1 to {}", shape.clients)),
            None if self.span_ms == 0 => Err("span_ms: at least 1".to_owned()),
            None if !(100..=1_000_000).contains(&self.mid_ticks) => Err("mid_ticks: 100 to 1000000".to_owned()),
            None => Ok(()),
        }
    }

    /// Draws each action from its own stream: taking one out leaves the others as they were.
    pub fn draw(&self, seed: u64) -> Vec<Action> {
        assert!(self.clients > 0 && !self.symbols.is_empty() && self.span_ms > 0, "a market has clients, symbols and time: {self:?}");
        let mids: Vec<Vec<i64>> = self.symbols.iter().map(|symbol| self.walk(seed, symbol)).collect();
        let mut actions: Vec<Action> = (0..self.orders).map(|id| self.action(seed, id, &mids)).collect();
        actions.sort_by_key(|action| (action.at_ms, action.id));
        actions
    }

    /// The mid price, one step every [`STEP_MS`].
    fn walk(&self, seed: u64, symbol: &str) -> Vec<i64> {
        let mut rng = Rng::keyed(seed, &["workload", "mid", symbol]);
        let mut mid = self.mid_ticks;
        (0..=self.span_ms / STEP_MS)
            .map(|_| {
                mid = (mid + rng.range(0..5).cast_signed() - 2).max(50);
                mid
            })
            .collect()
    }

    fn action(&self, seed: u64, id: u32, mids: &[Vec<i64>]) -> Action {
        let mut rng = Rng::keyed(seed, &["workload", "action", &id.to_string()]);
        let symbol = rng.below(self.symbols.len() as u64) as usize;
        let at_ms = rng.below(self.span_ms);
        let mid = mids[symbol][(at_ms / STEP_MS) as usize];
        let buy = rng.chance(1, 2);
        let (kind, distance) = self.kind(&mut rng);
        let price_ticks = if kind == Kind::Market { 0 } else { (if buy { mid - distance } else { mid + distance }).max(1) };
        let rests = matches!(kind, Kind::Limit | Kind::PostOnly);
        let cancel_after_ms = (rests && rng.below(100) < self.cancel_percent).then(|| rng.range(150..4_000));
        Action {
            id,
            client: rng.below(u64::from(self.clients)) as u32,
            at_ms,
            symbol: self.symbols[symbol].clone(),
            buy,
            kind,
            price_ticks,
            quantity_lots: 1 + rng.below(12).cast_signed(),
            cancel_after_ms,
            query_after_ms: rng.chance(1, 6).then(|| rng.range(50..3_000)),
        }
    }

    /// Kind, and ticks that the price is away from taking at the mid (below 0: across it).
    fn kind(&self, rng: &mut Rng) -> (Kind, i64) {
        match rng.below(100) {
            0..50 => (Kind::Limit, rng.range(0..13).cast_signed() - 2),
            50..73 => (Kind::Limit, rng.range(0..7).cast_signed() - 5),
            73..80 => (Kind::Market, 0),
            80..88 => (Kind::Ioc, -(rng.range(1..6).cast_signed())),
            88..91 => (Kind::Fok, -(rng.range(2..8).cast_signed())),
            _ => (Kind::PostOnly, rng.range(4..14).cast_signed()),
        }
    }
}

/// Orders of a recording as actions, as many as fit the shape's span, dealt to its clients in turn.
pub fn of_flow(orders: &[player::Order], shape: &Shape) -> Vec<Action> {
    let symbol = specs(shape.symbols)[0].symbol.as_str().to_owned();
    let fitting = orders.iter().filter(|order| order.at_ms < shape.span_ms).zip(0..);
    fitting
        .map(|(order, id)| Action {
            id,
            client: id % shape.clients,
            at_ms: order.at_ms,
            symbol: symbol.clone(),
            buy: order.side == Side::Buy,
            kind: match order.time_in_force {
                TimeInForce::Gtc => Kind::Limit,
                TimeInForce::Ioc => Kind::Ioc,
                TimeInForce::Fok => Kind::Fok,
            },
            price_ticks: order.price_ticks,
            quantity_lots: order.lots,
            cancel_after_ms: order.cancel_at_ms.map(|at_ms| at_ms.saturating_sub(order.at_ms)),
            query_after_ms: None,
        })
        .collect()
}

/// The mid price moves once in this long.
const STEP_MS: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use book::{Book, BookConfig, Naive, NewOrder};
    use std::collections::BTreeSet;
    use wire::order::{EndReason, OrderType};
    use wire::slot::Report;
    use wire::{AccountId, OrderId};

    fn market() -> Market {
        Market { orders: 1_200, clients: 6, span_ms: 120_000, symbols: vec!["BTCUSD".to_owned(), "ETHUSD".to_owned()], mid_ticks: 1_000, cancel_percent: 92 }
    }

    /// The shares that a sweep owes: at least 40 % of the orders trade, at least 30 % are cancelled while resting, at most 10 % are rejected.
    #[test]
    fn enough_orders_trade_rest_and_are_cancelled() {
        for seed in 0..20 {
            let actions = market().draw(seed);
            let (mut traded, mut cancelled, mut rejected) = (BTreeSet::new(), 0, 0);
            for symbol in &market().symbols {
                let mut book = Naive::new(BookConfig {
                    price_ticks_max: 1 << 40,
                    quantity_lots_max: 1 << 20,
                    orders_max: 1 << 20,
                    levels_max: 1 << 20,
                    origins_max: 1 << 20,
                });
                let mut out = Vec::new();
                for (at, place) in events(&actions, symbol) {
                    let (order_id, account) = (OrderId(u64::from(at.0) + 1), AccountId(1));
                    match place {
                        Some(order) => book.place(&order, &mut out),
                        None => book.cancel(order_id, account, &mut out),
                    }
                    for report in out.drain(..) {
                        match report {
                            Report::Traded { maker_order_id, .. } => traded.extend([maker_order_id, order_id]),
                            Report::Ended { reason: EndReason::Cancelled, .. } => cancelled += 1,
                            Report::Rejected { .. } => rejected += 1,
                            _ => {}
                        }
                    }
                }
            }
            let percent = |count: usize| count * 100 / actions.len();
            assert!(percent(traded.len()) >= 45, "seed {seed}: {} % trade", percent(traded.len()));
            assert!(percent(cancelled) >= 33, "seed {seed}: {} % are cancelled", percent(cancelled));
            assert!(percent(rejected) <= 8, "seed {seed}: {} % are rejected", percent(rejected));
        }
    }

    /// Places and cancels of one symbol in order of time. Order ids must rise: the n-th placed has the number n.
    fn events(actions: &[Action], symbol: &str) -> Vec<((u32, u64), Option<NewOrder>)> {
        let mut events = Vec::new();
        for (n, action) in actions.iter().enumerate().filter(|(_, action)| action.symbol == symbol) {
            let (order_type, time_in_force) = match action.kind {
                Kind::Limit => (OrderType::Limit, TimeInForce::Gtc),
                Kind::Market => (OrderType::Market, TimeInForce::Ioc),
                Kind::Ioc => (OrderType::Limit, TimeInForce::Ioc),
                Kind::Fok => (OrderType::Limit, TimeInForce::Fok),
                Kind::PostOnly => (OrderType::LimitMaker, TimeInForce::Gtc),
            };
            let side = if action.buy { Side::Buy } else { Side::Sell };
            let price_ticks = match (action.kind, action.buy) {
                (Kind::Market, true) => 1 << 39,
                (Kind::Market, false) => 1,
                _ => action.price_ticks,
            };
            let (order_id, quantity_lots) = (OrderId(n as u64 + 1), action.quantity_lots);
            let order = NewOrder { order_id, account: AccountId(1), side, order_type, time_in_force, price_ticks, quantity_lots };
            events.push(((n as u32, action.at_ms), Some(order)));
            events.extend(action.cancel_after_ms.map(|after_ms| ((n as u32, action.at_ms + after_ms), None)));
        }
        events.sort_by_key(|((_, at_ms), _)| *at_ms);
        events
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_seed_does_not() {
        assert_eq!(market().draw(7), market().draw(7));
        assert_ne!(market().draw(7), market().draw(8));
    }

    #[test]
    fn fewer_orders_leave_the_others_as_they_were() {
        let few = Market { orders: 100, ..market() }.draw(3);
        let many = market().draw(3);
        assert!(few.iter().all(|action| many.contains(action)));
    }
}
