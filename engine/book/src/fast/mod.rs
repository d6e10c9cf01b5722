//! The fast book: arrays only, allocated once, nothing searched that can be known.
//!
//! * `orders`: all resting orders, each in its id's place, 32 bytes; `window`, `far`, `ladder`: the levels; `bitmap`: the next best one; `origins`: what
//!   was seen. `taking` is the walk along the other side.
//! * A book is never crossed, so at or below the best bid every level is a bid: neither levels nor orders say their side.
//!
//! **Memory** ([`Fast::bytes`]; of a growing book, that of its room so far): 68 bytes per order that the bound (rounded up to a power of two) allows, 16 more each if a price may exceed 32 bits or
//! a quantity 31; 32 to 64 bytes of window and 24 of tree per level that the bound allows (the window has at most 2^18 prices, 2 MiB); 40 to 72 per origin.

mod bitmap;
mod far;
mod growing;
mod ladder;
mod orders;
mod origins;
mod prefetch;
mod taking;
#[cfg(test)]
mod tests;
mod window;

use crate::{Book, BookConfig, Level, NewOrder, Reports, StateHash};
use ladder::Ladder;
use orders::{NONE, Orders, Resting};
use origins::{Origins, Seen};
use std::hint::select_unpredictable;
use wire::ids::{AccountId, OrderId};
use wire::order::{CancelReason, EndReason, OrderType, RejectReason, Side, TimeInForce};
use wire::slot::{Command, Report};

/// No bid: below every price.
const NO_BID: u64 = 0;

/// No ask: above every price.
const NO_ASK: u64 = u64::MAX;

/// See the module and [`Book`]. In lines of the cache, what every command needs first: among 64 books, each command's comes from an outer cache (3 ns
/// a command of 46).
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Fast {
    orders: Orders,
    ladder: Ladder,
    best_bid: u64,
    best_ask: u64,
    price_max: u64,
    lots_max: u64,
    /// Orders that the table has room for now.
    orders_room: usize,
    last_trade_id: u64,
    origins: Origins,
    /// No level can hold more lots than a number.
    levels_fit: bool,
    /// What rejects; reached by growing if the room is smaller.
    bounds: BookConfig,
}

/// A resting order that was asked for, with its side.
struct Found {
    place: u32,
    side: Side,
    order: Resting,
}

impl Fast {
    /// An empty book whose window has four prices per level. Panics if a bound is below 1.
    pub fn new(config: BookConfig) -> Self {
        Self::with_window(config, Self::window_for(&config))
    }

    /// An empty book whose window has so many prices: a power of two, 64 to 2^18.
    pub fn with_window(config: BookConfig, window_prices: u64) -> Self {
        Self::with_room(config, &config, window_prices)
    }

    /// An empty book with the room of `room`, whose other bounds are those of `bounds`.
    fn with_room(bounds: BookConfig, room: &BookConfig, window_prices: u64) -> Self {
        let BookConfig { price_ticks_max, quantity_lots_max, orders_max, levels_max, origins_max } = bounds;
        assert!(price_ticks_max >= 1 && quantity_lots_max >= 1, "a book with no price or quantity takes no order: {bounds:?}");
        assert!(orders_max >= 1 && levels_max >= 1 && origins_max >= 1, "a book without room takes no order: {bounds:?}");
        let (price_max, lots_max) = (price_ticks_max.cast_unsigned(), quantity_lots_max.cast_unsigned());
        Fast {
            price_max,
            lots_max,
            bounds,
            orders_room: room.orders_max,
            levels_fit: i64::try_from(orders_max).is_ok_and(|orders| orders.checked_mul(quantity_lots_max).is_some()),
            best_bid: NO_BID,
            best_ask: NO_ASK,
            last_trade_id: 0,
            orders: Orders::new(room.orders_max, price_max, lots_max),
            ladder: Ladder::new(price_max, room.levels_max, window_prices),
            origins: Origins::new(origins_max),
        }
    }

