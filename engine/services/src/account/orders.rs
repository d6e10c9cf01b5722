//! Orders of one partition's accounts: open ones, and ended ones for as long as their client order id must be remembered.

use super::digest::{SetDigest, add_text, entry};
use book::StateHash;
use std::collections::{BTreeMap, BTreeSet};
use wire::{AccountId, ClientOrderId, Correlation, EndReason, OrderId, OrderState, OrderStatus, RejectReason};

/// A client order id is answered with its first order for this long after that order was accepted, in ms of log time.
pub const DEDUP_WINDOW_MS: u64 = 24 * 60 * 60 * 1_000;

/// How the matching engine was done with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It did not take it.
    Rejected(RejectReason),
    /// The rest left the book.
    Ended(EndReason),
}

/// An order and all that its Settles and Releases have said. They commute, so that the end may come before the last trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its owner.
    pub account: AccountId,
    /// As the client sees it.
    pub state: OrderState,
    /// Its client order id is remembered at least until then, ms of log time.
    pub keep_until_ms: u64,
    /// Trades settled.
    pub trades: BTreeSet<u64>,
    /// What made it smaller in the book, by the names that the wallet gives them.
    pub reductions: BTreeSet<Correlation>,
    /// Its end in the book, if lots remained.
    pub end: Option<End>,
    trades_digest: SetDigest,
}

impl Order {
    /// A new order.
    pub fn new(account: AccountId, state: OrderState, keep_until_ms: u64) -> Self {
        assert!(state.quantity_lots >= 1 && state.price_ticks >= 1, "terms were checked: {state:?}");
        Order { account, state, keep_until_ms, trades: BTreeSet::new(), reductions: BTreeSet::new(), end: None, trades_digest: SetDigest::default() }
    }

    /// Lots that are still held for.
    pub fn open_lots(&self) -> i64 {
        let open = self.state.quantity_lots - self.state.settled_lots - self.state.released_lots;
        assert!(open >= 0, "more was settled and released than ordered: {:?}", self.state);
        open
    }

    /// No lot is held for any more.
    pub fn is_closed(&self) -> bool {
        self.open_lots() == 0
    }

    /// Lots of one trade were paid for.
    pub fn settle(&mut self, trade_id: u64, lots: i64, quote: i64) {
        assert!(self.trades.insert(trade_id), "a trade is settled once");
        self.trades_digest.add(entry(&[trade_id]));
        self.state.settled_lots += lots;
        self.state.settled_quote += quote;
        self.state.status = self.status();
    }

    /// Lots were given free.
    pub fn release(&mut self, lots: i64) {
        self.state.released_lots += lots;
        self.state.status = self.status();
    }

    fn status(&self) -> OrderStatus {
        match self.end {
            _ if !self.is_closed() && self.state.settled_lots == 0 => OrderStatus::New,
            _ if !self.is_closed() => OrderStatus::PartiallyFilled,
            None => OrderStatus::Filled,
            Some(End::Rejected(_)) => OrderStatus::Rejected,
            Some(End::Ended(EndReason::Expired)) => OrderStatus::Expired,
            // What left the book filled has no lots remaining, so that nobody says so here; a foreign writer may.
            Some(End::Ended(EndReason::Filled)) => OrderStatus::Filled,
            Some(End::Ended(EndReason::Cancelled)) => OrderStatus::Canceled,
        }
    }

    fn digest(&self) -> u64 {
        let state = &self.state;
        let mut hash = StateHash::new();
        for word in [self.account.0, state.order_id.0, state.side as u64, state.order_type as u64, state.time_in_force as u64] {
            hash.add(word);
        }
        add_text(&mut hash, state.client_order_id.0.as_bytes());
        add_text(&mut hash, &state.symbol.0);
        for number in [state.price_ticks, state.quantity_lots, state.settled_lots, state.released_lots, state.settled_quote] {
            hash.add(number.cast_unsigned());
        }
        for word in [state.status as u64, state.accepted_ms, self.keep_until_ms, self.trades_digest.value(), end_word(self.end)] {
            hash.add(word);
        }
        hash.add(self.reductions.len() as u64);
        for Correlation(name) in &self.reductions {
            add_text(&mut hash, name);
        }
        hash.finish()
    }
}

fn end_word(end: Option<End>) -> u64 {
    match end {
        None => 0,
        Some(End::Rejected(reason)) => 0x100 | reason as u64,
        Some(End::Ended(reason)) => 0x200 | reason as u64,
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Orders {
    orders: BTreeMap<OrderId, Order>,
    by_client_id: BTreeMap<(AccountId, ClientOrderId), OrderId>,
    /// Closed orders by when they may be forgotten.
    expiring: BTreeSet<(u64, OrderId)>,
    digest: SetDigest,
}

impl Orders {
    /// The order that a client calls so.
    pub fn by_client_id(&self, account: AccountId, client_order_id: &ClientOrderId) -> Option<&Order> {
        let order_id = self.by_client_id.get(&(account, client_order_id.clone()))?;
        Some(self.orders.get(order_id).expect("the index names orders that are there"))
    }

    /// The order of this id.
    pub fn get(&self, order_id: OrderId) -> Option<&Order> {
        self.orders.get(&order_id)
    }

    /// Every order, by id.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// Takes a new order in.
    pub fn insert(&mut self, order: Order) {
        let (account, order_id) = (order.account, order.state.order_id);
        assert!(!order.is_closed(), "a new order is open");
        self.digest.add(order.digest());
        let other = self.by_client_id.insert((account, order.state.client_order_id.clone()), order_id);
        assert!(other.is_none(), "a client order id names one order");
        let other = self.orders.insert(order_id, order);
        assert!(other.is_none(), "an order id names one order");
    }

    /// Changes an open order.
    pub fn change(&mut self, order_id: OrderId, change: impl FnOnce(&mut Order)) -> &Order {
        let order = self.orders.get_mut(&order_id).expect("the caller has looked it up");
        assert!(!order.is_closed(), "a closed order does not change");
        self.digest.remove(order.digest());
        change(order);
        self.digest.add(order.digest());
        if order.is_closed() {
            assert!(order.state.status.is_terminal(), "a closed order is terminal: {:?}", order.state);
            self.expiring.insert((order.keep_until_ms, order_id));
        }
        order
    }

    /// Forgets closed orders whose time is over.
    pub fn prune(&mut self, now_ms: u64) {
        while let Some(&(keep_until_ms, order_id)) = self.expiring.first() {
            if keep_until_ms >= now_ms {
                return;
            }
            self.expiring.pop_first();
            let order = self.orders.remove(&order_id).expect("what expires is there");
            assert!(order.is_closed(), "only closed orders are forgotten");
            self.digest.remove(order.digest());
            self.by_client_id.remove(&(order.account, order.state.client_order_id));
        }
    }

    /// One word.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// The same word from nothing.
    #[cfg(test)]
    pub fn digest_afresh(&self) -> u64 {
        let mut digest = SetDigest::default();
        for order in self.orders.values() {
            digest.add(order.digest());
        }
        digest.value()
    }
}
