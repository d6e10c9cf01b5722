//! The slow obvious book: a sorted map of queues per side. What the fast book is checked against.

use crate::{Book, BookConfig, Level, NewOrder, Reports, StateHash};
use std::collections::{BTreeMap, VecDeque};
use wire::ids::{AccountId, OrderId};
use wire::order::{CancelReason, EndReason, OrderType, RejectReason, Side};
use wire::slot::Report;

/// See [`Book`].
#[derive(Debug, Clone)]
pub struct Naive {
    config: BookConfig,
    bids: BTreeMap<i64, VecDeque<Resting>>,
    asks: BTreeMap<i64, VecDeque<Resting>>,
    /// Where each resting order stands.
    places: BTreeMap<OrderId, (Side, i64)>,
    /// Highest order number seen of each origin.
    seen: BTreeMap<u32, u64>,
    last_trade_id: u64,
}

#[derive(Debug, Clone, Copy)]
struct Resting {
    order_id: OrderId,
    account: AccountId,
    remaining_lots: i64,
    post_only: bool,
}

impl Naive {
    /// An empty book. Panics if a bound is below 1.
    pub fn new(config: BookConfig) -> Self {
        assert!(config.price_ticks_max >= 1 && config.quantity_lots_max >= 1, "a book with no price or quantity takes no order: {config:?}");
        assert!(config.orders_max >= 1 && config.levels_max >= 1 && config.origins_max >= 1, "a book without room takes no order: {config:?}");
        Naive { config, bids: BTreeMap::new(), asks: BTreeMap::new(), places: BTreeMap::new(), seen: BTreeMap::new(), last_trade_id: 0 }
    }

