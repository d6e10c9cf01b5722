//! The walk along the other side.

use super::Fast;
use super::orders::NONE;
use crate::Reports;
use wire::ids::{AccountId, OrderId};
use wire::order::{EndReason, Side};
use wire::slot::Report;

impl Fast {
    /// Trades with the best of the other side while it is within the limit; gives back what is left.
    #[inline(never)]
    pub(super) fn take(&mut self, side: Side, limit: u64, mut lots: u64, out: &mut impl Reports) -> u64 {
        while lots > 0 && self.crosses(side, limit) {
            let price = match side {
                Side::Buy => self.best_ask,
                Side::Sell => self.best_bid,
            };
            lots = self.take_level(price, lots, out);
        }
        lots
    }

    fn take_level(&mut self, price: u64, mut lots: u64, out: &mut impl Reports) -> u64 {
        let mut place = self.ladder.level(price).first;
        while place != NONE && lots > 0 {
            let maker = self.orders.get(place);
            let (order_id, account, filled) = (OrderId(maker.id), AccountId(maker.account), lots.min(maker.lots));
            self.last_trade_id += 1;
            out.push(Report::Traded {
                trade_id: self.last_trade_id,
                maker_order_id: order_id,
                maker_account: account,
                price_ticks: price.cast_signed(),
                quantity_lots: filled.cast_signed(),
            });
            lots -= filled;
            if filled < maker.lots {
                self.orders.set_lots(place, maker.lots - filled);
                break;
            }
            out.push(Report::Ended { reason: EndReason::Filled, order_id, account, remaining_lots: 0 });
            self.orders.free(place, maker.id);
            place = maker.behind;
        }
        if place == NONE {
            self.close_level(price);
        } else {
            *self.orders.before_mut(place) = NONE;
            self.ladder.level_mut(price).first = place;
        }
        lots
    }

    /// Whether an order of `side` within `limit` could take so many lots.
    pub(super) fn can_fill(&self, side: Side, limit: u64, mut lots: u64) -> bool {
        let within = |price: &u64| match side {
            Side::Buy => *price <= limit,
            Side::Sell => *price >= limit,
        };
        for price in self.best_first(side.opposite()).take_while(within) {
            for maker in self.queue(price) {
                lots -= lots.min(maker.lots);
                if lots == 0 {
                    return true;
                }
            }
        }
        false
    }
}
