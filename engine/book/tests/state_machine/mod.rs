//! Random histories in a small world, so that orders meet often: every step is checked by the oracle (I-O1 to I-O8, I-O10, I-O11, I-O13).
//! Meant for every implementation of [`Book`].

use book::conformance::Desk;
use book::{Book, BookConfig};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::collections::BTreeMap;
use wire::ids::{AccountId, OrderId, Symbol};
use wire::order::{OrderType, Side, TimeInForce};
use wire::slot::{Command, Report};

const CASES: u32 = 10_000;
const STEPS_MAX: usize = 50;
const PRICE_MAX: i64 = 6;
const LOTS_MAX: i64 = 6;

/// An order, before it is known which there are.
#[derive(Debug, Clone, Copy)]
enum Pick {
    /// n-th of those that rest, modulo how many.
    Resting(usize),
    /// Placed n numbers ago.
    Ago(u64),
}

/// A step, before it is known which orders there are.
#[derive(Debug, Clone, Copy)]
enum Step {
    Place { side: Side, order_type: OrderType, time_in_force: TimeInForce, account: u64, price: i64, lots: i64 },
    PlaceAgain { ago: u64, side: Side, price: i64 },
    Cancel { order: Pick, account: u64 },
    Reduce { order: Pick, account: u64, lots: i64 },
    Replace { order: Pick, account: u64, price: i64, lots: i64 },
}

/// Runs [`CASES`] histories; fails with a shrunk one, and if a rule was hardly ever exercised.
pub fn random_histories<B: Book>(make: impl Fn(BookConfig) -> B) {
    let seen = RefCell::new(BTreeMap::new());
    let mut runner = TestRunner::new(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() });
    let histories = (configs(), prop::collection::vec(steps(), 1..STEPS_MAX));
    let verdict = runner.run(&histories, |(config, history)| {
        let mut desk = Desk::new(config, make(config));
        let mut ids = Ids { next: 1, resting: Vec::new() };
        for step in history {
            let reports = desk.apply(ids.command(step));
            for report in &reports {
                ids.follow(report);
                *seen.borrow_mut().entry(kind(report)).or_insert(0_u64) += 1;
            }
        }
        Ok(())
    });
    verdict.unwrap_or_else(|fault| panic!("{fault}"));
    let seen = seen.into_inner();
    println!("{seen:#?}");
    for kind in EVERY_KIND {
        assert!(seen.get(kind).copied().unwrap_or(0) >= 30, "histories hardly ever lead to {kind}: {seen:?}");
    }
}

