//! I-O3, I-O10, I-O11: cancel and reduce.

use super::desk::{OTHER, OWNER, ROOMY, accepted, cancel_rejected, cancelled, filled, traded};
use super::{Case, Make};
use crate::Book;
use wire::ids::OrderId;
use wire::order::CancelReason::{OutOfRange, UnknownOrder};
use wire::order::Side::{Buy, Sell};
use wire::slot::Report;

pub(super) fn cases<B: Book>() -> Vec<Case<B>> {
    vec![
        ("cancel_takes_the_rest_out", cancel_takes_the_rest_out),
        ("cancel_of_an_unknown_order_changes_nothing", cancel_of_an_unknown_order_changes_nothing),
        ("cancel_of_anothers_order_says_unknown", cancel_of_anothers_order_says_unknown),
        ("an_ended_order_cannot_be_cancelled", an_ended_order_cannot_be_cancelled),
        ("cancel_from_the_middle_keeps_the_others_places", cancel_from_the_middle_keeps_the_others_places),
        ("reduce_keeps_the_place", reduce_keeps_the_place),
        ("reduce_leaves_at_least_one_lot", reduce_leaves_at_least_one_lot),
        ("reduce_is_the_owners", reduce_is_the_owners),
    ]
}

fn cancel_takes_the_rest_out<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    desk.limit(2, Buy, 100, 2);
    assert_eq!(desk.cancel(1, OWNER), [cancelled(1, 3)]);
    assert!(desk.depth(Sell).is_empty());
}

fn cancel_of_an_unknown_order_changes_nothing<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    assert_eq!(desk.cancel(2, OWNER), [cancel_rejected(2, OWNER, UnknownOrder)]);
    assert_eq!(desk.reduce(2, OWNER, 1), [cancel_rejected(2, OWNER, UnknownOrder)]);
    assert_eq!(desk.replace(2, OWNER, 100, 1), [cancel_rejected(2, OWNER, UnknownOrder)]);
}

fn cancel_of_anothers_order_says_unknown<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    assert_eq!(desk.cancel(1, OTHER), [cancel_rejected(1, OTHER, UnknownOrder)]);
    assert_eq!(desk.depth(Sell), [(100, 5, 1)]);
}

fn an_ended_order_cannot_be_cancelled<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 1);
    desk.limit(2, Buy, 100, 1);
    desk.rest(3, Sell, 100, 1);
    desk.cancel(3, OWNER);
    for id in 1..=3 {
        assert_eq!(desk.cancel(id, OWNER), [cancel_rejected(id, OWNER, UnknownOrder)]);
    }
}

fn cancel_from_the_middle_keeps_the_others_places<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    for id in 1..=4 {
        desk.rest(id, Buy, 100, 1);
    }
    desk.cancel(2, OWNER);
    desk.cancel(1, OWNER);
    assert_eq!(desk.limit(5, Sell, 100, 2), [accepted(5), traded(1, 3, 100, 1), filled(3), traded(2, 4, 100, 1), filled(4), filled(5)]);
}

fn reduce_keeps_the_place<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    desk.rest(2, Sell, 100, 5);
    assert_eq!(desk.reduce(1, OWNER, 4), [Report::Reduced { order_id: OrderId(1), account: OWNER, lots: 4 }]);
    assert_eq!(desk.depth(Sell), [(100, 6, 2)]);
    assert_eq!(desk.limit(3, Buy, 100, 2), [accepted(3), traded(1, 1, 100, 1), filled(1), traded(2, 2, 100, 1), filled(3)]);
}

fn reduce_leaves_at_least_one_lot<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    for lots in [i64::MIN, -1, 0, 5, 6, i64::MAX] {
        assert_eq!(desk.reduce(1, OWNER, lots), [cancel_rejected(1, OWNER, OutOfRange)], "by {lots}");
    }
    assert_eq!(desk.depth(Sell), [(100, 5, 1)]);
}

fn reduce_is_the_owners<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 5);
    assert_eq!(desk.reduce(1, OTHER, 1), [cancel_rejected(1, OTHER, UnknownOrder)]);
}