    /// The window that [`Fast::new`] takes.
    pub fn window_for(config: &BookConfig) -> u64 {
        Ladder::window_for(config.price_ticks_max.cast_unsigned(), config.levels_max)
    }

    /// Bytes that a book of these bounds allocates when it is made, and ever.
    pub fn bytes(config: &BookConfig, window_prices: u64) -> usize {
        let (price_max, lots_max) = (config.price_ticks_max.cast_unsigned(), config.quantity_lots_max.cast_unsigned());
        Orders::bytes(config.orders_max, price_max, lots_max) + Ladder::bytes(price_max, config.levels_max, window_prices) + Origins::bytes(config.origins_max)
    }

    /// Whether an order of `side` with this limit would trade. The side is a coin's throw, so both are compared and none is branched on: a quarter of
    /// all mispredictions before.
    #[inline]
    fn crosses(&self, side: Side, limit: u64) -> bool {
        let is_buy = side == Side::Buy;
        (is_buy & (self.best_ask <= limit)) | (!is_buy & (self.best_bid >= limit))
    }

    /// The price and quantity of an order, if they are in range and their product is a number.
    #[inline]
    fn in_range(&self, price_ticks: i64, quantity_lots: i64) -> Result<(u64, u64), RejectReason> {
        // As unsigned, what is negative is too large.
        let (price, lots) = (price_ticks.cast_unsigned(), quantity_lots.cast_unsigned());
        if price.wrapping_sub(1) >= self.price_max {
            Err(RejectReason::PriceOutOfRange)
        } else if lots.wrapping_sub(1) >= self.lots_max {
            Err(RejectReason::QuantityOutOfRange)
        } else if price_ticks.checked_mul(quantity_lots).is_none() {
            Err(RejectReason::Overflow)
        } else {
            Ok((price, lots))
        }
    }

    /// Whether [`Fast::in_range`] finds nothing wrong, without a branch.
    #[inline]
    fn is_in_range(&self, price_ticks: i64, quantity_lots: i64) -> bool {
        let (price, lots) = (price_ticks.cast_unsigned(), quantity_lots.cast_unsigned());
        (price.wrapping_sub(1) < self.price_max) & (lots.wrapping_sub(1) < self.lots_max) & !price_ticks.overflowing_mul(quantity_lots).1
    }

    /// Whether so many lots more at a price still are a number; at a price of the other side there is nothing of this one.
    #[inline]
    fn level_fits(&self, side: Side, price: u64, lots: u64) -> bool {
        self.levels_fit || self.crosses(side, price) || self.lots_at(price) + lots <= i64::MAX.cast_unsigned()
    }

    /// The lots at a price.
    #[cold]
    fn lots_at(&self, price: u64) -> u64 {
        self.queue(price).map(|order| order.lots).sum()
    }

    /// The orders at a price, in priority.
    fn queue(&self, price: u64) -> impl Iterator<Item = Resting> {
        let mut next = self.ladder.level(price).first;
        std::iter::from_fn(move || {
            let order = (next != NONE).then(|| self.orders.get(next))?;
            next = order.behind;
            Some(order)
        })
    }

    /// The levels of a side, best first.
    fn best_first(&self, side: Side) -> impl Iterator<Item = u64> {
        let best = match side {
            Side::Buy => (self.best_bid != NO_BID).then_some(self.best_bid),
            Side::Sell => (self.best_ask != NO_ASK).then_some(self.best_ask),
        };
        std::iter::successors(best, move |price| match side {
            Side::Buy => self.ladder.below(*price),
            Side::Sell => self.ladder.above(*price),
        })
    }

    #[inline]
    fn has_level_for(&self, price: u64) -> bool {
        !self.ladder.is_full() || !self.ladder.level(price).is_empty()
    }

