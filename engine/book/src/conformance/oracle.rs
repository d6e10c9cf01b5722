//! What a book may report, told from the commands and reports alone: a flat list of live orders, searched from end to end.

use crate::{Book, BookConfig, Level, NewOrder};
use std::collections::{BTreeMap, BTreeSet};
use wire::ids::{AccountId, OrderId};
use wire::order::{CancelReason, EndReason, OrderType, RejectReason, Side, TimeInForce};
use wire::slot::{Command, Report};

/// Follows one book from its first command. Rows: I-O1 to I-O8, I-O10, I-O11, I-O13, D-03, D-04.
#[derive(Debug, Clone)]
pub struct Oracle {
    config: BookConfig,
    /// In priority among equals in price.
    live: Vec<Live>,
    /// Every order that was ever accepted.
    accounts_of_lots: BTreeMap<OrderId, Lots>,
    seen: BTreeSet<OrderId>,
    trades: u64,
}

#[derive(Debug, Clone, Copy)]
struct Live {
    order_id: OrderId,
    account: AccountId,
    side: Side,
    price_ticks: i64,
    remaining_lots: i64,
    post_only: bool,
}

/// I-O5: ordered = executed + released + remaining.
#[derive(Debug, Clone, Copy, Default)]
struct Lots {
    ordered: i64,
    executed: i64,
    released: i64,
}

/// An order on its way through the book: a new one, or a replaced one.
struct Taker {
    order_id: OrderId,
    account: AccountId,
    side: Side,
    limit: i64,
    remaining_lots: i64,
}

impl Oracle {
    /// Of an empty book.
    pub fn new(config: BookConfig) -> Self {
        Oracle { config, live: Vec::new(), accounts_of_lots: BTreeMap::new(), seen: BTreeSet::new(), trades: 0 }
    }

    /// Panics if a report, or the book's depth after it, breaks a rule.
    pub fn check<B: Book>(&mut self, command: &Command, reports: &[Report], book: &B) {
        match *command {
            Command::Place { symbol: _, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots } => {
                self.check_place(&NewOrder { order_id, account, side, order_type, time_in_force, price_ticks, quantity_lots }, reports);
            }
            Command::Cancel { symbol: _, order_id, account } => self.check_cancel(order_id, account, reports),
            Command::Reduce { symbol: _, order_id, account, lots } => self.check_reduce(order_id, account, lots, reports),
            Command::Replace { symbol: _, order_id, account, price_ticks, quantity_lots } => {
                self.check_replace(order_id, account, price_ticks, quantity_lots, reports);
            }
        }
        self.check_lots();
        self.check_depth(book);
    }

    fn check_place(&mut self, order: &NewOrder, reports: &[Report]) {
        let NewOrder { order_id, account, side, price_ticks, quantity_lots, .. } = *order;
        let refusal = self.refusal(order);
        if self.has_origin_room(order_id) {
            self.seen.insert(order_id);
        }
        if let Some(reason) = refusal {
            assert_eq!(reports, [Report::Rejected { reason, order_id, account, quantity_lots }], "{order:?}");
            return;
        }
        assert_eq!(reports.first(), Some(&Report::Accepted { order_id, account }), "{order:?}");
        let before = self.accounts_of_lots.insert(order_id, Lots { ordered: quantity_lots, ..Lots::default() });
        assert!(before.is_none(), "I-O8: {order_id:?} was accepted twice");
        let taker = Taker { order_id, account, side, limit: price_ticks, remaining_lots: quantity_lots };
        let (remaining_lots, more) = self.check_fills(taker, &reports[1..]);
        let filled_lots = quantity_lots - remaining_lots;
        if order.is_all_or_nothing() {
            assert_eq!(filled_lots, quantity_lots, "I-O7: {order:?} was filled in part");
        }
        if order.order_type == OrderType::LimitMaker {
            assert_eq!(filled_lots, 0, "I-O7: {order:?} took");
        }
        if remaining_lots > 0 && !order.may_rest() {
            assert_eq!(more, [Report::Ended { reason: EndReason::Expired, order_id, account, remaining_lots }], "I-O7: {order:?} rests");
            self.lots(order_id).released += remaining_lots;
            return;
        }
        assert_eq!(more, [], "{order:?} reports more than happened");
        if remaining_lots > 0 {
            self.live.push(Live { order_id, account, side, price_ticks, remaining_lots, post_only: order.order_type == OrderType::LimitMaker });
        }
    }

