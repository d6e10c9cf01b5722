//! The users: each a node with an account, placing its actions over HTTP, cancelling, asking, and retrying with the same client order id at another
//! gateway when an outcome is unknown. What they ask and hear is the history.

use super::nodes::Exchange;
use crate::operation::{Answer, Ask, Operation};
use crate::workload::{Action, Kind};
use log::Event;
use log::history::{Phase, SharedObserver};
use runtime::rng::Rng;
use runtime::time::{monotonic_ms, sleep};
use services::api_gateway::error::{NOT_DONE, TOO_MANY_REQUESTS};
use services::api_gateway::replies::OrderReply;
use services::client::{self, Client, NewOrder};
use sim::NodeCtx;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use wire::{AccountId, OrderType, Side, SymbolSpec, TimeInForce};

/// What users are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Trading begins at this simulated ms.
    Trading {
        /// Action times count from here.
        from_ms: u64,
    },
    /// No new order; cancel what is open until nothing is.
    Closing,
    /// Ask once more about what was never answered.
    LastWord,
}

/// Where the stage is written. Not tokio's watch channel: that wakes its waiters in an order drawn per process, and no seed decides it.
#[derive(Debug)]
pub struct Board {
    stage: Mutex<Stage>,
    changed: Notify,
}

impl Board {
    /// Begins with this stage.
    pub fn new(stage: Stage) -> Self {
        Board { stage: Mutex::new(stage), changed: Notify::new() }
    }

    /// The stage now.
    pub fn stage(&self) -> Stage {
        *self.stage.lock().expect("nobody panics while he holds it")
    }

    /// The next stage, for everybody.
    pub fn set(&self, stage: Stage) {
        *self.stage.lock().expect("nobody panics while he holds it") = stage;
        self.changed.notify_waiters();
    }

    /// Waits until then, or until the stage is not `was` any more.
    async fn wait(&self, was: Stage, until_ms: u64) {
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        if self.stage() == was {
            runtime::select! {
                () = changed => {}
                () = runtime::time::sleep_until_ms(until_ms) => {}
            }
        }
    }
}

/// How far a user is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Lanes that have nothing open.
    pub closed: AtomicU64,
    /// Lanes that have heard their last word.
    pub done: AtomicU64,
}

/// One user.
pub struct User {
    /// From 0; account number + 1.
    pub number: u32,
    /// Its orders.
    pub actions: Vec<Action>,
    /// The exchange it trades at.
    pub exchange: Exchange,
    /// Symbols by name.
    pub specs: BTreeMap<String, SymbolSpec>,
    /// What to do.
    pub board: Arc<Board>,
    /// Tells the run.
    pub progress: Arc<Progress>,
}

/// The account of a user.
pub fn account(number: u32) -> AccountId {
    AccountId(u64::from(number) + 1)
}

impl User {
    /// Runs until the last word.
    pub async fn run(self: Arc<Self>, ctx: NodeCtx) {
        let operations = Arc::new(AtomicU64::new(1));
        let lanes = self.exchange.shape.lanes as usize;
        let tasks: Vec<_> = (0..lanes)
            .map(|at| {
                let actions = self.actions.iter().skip(at).step_by(lanes).cloned().collect();
                let mut gateways = self.exchange.gateway_addresses();
                let first = (self.number as usize + at) % gateways.len();
                gateways.rotate_left(first);
                let lane = Lane {
                    account: account(self.number),
                    client: Client::new(gateways.clone(), account(self.number), self.exchange.timers.client_deadline_ms),
                    gateways,
                    at: 0,
                    observer: ctx.observer.clone(),
                    operations: operations.clone(),
                    rng: Rng::of_node("lane"),
                    user: self.clone(),
                };
                runtime::task::spawn(lane.run(actions))
            })
            .collect();
        for task in tasks {
            // A lane that panicked has ended the run already.
            let _ = task.await;
        }
    }
}

/// One thing to do.
#[derive(Debug, Clone)]
enum Errand {
    Place(Action),
    Cancel(Action),
    Query(Action),
}

struct Lane {
    account: AccountId,
    client: Client,
    gateways: Vec<String>,
    at: usize,
    observer: SharedObserver,
    operations: Arc<AtomicU64>,
    rng: Rng,
    user: Arc<User>,
}

/// What an order's user knows of it.
struct Known {
    action: Action,
    ended: bool,
}

impl Lane {
    async fn run(mut self, actions: Vec<Action>) {
        let mut known: Vec<Known> = Vec::new();
        self.trade(actions, &mut known).await;
        self.close(&mut known).await;
        self.last_word(&known).await;
        self.user.progress.done.fetch_add(1, Ordering::Relaxed);
    }

    fn stage(&self) -> Stage {
        self.user.board.stage()
    }

