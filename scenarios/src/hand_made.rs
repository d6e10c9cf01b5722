//! A small honest day of trading, written by hand, and ways to spoil it: what the invariants are tested with.
//!
//! The seller (account 2) offers 5 lots at 100; the buyer (account 1) takes 3 of them with a limit of 101; both are settled, the rest is cancelled and
//! released; both are told in the end.

use crate::evidence::{ClientStep, Evidence, Place, Read, Settling};
use crate::operation::{Answer, Ask, Operation};
use log::Delivered;
use log::history::Phase;
use services::ports::store::{OrderEndRow, Row, TradeRow};
use std::collections::BTreeMap;
use wire::*;

/// The day and what is needed to go on with it.
pub struct Day {
    pub evidence: Evidence,
    pub spec: SymbolSpec,
    pub buyer: AccountId,
    pub seller: AccountId,
    raw: BTreeMap<Place, Vec<Read>>,
    sequences: BTreeMap<Place, u64>,
    cause: i64,
    offset: i64,
    epoch: u32,
    writer: String,
}

const ACCOUNT: Source = Source { service: 1, input_topic: Topic::AccountCommands as u8, partition: 0 };
const MATCHING: Source = Source { service: 2, input_topic: Topic::OrderCommands as u8, partition: 0 };

/// The symbol of the day: one minor unit per lot, and per lot and tick.
pub fn spec() -> SymbolSpec {
    SymbolSpec {
        symbol: Symbol(*b"BTCUSD"),
        base: Asset(*b"BTC"),
        quote: Asset(*b"USD"),
        base_per_lot: 1,
        quote_per_tick_lot: 1,
        price_ticks_max: 1_000_000,
        quantity_lots_max: 1_000_000,
        price_decimals: 2,
        tick_step: 1,
        quantity_decimals: 3,
        lot_step: 1,
    }
}

/// Changes every body of a topic.
pub fn change(evidence: &mut Evidence, topic: Topic, mut how: impl FnMut(&mut Body)) {
    for (_, log) in evidence.logs.iter_mut().filter(|((name, _), _)| *name == topic) {
        log.iter_mut().for_each(|read| how(&mut read.body));
    }
}

/// Takes records out of a topic.
pub fn remove(evidence: &mut Evidence, topic: Topic, which: impl Fn(&Body) -> bool) {
    for (_, log) in evidence.logs.iter_mut().filter(|((name, _), _)| *name == topic) {
        log.retain(|read| !which(&read.body));
    }
}

/// The whole day.
pub fn a_day() -> Day {
    let (spec, buyer, seller) = (spec(), AccountId(1), AccountId(2));
    let settling = Settling { healed_ms: 60_000, settled_ms: Some(63_200), bound_ms: 60_000, open: Vec::new(), read_to_end: true };
    let evidence = Evidence {
        transactions: true,
        specs: vec![spec],
        settling,
        partitions_of: Topic::ALL.into_iter().map(|topic| (topic, 1)).collect(),
        tick_ms: 1_000,
        ..Evidence::default()
    };
    let (raw, sequences, writer) = (BTreeMap::new(), BTreeMap::new(), "account-1".to_owned());
    let mut day = Day { evidence, spec, buyer, seller, raw, sequences, cause: 0, offset: 0, epoch: 1, writer };
    day.claim(1);
    day.journal(AccountEvent::Deposited { account: seller, deposit_id: 1, asset: spec.base, amount: 10, duplicate: false });
    day.journal(AccountEvent::Deposited { account: buyer, deposit_id: 1, asset: spec.quote, amount: 1_000_000, duplicate: false });
    let listing = day.command(OrderCommand::Listing(spec));
    assert_eq!(listing, 0, "the listing is the first command");
    day.journal(AccountEvent::Placed { account: seller, order: order(1, "s-1", Side::Sell, 100, 5), duplicate: false });
    let rests = day.command(place(1, seller, Side::Sell, 100, 5));
    day.journal(AccountEvent::Placed { account: buyer, order: order(2, "b-1", Side::Buy, 101, 3), duplicate: false });
    let takes = day.command(place(2, buyer, Side::Buy, 101, 3));
    let symbol = spec.symbol;
    day.event(-1, OrderEvent::Owned { epoch: 1, claim: 7 });
    day.event(rests, OrderEvent::Accepted { order_id: OrderId(1), account: seller, symbol });
    day.event(takes, OrderEvent::Accepted { order_id: OrderId(2), account: buyer, symbol });
    day.trade(takes, 1);
    day.event(takes, OrderEvent::Ended { order_id: OrderId(2), account: buyer, symbol, reason: EndReason::Filled, remaining_lots: 0 });
    day.journal(AccountEvent::Settled { account: seller, order_id: OrderId(1), trade_id: 1, base_change: -3, quote_change: 300, closed: false });
    day.journal(AccountEvent::Settled { account: buyer, order_id: OrderId(2), trade_id: 1, base_change: 3, quote_change: -300, closed: true });
    day.journal(AccountEvent::CancelSent { account: seller, order: order(1, "s-1", Side::Sell, 100, 5) });
    let cancels = day.command(OrderCommand::Cancel { order_id: OrderId(1), account: seller, symbol });
    day.event(cancels, OrderEvent::Ended { order_id: OrderId(1), account: seller, symbol, reason: EndReason::Cancelled, remaining_lots: 2 });
    day.journal(AccountEvent::Released { account: seller, order_id: OrderId(1), lots: 2, closed: true });
    day.evidence.hashes = vec![crate::invariants::replayed(&day.evidence, "matching_engine", 0, cancels)];
    day.evidence.rows = rows(&day);
    day.tell("client-1", Phase::Ok, false, "b-1", Answer::Order { order_id: 2, status: 0, executed_lots: 0, executed_quote: 0 });
    day.tell("client-2", Phase::Ok, false, "s-1", Answer::Order { order_id: 1, status: 0, executed_lots: 0, executed_quote: 0 });
    day.tell("client-1", Phase::Ok, true, "b-1", Answer::Order { order_id: 2, status: 2, executed_lots: 3, executed_quote: 300 });
    day.tell("client-2", Phase::Ok, true, "s-1", Answer::Order { order_id: 1, status: 3, executed_lots: 3, executed_quote: 300 });
    day
}

