//! `api_gateway`: the single entrance. HTTP with Binance's shapes; every valid request becomes one record in `account_commands`, and the answer is the
//! event in `account_events` that carries its correlation. It keeps nothing and knows nothing of the engine.
//!
//! | request | parameters (query, form body or both) |
//! |---|---|
//! | `POST /api/v3/order` | symbol, side, type (LIMIT, MARKET, LIMIT_MAKER), quantity; LIMIT: timeInForce (GTC, IOC, FOK), price; LIMIT_MAKER: price; newClientOrderId |
//! | `DELETE /api/v3/order` | symbol, origClientOrderId |
//! | `GET /api/v3/order` | symbol, origClientOrderId |
//! | `GET /api/v3/account` | |
//! | `GET /api/v3/ping`, `GET /health` | |
//!
//! Until requests are signed, the header `X-MBX-APIKEY` is the account's number. A client order id that was used before is answered with its first
//! order. An answer that does not come in time is `-1007` with 504: the request may have been done, or may still be. `-1001` with 503 and `-1003` with
//! 429 say that it was not and will not be.

mod answers;
mod desk;
pub mod error;
mod http;
mod parameters;
pub mod replies;
mod request;

use crate::decimal::scales;
use crate::listing;
use crate::runner::ServiceError;
use desk::{Desk, Waiting};
use error::{ApiError, UnknownOrder};
use log::history::SharedObserver;
use log::{Event, LogPort, Outcome, TopicInfo};
use parameters::Parameters;
use replies::{AccountReply, OrderReply};
use request::Symbols;
use runtime::net::Listener;
use runtime::rng::Rng;
use runtime::task::{Stop, spawn, stop_channel};
use runtime::time::{monotonic_ms, now_ms, sleep};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::{AccountCommand, AccountEvent, AccountId, Asset, Correlation, OrderState, SymbolSpec, Topic};

/// Settings of a gateway.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// This instance, `api_gateway-1`: for the history.
    pub instance: String,
    /// `host:port` to listen on.
    pub listen: String,
    /// Symbols that can be traded.
    pub symbols: Vec<SymbolSpec>,
    /// How long a request waits for its answer.
    pub request_timeout_ms: u64,
    /// Most requests that wait at once.
    pub in_flight_max: usize,
}

/// Runs until asked to stop.
pub async fn run<L: LogPort>(log: L, config: GatewayConfig, observer: SharedObserver, mut stop: Stop) -> Result<(), ServiceError> {
    let listener = runtime::select! {
        () = stop.requested() => return Ok(()),
        listener = Listener::bind(&config.listen) => listener?,
    };
    run_on(listener, log, config, observer, stop).await
}

/// As [`run`], on a socket that listens already.
pub async fn run_on<L: LogPort>(listener: Listener, log: L, config: GatewayConfig, observer: SharedObserver, mut stop: Stop) -> Result<(), ServiceError> {
    let symbols = symbols(&config)?;
    let scales = scales(&config.symbols).map_err(|error| ServiceError::Config(error.to_string()))?;
    let found = runtime::select! {
        () = stop.requested() => return Ok(()),
        found = look_up(&log) => found,
    };
    let (commands, events) = found;
    let waiting = Waiting::new(Rng::of_node("api_gateway").next_u64(), config.in_flight_max);
    // Twice as many: each request in flight may tell of its failure.
    let (errands, errands_out) = mpsc::channel(2 * config.in_flight_max);
    // The two ends of the log outlive the last request.
    let (stopper, log_stop) = stop_channel();
    let sender = desk::send(log.clone(), errands.downgrade(), errands_out, log_stop.clone());
    let desk = Desk { waiting: waiting.clone(), errands, commands, request_timeout_ms: config.request_timeout_ms };
    let gateway = Arc::new(Gateway { desk, symbols, scales });
    let tasks = [spawn(sender), spawn(answers::hear(log, events, waiting, log_stop))];
    say(&observer, &config.instance, true, "listening");
    http::serve(listener, gateway, stop).await;
    stopper.stop();
    for task in tasks {
        // A task that was cancelled with its node has nothing more to do either.
        let _ = task.await;
    }
    say(&observer, &config.instance, false, "stopped");
    Ok(())
}

fn say(observer: &SharedObserver, instance: &str, up: bool, why: &str) {
    observer.observe_with(|| Event::Service { name: instance.to_owned(), up, why: why.to_owned() });
}

