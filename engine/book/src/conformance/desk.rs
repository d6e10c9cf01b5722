//! Where a case's orders are placed: a book under the eyes of the [`Oracle`].

use super::Oracle;
use crate::{Book, BookConfig, Level};
use wire::ids::{AccountId, OrderId, Symbol};
use wire::order::{CancelReason, EndReason, OrderType, RejectReason, Side, TimeInForce};
use wire::slot::{Command, Report};

/// A book whose every step is checked.
pub struct Desk<B> {
    book: B,
    oracle: Oracle,
}

/// The account of every order that a case places without saying whose.
pub const OWNER: AccountId = AccountId(1);

/// Somebody else.
pub const OTHER: AccountId = AccountId(2);

const SYMBOL: Symbol = Symbol(*b"BTCUSD");

/// Room for every case that is not about room.
pub const ROOMY: BookConfig = BookConfig { price_ticks_max: 1_000, quantity_lots_max: 1_000, orders_max: 64, levels_max: 32, origins_max: 8 };

impl<B: Book> Desk<B> {
    /// An empty book and an oracle that saw nothing.
    pub fn new(config: BookConfig, book: B) -> Self {
        Desk { book, oracle: Oracle::new(config) }
    }

    /// Applies a command, has the oracle check it, and gives the reports.
    pub fn apply(&mut self, command: Command) -> Vec<Report> {
        let mut reports = Vec::new();
        let before = self.book.state_hash();
        self.book.apply(&command, &mut reports);
        self.oracle.check(&command, &reports, &self.book);
        if matches!(reports[..], [Report::CancelRejected { .. }] | [Report::Rejected { reason: RejectReason::DuplicateOrderId, .. }]) {
            assert_eq!(before, self.book.state_hash(), "I-O11: {command:?} was refused and changed the state");
        }
        reports
    }

    /// Places an order of [`OWNER`].
    pub fn place(&mut self, id: u64, side: Side, order_type: OrderType, time_in_force: TimeInForce, price_ticks: i64, quantity_lots: i64) -> Vec<Report> {
        self.apply(Command::Place { symbol: SYMBOL, side, order_type, time_in_force, order_id: OrderId(id), account: OWNER, price_ticks, quantity_lots })
    }

    /// Places a GTC limit order.
    pub fn limit(&mut self, id: u64, side: Side, price_ticks: i64, quantity_lots: i64) -> Vec<Report> {
        self.place(id, side, OrderType::Limit, TimeInForce::Gtc, price_ticks, quantity_lots)
    }

    /// Places a GTC limit order that must rest whole.
    pub fn rest(&mut self, id: u64, side: Side, price_ticks: i64, quantity_lots: i64) {
        assert_eq!(self.limit(id, side, price_ticks, quantity_lots), [accepted(id)], "order {id} rests");
    }

    /// Cancels for an account.
    pub fn cancel(&mut self, id: u64, account: AccountId) -> Vec<Report> {
        self.apply(Command::Cancel { symbol: SYMBOL, order_id: OrderId(id), account })
    }

    /// Reduces for an account.
    pub fn reduce(&mut self, id: u64, account: AccountId, lots: i64) -> Vec<Report> {
        self.apply(Command::Reduce { symbol: SYMBOL, order_id: OrderId(id), account, lots })
    }

    /// Replaces for an account.
    pub fn replace(&mut self, id: u64, account: AccountId, price_ticks: i64, quantity_lots: i64) -> Vec<Report> {
        self.apply(Command::Replace { symbol: SYMBOL, order_id: OrderId(id), account, price_ticks, quantity_lots })
    }

    /// All levels of a side as (price, lots, orders).
    pub fn depth(&self, side: Side) -> Vec<(i64, i64, u32)> {
        self.levels(side, usize::MAX).into_iter().map(|level| (level.price_ticks, level.lots, level.orders)).collect()
    }

    /// The best levels of a side.
    pub fn levels(&self, side: Side, levels: usize) -> Vec<Level> {
        let mut out = Vec::new();
        self.book.depth(side, levels, &mut out);
        out
    }

    /// The book's.
    pub fn state_hash(&self) -> u64 {
        self.book.state_hash()
    }
}

/// What an accepted order of [`OWNER`] reports.
pub fn accepted(id: u64) -> Report {
    Report::Accepted { order_id: OrderId(id), account: OWNER }
}

/// What a refused order of [`OWNER`] reports.
pub fn rejected(id: u64, quantity_lots: i64, reason: RejectReason) -> Report {
    Report::Rejected { reason, order_id: OrderId(id), account: OWNER, quantity_lots }
}

/// One fill against an order of [`OWNER`].
pub fn traded(trade_id: u64, maker: u64, price_ticks: i64, quantity_lots: i64) -> Report {
    Report::Traded { trade_id, maker_order_id: OrderId(maker), maker_account: OWNER, price_ticks, quantity_lots }
}

/// The end of an order of [`OWNER`] by trading.
pub fn filled(id: u64) -> Report {
    Report::Ended { reason: EndReason::Filled, order_id: OrderId(id), account: OWNER, remaining_lots: 0 }
}

/// The end of an order of [`OWNER`] with lots left.
pub fn expired(id: u64, remaining_lots: i64) -> Report {
    Report::Ended { reason: EndReason::Expired, order_id: OrderId(id), account: OWNER, remaining_lots }
}

/// The end of an order of [`OWNER`] by its owner.
pub fn cancelled(id: u64, remaining_lots: i64) -> Report {
    Report::Ended { reason: EndReason::Cancelled, order_id: OrderId(id), account: OWNER, remaining_lots }
}

/// What a cancel, reduce or replace reports that changed nothing.
pub fn cancel_rejected(id: u64, account: AccountId, reason: CancelReason) -> Report {
    Report::CancelRejected { reason, order_id: OrderId(id), account }
}
