//! I-O8 and the bounds: what is not an order for this book.

use super::desk::{OWNER, ROOMY, accepted, cancel_rejected, filled, rejected, traded};
use super::{Case, Make};
use crate::{Book, BookConfig};
use wire::order::CancelReason;
use wire::order::OrderType::{Limit, LimitMaker, Market};
use wire::order::RejectReason::{CannotFill, DuplicateOrderId, Overflow, PriceOutOfRange, QuantityOutOfRange, WouldTake};
use wire::order::Side::{Buy, Sell};
use wire::order::TimeInForce::{Fok, Gtc, Ioc};

pub(super) fn cases<B: Book>() -> Vec<Case<B>> {
    vec![
        ("a_redelivered_order_has_no_effect", a_redelivered_order_has_no_effect),
        ("a_redelivered_order_that_was_refused_stays_refused", a_redelivered_order_that_was_refused_stays_refused),
        ("origins_count_apart", origins_count_apart),
        ("prices_are_in_range", prices_are_in_range),
        ("quantities_are_in_range", quantities_are_in_range),
        ("price_times_quantity_fits", price_times_quantity_fits),
        ("a_levels_lots_fit", a_levels_lots_fit),
    ]
}

/// Every number is allowed.
const WIDE: BookConfig = BookConfig { price_ticks_max: i64::MAX, quantity_lots_max: i64::MAX, ..ROOMY };

fn a_redelivered_order_has_no_effect<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 1);
    assert_eq!(desk.limit(1, Sell, 100, 1), [rejected(1, 1, DuplicateOrderId)]);
    assert_eq!(desk.limit(2, Buy, 100, 1), [accepted(2), traded(1, 1, 100, 1), filled(1), filled(2)]);
    desk.rest(3, Sell, 100, 1);
    for ended in [1, 2] {
        assert_eq!(desk.limit(ended, Buy, 100, 1), [rejected(ended, 1, DuplicateOrderId)]);
    }
    assert_eq!(desk.depth(Sell), [(100, 1, 1)]);
}

fn a_redelivered_order_that_was_refused_stays_refused<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    assert_eq!(desk.place(1, Buy, Limit, Fok, 100, 1), [rejected(1, 1, CannotFill)]);
    desk.rest(2, Sell, 100, 1);
    assert_eq!(desk.place(1, Buy, Limit, Fok, 100, 1), [rejected(1, 1, DuplicateOrderId)]);
}

fn origins_count_apart<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(7 << 40 | 5, Sell, 100, 1);
    desk.rest(3 << 40 | 2, Sell, 100, 1);
    desk.rest(7 << 40 | 6, Sell, 100, 1);
    assert_eq!(desk.limit(3 << 40 | 1, Sell, 100, 1), [rejected(3 << 40 | 1, 1, DuplicateOrderId)]);
}

fn prices_are_in_range<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    for (id, price) in (1..).step_by(3).zip([i64::MIN, -1, 0, 1_001, i64::MAX]) {
        assert_eq!(desk.limit(id, Buy, price, 1), [rejected(id, 1, PriceOutOfRange)], "{price}");
        assert_eq!(desk.place(id + 1, Buy, Market, Ioc, price, 1), [rejected(id + 1, 1, PriceOutOfRange)], "{price}");
        assert_eq!(desk.limit(id + 2, Buy, price, 0), [rejected(id + 2, 0, PriceOutOfRange)], "the price comes first");
    }
    desk.rest(31, Buy, 1, 1);
    desk.rest(32, Sell, 1_000, 1);
}

fn quantities_are_in_range<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    for (id, lots) in (1..).step_by(2).zip([i64::MIN, -1, 0, 1_001, i64::MAX]) {
        assert_eq!(desk.limit(id, Buy, 100, lots), [rejected(id, lots, QuantityOutOfRange)], "{lots}");
        assert_eq!(desk.place(id + 1, Buy, Market, Ioc, 100, lots), [rejected(id + 1, lots, QuantityOutOfRange)], "{lots}");
    }
    desk.rest(21, Buy, 100, 1_000);
}

fn price_times_quantity_fits<B: Book>(make: Make<B>) {
    let mut desk = make(WIDE);
    assert_eq!(desk.limit(1, Buy, 1 << 32, 1 << 31), [rejected(1, 1 << 31, Overflow)]);
    assert_eq!(desk.place(2, Buy, Market, Ioc, i64::MAX, 2), [rejected(2, 2, Overflow)]);
    desk.rest(3, Buy, 1 << 32, (1 << 31) - 1);
    assert_eq!(desk.replace(3, OWNER, i64::MAX, 2), [cancel_rejected(3, OWNER, CancelReason::OutOfRange)]);
}

fn a_levels_lots_fit<B: Book>(make: Make<B>) {
    let mut desk = make(WIDE);
    desk.rest(1, Sell, 1, i64::MAX - 1);
    assert_eq!(desk.limit(2, Sell, 1, 2), [rejected(2, 2, Overflow)]);
    desk.rest(3, Sell, 2, 2);
    assert_eq!(desk.replace(3, OWNER, 1, 2), [cancel_rejected(3, OWNER, CancelReason::OutOfRange)]);
    desk.rest(4, Sell, 1, 1);
    assert_eq!(desk.place(5, Buy, LimitMaker, Gtc, 1, 1), [rejected(5, 1, WouldTake)]);
    // More is offered than a number holds; an all-or-nothing order still counts right.
    desk.rest(6, Sell, 3, i64::MAX / 3);
    let all = desk.place(7, Buy, Limit, Fok, 1, i64::MAX);
    assert_eq!(all, [accepted(7), traded(1, 1, 1, i64::MAX - 1), filled(1), traded(2, 4, 1, 1), filled(4), filled(7)]);
}
