//! I-M1 to I-M6, I-O8, I-O9, I-O12, I-O13 over random commands, interleavings, crashes and repeats.

use super::{PARTITIONS, Queues, Wired};
use crate::runner::drop_rule::{DropRule, Verdict};
use crate::samples::btcusd;
use log::Delivered;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use wire::partition::{partition_of_account, partition_of_symbol};
use wire::{
    AccountCommand, AccountEvent, AccountId, Asset, Body, ClientOrderId, OrderCommand, OrderEvent, OrderId, OrderState, OrderType, RefusalReason, Side, Stamp,
    Symbol, SymbolSpec, TimeInForce, Topic,
};

const ACCOUNTS: u64 = 5;
const NAMES: u8 = 12;
const START_MS: u64 = 1_700_000_000_000;

/// Two symbols that share their quote, on two partitions.
fn listings() -> [SymbolSpec; 2] {
    let first = btcusd();
    let second = SymbolSpec { symbol: Symbol(*b"ETHUSD"), base: Asset(*b"ETH"), base_per_lot: 7, quote_per_tick_lot: 3, price_ticks_max: 110, ..btcusd() };
    [first, second]
}

#[derive(Debug, Clone)]
enum Action {
    Place {
        account: u64,
        name: u8,
        symbol: usize,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
        price_ticks: i64,
        quantity_lots: i64,
        times: usize,
    },
    Cancel {
        account: u64,
        name: u8,
        symbol: usize,
    },
    Query {
        account: u64,
        name: u8,
        symbol: usize,
    },
    Deposit {
        account: u64,
        deposit_id: u64,
        amount: i64,
    },
    /// From a foreign writer, straight to the engine: for an order that was placed there.
    Reduce {
        symbol: usize,
        nth: usize,
        lots: i64,
    },
    Tick,
    Step {
        owner: usize,
        most: usize,
    },
    Commit {
        owner: usize,
    },
    Crash {
        owner: usize,
    },
}