/// What the recorder stored of the day.
fn rows(day: &Day) -> Vec<Row> {
    let trade = TradeRow {
        symbol: day.spec.symbol,
        trade_id: 1,
        taker_order_id: 2,
        taker_account: day.buyer.0,
        taker_buys: true,
        maker_order_id: 1,
        maker_account: day.seller.0,
        price_ticks: 100,
        quantity_lots: 3,
    };
    let end = |id, account, reason, lots| Row::OrderEnd(OrderEndRow::ended(OrderId(id), account, day.spec.symbol, reason, lots));
    vec![Row::Trade(trade), end(1, day.seller, EndReason::Cancelled, 2), end(2, day.buyer, EndReason::Filled, 0)]
}

fn order(id: u64, name: &str, side: Side, price_ticks: i64, quantity_lots: i64) -> OrderState {
    OrderState {
        order_id: OrderId(id),
        client_order_id: ClientOrderId(name.to_owned()),
        symbol: spec().symbol,
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        price_ticks,
        quantity_lots,
        settled_lots: 0,
        released_lots: 0,
        settled_quote: 0,
        status: OrderStatus::New,
        accepted_ms: 0,
    }
}

fn place(id: u64, account: AccountId, side: Side, price_ticks: i64, quantity_lots: i64) -> OrderCommand {
    let (symbol, order_type, time_in_force) = (spec().symbol, OrderType::Limit, TimeInForce::Gtc);
    OrderCommand::Place { order_id: OrderId(id), account, symbol, side, order_type, time_in_force, price_ticks, quantity_lots }
}

impl Day {
    /// The next record of the journal.
    pub fn journal(&mut self, event: AccountEvent) {
        let (cause, epoch) = (self.next_cause(), self.epoch);
        self.put(Topic::AccountEvents, ACCOUNT, epoch, cause, Body::AccountEvent(event));
    }

    /// A new owner of the journal.
    pub fn claim(&mut self, epoch: u32) {
        self.epoch = epoch;
        let stamp = Stamp { source: ACCOUNT, epoch, cause: self.cause, ..Stamp::default() };
        self.push(Topic::AccountEvents, stamp, Body::AccountEvent(AccountEvent::Owned { epoch, claim: u64::from(epoch) * 11 }));
    }

    /// A record of a former owner.
    pub fn zombie(&mut self, epoch: u32) {
        let stamp = Stamp { source: ACCOUNT, epoch, cause: self.next_cause(), sequence: 99, ..Stamp::default() };
        self.push(Topic::AccountEvents, stamp, Body::AccountEvent(AccountEvent::AccountIs { account: self.buyer, balances: Vec::new() }));
    }

    /// From here on this node writes.
    pub fn writer(&mut self, node: &str) {
        self.writer = node.to_owned();
    }

    /// The last record of a topic comes again.
    pub fn repeat_last(&mut self, topic: Topic) {
        let last = self.raw[&(topic, 0)].last().expect("the day wrote to every topic").clone();
        self.push(topic, last.stamp, last.body);
    }

    /// One record of the topic goes missing.
    pub fn skip_sequence(&mut self, topic: Topic) {
        *self.sequences.get_mut(&(topic, 0)).expect("the day wrote to every topic") += 1;
    }

    /// Markers and aborted records take offsets.
    pub fn skip_offsets(&mut self, offsets: i64) {
        self.offset += offsets;
    }

    pub fn place_again_under_another_id(&mut self) {
        self.journal(AccountEvent::Placed { account: self.seller, order: order(9, "s-1", Side::Sell, 100, 5), duplicate: false });
    }

