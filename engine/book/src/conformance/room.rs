//! The bounds of a book are reached by rejects: `BookFull`.

use super::desk::{OWNER, ROOMY, accepted, cancel_rejected, expired, filled, rejected, traded};
use super::{Case, Make};
use crate::{Book, BookConfig};
use wire::order::CancelReason;
use wire::order::OrderType::{Limit, LimitMaker};
use wire::order::RejectReason::{BookFull, PriceOutOfRange};
use wire::order::Side::{Buy, Sell};
use wire::order::TimeInForce::{Gtc, Ioc};

pub(super) fn cases<B: Book>() -> Vec<Case<B>> {
    vec![
        ("a_book_full_of_orders_refuses_what_would_rest", a_book_full_of_orders_refuses_what_would_rest),
        ("a_book_full_of_levels_refuses_another_level", a_book_full_of_levels_refuses_another_level),
        ("what_takes_makes_its_own_room", what_takes_makes_its_own_room),
        ("what_does_not_rest_needs_no_room", what_does_not_rest_needs_no_room),
        ("an_end_makes_room", an_end_makes_room),
        ("replace_in_a_full_book", replace_in_a_full_book),
        ("a_book_full_of_origins_refuses_another_origin", a_book_full_of_origins_refuses_another_origin),
    ]
}

const TWO_ORDERS: BookConfig = BookConfig { orders_max: 2, ..ROOMY };
const TWO_LEVELS: BookConfig = BookConfig { levels_max: 2, ..ROOMY };

fn a_book_full_of_orders_refuses_what_would_rest<B: Book>(make: Make<B>) {
    let mut desk = make(TWO_ORDERS);
    desk.rest(1, Buy, 100, 1);
    desk.rest(2, Sell, 101, 1);
    assert_eq!(desk.limit(3, Buy, 100, 1), [rejected(3, 1, BookFull)]);
    assert_eq!(desk.place(4, Sell, LimitMaker, Gtc, 101, 1), [rejected(4, 1, BookFull)]);
}

fn a_book_full_of_levels_refuses_another_level<B: Book>(make: Make<B>) {
    let mut desk = make(TWO_LEVELS);
    desk.rest(1, Buy, 100, 1);
    desk.rest(2, Sell, 101, 1);
    assert_eq!(desk.limit(3, Buy, 99, 1), [rejected(3, 1, BookFull)]);
    assert_eq!(desk.limit(4, Sell, 102, 1), [rejected(4, 1, BookFull)]);
    desk.rest(5, Buy, 100, 1);
    desk.rest(6, Sell, 101, 1);
}

fn what_takes_makes_its_own_room<B: Book>(make: Make<B>) {
    for config in [TWO_ORDERS, TWO_LEVELS] {
        let mut desk = make(config);
        desk.rest(1, Buy, 100, 1);
        desk.rest(2, Sell, 101, 1);
        assert_eq!(desk.limit(3, Buy, 101, 2), [accepted(3), traded(1, 2, 101, 1), filled(2)]);
        assert_eq!(desk.depth(Buy), [(101, 1, 1), (100, 1, 1)]);
    }
}

fn what_does_not_rest_needs_no_room<B: Book>(make: Make<B>) {
    let mut desk = make(TWO_ORDERS);
    desk.rest(1, Buy, 100, 1);
    desk.rest(2, Sell, 101, 2);
    assert_eq!(desk.place(3, Buy, Limit, Ioc, 100, 1), [accepted(3), expired(3, 1)]);
    assert_eq!(desk.limit(4, Buy, 101, 1), [accepted(4), traded(1, 2, 101, 1), filled(4)]);
}

fn an_end_makes_room<B: Book>(make: Make<B>) {
    for config in [TWO_ORDERS, TWO_LEVELS] {
        let mut desk = make(config);
        desk.rest(1, Buy, 100, 1);
        desk.rest(2, Sell, 105, 1);
        desk.cancel(1, OWNER);
        desk.rest(3, Buy, 99, 1);
        desk.limit(4, Buy, 105, 1);
        desk.rest(5, Sell, 106, 1);
        assert_eq!(desk.limit(6, Sell, 107, 1), [rejected(6, 1, BookFull)]);
    }
}

fn replace_in_a_full_book<B: Book>(make: Make<B>) {
    let mut desk = make(TWO_ORDERS);
    desk.rest(1, Buy, 100, 1);
    desk.rest(2, Sell, 105, 1);
    assert_eq!(desk.replace(1, OWNER, 99, 1).len(), 1);
    assert_eq!(desk.depth(Buy), [(99, 1, 1)]);
    let mut desk = make(TWO_LEVELS);
    desk.rest(1, Buy, 100, 2);
    desk.rest(2, Buy, 100, 2);
    desk.rest(3, Sell, 105, 1);
    assert_eq!(desk.replace(1, OWNER, 99, 2), [cancel_rejected(1, OWNER, CancelReason::BookFull)]);
    assert_eq!(desk.replace(1, OWNER, 105, 2).len(), 3, "it takes the only ask, whose level is then free");
    assert_eq!((desk.depth(Buy), desk.depth(Sell)), (vec![(105, 1, 1), (100, 2, 1)], vec![]), "full again");
    assert_eq!(desk.replace(1, OWNER, 98, 1).len(), 1, "its own level is free when it was alone there");
    assert_eq!(desk.depth(Buy), [(100, 2, 1), (98, 1, 1)]);
}

fn a_book_full_of_origins_refuses_another_origin<B: Book>(make: Make<B>) {
    let mut desk = make(BookConfig { origins_max: 2, ..ROOMY });
    desk.rest(1 << 40 | 1, Buy, 100, 1);
    assert_eq!(desk.limit(2 << 40 | 1, Buy, 0, 1), [rejected(2 << 40 | 1, 1, PriceOutOfRange)], "seen, though refused");
    let before = desk.state_hash();
    for price in [100, 0] {
        assert_eq!(desk.limit(3 << 40 | 7, Sell, price, 1), [rejected(3 << 40 | 7, 1, BookFull)], "it was not seen, and stays refused");
    }
    assert_eq!(desk.state_hash(), before);
    desk.cancel(1 << 40 | 1, OWNER);
    assert_eq!(desk.limit(3 << 40 | 8, Sell, 100, 1), [rejected(3 << 40 | 8, 1, BookFull)], "an origin is never forgotten");
    desk.rest(2 << 40 | 2, Sell, 100, 1);
}
