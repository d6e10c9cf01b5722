//! 500 orders over HTTP, the process ended again and again with `kill -9` while orders are unanswered. Afterwards recorder = log = what the clients were
//! told, and no money was made or lost.

use crate::process::{Exchange, Place};
use crate::trading::{Call, balances, client, limit, minor_units, until_told};
use adapters::sqlite::SqliteStore;
use log::history::Silent;
use log::native::{ClientConfig, Native};
use log::{Anchor, ConsumerEvent, Isolation, LogPort, Next, Outcome, Position, Reader, Subscription};
use runtime::rng::Rng;
use runtime::time::monotonic_ms;
use services::api_gateway::replies::OrderReply;
use services::client::{Client, NewOrder};
use services::ports::store::{Row, Store, TradeRow};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wire::{Body, Side, TimeInForce, Topic};

const CLIENTS: u64 = 20;
const ORDERS_EACH: u64 = 25;
const USD_EACH: i64 = 1_000_000_000_000;
const BTC_EACH: i64 = 1_000_000_000;

fn start(mut up: Command) -> Exchange {
    for account in 1..=CLIENTS {
        up.args(["--deposit", &format!("{account}:USD:{USD_EACH}"), "--deposit", &format!("{account}:BTC:{BTC_EACH}")]);
    }
    Exchange::spawn(up)
}

/// How the clients stand, for the one who kills.
#[derive(Default)]
struct Progress {
    submitted: AtomicU64,
    answered: AtomicU64,
}

fn draw(rng: &mut Rng, client_order_id: &str) -> NewOrder {
    let side = if rng.chance(1, 2) { Side::Buy } else { Side::Sell };
    // Around 100.00, wide enough to rest and narrow enough to trade.
    let price_ticks = 9_990 + i64::try_from(rng.below(21)).expect("small");
    let time_in_force = if rng.chance(1, 10) { TimeInForce::Ioc } else { TimeInForce::Gtc };
    let quantity_lots = 1 + i64::try_from(rng.below(50)).expect("small");
    NewOrder { time_in_force, ..limit(client_order_id, side, price_ticks, quantity_lots) }
}

/// One user: places all his orders, cancels some, and at the end whatever still rests; then hears the final state of each.
async fn user(account: u64, gateway: String, progress: Arc<Progress>) -> Vec<OrderReply> {
    let mut rng = Rng::from_seed(account);
    let mut client = client(&gateway, account);
    for n in 0..ORDERS_EACH {
        let order = draw(&mut rng, &format!("c{account}-{n}"));
        progress.submitted.fetch_add(1, Ordering::SeqCst);
        until_told(&mut client, Call::Place(&order)).await.expect("a funded order within the rules is taken");
        progress.answered.fetch_add(1, Ordering::SeqCst);
        if rng.chance(1, 5) {
            // -2011: it had ended before.
            let cancelled = until_told(&mut client, Call::Cancel(&order.client_order_id)).await;
            assert!(cancelled.is_ok() || cancelled == Err(-2011), "a cancel is sent on or too late: {cancelled:?}");
        }
    }
    let mut ends = Vec::new();
    for n in 0..ORDERS_EACH {
        ends.push(end_of(&mut client, &format!("c{account}-{n}")).await);
    }
    ends
}

