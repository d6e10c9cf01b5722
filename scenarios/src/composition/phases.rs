//! The phases of a run: start, trade under faults, heal, close, settle, last words, final read.

use super::auditor::{self, SharedAudit};
use super::listing::specs;
use super::nodes::{CLOCK, Exchange};
use super::users::{Board, Progress, Stage, User, account};
use crate::evidence::{Place, Settling};
use crate::workload::Action;
use faults::model::Director;
use log::Delivered;
use runtime::time::{monotonic_ms, sleep};
use services::bootstrap::{self, BootstrapConfig, Deposit};
use services::ports::store::Row;
use sim::world::Latency;
use sim::{PlannedFault, World};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wire::{Asset, SymbolSpec, Topic};

/// What a run leaves besides its history.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// Everything that the final read found, as it stands in the log.
    pub logs: BTreeMap<Place, Vec<Delivered>>,
    /// The topics' ids, to read the history with.
    pub topics: BTreeMap<Topic, u64>,
    /// The recorder's rows.
    pub rows: Vec<Row>,
    /// When trading began, µs.
    pub started_us: u64,
    /// How the end went.
    pub settling: Settling,
}

/// Simulated time within which everything must be settled after the last heal, at least.
const SETTLE_MS: u64 = 90_000;

/// The same for each order, where there are many: users cancel whatever rests, each a few at a time. (5,000 of them took 64 s with transactions of version
/// 1, seed 90 of `reference`, and just over 90 s with version 2.)
const SETTLE_MS_PER_ORDER: u64 = 30;

/// Simulated time in which a fresh exchange must be ready to trade.
const START_MS_MAX: u64 = 60_000;

/// Simulated time for the last words and the final read.
const FINISH_MS_MAX: u64 = 60_000;

/// Minor units of each asset that each user starts with.
const DEPOSIT: i64 = 1_000_000_000_000;

/// Runs the exchange from an empty disk to the final read.
pub async fn run(world: World, exchange: Exchange, actions: Vec<Action>, faults: Vec<PlannedFault>) -> Left {
    let base_us = exchange.shape.latency_us;
    world.set_latency(Latency { base_us, spread_us: base_us / 2, tail_us: base_us * 2, tail_us_max: base_us * 20 });
    let (audit, specs) = (SharedAudit::default(), specs(exchange.shape.symbols));
    exchange.add_log(&world, &audit);
    let bound_ms = SETTLE_MS.max(actions.len() as u64 * SETTLE_MS_PER_ORDER);
    let mut left = Left { settling: Settling { bound_ms, ..Settling::default() }, ..Left::default() };
    if !bootstrap(&world, &exchange, &specs).await {
        left.settling.open.push(format!("no topics, listings and deposits within {} s of the start", START_MS_MAX / 1_000));
        return left;
    }
    exchange.add_services(&world, &audit);
    left.started_us = world.now_us();
    let progress = Arc::new(Progress::default());
    let board = Arc::new(Board::new(Stage::Trading { from_ms: monotonic_ms() + 2_000 }));
    add_users(&world, &exchange, &specs, &actions, &board, &progress);
    let director = Director::start(&world, exchange.terrain(), &faults);
    sleep(Duration::from_millis(exchange.shape.span_ms + 2_000)).await;

    director.heal().await;
    left.settling.healed_ms = monotonic_ms();
    board.set(Stage::Closing);
    add_auditor(&world, &exchange, &specs, &audit);
    // A gateway that stood still may still send what its user has given up: not for longer than it waits itself.
    sleep(Duration::from_millis(exchange.timers.gateway_timeout_ms + exchange.timers.request_timeout_ms)).await;
    settle(&world, &audit, &mut left.settling).await;

    board.set(Stage::LastWord);
    let lanes = u64::from(exchange.shape.clients * exchange.shape.lanes);
    within(FINISH_MS_MAX, || progress.done.load(Ordering::Relaxed) == lanes).await;
    audit.lock().finish = true;
    left.settling.read_to_end = within(FINISH_MS_MAX, || audit.lock().is_complete).await;
    left.rows = rows(&world, &exchange, &audit).await;
    let mut state = audit.lock();
    left.logs = std::mem::take(&mut state.logs);
    left.topics = state.topics.iter().map(|(topic, info)| (*topic, info.id.0)).collect();
    left
}

