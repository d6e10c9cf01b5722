//! Plays orders through accounts, and gathers what became of them.

use super::account::Account;
use hdrhistogram::Histogram;
use runtime::rng::Rng;
use runtime::task::{JoinHandle, spawn};
use runtime::time::{monotonic_us, sleep};
use services::flow::player::Order;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::SymbolSpec;

/// When requests are due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// At their recorded times, so many times faster.
    Times(f64),
    /// When the account's request before has its answer.
    Unpaced,
}

impl Pace {
    /// `max`, or a positive number.
    pub fn parse(text: &str) -> Result<Pace, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Pace::Unpaced),
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Pace::Times(times)),
            _ => Err("a positive number, or max".to_owned()),
        }
    }

    /// Microseconds after the start.
    pub(super) fn due_us(self, at_ms: u64) -> Option<u64> {
        match self {
            Pace::Times(times) => Some((at_ms as f64 * 1_000.0 / times) as u64),
            Pace::Unpaced => None,
        }
    }
}

/// An answer in doubt is asked for again for so long.
pub const RESOLVE_MS: u64 = 30_000;

/// Settlement follows an execution: pause between two questions what was executed.
const SETTLEMENT_MS: u64 = 200;

/// Executions that stood still for so long stay as they are: somebody else traded with us.
const STANDSTILL_MS: u64 = 10_000;

/// What became of a flow.
#[derive(Debug)]
pub struct Played {
    /// Orders acknowledged.
    pub placed: u64,
    /// Cancels sent on.
    pub cancelled: u64,
    /// Cancels of orders that had ended.
    pub cancelled_too_late: u64,
    /// Refusals of orders, by code, with the words of the first.
    pub refused: BTreeMap<i32, (u64, String)>,
    /// Requests that were in doubt at least once.
    pub unknown: u64,
    /// Of them, those that stayed in doubt.
    pub unresolved: u64,
    /// What was executed.
    pub executions: Executions,
    /// Microseconds from when an order was due to its answer.
    pub ack_us: Histogram<u64>,
    /// From the first request to the last answer to a place or cancel.
    pub took_us: u64,
}

/// What was executed, as far as the accounts know by now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Executions {
    /// Orders of which at least one lot was executed.
    pub traded: u64,
    /// Lots bought.
    pub bought: i64,
    /// Lots sold.
    pub sold: i64,
    /// Orders that must end by themselves, or were cancelled, and have not ended yet.
    pub unfinished: u64,
}

impl Executions {
    pub(super) fn add(&mut self, other: Executions) {
        self.traded += other.traded;
        self.bought += other.bought;
        self.sold += other.sold;
        self.unfinished += other.unfinished;
    }

    /// Nothing more can come, if nobody else trades.
    fn are_settled(&self) -> bool {
        self.unfinished == 0 && self.bought == self.sold
    }
}

impl Played {
    pub(super) fn nothing() -> Self {
        Played {
            placed: 0,
            cancelled: 0,
            cancelled_too_late: 0,
            refused: BTreeMap::new(),
            unknown: 0,
            unresolved: 0,
            executions: Executions::default(),
            ack_us: Histogram::new(3).expect("three digits are allowed"),
            took_us: 0,
        }
    }

    fn add(&mut self, other: Played) {
        self.placed += other.placed;
        self.cancelled += other.cancelled;
        self.cancelled_too_late += other.cancelled_too_late;
        for (code, (count, msg)) in other.refused {
            self.refused.entry(code).or_insert((0, msg)).0 += count;
        }
        self.unknown += other.unknown;
        self.unresolved += other.unresolved;
        self.executions.add(other.executions);
        self.ack_us.add(other.ack_us).expect("histograms that grow take any value");
        self.took_us = self.took_us.max(other.took_us);
    }
}

/// An account's orders, with their numbers in the flow: dealt out in turn.
pub fn of_account(orders: &[Order], account: u64, accounts: u64) -> impl Iterator<Item = (usize, &Order)> {
    let (first, step) = ((account - 1) as usize, accounts as usize);
    orders.iter().enumerate().skip(first).step_by(step)
}

/// What all accounts share.
#[derive(Debug, Clone)]
pub struct Player {
    pub(super) gateway: String,
    accounts: u64,
    pub(super) pace: Pace,
    pub(super) spec: SymbolSpec,
    /// Client order ids of this run.
    run: String,
}

impl Player {
    /// Nothing is connected yet.
    pub fn new(gateway: String, accounts: u64, pace: Pace, spec: SymbolSpec) -> Self {
        let run = format!("flow-{:016x}", Rng::of_node("flow").next_u64());
        Player { gateway, accounts, pace, spec, run }
    }

    /// Plays all orders, then asks what became of each.
    pub async fn play(self, orders: &[Order]) -> Played {
        let player = Arc::new(self);
        let start_us = monotonic_us();
        let accounts: Vec<_> = (1..=player.accounts)
            .map(|account| {
                let orders: Vec<(usize, Order)> = of_account(orders, account, player.accounts).map(|(number, order)| (number, *order)).collect();
                spawn(Account::new(Arc::clone(&player), account, start_us).play(orders))
            })
            .collect();
        let mut played = Played::nothing();
        for account in settled(join(accounts).await).await {
            played.add(account.played());
        }
        played
    }

    /// An order's client order id.
    pub(super) fn name(&self, number: usize) -> String {
        format!("{}-{number}", self.run)
    }
}

async fn join(accounts: Vec<JoinHandle<Account>>) -> Vec<Account> {
    let mut joined = Vec::with_capacity(accounts.len());
    for account in accounts {
        joined.push(account.await.expect("a player does not panic"));
    }
    joined
}

/// Asks what was executed until it is twice the same and settled, or has stood still for long.
async fn settled(mut accounts: Vec<Account>) -> Vec<Account> {
    let (mut last, mut since_us) = (None, monotonic_us());
    loop {
        accounts = join(accounts.into_iter().map(|account| spawn(account.ask_for_executions())).collect()).await;
        let mut executions = Executions::default();
        accounts.iter().for_each(|account| executions.add(account.executions()));
        let stands = last == Some(executions);
        if stands && (executions.are_settled() || monotonic_us() - since_us >= STANDSTILL_MS * 1_000) {
            return accounts;
        }
        if !stands {
            (last, since_us) = (Some(executions), monotonic_us());
        }
        sleep(Duration::from_millis(SETTLEMENT_MS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_positive_number_or_max() {
        assert_eq!(Pace::parse("max"), Ok(Pace::Unpaced));
        assert_eq!(Pace::parse("0.5"), Ok(Pace::Times(0.5)));
        assert_eq!(Pace::Times(0.5).due_us(10), Some(20_000));
        assert_eq!(Pace::Unpaced.due_us(10), None);
        for text in ["0", "-1", "nan", "inf", "fast", ""] {
            assert_eq!(Pace::parse(text), Err("a positive number, or max".to_owned()), "{text}");
        }
    }

    #[test]
    fn every_order_is_dealt_to_one_account() {
        let orders = services::flow::player::read(("m", "10,1,7,5,10000,1\n".repeat(7).as_bytes()), None, None, 100).expect("well formed");
        let mut dealt: Vec<usize> = (1..=3).flat_map(|account| of_account(&orders, account, 3).map(|(number, _)| number)).collect();
        dealt.sort_unstable();
        assert_eq!(dealt, (0..7).collect::<Vec<_>>());
    }
}