/// Cancels until the order is over, and says how it ended.
async fn end_of(client: &mut Client, client_order_id: &str) -> OrderReply {
    loop {
        let reply = until_told(client, Call::Query(client_order_id)).await.expect("an acknowledged order is known");
        if !matches!(reply.status.as_str(), "NEW" | "PARTIALLY_FILLED") {
            return reply;
        }
        let cancelled = until_told(client, Call::Cancel(client_order_id)).await;
        assert!(cancelled.is_ok() || cancelled == Err(-2011), "a cancel is sent on or too late: {cancelled:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every trade of the log, from its start, read as anybody would.
async fn trades_of_the_log(log: &impl LogPort) -> Vec<TradeRow> {
    let Outcome::Done(topics) = log.topics(&[Topic::TradeExecuted.name()], monotonic_ms() + 10_000).await else { panic!("the topic is there") };
    let mut trades = Vec::new();
    for partition in 0..topics[0].partitions {
        let tp = topics[0].tp(partition);
        let Outcome::Done(Some(end)) = log.offset_at(tp, Anchor::End(Isolation::ReadCommitted), monotonic_ms() + 10_000).await else { panic!("an end") };
        let mut reader = log.read(Subscription::Assigned(vec![(tp, Position::START)]), Isolation::ReadCommitted).await.expect("readable");
        let mut at = Next(0);
        while at < end.next {
            match reader.next(monotonic_ms() + 10_000).await {
                ConsumerEvent::Records { batch, .. } => {
                    trades.extend(batch.records.iter().flat_map(|record| rows(record.value.as_deref().expect("no tombstones"))));
                    at = batch.position.next;
                }
                ConsumerEvent::Progress { position, .. } => at = position.next,
                other => panic!("reading {tp:?} at {at:?}: {other:?}"),
            }
        }
    }
    trades.sort_by_key(|trade| trade.trade_id);
    trades
}

fn rows(value: &[u8]) -> Vec<TradeRow> {
    use services::runner::project::Projection;
    let (_, body) = wire::frame::decode(value).expect("a frame");
    assert!(matches!(body, Body::Trades(_)), "only trades in trade_executed");
    let rows = services::data_recorder::DataRecorder.rows(&body);
    rows.into_iter().map(|row| if let Row::Trade(trade) = row { trade } else { panic!("a trade is a trade") }).collect()
}

async fn trades_of_the_recorder(data: &Path, expected: usize) -> Vec<TradeRow> {
    let store = SqliteStore::open(&data.join("exchange.sqlite")).expect("opens beside the recorder");
    loop {
        let rows = store.rows().await.expect("readable");
        let trades: Vec<TradeRow> = rows.iter().filter_map(|row| if let Row::Trade(trade) = row { Some(*trade) } else { None }).collect();
        if trades.len() >= expected {
            return trades;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills when an order is unanswered and so many have been submitted.
async fn kill_while_unanswered(mut exchange: Exchange, progress: &Progress, kills: u64, start: impl Fn() -> Exchange) -> Exchange {
    for kill in 1..=kills {
        let after = kill * CLIENTS * ORDERS_EACH / (kills + 1);
        loop {
            let (submitted, answered) = (progress.submitted.load(Ordering::SeqCst), progress.answered.load(Ordering::SeqCst));
            if submitted >= after && submitted > answered {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        exchange.kill_nine();
        exchange = start();
    }
    exchange
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_over_five_kills() {
    let place = Place::new();
    let log = Native::new(ClientConfig::new("check", [place.log.clone()]), Arc::new(Silent));
    nothing_is_lost_or_done_twice(&place, 5, &log, || place.up()).await;
}

/// `up`: the command that starts the exchange of this place; `log`: the log that it keeps.
pub async fn nothing_is_lost_or_done_twice(place: &Place, kills: u64, log: &impl LogPort, up: impl Fn() -> Command) {
    let progress = Arc::new(Progress::default());
    let users: Vec<_> = (1..=CLIENTS).map(|account| tokio::spawn(user(account, place.http.clone(), Arc::clone(&progress)))).collect();
    let exchange = kill_while_unanswered(start(up()), &progress, kills, || start(up())).await;
    let mut ends = Vec::new();
    for user in users {
        ends.extend(user.await.expect("no assertion of a user failed"));
    }
    assert_eq!(ends.len() as u64, CLIENTS * ORDERS_EACH, "every order came to an end");

    let logged = trades_of_the_log(log).await;
    assert!(logged.iter().map(|trade| trade.trade_id).eq(1..=logged.len() as u64), "trade ids without a gap");
    let recorded = trades_of_the_recorder(&place.data(), logged.len()).await;
    assert_eq!(recorded, logged, "recorder = log");
    let mut executed: BTreeMap<u64, i64> = BTreeMap::new();
    for trade in &logged {
        *executed.entry(trade.taker_order_id).or_default() += trade.quantity_lots;
        *executed.entry(trade.maker_order_id).or_default() += trade.quantity_lots;
    }
    for end in &ends {
        assert_eq!(minor_units(&end.executed_qty), executed.get(&end.order_id).copied().unwrap_or(0), "log = what the client was told: {end:?}");
    }
    let traded = ends.iter().filter(|end| executed.contains_key(&end.order_id)).count();
    assert!(traded >= 150, "{traded} of 500 orders traded, at least 150 wanted");
    let sums = balances(&place.http, CLIENTS).await;
    let usd = i64::try_from(CLIENTS).expect("few") * USD_EACH;
    let btc = i64::try_from(CLIENTS).expect("few") * BTC_EACH;
    assert_eq!(sums, BTreeMap::from([("BTC".to_owned(), (btc, 0)), ("USD".to_owned(), (usd, 0))]), "balances conserved, nothing held");
    println!("{} orders, {traded} traded, {} trades, {kills} kills", ends.len(), logged.len());
    exchange.stop();
}