fn symbols(config: &GatewayConfig) -> Result<Symbols, ServiceError> {
    if config.in_flight_max == 0 || config.request_timeout_ms == 0 {
        return Err(ServiceError::Config("in_flight_max and request_timeout_ms: at least 1".into()));
    }
    let mut symbols = Symbols::new();
    for spec in &config.symbols {
        listing::check(spec).map_err(|error| ServiceError::Config(format!("{}: {error}", spec.symbol)))?;
        if symbols.insert(spec.symbol, *spec).is_some() {
            return Err(ServiceError::Config(format!("{}: listed twice", spec.symbol)));
        }
    }
    Ok(symbols)
}

/// `account_commands` and `account_events`; the operator may still be creating them.
async fn look_up<L: LogPort>(log: &L) -> (TopicInfo, TopicInfo) {
    loop {
        if let Outcome::Done(infos) = log.topics(&[Topic::AccountCommands.name(), Topic::AccountEvents.name()], monotonic_ms() + 5_000).await {
            let [commands, events] = <[TopicInfo; 2]>::try_from(infos).expect("one answer for each topic asked for");
            return (commands, events);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// What all connections share.
struct Gateway {
    desk: Desk,
    symbols: Symbols,
    scales: BTreeMap<Asset, u8>,
}

impl Gateway {
    fn health(&self) -> Result<Vec<u8>, ApiError> {
        if self.desk.waiting.is_hearing() { Ok(b"{}".to_vec()) } else { Err(ApiError::not_done()) }
    }

    async fn place(&self, account: AccountId, parameters: &Parameters) -> Result<Vec<u8>, ApiError> {
        let seat = self.desk.waiting.enter()?;
        let command = request::place(account, parameters, &self.symbols, generated(seat.correlation), now_ms())?;
        match self.desk.ask(seat, account, command).await? {
            AccountEvent::Placed { order, .. } => Ok(json(&OrderReply::placed(self.spec(&order)?, &self.scales, &order))),
            AccountEvent::Refused { reason, .. } => Err(ApiError::of_refusal(reason, UnknownOrder::ToQuery)),
            _ => Err(ApiError::internal()),
        }
    }

    async fn cancel(&self, account: AccountId, parameters: &Parameters) -> Result<Vec<u8>, ApiError> {
        let command = request::cancel(account, parameters, &self.symbols)?;
        match self.desk.ask(self.desk.waiting.enter()?, account, command).await? {
            AccountEvent::CancelSent { order, .. } => Ok(json(&OrderReply::cancel_sent(self.spec(&order)?, &self.scales, &order))),
            AccountEvent::Refused { reason, .. } => Err(ApiError::of_refusal(reason, UnknownOrder::ToCancel)),
            _ => Err(ApiError::internal()),
        }
    }

    async fn query(&self, account: AccountId, parameters: &Parameters) -> Result<Vec<u8>, ApiError> {
        let command = request::query(account, parameters, &self.symbols)?;
        match self.desk.ask(self.desk.waiting.enter()?, account, command).await? {
            AccountEvent::OrderIs { order, .. } => Ok(json(&OrderReply::queried(self.spec(&order)?, &self.scales, &order))),
            AccountEvent::Refused { reason, .. } => Err(ApiError::of_refusal(reason, UnknownOrder::ToQuery)),
            _ => Err(ApiError::internal()),
        }
    }

    async fn account(&self, account: AccountId) -> Result<Vec<u8>, ApiError> {
        match self.desk.ask(self.desk.waiting.enter()?, account, AccountCommand::QueryAccount { account }).await? {
            AccountEvent::AccountIs { account, balances } => Ok(json(&AccountReply::of(account.0, &balances, &self.scales))),
            _ => Err(ApiError::internal()),
        }
    }

    /// A client order id's first order may be of a symbol that this gateway does not offer any more.
    fn spec(&self, order: &OrderState) -> Result<&SymbolSpec, ApiError> {
        self.symbols.get(&order.symbol).ok_or_else(ApiError::invalid_symbol)
    }
}

/// The name of an order whose client gave none: its correlation, 32 hexadecimal digits.
fn generated(correlation: Correlation) -> String {
    correlation.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn json(reply: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(reply).expect("texts and numbers are always JSON")
}
