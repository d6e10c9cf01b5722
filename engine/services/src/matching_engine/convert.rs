//! Between the log's messages and a book's.

use wire::slot::{Command, Report};
use wire::{AccountId, Body, CancelReason, OrderCommand, OrderEvent, OrderId, RejectReason, Side, Symbol, Trade};

/// The trade of a report, if it is one.
pub(super) fn trade_of(report: &Report) -> Option<Trade> {
    match *report {
        Report::Traded { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots } => {
            Some(Trade { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots })
        }
        _ => None,
    }
}

/// The event of a report and whose it is; a trade is none.
pub(super) fn event_of(symbol: Symbol, report: &Report) -> Option<(OrderId, OrderEvent)> {
    Some(match *report {
        Report::Traded { .. } => return None,
        Report::Accepted { order_id, account } => (order_id, OrderEvent::Accepted { order_id, account, symbol }),
        Report::Rejected { reason, order_id, account, quantity_lots } => (order_id, OrderEvent::Rejected { order_id, account, symbol, quantity_lots, reason }),
        Report::Ended { reason, order_id, account, remaining_lots } => (order_id, OrderEvent::Ended { order_id, account, symbol, reason, remaining_lots }),
        Report::Reduced { order_id, account, lots } => (order_id, OrderEvent::Reduced { order_id, account, symbol, lots }),
        Report::Replaced { side: _, order_id, account, price_ticks, released_lots } => {
            (order_id, OrderEvent::Replaced { order_id, account, symbol, price_ticks, released_lots })
        }
        Report::CancelRejected { reason, order_id, account } => (order_id, OrderEvent::CancelRejected { order_id, account, symbol, reason }),
    })
}

/// The command to a book in a record, if there is one.
pub(super) fn command_in(body: &Body) -> Option<Command> {
    match body {
        Body::OrderCommand(command) => command_of(command),
        _ => None,
    }
}

/// What goes to a book; `None` for what governs the books.
pub(super) fn command_of(command: &OrderCommand) -> Option<Command> {
    Some(match *command {
        OrderCommand::Place { order_id, account, symbol, side, order_type, time_in_force, price_ticks, quantity_lots } => {
            Command::Place { symbol, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots }
        }
        OrderCommand::Cancel { order_id, account, symbol } => Command::Cancel { symbol, order_id, account },
        OrderCommand::Reduce { order_id, account, symbol, lots } => Command::Reduce { symbol, order_id, account, lots },
        OrderCommand::Replace { order_id, account, symbol, price_ticks, quantity_lots } => {
            Command::Replace { symbol, order_id, account, price_ticks, quantity_lots }
        }
        OrderCommand::Listing(_) | OrderCommand::Tick { .. } | OrderCommand::Rules { .. } => return None,
    })
}

/// Which book.
pub(super) fn symbol_of(command: &Command) -> Symbol {
    match *command {
        Command::Place { symbol, .. } | Command::Cancel { symbol, .. } | Command::Reduce { symbol, .. } | Command::Replace { symbol, .. } => symbol,
    }
}

/// Which order, and who speaks.
pub(super) fn owner_of(command: &Command) -> (OrderId, AccountId) {
    match *command {
        Command::Place { order_id, account, .. }
        | Command::Cancel { order_id, account, .. }
        | Command::Reduce { order_id, account, .. }
        | Command::Replace { order_id, account, .. } => (order_id, account),
    }
}

/// The side of the order that took: as placed, or as the book knows it when it was replaced.
pub(super) fn taker_side(command: &Command, reports: &[Report]) -> Side {
    if let Command::Place { side, .. } = *command {
        return side;
    }
    let replaced = reports.iter().find_map(|report| match *report {
        Report::Replaced { side, .. } => Some(side),
        _ => None,
    });
    replaced.expect("only what was placed or replaced takes")
}

/// What a command hears whose symbol has no book.
pub(super) fn unlisted(command: &Command) -> Report {
    let (order_id, account) = owner_of(command);
    match *command {
        Command::Place { quantity_lots, .. } => Report::Rejected { reason: RejectReason::UnknownSymbol, order_id, account, quantity_lots },
        Command::Cancel { .. } | Command::Reduce { .. } | Command::Replace { .. } => {
            Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account }
        }
    }
}