    pub fn answer_again(&mut self) {
        self.journal(AccountEvent::Placed { account: self.seller, order: order(1, "s-1", Side::Sell, 100, 5), duplicate: true });
    }

    pub fn trade_again(&mut self) {
        let cause = self.next_cause();
        self.trade(cause, 2);
    }

    pub fn settle_again(&mut self) {
        self.journal(AccountEvent::Settled { account: self.seller, order_id: OrderId(1), trade_id: 1, base_change: -3, quote_change: 300, closed: false });
    }

    /// The buyer's first attempt ended in doubt.
    pub fn doubt_buyer(&mut self) {
        let mut step = self.step("client-1", Phase::Unknown, false, "b-1", None);
        step.op += 1000;
        self.evidence.clients.push(step);
    }

    pub fn tell_buyer(&mut self, phase: Phase, last_word: bool, answer: Answer) {
        self.tell("client-1", phase, last_word, "b-1", answer);
    }

    fn tell(&mut self, node: &str, phase: Phase, last_word: bool, name: &str, answer: Answer) {
        let step = self.step(node, phase, last_word, name, Some(answer));
        self.evidence.clients.push(step);
    }

    fn step(&self, node: &str, phase: Phase, last_word: bool, name: &str, answer: Option<Answer>) -> ClientStep {
        let (account, side) = if node == "client-1" { (self.buyer.0, Side::Buy) } else { (self.seller.0, Side::Sell) };
        let ask = match last_word {
            true => Ask::Query { client_order_id: name.to_owned(), symbol: self.spec.symbol.as_str().to_owned() },
            false => Ask::place(name, self.spec.symbol, side, OrderType::Limit, TimeInForce::Gtc, 100, 3),
        };
        let operation = Operation { account, gateway: "api_gateway-1".to_owned(), attempt: 0, last_word, ask, answer };
        let op = self.evidence.clients.len() as u64;
        ClientStep { at_us: op * 1000, node: node.to_owned(), op, phase, operation }
    }

    fn command(&mut self, command: OrderCommand) -> i64 {
        let at = self.raw.get(&(Topic::OrderCommands, 0)).map_or(0, |_| self.offset);
        self.offset = at;
        match command {
            OrderCommand::Listing(_) => self.push(Topic::OrderCommands, Stamp { cause: -1, ..Stamp::default() }, Body::OrderCommand(command)),
            _ => {
                let (cause, epoch) = (self.next_cause(), self.epoch);
                self.put(Topic::OrderCommands, ACCOUNT, epoch, cause, Body::OrderCommand(command));
            }
        }
        at
    }

    fn event(&mut self, cause: i64, event: OrderEvent) {
        match event {
            OrderEvent::Owned { epoch, .. } => {
                self.push(Topic::OrderEvents, Stamp { source: MATCHING, epoch, cause, ..Stamp::default() }, Body::OrderEvent(event))
            }
            _ => self.put(Topic::OrderEvents, MATCHING, 1, cause, Body::OrderEvent(event)),
        }
    }

    fn trade(&mut self, cause: i64, trade_id: u64) {
        let trades = vec![Trade { trade_id, maker_order_id: OrderId(1), maker_account: self.seller, price_ticks: 100, quantity_lots: 3 }];
        let (symbol, taker_order_id, taker_account, taker_side) = (self.spec.symbol, OrderId(2), self.buyer, Side::Buy);
        self.put(Topic::TradeExecuted, MATCHING, 1, cause, Body::Trades(TradeList { symbol, taker_order_id, taker_account, taker_side, part: 0, trades }));
    }

    fn next_cause(&mut self) -> i64 {
        self.cause += 1;
        self.cause
    }

    /// A machine's record: the next sequence, and an index above all before it.
    fn put(&mut self, topic: Topic, source: Source, epoch: u32, cause: i64, body: Body) {
        let sequence = self.sequences.entry((topic, 0)).or_insert(0);
        *sequence += 1;
        let stamp = Stamp { source, epoch, index: *sequence as u32, sequence: *sequence, cause, ..Stamp::default() };
        self.push(topic, stamp, body);
    }

    fn push(&mut self, topic: Topic, stamp: Stamp, body: Body) {
        let timestamp_ms = stamp.log_time_ms.cast_signed();
        let value = Some(wire::frame::encode(&stamp, &body));
        self.evidence.raw.entry((topic, 0)).or_default().push(Delivered { offset: self.offset, timestamp_ms, key: None, value });
        let crc = self.raw.values().map(Vec::len).sum::<usize>() as u32 + 1;
        self.evidence.senders.insert(crc, vec![self.writer.clone()]);
        self.raw.entry((topic, 0)).or_default().push(Read { offset: self.offset, crc, stamp, body });
        self.offset += 1;
        self.evidence.logs.clear();
        self.evidence.dropped.clear();
        for (place, log) in &self.raw {
            self.evidence.read(*place, log.clone());
        }
    }
}