    /// Follows fills and the ends that they cause; gives back what the taker has left, and the reports behind them.
    fn check_fills<'a>(&mut self, mut taker: Taker, reports: &'a [Report]) -> (i64, &'a [Report]) {
        let mut reports = reports.iter();
        while let Some(maker_at) = self.next_maker(&taker).filter(|_| taker.remaining_lots > 0) {
            let maker = self.live[maker_at];
            let quantity_lots = maker.remaining_lots.min(taker.remaining_lots);
            self.trades += 1;
            let traded = Report::Traded {
                trade_id: self.trades,
                maker_order_id: maker.order_id,
                maker_account: maker.account,
                price_ticks: maker.price_ticks,
                quantity_lots,
            };
            assert_eq!(reports.next(), Some(&traded), "I-O2, I-O3, I-O4, I-O13: the next fill of {:?}", taker.order_id);
            taker.remaining_lots -= quantity_lots;
            self.lots(taker.order_id).executed += quantity_lots;
            self.lots(maker.order_id).executed += quantity_lots;
            self.live[maker_at].remaining_lots -= quantity_lots;
            if self.live[maker_at].remaining_lots == 0 {
                self.live.remove(maker_at);
                let ended = Report::Ended { reason: EndReason::Filled, order_id: maker.order_id, account: maker.account, remaining_lots: 0 };
                assert_eq!(reports.next(), Some(&ended), "I-O10: a used up order ends");
            }
        }
        if taker.remaining_lots == 0 {
            let ended = Report::Ended { reason: EndReason::Filled, order_id: taker.order_id, account: taker.account, remaining_lots: 0 };
            assert_eq!(reports.next(), Some(&ended), "I-O10: a filled order ends");
        }
        (taker.remaining_lots, reports.as_slice())
    }

    fn check_cancel(&mut self, order_id: OrderId, account: AccountId, reports: &[Report]) {
        let Some(at) = self.find(order_id, account) else {
            return assert_eq!(reports, [Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id, account }], "I-O11");
        };
        let remaining_lots = self.live.remove(at).remaining_lots;
        assert_eq!(reports, [Report::Ended { reason: EndReason::Cancelled, order_id, account, remaining_lots }]);
        self.lots(order_id).released += remaining_lots;
    }

    fn check_reduce(&mut self, order_id: OrderId, account: AccountId, lots: i64, reports: &[Report]) {
        let refusal = match self.find(order_id, account) {
            None => Some(CancelReason::UnknownOrder),
            Some(at) if lots < 1 || lots >= self.live[at].remaining_lots => Some(CancelReason::OutOfRange),
            Some(at) => {
                self.live[at].remaining_lots -= lots;
                self.lots(order_id).released += lots;
                None
            }
        };
        assert_eq!(reports, [refusal.map_or(Report::Reduced { order_id, account, lots }, |reason| Report::CancelRejected { reason, order_id, account })]);
    }

    fn check_replace(&mut self, order_id: OrderId, account: AccountId, price_ticks: i64, quantity_lots: i64, reports: &[Report]) {
        let found = self.find(order_id, account);
        let refusal = match found {
            None => Some(CancelReason::UnknownOrder),
            Some(at) => self.replace_refusal(at, price_ticks, quantity_lots),
        };
        if let Some(reason) = refusal {
            return assert_eq!(reports, [Report::CancelRejected { reason, order_id, account }], "to {quantity_lots} at {price_ticks}");
        }
        let old = self.live.remove(found.expect("an unknown order was refused"));
        let released_lots = old.remaining_lots - quantity_lots;
        self.lots(order_id).released += released_lots;
        assert_eq!(reports.first(), Some(&Report::Replaced { side: old.side, order_id, account, price_ticks, released_lots }));
        let taker = Taker { order_id, account, side: old.side, limit: price_ticks, remaining_lots: quantity_lots };
        let (remaining_lots, more) = self.check_fills(taker, &reports[1..]);
        assert_eq!(more, [], "{order_id:?} reports more than happened");
        if remaining_lots > 0 {
            self.live.push(Live { price_ticks, remaining_lots, ..old });
        }
    }

    fn refusal(&self, order: &NewOrder) -> Option<RejectReason> {
        let NewOrder { order_id, side, order_type, time_in_force, price_ticks, quantity_lots, .. } = *order;
        let is_duplicate = self.seen.iter().any(|seen| seen.origin().0 == order_id.origin().0 && seen.0 >= order_id.0);
        let takes = self.against(side, price_ticks).next().is_some();
        let fillable: i128 = self.against(side, price_ticks).map(|maker| i128::from(maker.remaining_lots)).sum();
        let rests = order_type == OrderType::LimitMaker || order_type == OrderType::Limit && time_in_force == TimeInForce::Gtc;
        let all_or_nothing = order_type != OrderType::LimitMaker && time_in_force == TimeInForce::Fok;
        let faults = [
            (is_duplicate, RejectReason::DuplicateOrderId),
            (!self.has_origin_room(order_id), RejectReason::BookFull),
            (price_ticks < 1 || price_ticks > self.config.price_ticks_max, RejectReason::PriceOutOfRange),
            (quantity_lots < 1 || quantity_lots > self.config.quantity_lots_max, RejectReason::QuantityOutOfRange),
            (i128::from(price_ticks) * i128::from(quantity_lots) > i128::from(i64::MAX), RejectReason::Overflow),
            (rests && self.level_lots(side, price_ticks) + i128::from(quantity_lots) > i128::from(i64::MAX), RejectReason::Overflow),
            (order_type == OrderType::LimitMaker && takes, RejectReason::WouldTake),
            (all_or_nothing && fillable < i128::from(quantity_lots), RejectReason::CannotFill),
            (rests && !takes && self.live.len() >= self.config.orders_max, RejectReason::BookFull),
            (rests && !takes && self.levels_with(side, price_ticks, None) > self.config.levels_max, RejectReason::BookFull),
        ];
        faults.into_iter().find(|(is_fault, _)| *is_fault).map(|(_, reason)| reason)
    }

    fn replace_refusal(&self, at: usize, price_ticks: i64, quantity_lots: i64) -> Option<CancelReason> {
        let old = self.live[at];
        let others_at_price = self.level_lots(old.side, price_ticks) - if price_ticks == old.price_ticks { i128::from(old.remaining_lots) } else { 0 };
        let takes = self.against(old.side, price_ticks).next().is_some();
        let faults = [
            (price_ticks < 1 || price_ticks > self.config.price_ticks_max, CancelReason::OutOfRange),
            (quantity_lots < 1 || quantity_lots > old.remaining_lots, CancelReason::OutOfRange),
            (i128::from(price_ticks) * i128::from(quantity_lots) > i128::from(i64::MAX), CancelReason::OutOfRange),
            (others_at_price + i128::from(quantity_lots) > i128::from(i64::MAX), CancelReason::OutOfRange),
            (old.post_only && takes, CancelReason::WouldTake),
            (!takes && self.levels_with(old.side, price_ticks, Some(at)) > self.config.levels_max, CancelReason::BookFull),
        ];
        faults.into_iter().find(|(is_fault, _)| *is_fault).map(|(_, reason)| reason)
    }

    fn has_origin_room(&self, order_id: OrderId) -> bool {
        let origins: BTreeSet<u32> = self.seen.iter().chain([&order_id]).map(|seen| seen.origin().0).collect();
        origins.len() <= self.config.origins_max
    }

    /// Live orders that an order of `side` within `limit` trades with.
    fn against(&self, side: Side, limit: i64) -> impl Iterator<Item = &Live> {
        self.live
            .iter()
            .filter(move |maker| maker.side == side.opposite() && if side == Side::Buy { maker.price_ticks <= limit } else { maker.price_ticks >= limit })
    }

    /// D-03, D-04: best price, then longest there.
    fn next_maker(&self, taker: &Taker) -> Option<usize> {
        let sign = if taker.side == Side::Buy { 1 } else { -1 };
        let best = self.against(taker.side, taker.limit).map(|maker| maker.price_ticks * sign).min()?;
        self.live.iter().position(|maker| maker.side == taker.side.opposite() && maker.price_ticks * sign == best)
    }

    fn level_lots(&self, side: Side, price_ticks: i64) -> i128 {
        self.live.iter().filter(|order| order.side == side && order.price_ticks == price_ticks).map(|order| i128::from(order.remaining_lots)).sum()
    }

    /// How many levels there would be with one at this price, and without the order `but`.
    fn levels_with(&self, side: Side, price_ticks: i64, but: Option<usize>) -> usize {
        let mut levels: BTreeSet<(Side, i64)> =
            self.live.iter().enumerate().filter(|(at, _)| Some(*at) != but).map(|(_, order)| (order.side, order.price_ticks)).collect();
        levels.insert((side, price_ticks));
        levels.len()
    }

    fn find(&self, order_id: OrderId, account: AccountId) -> Option<usize> {
        self.live.iter().position(|order| order.order_id == order_id && order.account == account)
    }

    fn lots(&mut self, order_id: OrderId) -> &mut Lots {
        self.accounts_of_lots.get_mut(&order_id).expect("I-O8: only an accepted order changes")
    }

    fn check_lots(&self) {
        let mut remaining: BTreeMap<OrderId, i64> = BTreeMap::new();
        for order in &self.live {
            assert!(order.remaining_lots > 0, "I-O10: {order:?} is used up and live");
            assert!(remaining.insert(order.order_id, order.remaining_lots).is_none(), "I-O8: {order:?} is live twice");
        }
        for (order_id, lots) in &self.accounts_of_lots {
            let remaining = remaining.get(order_id).copied().unwrap_or(0);
            assert_eq!(lots.ordered, lots.executed + lots.released + remaining, "I-O5: {order_id:?}");
        }
    }

    fn check_depth<B: Book>(&self, book: &B) {
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        book.depth(Side::Buy, usize::MAX, &mut bids);
        book.depth(Side::Sell, usize::MAX, &mut asks);
        if let ([bid, ..], [ask, ..]) = (&bids[..], &asks[..]) {
            assert!(bid.price_ticks < ask.price_ticks, "I-O1: {bid:?} meets {ask:?}");
        }
        let mut expected_bids = self.expected_levels(Side::Buy);
        expected_bids.reverse();
        assert_eq!(bids, expected_bids, "I-O6: bids");
        assert_eq!(asks, self.expected_levels(Side::Sell), "I-O6: asks");
    }

    fn expected_levels(&self, side: Side) -> Vec<Level> {
        let mut levels: BTreeMap<i64, Level> = BTreeMap::new();
        for order in self.live.iter().filter(|order| order.side == side) {
            let level = levels.entry(order.price_ticks).or_insert(Level { price_ticks: order.price_ticks, lots: 0, orders: 0 });
            level.lots += order.remaining_lots;
            level.orders += 1;
        }
        levels.into_values().collect()
    }
}
