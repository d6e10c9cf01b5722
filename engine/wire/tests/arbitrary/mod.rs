//! Every message that can be said, in range or not: a frame carries it, a machine judges it.

use proptest::prelude::*;
use wire::ids::{AccountId, Asset, ClientOrderId, Correlation, OrderId, Symbol};
use wire::order::{CancelReason, EndReason, OrderType, RejectReason, Side, SymbolSpec, TimeInForce};
use wire::slot::{Command, Report};
use wire::{
    AccountCommand, AccountEvent, Balance, Body, OrderCommand, OrderEvent, OrderState, OrderStatus, RefusalReason, Source, Stamp, SystemTick, Trade, TradeList,
};

pub fn stamps() -> impl Strategy<Value = Stamp> {
    let source = (any::<u8>(), any::<u8>(), any::<u16>()).prop_map(|(service, input_topic, partition)| Source { service, input_topic, partition });
    (source, any::<u32>(), any::<u32>(), any::<u64>(), any::<i64>(), any::<[u8; 16]>(), any::<u64>()).prop_map(
        |(source, epoch, index, sequence, cause, correlation, log_time_ms)| Stamp {
            source,
            epoch,
            index,
            sequence,
            cause,
            correlation: Correlation(correlation),
            log_time_ms,
        },
    )
}

pub fn bodies() -> impl Strategy<Value = Body> {
    prop_oneof![
        account_commands().prop_map(Body::AccountCommand),
        account_events().prop_map(Body::AccountEvent),
        order_commands().prop_map(Body::OrderCommand),
        order_events().prop_map(Body::OrderEvent),
        trade_lists().prop_map(Body::Trades),
        (any::<u64>(), any::<u64>()).prop_map(|(sequence, time_ms)| Body::SystemTick(SystemTick { sequence, time_ms })),
    ]
}

fn order_id() -> impl Strategy<Value = OrderId> {
    any::<u64>().prop_map(OrderId)
}

fn account() -> impl Strategy<Value = AccountId> {
    any::<u64>().prop_map(AccountId)
}

fn symbol() -> impl Strategy<Value = Symbol> {
    "[A-Z0-9]{6}".prop_map(|text| Symbol::parse(&text).expect("six letters or digits"))
}

fn asset() -> impl Strategy<Value = Asset> {
    "[A-Z]{3}".prop_map(|text| Asset::parse(&text).expect("three letters"))
}

