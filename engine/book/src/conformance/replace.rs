//! I-O3: replace moves an order, loses its place, never makes it larger, and takes like a new order.

use super::desk::{OTHER, OWNER, ROOMY, accepted, cancel_rejected, filled, traded};
use super::{Case, Make};
use crate::Book;
use wire::ids::OrderId;
use wire::order::CancelReason::{OutOfRange, UnknownOrder, WouldTake};
use wire::order::OrderType::LimitMaker;
use wire::order::Side::{self, Buy, Sell};
use wire::order::TimeInForce::Gtc;
use wire::slot::Report;

pub(super) fn cases<B: Book>() -> Vec<Case<B>> {
    vec![
        ("replace_loses_the_place", replace_loses_the_place),
        ("replace_moves_the_order", replace_moves_the_order),
        ("a_replaced_order_that_crosses_takes", a_replaced_order_that_crosses_takes),
        ("what_a_replaced_order_does_not_take_rests", what_a_replaced_order_does_not_take_rests),
        ("replace_may_not_grow_an_order", replace_may_not_grow_an_order),
        ("replace_stays_in_range", replace_stays_in_range),
        ("a_replaced_post_only_order_does_not_take", a_replaced_post_only_order_does_not_take),
        ("replace_is_the_owners", replace_is_the_owners),
    ]
}

fn replaced(side: Side, id: u64, price_ticks: i64, released_lots: i64) -> Report {
    Report::Replaced { side, order_id: OrderId(id), account: OWNER, price_ticks, released_lots }
}

fn replace_loses_the_place<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    desk.rest(2, Sell, 100, 5);
    assert_eq!(desk.replace(1, OWNER, 100, 5), [replaced(Sell, 1, 100, 0)]);
    assert_eq!(desk.limit(3, Buy, 100, 6), [accepted(3), traded(1, 2, 100, 5), filled(2), traded(2, 1, 100, 1), filled(3)]);
}

fn replace_moves_the_order<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Buy, 100, 5);
    assert_eq!(desk.replace(1, OWNER, 98, 3), [replaced(Buy, 1, 98, 2)]);
    assert_eq!(desk.depth(Buy), [(98, 3, 1)]);
}

fn a_replaced_order_that_crosses_takes<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Buy, 99, 5);
    desk.rest(2, Sell, 101, 5);
    assert_eq!(desk.replace(1, OWNER, 103, 4), [replaced(Buy, 1, 103, 1), traded(1, 2, 101, 4), filled(1)]);
    assert_eq!(desk.depth(Sell), [(101, 1, 1)]);
}

fn what_a_replaced_order_does_not_take_rests<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 105, 5);
    desk.rest(2, Buy, 101, 2);
    assert_eq!(desk.replace(1, OWNER, 100, 5), [replaced(Sell, 1, 100, 0), traded(1, 2, 101, 2), filled(2)]);
    assert_eq!((desk.depth(Buy), desk.depth(Sell)), (vec![], vec![(100, 3, 1)]));
}

fn replace_may_not_grow_an_order<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    desk.limit(2, Buy, 100, 2);
    assert_eq!(desk.replace(1, OWNER, 101, 4), [cancel_rejected(1, OWNER, OutOfRange)]);
    assert_eq!(desk.replace(1, OWNER, 101, 3), [replaced(Sell, 1, 101, 0)]);
}

fn replace_stays_in_range<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    for (price, lots) in [(0, 5), (-1, 5), (1_001, 5), (100, 0), (100, -1), (i64::MAX, 2), (i64::MIN, 2)] {
        assert_eq!(desk.replace(1, OWNER, price, lots), [cancel_rejected(1, OWNER, OutOfRange)], "{lots} at {price}");
    }
}

fn a_replaced_post_only_order_does_not_take<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Buy, 99, 5);
    desk.place(2, Sell, LimitMaker, Gtc, 101, 5);
    assert_eq!(desk.replace(2, OWNER, 99, 5), [cancel_rejected(2, OWNER, WouldTake)]);
    assert_eq!(desk.replace(2, OWNER, 100, 5), [replaced(Sell, 2, 100, 0)]);
    assert_eq!(desk.replace(2, OWNER, 98, 5), [cancel_rejected(2, OWNER, WouldTake)]);
}

fn replace_is_the_owners<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    assert_eq!(desk.replace(1, OTHER, 101, 5), [cancel_rejected(1, OTHER, UnknownOrder)]);
}
