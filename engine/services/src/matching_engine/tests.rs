//! The matching machine, step by step.

use super::*;
use crate::samples::btcusd;
use proptest::prelude::*;
use wire::{AccountId, CancelReason, Correlation, EndReason, OrderId, OrderType, RejectReason, Side, Stamp, TimeInForce};

const ANN: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);

fn machine() -> MatchingMachine<Fast> {
    MatchingService::fast(2_000, 100).machine(0)
}

fn input(offset: i64, command: OrderCommand) -> Input {
    let correlation = Correlation([offset as u8; 16]);
    Input { offset, time_ms: 7, stamp: Stamp { correlation, ..Stamp::default() }, body: Body::OrderCommand(command) }
}

fn inputs(commands: impl IntoIterator<Item = OrderCommand>) -> Vec<Input> {
    (1..).zip(commands).map(|(offset, command)| input(offset, command)).collect()
}

fn place(id: u64, account: AccountId, side: Side, price_ticks: i64, quantity_lots: i64) -> OrderCommand {
    let (order_type, time_in_force) = (OrderType::Limit, TimeInForce::Gtc);
    OrderCommand::Place { order_id: OrderId(id), account, symbol: btcusd().symbol, side, order_type, time_in_force, price_ticks, quantity_lots }
}

/// Cause, topic, whether it is correlated, and the message, of everything that comes out.
fn run<B: Book + Send + 'static>(machine: &mut MatchingMachine<B>, inputs: &[Input]) -> Vec<(i64, Topic, bool, Body)> {
    let mut outputs = Outputs::default();
    machine.apply(inputs, &mut outputs);
    let told = outputs.take().into_iter().map(|output| {
        assert_eq!(output.to, To::SamePartition);
        let is_correlated = output.correlation != Correlation::default();
        assert!(!is_correlated || output.correlation == Correlation([output.cause as u8; 16]), "an answer carries its own question's correlation");
        (output.cause, output.topic, is_correlated, output.body)
    });
    told.collect()
}

fn event(cause: i64, is_correlated: bool, event: OrderEvent) -> (i64, Topic, bool, Body) {
    (cause, Topic::OrderEvents, is_correlated, Body::OrderEvent(event))
}

#[test]
fn a_step_is_one_list_of_trades_and_then_what_happened_to_each_order() {
    let symbol = btcusd().symbol;
    let commands = [
        OrderCommand::Listing(btcusd()),
        place(1, ANN, Side::Sell, 100, 2),
        place(2, ANN, Side::Sell, 101, 2),
        place(3, BOB, Side::Buy, 101, 3),
        OrderCommand::Cancel { order_id: OrderId(2), account: ANN, symbol },
    ];
    let trade =
        |trade_id, maker, price_ticks, quantity_lots| Trade { trade_id, maker_order_id: OrderId(maker), maker_account: ANN, price_ticks, quantity_lots };
    let trades = vec![trade(1, 1, 100, 2), trade(2, 2, 101, 1)];
    let list = TradeList { symbol, taker_order_id: OrderId(3), taker_account: BOB, taker_side: Side::Buy, part: 0, trades };
    let accepted = |id, account| OrderEvent::Accepted { order_id: OrderId(id), account, symbol };
    let ended = |id, account, reason, remaining_lots| OrderEvent::Ended { order_id: OrderId(id), account, symbol, reason, remaining_lots };
    let expected = vec![
        event(2, true, accepted(1, ANN)),
        event(3, true, accepted(2, ANN)),
        (4, Topic::TradeExecuted, true, Body::Trades(list)),
        event(4, true, accepted(3, BOB)),
        event(4, false, ended(1, ANN, EndReason::Filled, 0)),
        event(4, true, ended(3, BOB, EndReason::Filled, 0)),
        event(5, true, ended(2, ANN, EndReason::Cancelled, 1)),
    ];
    assert_eq!(run(&mut machine(), &inputs(commands)), expected);
}

#[test]
fn a_symbol_opens_with_its_listing_and_not_before() {
    let symbol = btcusd().symbol;
    let (order_id, account) = (OrderId(1), ANN);
    let commands = [
        place(1, ANN, Side::Buy, 100, 5),
        OrderCommand::Cancel { order_id, account, symbol },
        OrderCommand::Listing(SymbolSpec { price_ticks_max: 0, ..btcusd() }),
        place(1, ANN, Side::Buy, 100, 5),
        OrderCommand::Listing(btcusd()),
        OrderCommand::Listing(SymbolSpec { price_ticks_max: 1, ..btcusd() }),
        place(1, ANN, Side::Buy, 100, 5),
    ];
    let rejected = OrderEvent::Rejected { order_id, account, symbol, quantity_lots: 5, reason: RejectReason::UnknownSymbol };
    let expected = vec![
        event(1, true, rejected),
        event(2, true, OrderEvent::CancelRejected { order_id, account, symbol, reason: CancelReason::UnknownOrder }),
        event(4, true, rejected),
        event(7, true, OrderEvent::Accepted { order_id, account, symbol }),
    ];
    assert_eq!(run(&mut machine(), &inputs(commands)), expected);
}