    /// Of an order that was not seen and is in range; `takes`: it crosses.
    #[inline]
    fn refusal(&self, order: &NewOrder, price: u64, lots: u64, takes: bool) -> Option<RejectReason> {
        let (side, rests) = (order.side, order.may_rest());
        if rests && !self.level_fits(side, price, lots) {
            Some(RejectReason::Overflow)
        } else if order.order_type == OrderType::LimitMaker && takes {
            Some(RejectReason::WouldTake)
        } else if order.is_all_or_nothing() && !self.can_fill(side, price, lots) {
            Some(RejectReason::CannotFill)
        } else if rests && !takes && (self.orders.count() >= self.orders_room || !self.has_level_for(price)) {
            Some(RejectReason::BookFull)
        } else {
            None
        }
    }

    /// Puts an order behind all others at its price; its neighbours are set here.
    #[inline(always)]
    fn rest(&mut self, side: Side, place: u32, order: Resting) {
        let price = order.price;
        let level = self.ladder.level(price);
        self.orders.put(place, &Resting { before: level.last, behind: NONE, ..order });
        if level.is_empty() {
            self.open_level(side, price, place);
        } else {
            *self.orders.behind_mut(level.last) = place;
            self.ladder.level_mut(price).last = place;
        }
    }

    /// There is a new level; what lies between the bests is a new best.
    #[inline(never)]
    fn open_level(&mut self, side: Side, price: u64, place: u32) {
        self.ladder.open(price, place);
        if price <= self.best_bid || price >= self.best_ask {
            return;
        }
        match side {
            Side::Buy => self.best_bid = price,
            Side::Sell => self.best_ask = price,
        }
        self.follow_market();
    }

    /// A level is gone.
    #[inline(never)]
    fn close_level(&mut self, price: u64) {
        self.ladder.close(price);
        if price == self.best_bid {
            self.best_bid = self.ladder.below(price).unwrap_or(NO_BID);
        } else if price == self.best_ask {
            self.best_ask = self.ladder.above(price).unwrap_or(NO_ASK);
        } else {
            return;
        }
        self.follow_market();
    }

    /// Moves the window if the market left its middle.
    #[inline]
    fn follow_market(&mut self) {
        let market = match (self.best_bid, self.best_ask) {
            (NO_BID, NO_ASK) => return,
            (bid, NO_ASK) => bid,
            (NO_BID, ask) => ask,
            (bid, ask) => bid.midpoint(ask),
        };
        if self.ladder.is_off(market) {
            self.ladder.follow_market(self.best_bid, self.best_ask, market);
        }
    }

    /// Takes an order out of its level. Whether it is the first or the last there is a coin's throw where levels are short, so that where its neighbours
    /// are told is no branch.
    #[inline]
    fn unlink(&mut self, order: &Resting) {
        let Resting { price, before, behind, .. } = *order;
        if before & behind == NONE {
            return self.close_level(price);
        }
        let level = self.ladder.level_mut(price);
        *select_unpredictable(before == NONE, &mut level.first, self.orders.behind_mut(before)) = behind;
        *select_unpredictable(behind == NONE, &mut level.last, self.orders.before_mut(behind)) = before;
    }

    /// The resting order if it is this account's.
    #[inline]
    fn find(&self, order_id: OrderId, account: AccountId) -> Option<Found> {
        let place = self.orders.find(order_id.0)?;
        let order = self.orders.get(place);
        let side = if order.price <= self.best_bid { Side::Buy } else { Side::Sell };
        (order.account == account.0).then_some(Found { place, side, order })
    }

