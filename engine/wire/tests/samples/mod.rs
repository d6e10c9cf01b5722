//! One value per variant of every body: what the golden bytes freeze.

use wire::ids::{AccountId, Asset, ClientOrderId, Correlation, OrderId, Symbol};
use wire::order::{CancelReason, EndReason, OrderType, RejectReason, Side, SymbolSpec, TimeInForce};
use wire::{
    AccountCommand, AccountEvent, Balance, Body, OrderCommand, OrderEvent, OrderState, OrderStatus, RefusalReason, Source, Stamp, SystemTick, Trade, TradeList,
};

const SYMBOL: Symbol = Symbol(*b"BTCUSD");
const ACCOUNT: AccountId = AccountId(0x0a0b);
const ORDER: OrderId = OrderId(3 << 40 | 7);

/// A stamp whose every byte is told from its neighbours.
pub fn stamp() -> Stamp {
    Stamp {
        source: Source { service: 2, input_topic: 3, partition: 0x0405 },
        epoch: 0x0607_0809,
        index: 0x0a0b_0c0d,
        sequence: 0x1112_1314_1516_1718,
        cause: -2,
        correlation: Correlation(*b"0123456789abcdef"),
        log_time_ms: 0x2122_2324_2526_2728,
    }
}

/// Every kind, named as its golden file, with one value per variant.
pub fn kinds() -> Vec<(&'static str, Vec<Body>)> {
    vec![
        ("account_command", account_commands().into_iter().map(Body::AccountCommand).collect()),
        ("account_event", account_events().into_iter().map(Body::AccountEvent).collect()),
        ("order_command", order_commands().into_iter().map(Body::OrderCommand).collect()),
        ("order_event", order_events().into_iter().map(Body::OrderEvent).collect()),
        ("trades", vec![Body::Trades(trades())]),
        ("system_tick", vec![Body::SystemTick(SystemTick { sequence: 5, time_ms: 1_700_000_000_123 })]),
    ]
}

fn client_order_id() -> ClientOrderId {
    ClientOrderId("longer-than-inline_1".into())
}

fn spec() -> SymbolSpec {
    SymbolSpec {
        symbol: SYMBOL,
        base: Asset(*b"BTC"),
        quote: Asset(*b"USD"),
        base_per_lot: 1_000,
        quote_per_tick_lot: 10,
        price_ticks_max: 1 << 40,
        quantity_lots_max: 1 << 30,
        price_decimals: 2,
        tick_step: 5,
        quantity_decimals: 3,
        lot_step: 1,
    }
}

fn account_commands() -> Vec<AccountCommand> {
    vec![
        AccountCommand::Deposit { account: ACCOUNT, deposit_id: 9, asset: Asset(*b"USD"), amount: 1_000_000 },
        AccountCommand::Place {
            account: ACCOUNT,
            client_order_id: client_order_id(),
            symbol: SYMBOL,
            side: Side::Sell,
            order_type: OrderType::LimitMaker,
            time_in_force: TimeInForce::Gtc,
            price_ticks: 101,
            quantity_lots: 7,
            stamp_ms: 1_700_000_000_000,
        },
        AccountCommand::Cancel { account: ACCOUNT, client_order_id: client_order_id(), symbol: SYMBOL },
        AccountCommand::QueryOrder { account: ACCOUNT, client_order_id: ClientOrderId("short".into()), symbol: SYMBOL },
        AccountCommand::QueryAccount { account: ACCOUNT },
        AccountCommand::Settle { account: ACCOUNT, order_id: ORDER, trade_id: 4, symbol: SYMBOL, side: Side::Buy, price_ticks: 101, lots: 2 },
        AccountCommand::Release { account: ACCOUNT, order_id: ORDER, symbol: SYMBOL, lots: 5, rejected: Some(RejectReason::BookFull), end: None },
        AccountCommand::Release { account: ACCOUNT, order_id: ORDER, symbol: SYMBOL, lots: 5, rejected: None, end: Some(EndReason::Expired) },
        AccountCommand::Listing(spec()),
        AccountCommand::Tick { time_ms: 1_700_000_000_456 },
        AccountCommand::Rules { version: 1 },
    ]
}