    fn levels(&self, side: Side) -> &BTreeMap<i64, VecDeque<Resting>> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn levels_mut(&mut self, side: Side) -> &mut BTreeMap<i64, VecDeque<Resting>> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// The levels of a side, best first.
    fn best_first(&self, side: Side) -> Box<dyn Iterator<Item = (i64, &VecDeque<Resting>)> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(|(price, queue)| (*price, queue))),
            Side::Sell => Box::new(self.asks.iter().map(|(price, queue)| (*price, queue))),
        }
    }

    /// The price at which an order of `side` within `limit` would trade next.
    fn crossing(&self, side: Side, limit: i64) -> Option<i64> {
        self.best_first(side.opposite()).map(|(price, _)| price).next().filter(|price| within(side, *price, limit))
    }

    /// Lots that an order of `side` within `limit` could take, counted up to `wanted`.
    fn fillable(&self, side: Side, limit: i64, wanted: i64) -> i64 {
        let mut missing = wanted;
        for (_, queue) in self.best_first(side.opposite()).take_while(|(price, _)| within(side, *price, limit)) {
            for order in queue {
                missing -= missing.min(order.remaining_lots);
            }
        }
        wanted - missing
    }

    fn range_fault(&self, price_ticks: i64, quantity_lots: i64) -> Option<RejectReason> {
        if !(1..=self.config.price_ticks_max).contains(&price_ticks) {
            Some(RejectReason::PriceOutOfRange)
        } else if !(1..=self.config.quantity_lots_max).contains(&quantity_lots) {
            Some(RejectReason::QuantityOutOfRange)
        } else if price_ticks.checked_mul(quantity_lots).is_none() {
            Some(RejectReason::Overflow)
        } else {
            None
        }
    }

    /// Whether `lots` more at a price still are a number.
    fn level_fits(&self, side: Side, price_ticks: i64, lots: i64) -> bool {
        self.levels(side).get(&price_ticks).is_none_or(|queue| lots_of(queue).checked_add(lots).is_some())
    }

    fn has_room(&self, side: Side, price_ticks: i64) -> bool {
        let level_is_there = self.levels(side).contains_key(&price_ticks);
        self.places.len() < self.config.orders_max && (level_is_there || self.bids.len() + self.asks.len() < self.config.levels_max)
    }

    fn refusal(&self, order: &NewOrder) -> Option<RejectReason> {
        if let Some(fault) = self.range_fault(order.price_ticks, order.quantity_lots) {
            return Some(fault);
        }
        if order.may_rest() && !self.level_fits(order.side, order.price_ticks, order.quantity_lots) {
            return Some(RejectReason::Overflow);
        }
        let takes = self.crossing(order.side, order.price_ticks).is_some();
        if order.order_type == OrderType::LimitMaker && takes {
            Some(RejectReason::WouldTake)
        } else if order.is_all_or_nothing() && self.fillable(order.side, order.price_ticks, order.quantity_lots) < order.quantity_lots {
            Some(RejectReason::CannotFill)
        } else if order.may_rest() && !takes && !self.has_room(order.side, order.price_ticks) {
            Some(RejectReason::BookFull)
        } else {
            None
        }
    }

    /// Trades with the best of the other side while it is within the limit; gives back what is left.
    fn take(&mut self, side: Side, limit: i64, mut remaining_lots: i64, out: &mut impl Reports) -> i64 {
        while remaining_lots > 0
            && let Some(price_ticks) = self.crossing(side, limit)
        {
            let queue = self.levels_mut(side.opposite()).get_mut(&price_ticks).expect("the best level is there");
            let maker = queue.front_mut().expect("a level has an order");
            let quantity_lots = remaining_lots.min(maker.remaining_lots);
            maker.remaining_lots -= quantity_lots;
            remaining_lots -= quantity_lots;
            let (order_id, account, is_used_up) = (maker.order_id, maker.account, maker.remaining_lots == 0);
            self.last_trade_id += 1;
            out.push(Report::Traded { trade_id: self.last_trade_id, maker_order_id: order_id, maker_account: account, price_ticks, quantity_lots });
            if is_used_up {
                self.remove(order_id);
                out.push(Report::Ended { reason: EndReason::Filled, order_id, account, remaining_lots: 0 });
            }
        }
        remaining_lots
    }

    fn rest(&mut self, side: Side, price_ticks: i64, order: Resting) {
        assert!(order.remaining_lots > 0, "only what has lots left rests");
        assert!(self.crossing(side, price_ticks).is_none(), "what crosses takes first");
        assert!(self.has_room(side, price_ticks), "room was checked, or taking made it");
        self.levels_mut(side).entry(price_ticks).or_default().push_back(order);
        self.places.insert(order.order_id, (side, price_ticks));
    }

    fn remove(&mut self, order_id: OrderId) -> Resting {
        let (side, price_ticks) = self.places.remove(&order_id).expect("a resting order has a place");
        let levels = self.levels_mut(side);
        let queue = levels.get_mut(&price_ticks).expect("a place names a level");
        let at = queue.iter().position(|order| order.order_id == order_id).expect("a place names the order's level");
        let order = queue.remove(at).expect("the position was just found");
        if queue.is_empty() {
            levels.remove(&price_ticks);
        }
        order
    }

    /// The resting order if it is this account's, with its side and price.
    fn find(&mut self, order_id: OrderId, account: AccountId) -> Option<(Side, i64, &mut Resting)> {
        let (side, price_ticks) = *self.places.get(&order_id)?;
        let queue = self.levels_mut(side).get_mut(&price_ticks).expect("a place names a level");
        let order = queue.iter_mut().find(|order| order.order_id == order_id).expect("a place names the order's level");
        (order.account == account).then_some((side, price_ticks, order))
    }

    fn replace_refusal(&self, side: Side, old_price: i64, old: &Resting, price_ticks: i64, quantity_lots: i64) -> Option<CancelReason> {
        if self.range_fault(price_ticks, quantity_lots).is_some() || quantity_lots > old.remaining_lots {
            return Some(CancelReason::OutOfRange);
        }
        if price_ticks != old_price && !self.level_fits(side, price_ticks, quantity_lots) {
            return Some(CancelReason::OutOfRange);
        }
        let takes = self.crossing(side, price_ticks).is_some();
        let frees_its_level = self.levels(side)[&old_price].len() == 1;
        let needs_a_level = !takes && !self.levels(side).contains_key(&price_ticks);
        if old.post_only && takes {
            Some(CancelReason::WouldTake)
        } else if needs_a_level && !frees_its_level && self.bids.len() + self.asks.len() == self.config.levels_max {
            Some(CancelReason::BookFull)
        } else {
            None
        }
    }
}

