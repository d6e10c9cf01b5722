//! Plays orders: one task and one connection per account, each order placed and cancelled when it is due.

use hdrhistogram::Histogram;
use runtime::rng::Rng;
use runtime::task::spawn;
use runtime::time::{monotonic_us, sleep};
use services::api_gateway::error::{NOT_DONE, TOO_MANY_REQUESTS};
use services::api_gateway::replies::OrderReply;
use services::client::{Answer, Client, NewOrder};
use services::flow::player::Order;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::{AccountId, OrderType, Side, SymbolSpec};

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
    fn due_us(self, at_ms: u64) -> Option<u64> {
        match self {
            Pace::Times(times) => Some((at_ms as f64 * 1_000.0 / times) as u64),
            Pace::Unpaced => None,
        }
    }
}

/// An answer in doubt is asked for again for so long.
pub const RESOLVE_MS: u64 = 30_000;

/// How long one call may take.
const CALL_MS: u64 = 6_000;

/// Pause between the last answer and the questions what was executed: settlement follows an execution.
const SETTLEMENT_MS: u64 = 500;

/// Pause before a request is repeated.
const REPEAT_MS: u64 = 50;

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
    /// Orders of which at least one lot was executed.
    pub traded: u64,
    /// Lots executed of buys, and of sells.
    pub executed: [i64; 2],
    /// Microseconds from when an order was due to its answer.
    pub ack_us: Histogram<u64>,
    /// From the first request to the last answer to a place or cancel.
    pub took_us: u64,
}

impl Played {
    fn nothing() -> Self {
        Played {
            placed: 0,
            cancelled: 0,
            cancelled_too_late: 0,
            refused: BTreeMap::new(),
            unknown: 0,
            unresolved: 0,
            traded: 0,
            executed: [0; 2],
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
        self.traded += other.traded;
        self.executed = [0, 1].map(|side| self.executed[side] + other.executed[side]);
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
    gateway: String,
    accounts: u64,
    pace: Pace,
    spec: SymbolSpec,
    /// Client order ids of this run.
    run: String,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Place,
    Cancel,
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
        let mut ended = Vec::new();
        for account in accounts {
            ended.push(account.await.expect("a player does not panic"));
        }
        sleep(Duration::from_millis(SETTLEMENT_MS)).await;
        let asking: Vec<_> = ended.into_iter().map(|account| spawn(account.ask_for_executions())).collect();
        let mut played = Played::nothing();
        for account in asking {
            played.add(account.await.expect("a player does not panic"));
        }
        played
    }

    fn name(&self, number: usize) -> String {
        format!("{}-{number}", self.run)
    }
}

struct Account {
    player: Arc<Player>,
    client: Client,
    start_us: u64,
    /// Orders that were acknowledged, by their numbers.
    taken: BTreeMap<usize, Side>,
    played: Played,
}

impl Account {
    fn new(player: Arc<Player>, account: u64, start_us: u64) -> Self {
        let client = Client::new(vec![player.gateway.clone()], AccountId(account), CALL_MS);
        Account { player, client, start_us, taken: BTreeMap::new(), played: Played::nothing() }
    }

    async fn play(mut self, orders: Vec<(usize, Order)>) -> Account {
        let places = orders.iter().enumerate().map(|(at, (_, order))| (order.at_ms, at, Step::Place));
        let cancels = orders.iter().enumerate().filter_map(|(at, (_, order))| Some((order.cancel_at_ms?, at, Step::Cancel)));
        let mut steps: Vec<(u64, usize, Step)> = places.chain(cancels).collect();
        // Stable: of steps that share a time, the place comes first.
        steps.sort_by_key(|(due_ms, ..)| *due_ms);
        for (due_ms, at, step) in steps {
            let due_us = self.wait_until(due_ms).await;
            let (number, order) = orders[at];
            match step {
                Step::Place => self.place(number, &order, due_us).await,
                Step::Cancel if self.taken.contains_key(&number) => self.cancel(number).await,
                Step::Cancel => {}
            }
        }
        self.played.took_us = monotonic_us() - self.start_us;
        self
    }

