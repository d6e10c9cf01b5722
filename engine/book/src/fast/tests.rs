//! What no report shows: the parts of the book agree with each other after every step, wherever the window is.

use super::*;
use crate::{Naive, Slots};
use proptest::prelude::*;
use wire::order::TimeInForce;
use wire::slot::Slot;

impl Fast {
    fn check(&self) {
        self.ladder.check();
        let (mut count, mut levels) = (0, 0);
        for side in [Side::Buy, Side::Sell] {
            for price in self.best_first(side) {
                levels += 1;
                let mut before = NONE;
                for order in self.queue(price) {
                    assert_eq!((order.before, order.price), (before, price), "an order knows its neighbour and its price");
                    before = self.orders.find(order.id).expect("an order is in its id's place");
                    count += 1;
                }
                assert_eq!(self.ladder.level(price).last, before, "a level knows its last order");
            }
        }
        assert_eq!((count, levels), (self.orders.count(), self.ladder.count()), "best-first reaches all");
        assert!(self.best_bid < self.best_ask);
    }
}

proptest! {
    #[test]
    fn the_parts_agree(steps in prop::collection::vec((0..4_u8, any::<bool>(), prop_oneof![4 => 9_900..10_100_i64, 1 => 1..1_i64 << 40], 1..10_i64), 1..200)) {
        let config = BookConfig { price_ticks_max: 1 << 40, quantity_lots_max: 1 << 40, orders_max: 60, levels_max: 60, origins_max: 1 };
        let (mut book, mut slots) = (Fast::with_window(config, 128), Vec::new());
        // From no room at all; what it says is the naive book's.
        let (mut growing, mut naive, mut expected, mut told) = (Fast::growing_from(config, 1), Naive::new(config), Vec::new(), Vec::new());
        for (number, (what, buy, price_ticks, quantity_lots)) in (1_u64..).zip(steps) {
            let older = OrderId(number.saturating_sub(price_ticks as u64 % 30));
            let (account, side) = (AccountId(1), if buy { Side::Buy } else { Side::Sell });
            let order = NewOrder { order_id: OrderId(number), account, side, order_type: OrderType::Limit, time_in_force: TimeInForce::Gtc, price_ticks, quantity_lots };
            let step = Step { what, older, order };
            step.of(&mut book, &mut Slots { slots: &mut slots, tag: number as u32 });
            book.check();
            step.of(&mut growing, &mut told);
            growing.check();
            step.of(&mut naive, &mut expected);
            prop_assert_eq!(&told, &expected);
            prop_assert_eq!(growing.state_hash(), naive.state_hash());
            prop_assert!(slots.last().is_some_and(|slot| slot.tag() == number as u32), "every slot has its command's number");
        }
        let in_slots: Result<Vec<Report>, _> = slots.iter().map(Slot::get).collect();
        prop_assert_eq!(in_slots, Ok(expected), "slots say what a list says");
    }
}

/// One command, for books of several kinds.
struct Step {
    what: u8,
    older: OrderId,
    order: NewOrder,
}

impl Step {
    fn of(&self, book: &mut impl Book, out: &mut impl Reports) {
        let NewOrder { account, price_ticks, quantity_lots, .. } = self.order;
        match self.what {
            0 => book.cancel(self.older, account, out),
            1 => book.replace(self.older, account, price_ticks, quantity_lots, out),
            _ => book.place(&self.order, out),
        }
    }
}

#[test]
fn memory_is_what_the_bounds_say() {
    let config = BookConfig { price_ticks_max: 1 << 20, quantity_lots_max: 1_000, orders_max: 1 << 14, levels_max: 1 << 10, origins_max: 64 };
    let bytes = Fast::bytes(&config, Fast::window_for(&config));
    assert_eq!(bytes, (1 << 14) * 68 + (1 << 12) * 8 + (64 + 1) * 8 + 1_025 * 24 + 64 * 8 + 128 * 16);
}

#[test]
fn a_growing_book_starts_small_and_ends_at_its_bounds() {
    let config = BookConfig { price_ticks_max: 1 << 20, quantity_lots_max: 1_000, orders_max: 3_000, levels_max: 700, origins_max: 1 };
    let (mut book, mut out) = (Fast::growing(config), Vec::new());
    assert_eq!((book.orders_room, book.ladder.room()), (256, 256));
    for number in 1..=4_000 {
        let price_ticks = 1_000 + number % 701;
        let (order_id, account, side) = (OrderId(number as u64), AccountId(1), Side::Buy);
        let order = NewOrder { order_id, account, side, order_type: OrderType::Limit, time_in_force: TimeInForce::Gtc, price_ticks, quantity_lots: 1 };
        book.place(&order, &mut out);
    }
    book.check();
    assert_eq!((book.orders_room, book.ladder.room(), book.orders.count()), (3_000, 700, 3_000));
    let is_refused = |report: &&Report| matches!(report, Report::Rejected { reason: RejectReason::BookFull, .. });
    assert_eq!(out.iter().filter(is_refused).count(), 1_000, "what the bounds refuse, no sooner and no later");
}
