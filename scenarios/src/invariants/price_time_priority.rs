//! Price–time priority: fed with the commands of the log, in the log's order, the naive book gives exactly the events and trades that the matching
//! engine wrote (I3, I-O1 to I-O7).

use super::{Finding, Invariant, Notes};
use crate::evidence::{Evidence, Read};
use book::{Book, BookConfig, Naive};
use std::collections::BTreeMap;
use wire::slot::{Command, Report};
use wire::{AccountId, Body, CancelReason, OrderCommand, OrderEvent, OrderId, RejectReason, Symbol, Topic, Trade};

/// See the module.
pub struct PriceTimePriority;

/// What one command led to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    events: Vec<OrderEvent>,
    trades: Vec<Trade>,
}

impl Invariant for PriceTimePriority {
    fn name(&self) -> &'static str {
        "price_time_priority"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding { remark: "vs naive book".to_owned(), ..Finding::default() };
        for (partition, commands) in evidence.partitions(Topic::OrderCommands) {
            let written = written(evidence, partition);
            let mut books = BTreeMap::new();
            for read in commands {
                let Body::OrderCommand(command) = &read.body else { continue };
                let Some((symbol, expected)) = step(&mut books, command) else { continue };
                let not_yet = written.last_key_value().is_none_or(|(last, _)| read.offset > *last);
                if not_yet && evidence.settling.settled_ms.is_none() {
                    break;
                }
                finding.count();
                let none = Step::default();
                let actual = written.get(&read.offset).unwrap_or(&none);
                if *actual != expected {
                    let headline = format!("{symbol}: the matching engine did not do what the book does on order_commands-{partition}@{}", read.offset);
                    finding.violated(headline, vec![format!("command   {command:?}"), format!("expected  {expected:?}"), format!("written   {actual:?}")]);
                    break;
                }
            }
        }
        finding
    }
}

/// Orders and levels that the checker's book has room for: more than any run places.
const ROOM: usize = 1 << 20;

/// Applies a command to the naive books; `None` for what makes no output.
fn step(books: &mut BTreeMap<Symbol, Naive>, command: &OrderCommand) -> Option<(Symbol, Step)> {
    let command = match *command {
        OrderCommand::Listing(spec) => {
            books.entry(spec.symbol).or_insert_with(|| Naive::new(BookConfig::of(&spec, ROOM, ROOM)));
            return None;
        }
        OrderCommand::Tick { .. } | OrderCommand::Rules { .. } => return None,
        OrderCommand::Place { order_id, account, symbol, side, order_type, time_in_force, price_ticks, quantity_lots } => {
            Command::Place { symbol, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots }
        }
        OrderCommand::Cancel { order_id, account, symbol } => Command::Cancel { symbol, order_id, account },
        OrderCommand::Reduce { order_id, account, symbol, lots } => Command::Reduce { symbol, order_id, account, lots },
        OrderCommand::Replace { order_id, account, symbol, price_ticks, quantity_lots } => {
            Command::Replace { symbol, order_id, account, price_ticks, quantity_lots }
        }
    };
    let (symbol, order_id, account, placed) = subject(&command);
    let mut reports = Vec::new();
    match (books.get_mut(&symbol), placed) {
        (Some(book), _) => book.apply(&command, &mut reports),
        (None, Some(quantity_lots)) => reports.push(Report::Rejected { reason: RejectReason::UnknownSymbol, order_id, account, quantity_lots }),
        (None, None) => reports.push(Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account }),
    }
    let mut step = Step::default();
    for report in reports {
        match report {
            Report::Traded { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots } => {
                step.trades.push(Trade { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots });
            }
            other => step.events.push(event(symbol, other)),
        }
    }
    Some((symbol, step))
}

/// Symbol, order and account of a command; lots of a new order.
fn subject(command: &Command) -> (Symbol, OrderId, AccountId, Option<i64>) {
    match *command {
        Command::Place { symbol, order_id, account, quantity_lots, .. } => (symbol, order_id, account, Some(quantity_lots)),
        Command::Cancel { symbol, order_id, account }
        | Command::Reduce { symbol, order_id, account, .. }
        | Command::Replace { symbol, order_id, account, .. } => (symbol, order_id, account, None),
    }
}

fn event(symbol: Symbol, report: Report) -> OrderEvent {
    match report {
        Report::Accepted { order_id, account } => OrderEvent::Accepted { order_id, account, symbol },
        Report::Rejected { reason, order_id, account, quantity_lots } => OrderEvent::Rejected { order_id, account, symbol, quantity_lots, reason },
        Report::Ended { reason, order_id, account, remaining_lots } => OrderEvent::Ended { order_id, account, symbol, reason, remaining_lots },
        Report::Reduced { order_id, account, lots } => OrderEvent::Reduced { order_id, account, symbol, lots },
        Report::Replaced { order_id, account, price_ticks, released_lots, .. } => {
            OrderEvent::Replaced { order_id, account, symbol, price_ticks, released_lots }
        }
        Report::CancelRejected { reason, order_id, account } => OrderEvent::CancelRejected { order_id, account, symbol, reason },
        Report::Traded { .. } => unreachable!("trades go to their own topic"),
    }
}

/// What the matching engine wrote, by the offset of the command that caused it.
fn written(evidence: &Evidence, partition: u32) -> BTreeMap<i64, Step> {
    let mut steps: BTreeMap<i64, Step> = BTreeMap::new();
    let log = |topic| -> &[Read] { evidence.logs.get(&(topic, partition)).map_or(&[], Vec::as_slice) };
    for read in log(Topic::OrderEvents) {
        match &read.body {
            Body::OrderEvent(OrderEvent::Owned { .. }) => {}
            Body::OrderEvent(event) => steps.entry(read.stamp.cause).or_default().events.push(*event),
            _ => {}
        }
    }
    for read in log(Topic::TradeExecuted) {
        if let Body::Trades(list) = &read.body {
            steps.entry(read.stamp.cause).or_default().trades.extend(&list.trades);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::{a_day, change};

    #[test]
    fn a_trade_at_the_takers_price_is_found() {
        let mut day = a_day();
        change(&mut day.evidence, Topic::TradeExecuted, |body| {
            if let Body::Trades(list) = body {
                list.trades[0].price_ticks = 101;
            }
        });
        let violation = PriceTimePriority.check(&day.evidence).violation.expect("the maker's price is 100");
        assert!(violation.headline.starts_with("BTCUSD: the matching engine did not do what the book does"), "{}", violation.headline);
    }

    #[test]
    fn commands_that_are_not_matched_yet_are_no_violation() {
        let mut day = a_day();
        day.evidence.settling.settled_ms = None;
        for topic in [Topic::OrderEvents, Topic::TradeExecuted] {
            day.evidence.logs.insert((topic, 0), Vec::new());
        }
        assert_eq!(PriceTimePriority.check(&day.evidence).violation, None);
    }
}