    /// An order in another line than its id's, or none of the account.
    #[inline(never)]
    fn cancel_displaced(&mut self, order_id: OrderId, account: AccountId, out: &mut impl Reports) {
        let Some(Found { place, order, .. }) = self.find(order_id, account) else {
            return out.push(Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account });
        };
        self.unlink(&order);
        self.orders.free(place, order_id.0);
        out.push(Report::Ended { reason: EndReason::Cancelled, order_id, account, remaining_lots: order.lots.cast_signed() });
    }

    /// Every other order: it is refused, or takes, or the book is nearly full. By value, so that an order which needs no care stays in registers.
    #[inline(never)]
    fn place_with_care(&mut self, order: NewOrder, seen: Seen, out: &mut impl Reports) {
        self.grow_if_full();
        let NewOrder { order_id, account, side, price_ticks, quantity_lots, .. } = order;
        let takes = self.crosses(side, price_ticks.cast_unsigned());
        let checked = match seen {
            Seen::New => self.in_range(price_ticks, quantity_lots),
            Seen::Again => Err(RejectReason::DuplicateOrderId),
            Seen::NoRoom => Err(RejectReason::BookFull),
        };
        let checked = checked.and_then(|(price, lots)| self.refusal(&order, price, lots, takes).map_or(Ok((price, lots)), Err));
        let (price, lots) = match checked {
            Ok(checked) => checked,
            Err(reason) => return out.push(Report::Rejected { reason, order_id, account, quantity_lots }),
        };
        out.push(Report::Accepted { order_id, account });
        let lots = if takes { self.take(side, price, lots, out) } else { lots };
        if lots == 0 {
            out.push(Report::Ended { reason: EndReason::Filled, order_id, account, remaining_lots: 0 });
        } else if order.may_rest() {
            let place = self.orders.claim(order_id.0);
            let post_only = order.order_type == OrderType::LimitMaker;
            self.rest(side, place, Resting { id: order_id.0, account: account.0, lots, price, post_only, before: NONE, behind: NONE });
        } else {
            out.push(Report::Ended { reason: EndReason::Expired, order_id, account, remaining_lots: lots.cast_signed() });
        }
    }

    fn replace_refusal(&self, found: &Found, price_ticks: i64, quantity_lots: i64) -> Result<(u64, u64), CancelReason> {
        let Found { side, order, .. } = found;
        let (price, lots) = self.in_range(price_ticks, quantity_lots).map_err(|_| CancelReason::OutOfRange)?;
        if lots > order.lots || price != order.price && !self.level_fits(*side, price, lots) {
            return Err(CancelReason::OutOfRange);
        }
        let takes = self.crosses(*side, price);
        let frees_its_level = order.before == NONE && order.behind == NONE;
        if order.post_only && takes {
            Err(CancelReason::WouldTake)
        } else if !takes && !frees_its_level && !self.has_level_for(price) {
            Err(CancelReason::BookFull)
        } else {
            Ok((price, lots))
        }
    }
}

impl Book for Fast {
    #[inline(always)]
    fn place(&mut self, order: &NewOrder, out: &mut impl Reports) {
        let NewOrder { order_id, account, side, price_ticks, quantity_lots, .. } = *order;
        let (origin, number) = order_id.origin();
        let seen = self.origins.see(origin, number);
        let (price, lots) = (price_ticks.cast_unsigned(), quantity_lots.cast_unsigned());
        let takes = self.crosses(side, price);
        // What nearly every order is: new, in range, of a kind that rests, with room, and nothing to take.
        let is_plain = (seen == Seen::New)
            & self.is_in_range(price_ticks, quantity_lots)
            & (order.order_type == OrderType::Limit)
            & (order.time_in_force == TimeInForce::Gtc)
            & !takes
            & self.levels_fit
            & (self.orders.count() < self.orders_room)
            & !self.ladder.is_full();
        if !is_plain {
            return self.place_with_care(*order, seen, out);
        }
        out.push(Report::Accepted { order_id, account });
        let place = self.orders.claim(order_id.0);
        self.rest(side, place, Resting { id: order_id.0, account: account.0, lots, price, post_only: false, before: NONE, behind: NONE });
    }

