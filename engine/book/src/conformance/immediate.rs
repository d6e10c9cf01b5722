//! I-O7: what an order may leave behind. Market, IOC, FOK, post-only.

use super::desk::{ROOMY, accepted, expired, filled, rejected, traded};
use super::{Case, Make};
use crate::Book;
use wire::order::OrderType::{Limit, LimitMaker, Market};
use wire::order::RejectReason::{CannotFill, WouldTake};
use wire::order::Side::{Buy, Sell};
use wire::order::TimeInForce::{Fok, Gtc, Ioc};

pub(super) fn cases<B: Book>() -> Vec<Case<B>> {
    vec![
        ("the_rest_of_an_ioc_order_expires", the_rest_of_an_ioc_order_expires),
        ("a_market_order_never_rests", a_market_order_never_rests),
        ("a_market_order_stops_at_its_protection_price", a_market_order_stops_at_its_protection_price),
        ("a_market_order_meets_an_empty_book", a_market_order_meets_an_empty_book),
        ("fok_fills_whole_or_not_at_all", fok_fills_whole_or_not_at_all),
        ("fok_counts_only_what_is_within_its_price", fok_counts_only_what_is_within_its_price),
        ("a_market_order_may_be_fok", a_market_order_may_be_fok),
        ("post_only_rests_or_is_refused", post_only_rests_or_is_refused),
        ("post_only_has_no_time_in_force", post_only_has_no_time_in_force),
    ]
}

fn the_rest_of_an_ioc_order_expires<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 2);
    desk.rest(2, Sell, 101, 2);
    assert_eq!(desk.place(3, Buy, Limit, Ioc, 100, 5), [accepted(3), traded(1, 1, 100, 2), filled(1), expired(3, 3)]);
    assert_eq!(desk.place(4, Buy, Limit, Ioc, 101, 2), [accepted(4), traded(2, 2, 101, 2), filled(2), filled(4)]);
    assert_eq!(desk.place(5, Buy, Limit, Ioc, 101, 2), [accepted(5), expired(5, 2)]);
    assert!(desk.depth(Buy).is_empty() && desk.depth(Sell).is_empty());
}

fn a_market_order_never_rests<B: Book>(make: Make<B>) {
    for time_in_force in [Gtc, Ioc] {
        let mut desk = make(ROOMY);
        desk.rest(1, Buy, 100, 2);
        assert_eq!(desk.place(2, Sell, Market, time_in_force, 1, 5), [accepted(2), traded(1, 1, 100, 2), filled(1), expired(2, 3)]);
        assert!(desk.depth(Buy).is_empty() && desk.depth(Sell).is_empty());
    }
}

fn a_market_order_stops_at_its_protection_price<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 1);
    desk.rest(2, Sell, 110, 1);
    desk.rest(3, Sell, 111, 1);
    assert_eq!(desk.place(4, Buy, Market, Ioc, 110, 3), [accepted(4), traded(1, 1, 100, 1), filled(1), traded(2, 2, 110, 1), filled(2), expired(4, 1)]);
    assert_eq!(desk.depth(Sell), [(111, 1, 1)]);
}

fn a_market_order_meets_an_empty_book<B: Book>(make: Make<B>) {
    assert_eq!(make(ROOMY).place(1, Buy, Market, Gtc, 1_000, 5), [accepted(1), expired(1, 5)]);
}

fn fok_fills_whole_or_not_at_all<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 2);
    desk.rest(2, Sell, 101, 2);
    assert_eq!(desk.place(3, Buy, Limit, Fok, 101, 5), [rejected(3, 5, CannotFill)]);
    assert_eq!(desk.depth(Sell), [(100, 2, 1), (101, 2, 1)]);
    assert_eq!(desk.place(4, Buy, Limit, Fok, 101, 4), [accepted(4), traded(1, 1, 100, 2), filled(1), traded(2, 2, 101, 2), filled(2), filled(4)]);
    assert_eq!(desk.place(5, Buy, Limit, Fok, 101, 1), [rejected(5, 1, CannotFill)]);
}

fn fok_counts_only_what_is_within_its_price<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Buy, 100, 2);
    desk.rest(2, Buy, 99, 2);
    assert_eq!(desk.place(3, Sell, Limit, Fok, 100, 3), [rejected(3, 3, CannotFill)]);
    assert_eq!(desk.place(4, Sell, Limit, Fok, 99, 3), [accepted(4), traded(1, 1, 100, 2), filled(1), traded(2, 2, 99, 1), filled(4)]);
}

fn a_market_order_may_be_fok<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 2);
    assert_eq!(desk.place(2, Buy, Market, Fok, 1_000, 3), [rejected(2, 3, CannotFill)]);
    assert_eq!(desk.place(3, Buy, Market, Fok, 1_000, 1), [accepted(3), traded(1, 1, 100, 1), filled(3)]);
}

fn post_only_rests_or_is_refused<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    assert_eq!(desk.place(1, Sell, LimitMaker, Gtc, 100, 2), [accepted(1)]);
    assert_eq!(desk.place(2, Buy, LimitMaker, Gtc, 100, 1), [rejected(2, 1, WouldTake)]);
    assert_eq!(desk.place(3, Buy, LimitMaker, Gtc, 150, 1), [rejected(3, 1, WouldTake)]);
    assert_eq!(desk.place(4, Buy, LimitMaker, Gtc, 99, 1), [accepted(4)]);
    assert_eq!(desk.limit(5, Buy, 100, 1), [accepted(5), traded(1, 1, 100, 1), filled(5)]);
    assert_eq!((desk.depth(Buy), desk.depth(Sell)), (vec![(99, 1, 1)], vec![(100, 1, 1)]));
}

fn post_only_has_no_time_in_force<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    assert_eq!(desk.place(1, Sell, LimitMaker, Ioc, 100, 2), [accepted(1)]);
    assert_eq!(desk.place(2, Sell, LimitMaker, Fok, 100, 2), [accepted(2)]);
    assert_eq!(desk.depth(Sell), [(100, 4, 2)]);
}