fn account_events() -> Vec<AccountEvent> {
    let order = OrderState {
        order_id: ORDER,
        client_order_id: client_order_id(),
        symbol: SYMBOL,
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Fok,
        price_ticks: 101,
        quantity_lots: 7,
        settled_lots: 2,
        released_lots: 1,
        settled_quote: 2_020,
        status: OrderStatus::PartiallyFilled,
        accepted_ms: 1_700_000_000_001,
    };
    let balances = vec![Balance { asset: Asset(*b"BTC"), free: 5, locked: 0 }, Balance { asset: Asset(*b"USD"), free: -1, locked: 9 }];
    vec![
        AccountEvent::Owned { epoch: 3, claim: 11 },
        AccountEvent::Deposited { account: ACCOUNT, deposit_id: 9, asset: Asset(*b"USD"), amount: 1_000_000, duplicate: true },
        AccountEvent::Placed { account: ACCOUNT, order: order.clone(), duplicate: false },
        AccountEvent::CancelSent { account: ACCOUNT, order: order.clone() },
        AccountEvent::OrderIs { account: ACCOUNT, order },
        AccountEvent::AccountIs { account: ACCOUNT, balances },
        AccountEvent::Refused { account: ACCOUNT, client_order_id: Some(client_order_id()), reason: RefusalReason::TooOld },
        AccountEvent::Refused { account: ACCOUNT, client_order_id: None, reason: RefusalReason::InsufficientBalance },
        AccountEvent::Settled { account: ACCOUNT, order_id: ORDER, trade_id: 4, base_change: 2_000, quote_change: -2_020, closed: true },
        AccountEvent::Released { account: ACCOUNT, order_id: ORDER, lots: 5, closed: false },
    ]
}

fn order_commands() -> Vec<OrderCommand> {
    vec![
        OrderCommand::Place {
            order_id: ORDER,
            account: ACCOUNT,
            symbol: SYMBOL,
            side: Side::Sell,
            order_type: OrderType::Market,
            time_in_force: TimeInForce::Ioc,
            price_ticks: 101,
            quantity_lots: 7,
        },
        OrderCommand::Cancel { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL },
        OrderCommand::Reduce { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL, lots: 3 },
        OrderCommand::Replace { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL, price_ticks: 102, quantity_lots: 4 },
        OrderCommand::Listing(spec()),
        OrderCommand::Tick { time_ms: 1_700_000_000_456 },
        OrderCommand::Rules { version: 2 },
    ]
}

fn order_events() -> Vec<OrderEvent> {
    vec![
        OrderEvent::Owned { epoch: 3, claim: 11 },
        OrderEvent::Accepted { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL },
        OrderEvent::Rejected { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL, quantity_lots: 7, reason: RejectReason::WouldTake },
        OrderEvent::Reduced { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL, lots: 3 },
        OrderEvent::Replaced { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL, price_ticks: 102, released_lots: 1 },
        OrderEvent::Ended { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL, reason: EndReason::Cancelled, remaining_lots: 3 },
        OrderEvent::CancelRejected { order_id: ORDER, account: ACCOUNT, symbol: SYMBOL, reason: CancelReason::OutOfRange },
    ]
}

fn trades() -> TradeList {
    let trade = |n: i64| Trade {
        trade_id: n.cast_unsigned(),
        maker_order_id: OrderId(n.cast_unsigned() << 40 | 1),
        maker_account: AccountId(20 + n.cast_unsigned()),
        price_ticks: 100 + n,
        quantity_lots: n,
    };
    TradeList { symbol: SYMBOL, taker_order_id: ORDER, taker_account: ACCOUNT, taker_side: Side::Buy, part: 1, trades: vec![trade(1), trade(2), trade(3)] }
}