/// Waits for a condition; false if it does not come about in time.
async fn within(ms_max: u64, holds: impl Fn() -> bool) -> bool {
    let until_ms = monotonic_ms() + ms_max;
    while !holds() {
        if monotonic_ms() >= until_ms {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    true
}

/// The operator's node creates topics, listings and deposits; then it leaves.
async fn bootstrap(world: &World, exchange: &Exchange, specs: &[SymbolSpec]) -> bool {
    let done = Arc::new(AtomicBool::new(false));
    let replicated = exchange.shape.brokers > 1;
    let config = BootstrapConfig {
        account_partitions: exchange.shape.account_partitions,
        symbol_partitions: exchange.shape.symbol_partitions,
        replication: exchange.shape.replication(),
        min_isr: if replicated { 2 } else { 1 },
        listings: specs.to_vec(),
        deposits: deposits(exchange.shape.clients, specs),
        deadline_ms: monotonic_ms() + START_MS_MAX,
    };
    let (exchange, tell) = (exchange.clone(), done.clone());
    world.node("operator", move |ctx| {
        let (exchange, config, tell) = (exchange.clone(), config.clone(), tell.clone());
        Box::pin(async move {
            if bootstrap::run(exchange.native(&ctx), &config).await.is_ok() {
                tell.store(true, Ordering::Relaxed);
            }
        })
    });
    within(START_MS_MAX, || done.load(Ordering::Relaxed)).await
}

fn deposits(clients: u32, specs: &[SymbolSpec]) -> Vec<Deposit> {
    let mut assets: Vec<Asset> = specs.iter().flat_map(|spec| [spec.base, spec.quote]).collect();
    assets.sort();
    assets.dedup();
    let of =
        |client: u32| assets.iter().zip(1..).map(move |(asset, deposit_id)| Deposit { account: account(client), deposit_id, asset: *asset, amount: DEPOSIT });
    (0..clients).flat_map(of).collect()
}

fn add_users(world: &World, exchange: &Exchange, specs: &[SymbolSpec], actions: &[Action], board: &Arc<Board>, progress: &Arc<Progress>) {
    let by_name: BTreeMap<String, SymbolSpec> = specs.iter().map(|spec| (spec.symbol.as_str().to_owned(), *spec)).collect();
    for number in 0..exchange.shape.clients {
        let user = Arc::new(User {
            number,
            actions: actions.iter().filter(|action| action.client == number).cloned().collect(),
            exchange: exchange.clone(),
            specs: by_name.clone(),
            board: board.clone(),
            progress: progress.clone(),
        });
        world.node(&format!("client-{}", number + 1), move |ctx| {
            let user = user.clone();
            Box::pin(user.run(ctx))
        });
    }
}

fn add_auditor(world: &World, exchange: &Exchange, specs: &[SymbolSpec], audit: &SharedAudit) {
    let (exchange, specs, audit) = (exchange.clone(), specs.to_vec(), audit.clone());
    world.node("auditor", move |ctx| Box::pin(auditor::run(exchange.clone(), ctx, specs.clone(), audit.clone())));
}

/// Waits until no order is open; then stops the clock, whose ticks would keep every reader behind, and waits until nothing lags.
async fn settle(world: &World, audit: &SharedAudit, settling: &mut Settling) {
    let until_ms = settling.healed_ms + settling.bound_ms;
    let left_ms = || until_ms.saturating_sub(monotonic_ms());
    let closed = within(left_ms(), || audit.lock().open.as_ref().is_some_and(Vec::is_empty)).await;
    let at_rest = closed && {
        world.leave(CLOCK);
        // Two looks in a row: the first may be older than the last tick.
        let mut quiet = 0;
        while quiet < 2 && left_ms() > 0 {
            sleep(Duration::from_millis(600)).await;
            let state = audit.lock();
            quiet = if state.lagging.is_empty() && state.open.as_ref().is_some_and(Vec::is_empty) { quiet + 1 } else { 0 };
        }
        quiet == 2
    };
    if at_rest {
        settling.settled_ms = Some(monotonic_ms());
    } else {
        let state = audit.lock();
        match &state.open {
            Some(open) => settling.open.extend(open.iter().take(5).chain(state.lagging.iter().take(10)).cloned()),
            None => settling.open.push("the auditor could not read the log".to_owned()),
        }
    }
}

/// Kills the recorder and starts it once more, to see what its disk holds.
async fn rows(world: &World, exchange: &Exchange, audit: &SharedAudit) -> Vec<Row> {
    audit.set_over();
    world.restart(exchange.recorder());
    within(FINISH_MS_MAX, || audit.lock().rows.is_some()).await;
    audit.lock().rows.take().unwrap_or_default()
}
