//! The account machine, command by command.

use super::*;
use crate::samples::btcusd;
use wire::{Asset, Balance, Correlation, EndReason, RejectReason, Stamp};

const ANN: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);
const USD: Asset = Asset(*b"USD");
const BTC: Asset = Asset(*b"BTC");
const PARTITION: u32 = 3;

/// A machine, the offset of its next input, and the time.
struct Desk {
    machine: AccountMachine,
    offset: i64,
    now_ms: u64,
}

impl Desk {
    /// BTCUSD is listed; Ann has 100,000 USD and 20 lots of BTC.
    fn open() -> Self {
        let mut desk = Desk { machine: AccountMachine::new(PARTITION), offset: 0, now_ms: 1_000_000_000 };
        assert!(desk.tell(AccountCommand::Listing(btcusd())).is_empty(), "a listing is not answered");
        desk.tell(AccountCommand::Deposit { account: ANN, deposit_id: 1, asset: USD, amount: 100_000 });
        desk.tell(AccountCommand::Deposit { account: ANN, deposit_id: 2, asset: BTC, amount: 20_000 });
        desk
    }

    fn tell(&mut self, command: AccountCommand) -> Vec<(Topic, To, Body)> {
        self.tell_as(command, Correlation([9; 16]))
    }

    fn tell_as(&mut self, command: AccountCommand, correlation: Correlation) -> Vec<(Topic, To, Body)> {
        self.offset += 1;
        let stamp = Stamp { correlation, ..Stamp::default() };
        let mut outputs = Outputs::default();
        self.machine.apply(&[Input { offset: self.offset, time_ms: self.now_ms, stamp, body: Body::AccountCommand(command) }], &mut outputs);
        self.machine.assert_holds_are_exact();
        let told = outputs.take().into_iter().map(|output| {
            assert_eq!((output.correlation, output.cause), (correlation, self.offset), "an answer finds its question");
            (output.topic, output.to, output.body)
        });
        told.collect()
    }

    /// The one event of a command that goes no further.
    fn answer(&mut self, command: AccountCommand) -> AccountEvent {
        match &self.tell(command)[..] {
            [(Topic::AccountEvents, To::SamePartition, Body::AccountEvent(event))] => event.clone(),
            other => panic!("not one event: {other:?}"),
        }
    }

    fn place(&mut self, name: &str, side: Side, price_ticks: i64, quantity_lots: i64) -> OrderId {
        match &self.tell(place(name, side, OrderType::Limit, price_ticks, quantity_lots, self.now_ms))[0].2 {
            Body::AccountEvent(AccountEvent::Placed { order, .. }) => order.order_id,
            other => panic!("not placed: {other:?}"),
        }
    }

    fn balance(&mut self, asset: Asset) -> (i64, i64) {
        match self.answer(AccountCommand::QueryAccount { account: ANN }) {
            AccountEvent::AccountIs { balances, .. } => {
                balances.iter().find(|balance| balance.asset == asset).map_or((0, 0), |balance| (balance.free, balance.locked))
            }
            other => panic!("no balances: {other:?}"),
        }
    }

    fn state(&mut self, name: &str) -> OrderState {
        match self.answer(AccountCommand::QueryOrder { account: ANN, client_order_id: id(name), symbol: btcusd().symbol }) {
            AccountEvent::OrderIs { order, .. } => order,
            other => panic!("no order: {other:?}"),
        }
    }

