//! Real order flow through the naive book, compared with the recorded book row by row.
//!
//! `LOCKSTEP_DATA` names the folder of `*_message_*.csv` and `*_orderbook_*.csv` pairs; `../shared/data` beside the workspace if it is not set.

#![allow(clippy::disallowed_methods, reason = "reads files from the real disk")]

use book::{Book, BookConfig, Level, Naive};
use services::flow::lobster::{Event, Message, Row, messages, order_book};
use services::flow::{Action, Mapping, player};
use std::path::PathBuf;
use wire::ids::{AccountId, OrderId, Symbol};
use wire::order::{OrderType, Side, TimeInForce};
use wire::slot::{Command, Report};

/// A cent, in LOBSTER's price units.
const TICK: i64 = 100;

const SAMPLE: &str = "AAPL_2012-06-21_34200000_57600000";

/// A book, and what it must never say to real flow.
struct Exchange {
    book: Naive,
    reports: Vec<Report>,
}

impl Exchange {
    fn new() -> Self {
        let config = BookConfig { price_ticks_max: 1_000_000, quantity_lots_max: 1_000_000, orders_max: 10_000, levels_max: 10_000, origins_max: 16 };
        Exchange { book: Naive::new(config), reports: Vec::new() }
    }

    fn play(&mut self, actions: &[Action]) {
        self.reports.clear();
        for action in actions {
            self.book.apply(&command(action), &mut self.reports);
        }
        for report in &self.reports {
            assert!(!matches!(report, Report::Rejected { .. } | Report::CancelRejected { .. }), "{actions:?} led to {report:?}");
        }
    }

    fn ten_best(&self, side: Side) -> Vec<(i64, i64)> {
        let mut levels: Vec<Level> = Vec::new();
        self.book.depth(side, 10, &mut levels);
        levels.into_iter().map(|level| (level.price_ticks, level.lots)).collect()
    }

    fn row(&self) -> Row {
        Row { asks: self.ten_best(Side::Sell), bids: self.ten_best(Side::Buy) }
    }

    /// The maker of the one trade of the last actions.
    fn maker(&self) -> Option<u64> {
        let mut makers = self.reports.iter().filter_map(|report| match report {
            Report::Traded { maker_order_id, .. } => Some(maker_order_id.0),
            _ => None,
        });
        makers.next().filter(|_| makers.next().is_none())
    }
}

fn command(action: &Action) -> Command {
    let (symbol, account) = (Symbol(*b"AAPLUS"), AccountId(1));
    let place = |number, side, time_in_force, price_ticks, quantity_lots| Command::Place {
        symbol,
        side,
        order_type: OrderType::Limit,
        time_in_force,
        order_id: OrderId(number),
        account,
        price_ticks,
        quantity_lots,
    };
    match *action {
        Action::Rest { number, side, price_ticks, lots } => place(number, side, TimeInForce::Gtc, price_ticks, lots),
        Action::Take { number, side, price_ticks, lots } => place(number, side, TimeInForce::Ioc, price_ticks, lots),
        Action::Reduce { number, lots, .. } => Command::Reduce { symbol, order_id: OrderId(number), account, lots },
        Action::Cancel { number } => Command::Cancel { symbol, order_id: OrderId(number), account },
    }
}

/// For a player that has only place and cancel, milliseconds, and no rows but the first: every executed share is traded, but for the 77 of the four
/// executions of orders that nobody saw.
#[test]
fn the_sample_becomes_orders_of_clients() {
    let Some((messages, rows)) = sample() else { return };
    let orders = player::orders(&messages, Some(&rows[0]));
    assert!(orders.is_sorted_by_key(|order| order.at_ms));
    assert!(orders.iter().all(|order| order.cancel_at_ms.is_none_or(|cancel_at_ms| cancel_at_ms >= order.at_ms)));
    let mut events: Vec<(u64, usize, bool)> = Vec::new();
    for (n, order) in orders.iter().enumerate() {
        events.push((order.at_ms, n, false));
        events.extend(order.cancel_at_ms.map(|at_ms| (at_ms, n, true)));
    }
    events.sort_unstable_by_key(|(at_ms, n, is_cancel)| (*at_ms, *is_cancel, *n));
    let (mut exchange, mut traded_lots) = (Exchange::new(), 0);
    for (_, n, is_cancel) in events {
        let (number, player::Order { side, price_ticks, lots, time_in_force, .. }) = (n as u64 + 1, orders[n]);
        exchange.reports.clear();
        let action = match time_in_force {
            _ if is_cancel => Action::Cancel { number },
            TimeInForce::Ioc => Action::Take { number, side, price_ticks, lots },
            _ => Action::Rest { number, side, price_ticks, lots },
        };
        exchange.book.apply(&command(&action), &mut exchange.reports);
        for report in &exchange.reports {
            traded_lots += if let Report::Traded { quantity_lots, .. } = report { *quantity_lots } else { 0 };
        }
    }
    let executed_lots: i64 = messages.iter().filter(|message| message.event == Event::Execute).map(|message| message.lots).sum();
    let (takers, cancels) =
        (orders.iter().filter(|order| order.time_in_force == TimeInForce::Ioc).count(), orders.iter().filter_map(|order| order.cancel_at_ms).count());
    println!("{} orders: {takers} takers, {cancels} cancelled; {traded_lots} of {executed_lots} executed shares", orders.len());
    assert_eq!((orders.len(), takers, cancels, traded_lots, executed_lots), (585, 94, 369, 4_653, 4_730));
}

