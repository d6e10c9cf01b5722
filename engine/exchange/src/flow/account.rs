//! One account of a flow: its orders are placed and cancelled when they are due, each request after the answer to the one before.

use super::play::{Executions, Played, Player, RESOLVE_MS};
use runtime::time::{monotonic_us, sleep};
use services::api_gateway::error::{NOT_DONE, TOO_MANY_REQUESTS};
use services::api_gateway::replies::OrderReply;
use services::client::{Answer, Client, NewOrder};
use services::decimal::quantity_to_lots;
use services::flow::player::Order;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::{AccountId, OrderType, Side, TimeInForce};

/// How long one call may take.
const CALL_MS: u64 = 6_000;

/// Pause before a request is repeated.
const REPEAT_MS: u64 = 50;

#[derive(Debug, Clone, Copy)]
enum Step {
    Place,
    Cancel,
}

/// An order that was acknowledged.
struct Taken {
    side: Side,
    /// Nobody waits for it to rest: immediate or cancel, or its cancel was sent on.
    must_end: bool,
    is_over: bool,
    executed_lots: i64,
}

/// One account and its connection.
pub struct Account {
    player: Arc<Player>,
    client: Client,
    start_us: u64,
    /// By the number in the flow.
    taken: BTreeMap<usize, Taken>,
    played: Played,
}

impl Account {
    /// Of a player that began at `start_us` of the monotonic clock.
    pub fn new(player: Arc<Player>, account: u64, start_us: u64) -> Self {
        let client = Client::new(vec![player.gateway.clone()], AccountId(account), CALL_MS);
        Account { player, client, start_us, taken: BTreeMap::new(), played: Played::nothing() }
    }

    /// Plays the account's orders, given with their numbers in the flow.
    pub async fn play(mut self, orders: Vec<(usize, Order)>) -> Account {
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
                let must_end = order.time_in_force != TimeInForce::Gtc;
                self.taken.insert(number, Taken { side: order.side, must_end, is_over: false, executed_lots: 0 });
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
            None => return,
        }
        self.taken.get_mut(&number).expect("only what was taken is cancelled").must_end = true;
    }

    /// Asks for every order that may still change.
    pub async fn ask_for_executions(mut self) -> Account {
        let open: Vec<usize> = self.taken.iter().filter(|(_, taken)| !taken.is_over).map(|(number, _)| *number).collect();
        for number in open {
            let name = self.player.name(number);
            let Some(Ok(reply)) = self.until_told(Call::Query(&name)).await else { continue };
            let taken = self.taken.get_mut(&number).expect("it is not forgotten");
            taken.executed_lots = quantity_to_lots(&self.player.spec, &reply.executed_qty).unwrap_or(0);
            taken.is_over = !matches!(reply.status.as_str(), "NEW" | "PARTIALLY_FILLED");
        }
        self
    }

    /// By the last answers.
    pub fn executions(&self) -> Executions {
        let mut executions = Executions::default();
        for &Taken { side, must_end, is_over, executed_lots } in self.taken.values() {
            let (bought, sold) = if side == Side::Buy { (executed_lots, 0) } else { (0, executed_lots) };
            executions.add(Executions { traded: u64::from(executed_lots > 0), bought, sold, unfinished: u64::from(must_end && !is_over) });
        }
        executions
    }

    /// What became of everything.
    pub fn played(self) -> Played {
        Played { executions: self.executions(), ..self.played }
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