    #[inline(always)]
    fn cancel(&mut self, order_id: OrderId, account: AccountId, out: &mut impl Reports) {
        // What nearly every order is: in its id's line.
        match self.orders.find_at_home(order_id.0) {
            Some(place) if self.orders.account(place) == account.0 => {
                let order = self.orders.get(place);
                self.unlink(&order);
                self.orders.vacate(place);
                out.push(Report::Ended { reason: EndReason::Cancelled, order_id, account, remaining_lots: order.lots.cast_signed() });
            }
            _ => self.cancel_displaced(order_id, account, out),
        }
    }

    #[inline(never)]
    fn reduce(&mut self, order_id: OrderId, account: AccountId, lots: i64, out: &mut impl Reports) {
        out.push(match self.find(order_id, account) {
            None => Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account },
            Some(Found { order, .. }) if !(1..order.lots.cast_signed()).contains(&lots) => {
                Report::CancelRejected { reason: CancelReason::OutOfRange, order_id, account }
            }
            Some(Found { place, order, .. }) => {
                self.orders.set_lots(place, order.lots - lots.cast_unsigned());
                Report::Reduced { order_id, account, lots }
            }
        });
    }

    #[inline(never)]
    fn replace(&mut self, order_id: OrderId, account: AccountId, price_ticks: i64, quantity_lots: i64, out: &mut impl Reports) {
        let Some(found) = self.find(order_id, account) else {
            return out.push(Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account });
        };
        if self.ladder.is_full() && self.grow_if_full() {
            // Every order has another place now.
            return self.replace(order_id, account, price_ticks, quantity_lots, out);
        }
        let (price, lots) = match self.replace_refusal(&found, price_ticks, quantity_lots) {
            Ok(new) => new,
            Err(reason) => return out.push(Report::CancelRejected { reason, order_id, account }),
        };
        let Found { place, side, order } = found;
        self.unlink(&order);
        out.push(Report::Replaced { side, order_id, account, price_ticks, released_lots: (order.lots - lots).cast_signed() });
        // It keeps its place among the orders while it is in no level.
        let lots = if self.crosses(side, price) { self.take(side, price, lots, out) } else { lots };
        if lots == 0 {
            self.orders.free(place, order_id.0);
            out.push(Report::Ended { reason: EndReason::Filled, order_id, account, remaining_lots: 0 });
        } else {
            self.rest(side, place, Resting { lots, price, ..order });
        }
    }

    fn depth(&self, side: Side, levels: usize, out: &mut Vec<Level>) {
        out.extend(self.best_first(side).take(levels).map(|price| {
            let (mut lots, mut orders) = (0, 0);
            for order in self.queue(price) {
                lots += order.lots;
                orders += 1;
            }
            Level { price_ticks: price.cast_signed(), lots: lots.cast_signed(), orders }
        }));
    }

    #[inline]
    fn prefetch(&self, command: &Command) {
        self.ask_for_own(command);
    }

    #[inline]
    fn prefetch_further(&self, command: &Command) {
        self.ask_for_neighbours(command);
    }

    /// A line for every order; the rest is small beside that.
    fn working_set_bytes(&self) -> usize {
        self.orders.count() * 64
    }

    /// Allocates: it sorts the origins.
    fn state_hash(&self) -> u64 {
        let mut hash = StateHash::new();
        hash.add(self.last_trade_id);
        let origins = self.origins.sorted();
        hash.add(origins.len() as u64);
        for (origin, number) in origins {
            hash.add(u64::from(origin));
            hash.add(number);
        }
        for side in [Side::Buy, Side::Sell] {
            hash.add(self.best_first(side).count() as u64);
            for price in self.best_first(side) {
                hash.add(price);
                hash.add(self.queue(price).count() as u64);
                for order in self.queue(price) {
                    hash.add(order.id);
                    hash.add(order.account);
                    hash.add(order.lots);
                    hash.add(u64::from(order.post_only));
                }
            }
        }
        hash.finish()
    }
}