    fn refusal(&mut self, command: AccountCommand) -> RefusalReason {
        let before = self.machine.state_hash();
        match self.answer(command) {
            AccountEvent::Refused { reason, .. } => {
                assert_eq!(self.machine.state_hash(), before, "a refusal changes nothing");
                reason
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

fn id(name: &str) -> ClientOrderId {
    ClientOrderId(name.into())
}

fn place(name: &str, side: Side, order_type: OrderType, price_ticks: i64, quantity_lots: i64, stamp_ms: u64) -> AccountCommand {
    let (client_order_id, symbol, time_in_force) = (id(name), btcusd().symbol, TimeInForce::Gtc);
    AccountCommand::Place { account: ANN, client_order_id, symbol, side, order_type, time_in_force, price_ticks, quantity_lots, stamp_ms }
}

fn settle(order_id: OrderId, trade_id: u64, side: Side, price_ticks: i64, lots: i64) -> AccountCommand {
    AccountCommand::Settle { account: ANN, order_id, trade_id, symbol: btcusd().symbol, side, price_ticks, lots }
}

fn release(order_id: OrderId, lots: i64, end: Option<EndReason>) -> AccountCommand {
    AccountCommand::Release { account: ANN, order_id, symbol: btcusd().symbol, lots, rejected: None, end }
}

#[test]
fn a_place_holds_answers_and_sends_on_in_this_order() {
    let mut desk = Desk::open();
    let told = desk.tell(place("a", Side::Buy, OrderType::Limit, 100, 5, desk.now_ms));
    let order_id = OrderId(u64::from(PARTITION) << 40 | 1);
    let [(Topic::AccountEvents, To::SamePartition, Body::AccountEvent(AccountEvent::Placed { account: ANN, order, duplicate: false })), sent_on] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((order.order_id, order.status, order.price_ticks, order.accepted_ms), (order_id, OrderStatus::New, 100, desk.now_ms));
    let command = OrderCommand::Place {
        order_id,
        account: ANN,
        symbol: btcusd().symbol,
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        price_ticks: 100,
        quantity_lots: 5,
    };
    assert_eq!(*sent_on, (Topic::OrderCommands, To::Key(b"BTCUSD".to_vec()), Body::OrderCommand(command)));
    assert_eq!(desk.balance(USD), (95_000, 5_000), "5 lots at 100 ticks of 10");
    assert_eq!(desk.place("b", Side::Sell, 200, 2), OrderId(order_id.0 + 1), "ids count on");
    assert_eq!(desk.balance(BTC), (18_000, 2_000));
}

#[test]
fn a_market_buy_is_protected_by_what_it_can_pay() {
    let mut desk = Desk::open();
    let told = desk.tell(place("a", Side::Buy, OrderType::Market, 0, 7, desk.now_ms));
    assert!(matches!(told[1].2, Body::OrderCommand(OrderCommand::Place { price_ticks: 1_428, order_type: OrderType::Market, .. })), "{told:?}");
    assert_eq!(desk.balance(USD), (40, 99_960));
    assert_eq!(desk.refusal(place("b", Side::Buy, OrderType::Market, 0, 7, desk.now_ms)), RefusalReason::InsufficientBalance, "40 do not pay one tick");
}

#[test]
fn what_cannot_be_held_is_refused() {
    let mut desk = Desk::open();
    let limit = |side, price, lots| place("a", side, OrderType::Limit, price, lots, 1_000_000_000);
    assert_eq!(desk.refusal(limit(Side::Buy, 1_000, 11)), RefusalReason::InsufficientBalance);
    assert_eq!(desk.refusal(limit(Side::Sell, 1, 21)), RefusalReason::InsufficientBalance);
    assert_eq!(desk.refusal(limit(Side::Buy, 0, 1)), RefusalReason::PriceOutOfRange);
    assert_eq!(desk.refusal(limit(Side::Buy, 1, 0)), RefusalReason::QuantityOutOfRange);
    assert_eq!(desk.refusal(limit(Side::Buy, 1 << 40, 1 << 30)), RefusalReason::Overflow);
    let AccountCommand::Place { client_order_id, side, order_type, time_in_force, price_ticks, quantity_lots, stamp_ms, .. } = limit(Side::Buy, 1, 1) else {
        unreachable!("it was just made")
    };
    let symbol = Symbol(*b"ETHUSD");
    let unlisted = AccountCommand::Place { account: ANN, client_order_id, symbol, side, order_type, time_in_force, price_ticks, quantity_lots, stamp_ms };
    assert_eq!(desk.refusal(unlisted), RefusalReason::UnknownSymbol);
    assert_eq!(desk.place("a", Side::Buy, 1_000, 10).origin(), (PARTITION, 1), "a refused order takes neither name nor number");
}

#[test]
fn price_improvement_comes_back_and_the_hold_closes() {
    let mut desk = Desk::open();
    let order_id = desk.place("a", Side::Buy, 100, 5);
    let event = desk.answer(settle(order_id, 1, Side::Buy, 90, 2));
    assert_eq!(event, AccountEvent::Settled { account: ANN, order_id, trade_id: 1, base_change: 2_000, quote_change: -1_800, closed: false });
    assert_eq!(desk.balance(USD), (95_200, 3_000));
    assert_eq!(desk.balance(BTC), (22_000, 0));
    assert_eq!((desk.state("a").status, desk.state("a").settled_quote), (OrderStatus::PartiallyFilled, 1_800));
    let event = desk.answer(settle(order_id, 2, Side::Buy, 100, 3));
    assert_eq!(event, AccountEvent::Settled { account: ANN, order_id, trade_id: 2, base_change: 3_000, quote_change: -3_000, closed: true });
    assert_eq!(desk.balance(USD), (95_200, 0));
    assert_eq!(desk.state("a").status, OrderStatus::Filled);
}

#[test]
fn a_seller_receives_the_trades_price() {
    let mut desk = Desk::open();
    let order_id = desk.place("a", Side::Sell, 100, 5);
    let event = desk.answer(settle(order_id, 1, Side::Sell, 110, 5));
    assert_eq!(event, AccountEvent::Settled { account: ANN, order_id, trade_id: 1, base_change: -5_000, quote_change: 5_500, closed: true });
    assert_eq!((desk.balance(USD), desk.balance(BTC)), ((105_500, 0), (15_000, 0)));
}

#[test]
fn settle_and_release_commute() {
    let mut hashes = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut desk = Desk::open();
        let order_id = desk.place("a", Side::Buy, 100, 5);
        let commands = [settle(order_id, 1, Side::Buy, 90, 2), settle(order_id, 2, Side::Buy, 95, 1), release(order_id, 2, Some(EndReason::Cancelled))];
        for (nth, at) in order.into_iter().enumerate() {
            let closed = match desk.answer(commands[at].clone()) {
                AccountEvent::Settled { closed, .. } | AccountEvent::Released { closed, .. } => closed,
                other => panic!("{other:?}"),
            };
            assert_eq!(closed, nth == 2, "the last of the three closes the hold");
        }
        assert_eq!(desk.state("a").status, OrderStatus::Canceled);
        assert_eq!(desk.balance(USD), (97_250, 0), "2 × 90 and 1 × 95 of 10");
        hashes.push(desk.machine.state_hash());
    }
    assert_eq!(hashes, vec![hashes[0]; 6]);
}

#[test]
fn a_repeat_moves_nothing_and_is_not_answered() {
    let mut desk = Desk::open();
    let order_id = desk.place("a", Side::Buy, 100, 5);
    let reduce = release(order_id, 1, None);
    assert_eq!(desk.tell_as(reduce.clone(), Correlation([7; 16])).len(), 1);
    for command in [settle(order_id, 1, Side::Buy, 90, 2), release(order_id, 2, Some(EndReason::Expired))] {
        assert_eq!(desk.tell(command.clone()).len(), 1);
        let before = desk.machine.state_hash();
        assert_eq!(desk.tell(command), []);
        assert_eq!(desk.tell_as(reduce.clone(), Correlation([7; 16])), [], "the same reduction");
        assert_eq!(desk.machine.state_hash(), before);
    }
    assert_eq!((desk.state("a").status, desk.state("a").released_lots), (OrderStatus::Expired, 3));
}

#[test]
fn what_contradicts_its_order_is_refused_whole() {
    let mut desk = Desk::open();
    let order_id = desk.place("a", Side::Buy, 100, 5);
    let table = [
        (settle(order_id, 1, Side::Buy, 101, 1), RefusalReason::PriceOutOfRange),
        (settle(order_id, 1, Side::Buy, 0, 1), RefusalReason::PriceOutOfRange),
        (settle(order_id, 1, Side::Sell, 100, 1), RefusalReason::PriceOutOfRange),
        (settle(order_id, 1, Side::Buy, 100, 6), RefusalReason::QuantityOutOfRange),
        (settle(order_id, 1, Side::Buy, 100, 0), RefusalReason::QuantityOutOfRange),
        (settle(OrderId(9), 1, Side::Buy, 100, 1), RefusalReason::UnknownOrder),
        (release(order_id, 6, Some(EndReason::Cancelled)), RefusalReason::QuantityOutOfRange),
        (release(order_id, -1, None), RefusalReason::QuantityOutOfRange),
        (release(OrderId(9), 1, None), RefusalReason::UnknownOrder),
        (AccountCommand::Release { account: BOB, order_id, symbol: btcusd().symbol, lots: 1, rejected: None, end: None }, RefusalReason::UnknownOrder),
        (
            AccountCommand::Settle { account: ANN, order_id, trade_id: 1, symbol: Symbol(*b"ETHUSD"), side: Side::Buy, price_ticks: 1, lots: 1 },
            RefusalReason::UnknownSymbol,
        ),
    ];
    for (command, reason) in table {
        assert_eq!(desk.refusal(command.clone()), reason, "{command:?}");
    }
}

#[test]
fn proceeds_that_do_not_fit_are_refused() {
    let mut desk = Desk::open();
    desk.tell(AccountCommand::Deposit { account: ANN, deposit_id: 3, asset: USD, amount: SUPPLY_MAX - 100_000 });
    let order_id = desk.place("a", Side::Sell, 1, 20);
    // 2^40 ticks × 20 lots × 10: far more than every account together can have paid.
    assert_eq!(desk.refusal(settle(order_id, 1, Side::Sell, i64::MAX, 1)), RefusalReason::PriceOutOfRange);
    for trade_id in 0..20 {
        desk.tell(settle(order_id, trade_id, Side::Sell, 1 << 40, 1));
    }
    assert_eq!(desk.balance(USD).0, SUPPLY_MAX + 20 * 10 * (1 << 40), "the supply leaves room for 1,024 partitions");
}

#[test]
fn a_name_is_answered_with_its_first_order_also_when_that_ended() {
    let mut desk = Desk::open();
    let order_id = desk.place("a", Side::Buy, 100, 5);
    let again = |desk: &mut Desk| match desk.answer(place("a", Side::Sell, OrderType::Market, 7, 3, 0)) {
        AccountEvent::Placed { order, duplicate: true, .. } => (order.order_id, order.status, order.quantity_lots),
        other => panic!("{other:?}"),
    };
    assert_eq!(again(&mut desk), (order_id, OrderStatus::New, 5), "however old its stamp and whatever it asks for");
    desk.tell(AccountCommand::Release { account: ANN, order_id, symbol: btcusd().symbol, lots: 5, rejected: Some(RejectReason::BookFull), end: None });
    assert_eq!(again(&mut desk), (order_id, OrderStatus::Rejected, 5));
    assert_eq!(desk.balance(USD), (100_000, 0));
}

#[test]
fn an_ended_order_is_forgotten_after_a_day_of_log_time_and_no_repeat_can_come_then() {
    let mut desk = Desk::open();
    let stamp_ms = desk.now_ms;
    let order_id = desk.place("ended", Side::Buy, 100, 5);
    desk.place("open", Side::Buy, 100, 5);
    desk.tell(release(order_id, 5, Some(EndReason::Cancelled)));
    let tick = |desk: &mut Desk, now_ms| {
        desk.now_ms = now_ms;
        assert_eq!(desk.tell(AccountCommand::Tick { time_ms: now_ms }), []);
    };
    tick(&mut desk, stamp_ms + DEDUP_WINDOW_MS);
    assert_eq!(desk.state("ended").order_id, order_id, "a day is not over");
    tick(&mut desk, stamp_ms + DEDUP_WINDOW_MS + 1);
    let query = AccountCommand::QueryOrder { account: ANN, client_order_id: id("ended"), symbol: btcusd().symbol };
    assert_eq!(desk.refusal(query), RefusalReason::UnknownOrder);
    assert_eq!(desk.refusal(place("ended", Side::Buy, OrderType::Limit, 100, 5, stamp_ms)), RefusalReason::TooOld);
    assert_eq!(desk.state("open").status, OrderStatus::New, "an open order is never forgotten");
    let now_ms = desk.now_ms;
    assert!(matches!(
        desk.tell(place("ended", Side::Buy, OrderType::Limit, 100, 5, now_ms))[0].2,
        Body::AccountEvent(AccountEvent::Placed { duplicate: false, .. })
    ));
}

#[test]
fn an_edge_whose_clock_is_ahead_does_not_shorten_the_memory() {
    let mut desk = Desk::open();
    let ahead_ms = desk.now_ms + 5_000;
    desk.tell(place("a", Side::Buy, OrderType::Limit, 100, 5, ahead_ms));
    let order_id = desk.state("a").order_id;
    desk.tell(release(order_id, 5, Some(EndReason::Cancelled)));
    desk.now_ms += DEDUP_WINDOW_MS + 5_000;
    let time_ms = desk.now_ms;
    desk.tell(AccountCommand::Tick { time_ms });
    assert!(matches!(desk.answer(place("a", Side::Buy, OrderType::Limit, 100, 5, ahead_ms)), AccountEvent::Placed { duplicate: true, .. }));
}

#[test]
fn a_cancel_goes_the_same_way_and_only_for_the_owners_open_order() {
    let mut desk = Desk::open();
    let order_id = desk.place("a", Side::Buy, 100, 5);
    let symbol = btcusd().symbol;
    let cancel = |account, name, symbol| AccountCommand::Cancel { account, client_order_id: id(name), symbol };
    let told = desk.tell(cancel(ANN, "a", symbol));
    assert!(matches!(told[0].2, Body::AccountEvent(AccountEvent::CancelSent { .. })), "{told:?}");
    assert_eq!(told[1], (Topic::OrderCommands, To::Key(b"BTCUSD".to_vec()), Body::OrderCommand(OrderCommand::Cancel { order_id, account: ANN, symbol })));
    assert_eq!(desk.balance(USD), (95_000, 5_000), "nothing is free before the engine says so");
    for command in [cancel(BOB, "a", symbol), cancel(ANN, "b", symbol), cancel(ANN, "a", Symbol(*b"ETHUSD"))] {
        assert_eq!(desk.refusal(command), RefusalReason::UnknownOrder);
    }
    desk.tell(release(order_id, 5, Some(EndReason::Cancelled)));
    assert_eq!(desk.refusal(cancel(ANN, "a", symbol)), RefusalReason::UnknownOrder, "it ended");
}

#[test]
fn deposits_and_queries() {
    let mut desk = Desk::open();
    let deposit = |amount| AccountCommand::Deposit { account: ANN, deposit_id: 1, asset: USD, amount };
    assert_eq!(desk.answer(deposit(5)), AccountEvent::Deposited { account: ANN, deposit_id: 1, asset: USD, amount: 5, duplicate: true });
    assert_eq!(desk.refusal(AccountCommand::Deposit { account: ANN, deposit_id: 9, asset: USD, amount: 0 }), RefusalReason::AmountOutOfRange);
    let balances = vec![Balance { asset: BTC, free: 20_000, locked: 0 }, Balance { asset: USD, free: 100_000, locked: 0 }];
    assert_eq!(desk.answer(AccountCommand::QueryAccount { account: ANN }), AccountEvent::AccountIs { account: ANN, balances });
    assert_eq!(desk.answer(AccountCommand::QueryAccount { account: BOB }), AccountEvent::AccountIs { account: BOB, balances: vec![] });
}

#[test]
fn a_listing_counts_once_and_a_senseless_one_never() {
    let mut desk = Desk::open();
    let before = desk.machine.state_hash();
    desk.tell(AccountCommand::Listing(SymbolSpec { base_per_lot: 5, ..btcusd() }));
    desk.tell(AccountCommand::Listing(SymbolSpec { symbol: Symbol(*b"ETHUSD"), lot_step: 0, ..btcusd() }));
    assert_eq!(desk.machine.state_hash(), before);
    desk.tell(AccountCommand::Rules { version: 2 });
    assert_ne!(desk.machine.state_hash(), before, "the rules in force are state");
}