/// Longer and shorter than what an archive keeps in line.
fn client_order_id() -> impl Strategy<Value = ClientOrderId> {
    "[a-zA-Z0-9_-]{1,36}".prop_map(|text| ClientOrderId::parse(&text).expect("its alphabet"))
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn terms() -> impl Strategy<Value = (Side, OrderType, TimeInForce, i64, i64)> {
    let order_type = prop_oneof![Just(OrderType::Limit), Just(OrderType::Market), Just(OrderType::LimitMaker)];
    let time_in_force = prop_oneof![Just(TimeInForce::Gtc), Just(TimeInForce::Ioc), Just(TimeInForce::Fok)];
    (side(), order_type, time_in_force, any::<i64>(), any::<i64>())
}

fn end_reason() -> impl Strategy<Value = EndReason> {
    prop_oneof![Just(EndReason::Filled), Just(EndReason::Cancelled), Just(EndReason::Expired)]
}

fn reject_reason() -> impl Strategy<Value = RejectReason> {
    prop_oneof![
        Just(RejectReason::UnknownSymbol),
        Just(RejectReason::DuplicateOrderId),
        Just(RejectReason::PriceOutOfRange),
        Just(RejectReason::QuantityOutOfRange),
        Just(RejectReason::Overflow),
        Just(RejectReason::WouldTake),
        Just(RejectReason::CannotFill),
        Just(RejectReason::BookFull),
        Just(RejectReason::Halted),
    ]
}

fn cancel_reason() -> impl Strategy<Value = CancelReason> {
    prop_oneof![Just(CancelReason::UnknownOrder), Just(CancelReason::OutOfRange), Just(CancelReason::BookFull), Just(CancelReason::WouldTake)]
}

fn spec() -> impl Strategy<Value = SymbolSpec> {
    ((symbol(), asset(), asset()), any::<[i64; 4]>(), any::<(u8, u32, u8, u32)>()).prop_map(|((symbol, base, quote), numbers, digits)| SymbolSpec {
        symbol,
        base,
        quote,
        base_per_lot: numbers[0],
        quote_per_tick_lot: numbers[1],
        price_ticks_max: numbers[2],
        quantity_lots_max: numbers[3],
        price_decimals: digits.0,
        tick_step: digits.1,
        quantity_decimals: digits.2,
        lot_step: digits.3,
    })
}

fn account_commands() -> impl Strategy<Value = AccountCommand> {
    prop_oneof![
        (account(), any::<u64>(), asset(), any::<i64>()).prop_map(|(account, deposit_id, asset, amount)| AccountCommand::Deposit {
            account,
            deposit_id,
            asset,
            amount
        }),
        (account(), client_order_id(), symbol(), terms(), any::<u64>()).prop_map(|(account, client_order_id, symbol, terms, stamp_ms)| {
            let (side, order_type, time_in_force, price_ticks, quantity_lots) = terms;
            AccountCommand::Place { account, client_order_id, symbol, side, order_type, time_in_force, price_ticks, quantity_lots, stamp_ms }
        }),
        (account(), client_order_id(), symbol()).prop_map(|(account, client_order_id, symbol)| AccountCommand::Cancel { account, client_order_id, symbol }),
        (account(), client_order_id(), symbol()).prop_map(|(account, client_order_id, symbol)| AccountCommand::QueryOrder { account, client_order_id, symbol }),
        account().prop_map(|account| AccountCommand::QueryAccount { account }),
        ((account(), order_id(), symbol(), side()), any::<u64>(), any::<i64>(), any::<i64>()).prop_map(|(who, trade_id, price_ticks, lots)| {
            let (account, order_id, symbol, side) = who;
            AccountCommand::Settle { account, order_id, trade_id, symbol, side, price_ticks, lots }
        }),
        ((account(), order_id(), symbol()), any::<i64>(), prop::option::of(reject_reason()), prop::option::of(end_reason()))
            .prop_map(|((account, order_id, symbol), lots, rejected, end)| AccountCommand::Release { account, order_id, symbol, lots, rejected, end }),
        spec().prop_map(AccountCommand::Listing),
        any::<u64>().prop_map(|time_ms| AccountCommand::Tick { time_ms }),
        any::<u32>().prop_map(|version| AccountCommand::Rules { version }),
    ]
}

fn order_states() -> impl Strategy<Value = OrderState> {
    let status = prop_oneof![
        Just(OrderStatus::New),
        Just(OrderStatus::PartiallyFilled),
        Just(OrderStatus::Filled),
        Just(OrderStatus::Canceled),
        Just(OrderStatus::Rejected),
        Just(OrderStatus::Expired),
    ];
    ((order_id(), client_order_id(), symbol(), terms()), any::<[i64; 3]>(), status, any::<u64>()).prop_map(|(order, amounts, status, accepted_ms)| {
        let (order_id, client_order_id, symbol, (side, order_type, time_in_force, price_ticks, quantity_lots)) = order;
        let [settled_lots, released_lots, settled_quote] = amounts;
        OrderState {
            order_id,
            client_order_id,
            symbol,
            side,
            order_type,
            time_in_force,
            price_ticks,
            quantity_lots,
            settled_lots,
            released_lots,
            settled_quote,
            status,
            accepted_ms,
        }
    })
}

fn account_events() -> impl Strategy<Value = AccountEvent> {
    let balance = (asset(), any::<i64>(), any::<i64>()).prop_map(|(asset, free, locked)| Balance { asset, free, locked });
    let refusal = prop_oneof![
        Just(RefusalReason::InsufficientBalance),
        Just(RefusalReason::UnknownSymbol),
        Just(RefusalReason::PriceOutOfRange),
        Just(RefusalReason::QuantityOutOfRange),
        Just(RefusalReason::Overflow),
        Just(RefusalReason::UnknownOrder),
        Just(RefusalReason::TooOld),
        Just(RefusalReason::AmountOutOfRange),
    ];
    prop_oneof![
        (any::<u32>(), any::<u64>()).prop_map(|(epoch, claim)| AccountEvent::Owned { epoch, claim }),
        (account(), any::<u64>(), asset(), any::<i64>(), any::<bool>()).prop_map(|(account, deposit_id, asset, amount, duplicate)| AccountEvent::Deposited {
            account,
            deposit_id,
            asset,
            amount,
            duplicate
        }),
        (account(), order_states(), any::<bool>()).prop_map(|(account, order, duplicate)| AccountEvent::Placed { account, order, duplicate }),
        (account(), order_states()).prop_map(|(account, order)| AccountEvent::CancelSent { account, order }),
        (account(), order_states()).prop_map(|(account, order)| AccountEvent::OrderIs { account, order }),
        (account(), prop::collection::vec(balance, 0..9)).prop_map(|(account, balances)| AccountEvent::AccountIs { account, balances }),
        (account(), prop::option::of(client_order_id()), refusal).prop_map(|(account, client_order_id, reason)| AccountEvent::Refused {
            account,
            client_order_id,
            reason
        }),
        (account(), order_id(), any::<u64>(), any::<[i64; 2]>(), any::<bool>()).prop_map(
            |(account, order_id, trade_id, [base_change, quote_change], closed)| {
                AccountEvent::Settled { account, order_id, trade_id, base_change, quote_change, closed }
            }
        ),
        (account(), order_id(), any::<i64>(), any::<bool>()).prop_map(|(account, order_id, lots, closed)| AccountEvent::Released {
            account,
            order_id,
            lots,
            closed
        }),
    ]
}

fn order_commands() -> impl Strategy<Value = OrderCommand> {
    prop_oneof![
        (order_id(), account(), symbol(), terms()).prop_map(|(order_id, account, symbol, (side, order_type, time_in_force, price_ticks, quantity_lots))| {
            OrderCommand::Place { order_id, account, symbol, side, order_type, time_in_force, price_ticks, quantity_lots }
        }),
        (order_id(), account(), symbol()).prop_map(|(order_id, account, symbol)| OrderCommand::Cancel { order_id, account, symbol }),
        (order_id(), account(), symbol(), any::<i64>()).prop_map(|(order_id, account, symbol, lots)| OrderCommand::Reduce { order_id, account, symbol, lots }),
        (order_id(), account(), symbol(), any::<[i64; 2]>()).prop_map(|(order_id, account, symbol, [price_ticks, quantity_lots])| OrderCommand::Replace {
            order_id,
            account,
            symbol,
            price_ticks,
            quantity_lots
        }),
        spec().prop_map(OrderCommand::Listing),
        any::<u64>().prop_map(|time_ms| OrderCommand::Tick { time_ms }),
        any::<u32>().prop_map(|version| OrderCommand::Rules { version }),
    ]
}

fn order_events() -> impl Strategy<Value = OrderEvent> {
    let who = || (order_id(), account(), symbol());
    prop_oneof![
        (any::<u32>(), any::<u64>()).prop_map(|(epoch, claim)| OrderEvent::Owned { epoch, claim }),
        who().prop_map(|(order_id, account, symbol)| OrderEvent::Accepted { order_id, account, symbol }),
        (who(), any::<i64>(), reject_reason()).prop_map(|((order_id, account, symbol), quantity_lots, reason)| OrderEvent::Rejected {
            order_id,
            account,
            symbol,
            quantity_lots,
            reason
        }),
        (who(), any::<i64>()).prop_map(|((order_id, account, symbol), lots)| OrderEvent::Reduced { order_id, account, symbol, lots }),
        (who(), any::<[i64; 2]>()).prop_map(|((order_id, account, symbol), [price_ticks, released_lots])| OrderEvent::Replaced {
            order_id,
            account,
            symbol,
            price_ticks,
            released_lots
        }),
        (who(), end_reason(), any::<i64>()).prop_map(|((order_id, account, symbol), reason, remaining_lots)| OrderEvent::Ended {
            order_id,
            account,
            symbol,
            reason,
            remaining_lots
        }),
        (who(), cancel_reason()).prop_map(|((order_id, account, symbol), reason)| OrderEvent::CancelRejected { order_id, account, symbol, reason }),
    ]
}

fn trade_lists() -> impl Strategy<Value = TradeList> {
    let trade = (any::<u64>(), order_id(), account(), any::<[i64; 2]>()).prop_map(|(trade_id, maker_order_id, maker_account, [price_ticks, quantity_lots])| {
        Trade { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots }
    });
    (symbol(), order_id(), account(), side(), any::<u32>(), prop::collection::vec(trade, 0..20)).prop_map(
        |(symbol, taker_order_id, taker_account, taker_side, part, trades)| TradeList { symbol, taker_order_id, taker_account, taker_side, part, trades },
    )
}

pub fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        (symbol(), order_id(), account(), terms()).prop_map(|(symbol, order_id, account, (side, order_type, time_in_force, price_ticks, quantity_lots))| {
            Command::Place { symbol, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots }
        }),
        (symbol(), order_id(), account()).prop_map(|(symbol, order_id, account)| Command::Cancel { symbol, order_id, account }),
        (symbol(), order_id(), account(), any::<i64>()).prop_map(|(symbol, order_id, account, lots)| Command::Reduce { symbol, order_id, account, lots }),
        (symbol(), order_id(), account(), any::<[i64; 2]>()).prop_map(|(symbol, order_id, account, [price_ticks, quantity_lots])| Command::Replace {
            symbol,
            order_id,
            account,
            price_ticks,
            quantity_lots
        }),
    ]
}