impl Book for Naive {
    fn place(&mut self, order: &NewOrder, out: &mut impl Reports) {
        let NewOrder { order_id, account, side, price_ticks, quantity_lots, .. } = *order;
        let (origin, number) = order_id.origin();
        let unseen = match self.seen.get(&origin) {
            Some(highest) => (number <= *highest).then_some(RejectReason::DuplicateOrderId),
            None => (self.seen.len() == self.config.origins_max).then_some(RejectReason::BookFull),
        };
        if let Some(reason) = unseen {
            out.push(Report::Rejected { reason, order_id, account, quantity_lots });
            return;
        }
        self.seen.insert(origin, number);
        if let Some(reason) = self.refusal(order) {
            out.push(Report::Rejected { reason, order_id, account, quantity_lots });
            return;
        }
        out.push(Report::Accepted { order_id, account });
        let remaining_lots = self.take(side, price_ticks, quantity_lots, out);
        if remaining_lots == 0 {
            out.push(Report::Ended { reason: EndReason::Filled, order_id, account, remaining_lots });
        } else if order.may_rest() {
            self.rest(side, price_ticks, Resting { order_id, account, remaining_lots, post_only: order.order_type == OrderType::LimitMaker });
        } else {
            assert!(!order.is_all_or_nothing(), "an all-or-nothing order was filled or refused");
            out.push(Report::Ended { reason: EndReason::Expired, order_id, account, remaining_lots });
        }
    }

    fn cancel(&mut self, order_id: OrderId, account: AccountId, out: &mut impl Reports) {
        if self.find(order_id, account).is_none() {
            out.push(Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account });
            return;
        }
        let remaining_lots = self.remove(order_id).remaining_lots;
        out.push(Report::Ended { reason: EndReason::Cancelled, order_id, account, remaining_lots });
    }

    fn reduce(&mut self, order_id: OrderId, account: AccountId, lots: i64, out: &mut impl Reports) {
        out.push(match self.find(order_id, account) {
            None => Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account },
            Some((_, _, order)) if !(1..order.remaining_lots).contains(&lots) => Report::CancelRejected { reason: CancelReason::OutOfRange, order_id, account },
            Some((_, _, order)) => {
                order.remaining_lots -= lots;
                Report::Reduced { order_id, account, lots }
            }
        });
    }

    fn replace(&mut self, order_id: OrderId, account: AccountId, price_ticks: i64, quantity_lots: i64, out: &mut impl Reports) {
        let Some((side, old_price, old)) = self.find(order_id, account).map(|(side, price, order)| (side, price, *order)) else {
            out.push(Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account });
            return;
        };
        if let Some(reason) = self.replace_refusal(side, old_price, &old, price_ticks, quantity_lots) {
            out.push(Report::CancelRejected { reason, order_id, account });
            return;
        }
        self.remove(order_id);
        out.push(Report::Replaced { side, order_id, account, price_ticks, released_lots: old.remaining_lots - quantity_lots });
        let remaining_lots = self.take(side, price_ticks, quantity_lots, out);
        if remaining_lots == 0 {
            out.push(Report::Ended { reason: EndReason::Filled, order_id, account, remaining_lots });
        } else {
            self.rest(side, price_ticks, Resting { remaining_lots, ..old });
        }
    }

    fn depth(&self, side: Side, levels: usize, out: &mut Vec<Level>) {
        out.extend(self.best_first(side).take(levels).map(|(price_ticks, queue)| Level {
            price_ticks,
            lots: lots_of(queue),
            orders: u32::try_from(queue.len()).expect("a level holds fewer than 2^32 orders"),
        }));
    }

    fn state_hash(&self) -> u64 {
        let mut hash = StateHash::new();
        hash.add(self.last_trade_id);
        hash.add(self.seen.len() as u64);
        for (origin, number) in &self.seen {
            hash.add(u64::from(*origin));
            hash.add(*number);
        }
        for side in [Side::Buy, Side::Sell] {
            hash.add(self.levels(side).len() as u64);
            for (price_ticks, queue) in self.best_first(side) {
                hash.add(price_ticks.cast_unsigned());
                hash.add(queue.len() as u64);
                for order in queue {
                    hash.add(order.order_id.0);
                    hash.add(order.account.0);
                    hash.add(order.remaining_lots.cast_unsigned());
                    hash.add(u64::from(order.post_only));
                }
            }
        }
        hash.finish()
    }
}

/// Whether a price is acceptable to an order of `side` with this limit.
fn within(side: Side, price_ticks: i64, limit: i64) -> bool {
    match side {
        Side::Buy => price_ticks <= limit,
        Side::Sell => price_ticks >= limit,
    }
}

fn lots_of(queue: &VecDeque<Resting>) -> i64 {
    queue.iter().map(|order| order.remaining_lots).sum()
}