    /// When the step was due, by the monotonic clock.
    async fn wait_until(&self, due_ms: u64) -> u64 {
        let Some(after_us) = self.player.pace.due_us(due_ms) else { return monotonic_us() };
        let due_us = self.start_us + after_us;
        if let Some(left_us) = due_us.checked_sub(monotonic_us()) {
            sleep(Duration::from_micros(left_us)).await;
        }
        due_us
    }

    async fn place(&mut self, number: usize, order: &Order, due_us: u64) {
        let new = NewOrder {
            client_order_id: self.player.name(number),
            side: order.side,
            order_type: OrderType::Limit,
            time_in_force: order.time_in_force,
            price_ticks: order.price_ticks,
            quantity_lots: order.lots,
        };
        let answer = self.until_told(Call::Place(&new)).await;
        self.played.ack_us.record(monotonic_us() - due_us).expect("histograms that grow take any value");
        match answer {
            Some(Ok(_)) => {
                self.played.placed += 1;
                self.taken.insert(number, order.side);
            }
            Some(Err((code, msg))) => self.played.refused.entry(code).or_insert((0, msg)).0 += 1,
            None => {}
        }
    }

    async fn cancel(&mut self, number: usize) {
        let name = self.player.name(number);
        match self.until_told(Call::Cancel(&name)).await {
            Some(Ok(_)) => self.played.cancelled += 1,
            Some(Err(_)) => self.played.cancelled_too_late += 1,
            None => {}
        }
    }

    async fn ask_for_executions(mut self) -> Played {
        for (number, side) in std::mem::take(&mut self.taken) {
            let name = self.player.name(number);
            let Some(Ok(reply)) = self.until_told(Call::Query(&name)).await else { continue };
            let lots = services::decimal::quantity_to_lots(&self.player.spec, &reply.executed_qty).unwrap_or(0);
            self.played.traded += u64::from(lots > 0);
            self.played.executed[usize::from(side == Side::Sell)] += lots;
        }
        self.played
    }

    /// Asks until there is an answer that says what was done; `None` after [`RESOLVE_MS`] of doubt.
    async fn until_told(&mut self, call: Call<'_>) -> Option<Result<OrderReply, (i32, String)>> {
        let until_us = monotonic_us() + RESOLVE_MS * 1_000;
        let mut in_doubt = false;
        let told = loop {
            let answer = match call {
                Call::Place(order) => self.client.place(&self.player.spec, order).await,
                Call::Cancel(name) => self.client.cancel(&self.player.spec, name).await,
                Call::Query(name) => self.client.query(&self.player.spec, name).await,
            };
            match answer {
                Answer::Done(reply) => break Some(Ok(reply)),
                Answer::Refused { code: NOT_DONE | TOO_MANY_REQUESTS, .. } => {}
                Answer::Refused { code, msg } => break Some(Err((code, msg))),
                Answer::Unknown => in_doubt = true,
            }
            if monotonic_us() >= until_us {
                break None;
            }
            sleep(Duration::from_millis(REPEAT_MS)).await;
        };
        self.played.unknown += u64::from(in_doubt);
        self.played.unresolved += u64::from(told.is_none());
        told
    }
}

#[derive(Clone, Copy)]
enum Call<'a> {
    Place(&'a NewOrder),
    Cancel(&'a str),
    Query(&'a str),
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
        let orders = services::flow::player::read(("m", &"10,1,7,5,10000,1\n".repeat(7)), None, 100).expect("well formed");
        let mut dealt: Vec<usize> = (1..=3).flat_map(|account| of_account(&orders, account, 3).map(|(number, _)| number)).collect();
        dealt.sort_unstable();
        assert_eq!(dealt, (0..7).collect::<Vec<_>>());
    }
}