pub fn reports() -> impl Strategy<Value = Report> {
    prop_oneof![
        (order_id(), account()).prop_map(|(order_id, account)| Report::Accepted { order_id, account }),
        (reject_reason(), order_id(), account(), any::<i64>()).prop_map(|(reason, order_id, account, quantity_lots)| Report::Rejected {
            reason,
            order_id,
            account,
            quantity_lots
        }),
        (any::<u64>(), order_id(), account(), any::<[i64; 2]>()).prop_map(|(trade_id, maker_order_id, maker_account, [price_ticks, quantity_lots])| {
            Report::Traded { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots }
        }),
        (end_reason(), order_id(), account(), any::<i64>()).prop_map(|(reason, order_id, account, remaining_lots)| Report::Ended {
            reason,
            order_id,
            account,
            remaining_lots
        }),
        (order_id(), account(), any::<i64>()).prop_map(|(order_id, account, lots)| Report::Reduced { order_id, account, lots }),
        (side(), order_id(), account(), any::<[i64; 2]>()).prop_map(|(side, order_id, account, [price_ticks, released_lots])| Report::Replaced {
            side,
            order_id,
            account,
            price_ticks,
            released_lots
        }),
        (cancel_reason(), order_id(), account()).prop_map(|(reason, order_id, account)| Report::CancelRejected { reason, order_id, account }),
    ]
}