    fn is_trading(&self) -> bool {
        matches!(self.stage(), Stage::Trading { .. })
    }

    async fn trade(&mut self, actions: Vec<Action>, known: &mut Vec<Known>) {
        let Stage::Trading { from_ms } = self.stage() else { return };
        let mut due: BTreeMap<(u64, u32), VecDeque<Errand>> = BTreeMap::new();
        for action in actions {
            due.entry((from_ms + action.at_ms, action.id)).or_default().push_back(Errand::Place(action));
        }
        while self.is_trading() {
            let Some(mut first) = due.first_entry() else { break };
            let at_ms = first.key().0;
            if monotonic_ms() < at_ms {
                self.wait_until(at_ms).await;
                continue;
            }
            let errand = first.get_mut().pop_front();
            if first.get().is_empty() {
                first.remove();
            }
            let Some(errand) = errand else { continue };
            for (after_ms, next) in self.errand(errand, known).await {
                let key = match &next {
                    Errand::Place(action) | Errand::Cancel(action) | Errand::Query(action) => action.id,
                };
                due.entry((monotonic_ms() + after_ms, key)).or_default().push_back(next);
            }
        }
        while self.is_trading() {
            self.wait_until(monotonic_ms() + 60_000).await;
        }
    }

    /// Waits until then, or until the stage changes.
    async fn wait_until(&mut self, at_ms: u64) {
        self.user.board.wait(self.stage(), at_ms).await;
    }

    /// Does one thing, again while its outcome is unknown; gives what follows from it.
    async fn errand(&mut self, errand: Errand, known: &mut Vec<Known>) -> Vec<(u64, Errand)> {
        match errand {
            Errand::Place(action) => {
                let order = place_of(&action);
                let answer = self.insist(&order, &action).await;
                let ended = matches!(answer, Some(Answer::Refused { .. }));
                known.push(Known { action: action.clone(), ended });
                if ended {
                    return Vec::new();
                }
                let cancel = action.cancel_after_ms.map(|ms| (ms, Errand::Cancel(action.clone())));
                let query = action.query_after_ms.map(|ms| (ms, Errand::Query(action.clone())));
                cancel.into_iter().chain(query).collect()
            }
            Errand::Cancel(action) => {
                let ask = Ask::Cancel { client_order_id: action.client_order_id(), symbol: action.symbol.clone() };
                self.insist(&ask, &action).await;
                Vec::new()
            }
            Errand::Query(action) => {
                self.ask(&query_of(&action), &action, 0, false).await;
                Vec::new()
            }
        }
    }

    /// Asks until the outcome is known or trading is over; `None`: never known.
    async fn insist(&mut self, ask: &Ask, action: &Action) -> Option<Answer> {
        for attempt in 0.. {
            match self.ask(ask, action, attempt, false).await {
                Some(Answer::Refused { code, .. }) if is_not_done(code) => {}
                Some(answer) => return Some(answer),
                None => {}
            }
            if !self.is_trading() {
                return None;
            }
            sleep(Duration::from_millis(self.rng.range(50..300))).await;
        }
        unreachable!("attempts are endless")
    }

    /// Cancels what is open, round by round, until nothing is or the stage changes.
    async fn close(&mut self, known: &mut [Known]) {
        let mut told = false;
        while self.stage() == Stage::Closing {
            for order in known.iter_mut().filter(|order| !order.ended) {
                if self.stage() != Stage::Closing {
                    break;
                }
                order.ended = self.close_one(&order.action).await;
            }
            if !told && known.iter().all(|order| order.ended) {
                told = true;
                self.user.progress.closed.fetch_add(1, Ordering::Relaxed);
            }
            self.wait_until(monotonic_ms() + 1_000).await;
        }
    }

    /// Looks at one order and cancels it if it is open; true if it has ended.
    async fn close_one(&mut self, action: &Action) -> bool {
        match self.ask(&query_of(action), action, 0, true).await {
            Some(Answer::Order { status, .. }) if crate::operation::status(status).is_terminal() => true,
            Some(Answer::Order { .. }) => {
                let ask = Ask::Cancel { client_order_id: action.client_order_id(), symbol: action.symbol.clone() };
                self.ask(&ask, action, 0, false).await;
                false
            }
            // Never heard of, or no answer: it may still come.
            _ => false,
        }
    }