/// Bounds on room are tight in half of the cases, so that they are met; bounds on numbers are lifted in some.
fn configs() -> impl Strategy<Value = BookConfig> {
    let room = prop_oneof![Just((64, 32)), (2_usize..12, 1_usize..4)];
    let numbers = prop_oneof![4 => Just((PRICE_MAX, LOTS_MAX)), 1 => Just((i64::MAX, i64::MAX))];
    (room, numbers).prop_map(|((orders_max, levels_max), (price_ticks_max, quantity_lots_max))| BookConfig {
        price_ticks_max,
        quantity_lots_max,
        orders_max,
        levels_max,
        origins_max: 3,
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let account = || prop_oneof![5 => Just(1_u64), 1 => Just(2)];
    let order = || prop_oneof![6 => (0_usize..8).prop_map(Pick::Resting), 1 => (0_u64..8).prop_map(Pick::Ago)];
    let price = || prop_oneof![40 => 1..=PRICE_MAX, 1 => Just(0), 1 => Just(PRICE_MAX + 1), 1 => Just(i64::MAX)];
    let lots = || prop_oneof![40 => 1..=LOTS_MAX, 1 => Just(0), 1 => Just(LOTS_MAX + 1), 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    let side = || prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let order_type = prop_oneof![4 => Just(OrderType::Limit), 1 => Just(OrderType::Market), 2 => Just(OrderType::LimitMaker)];
    let time_in_force = prop_oneof![4 => Just(TimeInForce::Gtc), 1 => Just(TimeInForce::Ioc), 1 => Just(TimeInForce::Fok)];
    let place = (side(), order_type, time_in_force, account(), price(), lots())
        .prop_map(|(side, order_type, time_in_force, account, price, lots)| Step::Place { side, order_type, time_in_force, account, price, lots });
    prop_oneof![
        12 => place,
        1 => (0_u64..8, side(), price()).prop_map(|(ago, side, price)| Step::PlaceAgain { ago, side, price }),
        3 => (order(), account()).prop_map(|(order, account)| Step::Cancel { order, account }),
        3 => (order(), account(), lots()).prop_map(|(order, account, lots)| Step::Reduce { order, account, lots }),
        4 => (order(), account(), price(), lots()).prop_map(|(order, account, price, lots)| Step::Replace { order, account, price, lots }),
    ]
}

/// The numbers given out, and those of accepted orders that did not end.
struct Ids {
    next: u64,
    resting: Vec<OrderId>,
}

impl Ids {
    fn follow(&mut self, report: &Report) {
        match report {
            Report::Accepted { order_id, .. } => self.resting.push(*order_id),
            Report::Ended { order_id, .. } => self.resting.retain(|resting| resting != order_id),
            _ => {}
        }
    }

    fn id(&self, pick: Pick) -> OrderId {
        match pick {
            Pick::Resting(n) if !self.resting.is_empty() => self.resting[n % self.resting.len()],
            Pick::Resting(_) => OrderId(self.next),
            Pick::Ago(n) => OrderId(self.next.saturating_sub(n).max(1)),
        }
    }

    fn command(&mut self, step: Step) -> Command {
        let symbol = Symbol(*b"BTCUSD");
        match step {
            Step::Place { side, order_type, time_in_force, account, price, lots } => {
                let order_id = OrderId(self.next);
                self.next += 1;
                Command::Place { symbol, side, order_type, time_in_force, order_id, account: AccountId(account), price_ticks: price, quantity_lots: lots }
            }
            Step::PlaceAgain { ago, side, price } => {
                let order_id = self.id(Pick::Ago(ago));
                // "0 ago" is a new order, whose number is then used.
                self.next += u64::from(order_id.0 == self.next);
                let (order_type, time_in_force) = (OrderType::Limit, TimeInForce::Gtc);
                Command::Place { symbol, side, order_type, time_in_force, order_id, account: AccountId(1), price_ticks: price, quantity_lots: 1 }
            }
            Step::Cancel { order, account } => Command::Cancel { symbol, order_id: self.id(order), account: AccountId(account) },
            Step::Reduce { order, account, lots } => Command::Reduce { symbol, order_id: self.id(order), account: AccountId(account), lots },
            Step::Replace { order, account, price, lots } => {
                Command::Replace { symbol, order_id: self.id(order), account: AccountId(account), price_ticks: price, quantity_lots: lots }
            }
        }
    }
}

/// What a sweep of histories must lead to often; a book that refuses everything passes no test.
const EVERY_KIND: [&str; 18] = [
    "accepted",
    "traded",
    "reduced",
    "replaced",
    "ended Filled",
    "ended Cancelled",
    "ended Expired",
    "rejected DuplicateOrderId",
    "rejected PriceOutOfRange",
    "rejected QuantityOutOfRange",
    "rejected Overflow",
    "rejected WouldTake",
    "rejected CannotFill",
    "rejected BookFull",
    "cancel rejected UnknownOrder",
    "cancel rejected OutOfRange",
    "cancel rejected WouldTake",
    "cancel rejected BookFull",
];

fn kind(report: &Report) -> String {
    match report {
        Report::Accepted { .. } => "accepted".into(),
        Report::Rejected { reason, .. } => format!("rejected {reason:?}"),
        Report::Traded { .. } => "traded".into(),
        Report::Ended { reason, .. } => format!("ended {reason:?}"),
        Report::Reduced { .. } => "reduced".into(),
        Report::Replaced { .. } => "replaced".into(),
        Report::CancelRejected { reason, .. } => format!("cancel rejected {reason:?}"),
    }
}