#[test]
fn a_replaced_order_takes_on_its_own_side() {
    let symbol = btcusd().symbol;
    let commands = [
        OrderCommand::Listing(btcusd()),
        place(1, ANN, Side::Sell, 110, 5),
        place(2, BOB, Side::Buy, 100, 5),
        OrderCommand::Replace { order_id: OrderId(1), account: ANN, symbol, price_ticks: 100, quantity_lots: 4 },
    ];
    let told = run(&mut machine(), &inputs(commands));
    let list = told.iter().find_map(|(_, _, _, body)| if let Body::Trades(list) = body { Some(list) } else { None }).expect("it crosses");
    assert_eq!((list.taker_order_id, list.taker_side, list.trades.len()), (OrderId(1), Side::Sell, 1));
    let replaced = OrderEvent::Replaced { order_id: OrderId(1), account: ANN, symbol, price_ticks: 100, released_lots: 1 };
    assert!(told.contains(&event(4, true, replaced)), "{told:?}");
}

/// More fills than a message holds, and more reports than a ring.
#[test]
fn a_long_step_is_split_into_numbered_parts() {
    let makers = 1_300;
    let resting = (1..=makers).map(|id| place(id, ANN, Side::Sell, 100, 1));
    let commands: Vec<OrderCommand> = [OrderCommand::Listing(btcusd())].into_iter().chain(resting).chain([place(5_000, BOB, Side::Buy, 100, 1_300)]).collect();
    let told = run(&mut machine(), &inputs(commands));
    let lists: Vec<&TradeList> = told.iter().filter_map(|(_, _, _, body)| if let Body::Trades(list) = body { Some(list) } else { None }).collect();
    assert_eq!(lists.iter().map(|list| (list.part, list.trades.len())).collect::<Vec<_>>(), [(0, 512), (1, 512), (2, 276)]);
    let trade_ids: Vec<u64> = lists.iter().flat_map(|list| &list.trades).map(|trade| trade.trade_id).collect();
    assert_eq!(trade_ids, (1..=makers).collect::<Vec<_>>());
}

#[test]
fn what_governs_and_what_is_foreign_puts_nothing_out() {
    let mut machine = machine();
    let before = machine.state_hash();
    let foreign = Input { body: Body::SystemTick(wire::SystemTick { sequence: 1, time_ms: 1 }), ..input(9, OrderCommand::Tick { time_ms: 1 }) };
    assert_eq!(run(&mut machine, &[input(1, OrderCommand::Tick { time_ms: 5 }), foreign]), []);
    assert_eq!(machine.state_hash(), before);
    assert_eq!(run(&mut machine, &[input(10, OrderCommand::Rules { version: 3 })]), []);
    assert_ne!(machine.state_hash(), before, "the rules in force are state");
}

fn command() -> impl Strategy<Value = OrderCommand> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let other = SymbolSpec { symbol: Symbol(*b"ETHUSD"), ..btcusd() };
    let symbol = prop_oneof![3 => Just(btcusd().symbol), 1 => Just(other.symbol)];
    prop_oneof![
        1 => prop_oneof![Just(OrderCommand::Listing(btcusd())), Just(OrderCommand::Listing(other)), Just(OrderCommand::Tick { time_ms: 1 })],
        8 => (1..40_u64, side, 98..103_i64, 1..6_i64, symbol.clone()).prop_map(|(id, side, price_ticks, quantity_lots, symbol)| OrderCommand::Place {
            order_id: OrderId(id),
            account: ANN,
            symbol,
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price_ticks,
            quantity_lots,
        }),
        3 => (1..40_u64, symbol).prop_map(|(id, symbol)| OrderCommand::Cancel { order_id: OrderId(id), account: ANN, symbol }),
    ]
}

proptest! {
    /// The rings are stepped by another stream of chance in each machine, and the batches differ, and so do the books: nothing of it shows.
    #[test]
    fn neither_batches_nor_rings_nor_books_show(commands in prop::collection::vec(command(), 1..120), sizes in prop::collection::vec(1..20_usize, 1..20)) {
        let inputs = inputs(commands);
        let (mut whole, mut parts) = (MatchingService::naive(2_000, 100).machine(0), machine());
        let expected = run(&mut whole, &inputs);
        let mut told = Vec::new();
        let mut left = inputs.as_slice();
        for size in sizes.iter().cycle() {
            if left.is_empty() {
                break;
            }
            let (batch, rest) = left.split_at(left.len().min(*size));
            told.extend(run(&mut parts, batch));
            left = rest;
        }
        prop_assert_eq!(told, expected);
        prop_assert_eq!(parts.state_hash(), whole.state_hash());
    }
}