    /// What was never answered with an end is asked for once more, until there is an answer.
    async fn last_word(&mut self, known: &[Known]) {
        for order in known.iter().filter(|order| !order.ended) {
            for _attempt in 0..LAST_WORD_ATTEMPTS {
                match self.ask(&query_of(&order.action), &order.action, 0, true).await {
                    Some(Answer::Refused { code, .. }) if is_not_done(code) => {}
                    Some(_) => break,
                    None => {}
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// One request and its place in the history. When `closing`, an answer that names an order's end is the last word about it; and in the last stage also
    /// that there is no such order.
    async fn ask(&mut self, ask: &Ask, action: &Action, attempt: u32, closing: bool) -> Option<Answer> {
        let op = self.operations.fetch_add(1, Ordering::Relaxed);
        let mut operation =
            Operation { account: self.account.0, gateway: self.gateways[self.at].clone(), attempt, last_word: false, ask: ask.clone(), answer: None };
        self.observe(op, Phase::Invoke, &operation);
        let answer = self.call(ask, action).await;
        operation.last_word = match &answer {
            Some(Answer::Order { status, .. }) => closing && crate::operation::status(*status).is_terminal(),
            Some(Answer::Refused { code, .. }) => closing && !is_not_done(*code) && self.stage() == Stage::LastWord,
            _ => false,
        };
        operation.answer = answer.clone();
        let phase = match &answer {
            None => Phase::Unknown,
            Some(Answer::Refused { .. }) => Phase::Fail,
            Some(_) => Phase::Ok,
        };
        self.observe(op, phase, &operation);
        if answer.is_none() {
            // The client goes on to the next gateway by itself.
            self.at = (self.at + 1) % self.gateways.len();
        }
        answer
    }

    fn observe(&self, op: u64, phase: Phase, operation: &Operation) {
        self.observer.observe(Event::Client { op, phase, body: operation.encode() });
    }

    async fn call(&mut self, ask: &Ask, action: &Action) -> Option<Answer> {
        let spec = self.user.specs[&action.symbol];
        let answer = match ask {
            Ask::Place { .. } => self.client.place(&spec, &new_order(action)).await,
            Ask::Cancel { client_order_id, .. } => self.client.cancel(&spec, client_order_id).await,
            Ask::Query { client_order_id, .. } => self.client.query(&spec, client_order_id).await,
            Ask::Balances => unreachable!("users ask about orders"),
        };
        match answer {
            client::Answer::Done(reply) => Some(order(&spec, &reply)),
            client::Answer::Refused { code, msg } => Some(Answer::Refused { code: i64::from(code), message: msg }),
            client::Answer::Unknown => None,
        }
    }
}

/// Tries for the last word about one order, everything being healed.
const LAST_WORD_ATTEMPTS: u32 = 20;

fn is_not_done(code: i64) -> bool {
    code == i64::from(NOT_DONE) || code == i64::from(TOO_MANY_REQUESTS)
}

fn side(action: &Action) -> Side {
    if action.buy { Side::Buy } else { Side::Sell }
}

fn kind(action: &Action) -> (OrderType, TimeInForce) {
    match action.kind {
        Kind::Limit => (OrderType::Limit, TimeInForce::Gtc),
        Kind::Market => (OrderType::Market, TimeInForce::Gtc),
        Kind::Ioc => (OrderType::Limit, TimeInForce::Ioc),
        Kind::Fok => (OrderType::Limit, TimeInForce::Fok),
        Kind::PostOnly => (OrderType::LimitMaker, TimeInForce::Gtc),
    }
}

fn new_order(action: &Action) -> NewOrder {
    let (order_type, time_in_force) = kind(action);
    let (client_order_id, price_ticks, quantity_lots) = (action.client_order_id(), action.price_ticks, action.quantity_lots);
    NewOrder { client_order_id, side: side(action), order_type, time_in_force, price_ticks, quantity_lots }
}

fn place_of(action: &Action) -> Ask {
    let (order_type, time_in_force) = kind(action);
    Ask::Place {
        client_order_id: action.client_order_id(),
        symbol: action.symbol.clone(),
        side: side(action) as u8,
        order_type: order_type as u8,
        time_in_force: time_in_force as u8,
        price_ticks: action.price_ticks,
        quantity_lots: action.quantity_lots,
    }
}

fn query_of(action: &Action) -> Ask {
    Ask::Query { client_order_id: action.client_order_id(), symbol: action.symbol.clone() }
}

/// Amounts come with all decimals: without the point they are whole steps.
fn whole(text: &str) -> i64 {
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    digits.parse().unwrap_or_else(|_| panic!("the gateway sent `{text}` as an amount"))
}

fn order(spec: &SymbolSpec, reply: &OrderReply) -> Answer {
    let status = match reply.status.as_str() {
        "NEW" | "PENDING_CANCEL" => 0,
        "PARTIALLY_FILLED" => 1,
        "FILLED" => 2,
        "CANCELED" => 3,
        "REJECTED" => 4,
        "EXPIRED" => 5,
        other => panic!("the gateway sent the status `{other}`"),
    };
    let executed_lots = whole(&reply.executed_qty) / i64::from(spec.lot_step);
    Answer::Order { order_id: reply.order_id, status, executed_lots, executed_quote: whole(&reply.cummulative_quote_qty) }
}