fn place() -> impl Strategy<Value = Action> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let order_type = prop_oneof![6 => Just(OrderType::Limit), 2 => Just(OrderType::Market), 1 => Just(OrderType::LimitMaker)];
    let time_in_force = prop_oneof![6 => Just(TimeInForce::Gtc), 1 => Just(TimeInForce::Ioc), 1 => Just(TimeInForce::Fok)];
    let terms = (95..106_i64, prop_oneof![9 => 1..9_i64, 1 => Just(0), 1 => Just(i64::MAX)], 1..3_usize);
    (0..ACCOUNTS, 0..NAMES, 0..2_usize, side, order_type, time_in_force, terms).prop_map(
        |(account, name, symbol, side, order_type, time_in_force, (price_ticks, quantity_lots, times))| Action::Place {
            account,
            name,
            symbol,
            side,
            order_type,
            time_in_force,
            price_ticks,
            quantity_lots,
            times,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let owner = 0..(4 * PARTITIONS as usize);
    prop_oneof![
        12 => place(),
        4 => (0..ACCOUNTS, 0..NAMES, 0..2_usize).prop_map(|(account, name, symbol)| Action::Cancel { account, name, symbol }),
        1 => (0..ACCOUNTS, 0..NAMES, 0..2_usize).prop_map(|(account, name, symbol)| Action::Query { account, name, symbol }),
        2 => (0..ACCOUNTS, 0..6_u64, -1..5_000_i64).prop_map(|(account, deposit_id, amount)| Action::Deposit { account, deposit_id, amount }),
        3 => (0..2_usize, 0..40_usize, 1..4_i64).prop_map(|(symbol, nth, lots)| Action::Reduce { symbol, nth, lots }),
        1 => Just(Action::Tick),
        16 => (owner.clone(), 1..9_usize).prop_map(|(owner, most)| Action::Step { owner, most }),
        4 => owner.clone().prop_map(|owner| Action::Commit { owner }),
        2 => owner.prop_map(|owner| Action::Crash { owner }),
    ]
}

fn send_command(queues: &mut Queues, account: AccountId, now_ms: u64, command: AccountCommand) {
    queues.send(Topic::AccountCommands, partition_of_account(account, PARTITIONS), now_ms, &Body::AccountCommand(command));
}

fn open_exchange() -> Wired {
    let mut wired = Wired::new(20);
    for spec in listings() {
        wired.queues.send(Topic::OrderCommands, partition_of_symbol(spec.symbol, PARTITIONS), START_MS, &Body::OrderCommand(OrderCommand::Listing(spec)));
        for partition in 0..PARTITIONS {
            wired.queues.send(Topic::AccountCommands, partition, START_MS, &Body::AccountCommand(AccountCommand::Listing(spec)));
        }
    }
    for account in (0..ACCOUNTS).map(AccountId) {
        for (deposit_id, asset) in (100..).zip([Asset(*b"USD"), Asset(*b"BTC"), Asset(*b"ETH")]) {
            let amount = if asset == Asset(*b"ETH") { 400 } else { 60_000 };
            send_command(&mut wired.queues, account, START_MS, AccountCommand::Deposit { account, deposit_id, asset, amount });
        }
    }
    wired
}

fn client_order_id(name: u8) -> ClientOrderId {
    ClientOrderId(format!("order-{name}"))
}

fn act(wired: &mut Wired, action: &Action, now_ms: u64) {
    let queues = &mut wired.queues;
    match *action {
        Action::Place { account, name, symbol, side, order_type, time_in_force, price_ticks, quantity_lots, times } => {
            let (account, symbol, client_order_id) = (AccountId(account), listings()[symbol].symbol, client_order_id(name));
            for _ in 0..times {
                let client_order_id = client_order_id.clone();
                let command =
                    AccountCommand::Place { account, client_order_id, symbol, side, order_type, time_in_force, price_ticks, quantity_lots, stamp_ms: now_ms };
                send_command(queues, account, now_ms, command);
            }
        }
        Action::Cancel { account, name, symbol } => {
            let (account, symbol) = (AccountId(account), listings()[symbol].symbol);
            send_command(queues, account, now_ms, AccountCommand::Cancel { account, client_order_id: client_order_id(name), symbol });
        }
        Action::Query { account, name, symbol } => {
            let (account, symbol) = (AccountId(account), listings()[symbol].symbol);
            send_command(queues, account, now_ms, AccountCommand::QueryOrder { account, client_order_id: client_order_id(name), symbol });
        }
        Action::Deposit { account, deposit_id, amount } => {
            let account = AccountId(account);
            send_command(queues, account, now_ms, AccountCommand::Deposit { account, deposit_id, asset: Asset(*b"USD"), amount });
        }
        Action::Reduce { symbol, nth, lots } => {
            let partition = partition_of_symbol(listings()[symbol].symbol, PARTITIONS);
            let placed = bodies(queues.of(Topic::OrderCommands, partition)).filter_map(|body| match body {
                Body::OrderCommand(OrderCommand::Place { order_id, account, symbol, .. }) => Some(OrderCommand::Reduce { order_id, account, symbol, lots }),
                _ => None,
            });
            if let Some(command) = placed.collect::<Vec<_>>().into_iter().rev().nth(nth) {
                queues.send(Topic::OrderCommands, partition, now_ms, &Body::OrderCommand(command));
            }
        }
        Action::Tick => {
            for partition in 0..PARTITIONS {
                queues.send(Topic::AccountCommands, partition, now_ms, &Body::AccountCommand(AccountCommand::Tick { time_ms: now_ms }));
                queues.send(Topic::OrderCommands, partition, now_ms, &Body::OrderCommand(OrderCommand::Tick { time_ms: now_ms }));
            }
        }
        Action::Step { owner, most } => drop(wired.step(owner, most)),
        Action::Commit { owner } => wired.commit(owner),
        Action::Crash { owner } => wired.crash(owner),
    }
}

fn bodies(records: &[Delivered]) -> impl Iterator<Item = Body> {
    records.iter().map(|record| wire::frame::decode(record.value.as_deref().expect("no tombstones")).expect("our own frames").1)
}

/// What a reader of a topic sees, repeats dropped.
fn read(queues: &Queues, topic: Topic) -> Vec<(Stamp, Body)> {
    let mut seen = Vec::new();
    for partition in 0..PARTITIONS {
        let mut rule = DropRule::default();
        for record in queues.of(topic, partition) {
            let (stamp, body) = wire::frame::decode(record.value.as_deref().expect("no tombstones")).expect("our own frames");
            match rule.judge(&stamp) {
                Verdict::Pass => seen.push((stamp, body)),
                Verdict::Drop => {}
                Verdict::Gap { expected } => panic!("{topic:?}-{partition}: sequence {expected} is missing before {stamp:?}"),
            }
        }
    }
    seen
}

/// I-M1, I-M6: nothing came or went but by deposits, and nothing is locked.
fn assert_money_is_conserved(wired: &Wired, events: &[AccountEvent]) {
    let mut deposited = BTreeMap::new();
    for event in events {
        if let AccountEvent::Deposited { asset, amount, duplicate: false, .. } = *event {
            *deposited.entry(asset).or_insert(0) += amount;
        }
    }
    let mut held = BTreeMap::new();
    for owner in &wired.accounts {
        for (asset, (free, locked)) in owner.machine().totals() {
            assert_eq!(locked, 0, "{asset:?} is locked though every order ended");
            *held.entry(asset).or_insert(0) += free;
        }
    }
    assert_eq!(held, deposited);
}

/// I-M5, settled once: each trade is settled for two orders, in equal and opposite amounts.
fn assert_each_trade_settles_both_sides(queues: &Queues, events: &[AccountEvent], symbols: &BTreeMap<OrderId, Symbol>) {
    let mut settled: BTreeMap<(Symbol, u64), Vec<(OrderId, i64, i64)>> = BTreeMap::new();
    for event in events {
        if let AccountEvent::Settled { order_id, trade_id, base_change, quote_change, .. } = *event {
            settled.entry((symbols[&order_id], trade_id)).or_default().push((order_id, base_change, quote_change));
        }
    }
    let mut trades = BTreeMap::new();
    for (_, body) in read(queues, Topic::TradeExecuted) {
        let Body::Trades(list) = body else { panic!("only trades: {body:?}") };
        for trade in list.trades {
            let last = trades.insert(list.symbol, trade.trade_id).unwrap_or(0);
            assert_eq!(trade.trade_id, last + 1, "{}: trade ids rise by one", list.symbol);
            let sides = settled.remove(&(list.symbol, trade.trade_id)).unwrap_or_default();
            let [(one, one_base, one_quote), (other, other_base, other_quote)] = sides[..] else { panic!("{trade:?} was settled {sides:?}") };
            assert_eq!(BTreeSet::from([one, other]), BTreeSet::from([list.taker_order_id, trade.maker_order_id]));
            assert_eq!((one_base + other_base, one_quote + other_quote), (0, 0), "{trade:?}");
        }
    }
    assert!(settled.is_empty(), "settled without a trade: {settled:?}");
}

/// I-O8, I-O9, I-O12: each name made one order, each order came once to the engine, and left it once.
fn assert_each_order_happens_once(queues: &Queues, events: &[AccountEvent]) -> BTreeMap<OrderId, OrderState> {
    let mut orders = BTreeMap::new();
    let mut names = BTreeSet::new();
    for event in events {
        if let AccountEvent::Placed { account, order, duplicate: false } = event {
            assert!(names.insert((*account, order.client_order_id.clone())), "a second order for {account:?} {:?}", order.client_order_id);
            assert!(orders.insert(order.order_id, order.clone()).is_none(), "a second order {:?}", order.order_id);
        }
    }
    let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for (_, body) in read(queues, Topic::OrderEvents) {
        match body {
            Body::OrderEvent(OrderEvent::Accepted { order_id, .. }) => assert!(begun.insert(order_id), "{order_id:?} was accepted twice"),
            Body::OrderEvent(OrderEvent::Rejected { order_id, .. }) => {
                assert!(begun.insert(order_id), "{order_id:?} was answered twice");
                assert!(ended.insert(order_id), "{order_id:?} ended twice");
            }
            Body::OrderEvent(OrderEvent::Ended { order_id, .. }) => assert!(ended.insert(order_id), "{order_id:?} ended twice"),
            _ => {}
        }
    }
    let placed: BTreeSet<OrderId> = orders.keys().copied().collect();
    assert_eq!((&begun, &ended), (&placed, &placed), "every order that was placed began and ended");
    orders
}

fn check(actions: &[Action]) -> Tally {
    let mut wired = open_exchange();
    let mut now_ms = START_MS;
    for action in actions {
        now_ms += 10;
        act(&mut wired, action, now_ms);
    }
    wired.drain();
    for account in 0..ACCOUNTS {
        for name in 0..NAMES {
            for symbol in 0..2 {
                act(&mut wired, &Action::Cancel { account, name, symbol }, now_ms);
            }
        }
    }
    wired.drain();
    wired.assert_replay();
    let events: Vec<AccountEvent> = read(&wired.queues, Topic::AccountEvents)
        .into_iter()
        .map(|(_, body)| match body {
            Body::AccountEvent(event) => event,
            other => panic!("only account events: {other:?}"),
        })
        .collect();
    let orders = assert_each_order_happens_once(&wired.queues, &events);
    let symbols = orders.iter().map(|(order_id, order)| (*order_id, order.symbol)).collect();
    assert_each_trade_settles_both_sides(&wired.queues, &events, &symbols);
    assert_money_is_conserved(&wired, &events);
    tally(&wired, &events)
}

/// How often something happened.
type Tally = BTreeMap<&'static str, usize>;

fn tally(wired: &Wired, events: &[AccountEvent]) -> Tally {
    let mut tally = Tally::new();
    let written: usize = [Topic::AccountCommands, Topic::AccountEvents, Topic::OrderCommands, Topic::OrderEvents, Topic::TradeExecuted]
        .into_iter()
        .map(|topic| (0..PARTITIONS).map(|partition| wired.queues.of(topic, partition).len()).sum::<usize>() - read(&wired.queues, topic).len())
        .sum();
    tally.insert("repeats dropped", written);
    for event in events {
        let what = match event {
            AccountEvent::Placed { duplicate: true, .. } => "answered with the first order",
            AccountEvent::Placed { order, .. } if order.order_type == OrderType::Market => "market order",
            AccountEvent::Placed { .. } => "order",
            AccountEvent::Settled { closed: true, .. } => "closed by a settle",
            AccountEvent::Settled { .. } => "settled in part",
            AccountEvent::Released { closed: true, .. } => "closed by a release",
            AccountEvent::Released { .. } => "released in part",
            AccountEvent::Refused { reason: RefusalReason::InsufficientBalance, .. } => "too poor",
            AccountEvent::Refused { .. } => "refused otherwise",
            AccountEvent::Deposited { duplicate: true, .. } => "deposited before",
            _ => continue,
        };
        *tally.entry(what).or_insert(0) += 1;
    }
    tally
}

#[test]
fn nothing_is_lost_made_or_done_twice() {
    let total = RefCell::new(Tally::new());
    let cases = 300;
    let mut runner = TestRunner::new(Config { cases, max_shrink_iters: 4_000, ..Config::default() });
    let checked = runner.run(&prop::collection::vec(action(), 1..250), |actions| {
        for (what, count) in check(&actions) {
            *total.borrow_mut().entry(what).or_insert(0) += count;
        }
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
    let total = total.into_inner();
    assert_eq!(total.len(), 11, "some of it never happened: {total:?}");
    for (what, count) in &total {
        assert!(*count >= 10, "hardly ever {what}: {total:?}");
    }
}