/// The sample's messages and rows; nothing, with a printed reason, where the files are not.
fn sample() -> Option<(Vec<Message>, Vec<Row>)> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    let folder = std::env::var_os("LOCKSTEP_DATA").map_or_else(beside, PathBuf::from);
    let read = |kind: &str| {
        let path = folder.join(format!("{SAMPLE}_{kind}_10.csv"));
        let text = std::fs::read_to_string(&path).map_err(|error| println!("skipped: {}: {error}", path.display())).ok()?;
        Some((path.display().to_string(), text))
    };
    let ((message_file, message_text), (row_file, row_text)) = (read("message")?, read("orderbook")?);
    let messages = messages(&message_file, &message_text, TICK).expect("the sample is well formed");
    let rows = order_book(&row_file, &row_text, TICK).expect("the sample is well formed");
    assert_eq!((messages.len(), rows.len()), (999, 999), "one row per message");
    Some((messages, rows))
}

/// With the rows at hand for what comes back into sight, every row is met in all ten levels of both sides. No reader of the files can know those
/// levels before: messages beyond the tenth level are not recorded. There are 320 of them among 19,980, at most one or two with a message that took
/// a better level away, and all but 14 hold what they held when they were last seen. Hidden executions (61 messages) change no visible level.
#[test]
fn every_row_is_met_but_for_what_came_into_sight_with_it() {
    let Some((messages, rows)) = sample() else { return };
    let (mut exchange, mut mapping, mut actions) = (Exchange::new(), Mapping::new(), Vec::new());
    mapping.seed(&rows[0], &messages[0], &mut actions);
    exchange.play(&actions);
    let (mut unknowable, mut executions) = (0, 0);
    for (k, message) in messages.iter().enumerate() {
        actions.clear();
        let named = mapping.number(message.order_id, message.side, message.price_ticks);
        mapping.message(message, &mut actions);
        exchange.play(&actions);
        if message.event == Event::Execute {
            assert_eq!(exchange.maker(), named, "message {}: price-time priority picks the order that was executed", k + 1);
            executions += 1;
        }
        if k > 0 {
            actions.clear();
            unknowable += mapping.reveal(&rows[k - 1], message, &rows[k], &mut actions).len();
            exchange.play(&actions);
        }
        assert_eq!(exchange.row(), rows[k], "row {}", k + 1);
    }
    println!("999 rows met; of 19,980 levels {unknowable} came into sight, {} of them changed while out of sight; {executions} executions", mapping.revealed());
    assert_eq!((unknowable, mapping.revealed(), mapping.left_out(), executions), (320, 14, 0, 98));
}

/// From the messages and the first row alone. A level that changed beyond the tenth, where no message tells, first matters in row 13 (an ask that was
/// in the first row has gone); from then on a row is met only while no such level is among its ten. Near the touch there is hardly any. The messages
/// left out act on levels that were beyond the tenth at the start.
#[test]
fn without_the_rows_the_book_drifts_only_where_nobody_could_see() {
    let Some((messages, rows)) = sample() else { return };
    let (mut exchange, mut mapping, mut actions) = (Exchange::new(), Mapping::new(), Vec::new());
    mapping.seed(&rows[0], &messages[0], &mut actions);
    exchange.play(&actions);
    let (mut whole_rows, mut levels, mut best) = (0, 0, 0);
    for (message, row) in messages.iter().zip(&rows) {
        actions.clear();
        mapping.message(message, &mut actions);
        exchange.play(&actions);
        let ours = exchange.row();
        whole_rows += u32::from(ours == *row);
        best += u32::from(ours.asks.first() == row.asks.first()) + u32::from(ours.bids.first() == row.bids.first());
        for side in [Side::Buy, Side::Sell] {
            levels += row.side(side).iter().filter(|level| ours.side(side).contains(level)).count();
        }
    }
    println!("{whole_rows} of 999 rows, {best} of 1,998 best levels, {levels} of 19,980 levels, {} messages left out", mapping.left_out());
    assert_eq!((whole_rows, best, levels, mapping.left_out()), (113, 1_954, 17_168, 4));
}
