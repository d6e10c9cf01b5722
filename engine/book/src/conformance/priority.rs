//! D-03, D-04, I-O2, I-O3, I-O4, I-O13: who trades next, and at which price.

use super::desk::{OWNER, ROOMY, accepted, filled, traded};
use super::{Case, Make};
use crate::Book;
use wire::order::Side::{Buy, Sell};

pub(super) fn cases<B: Book>() -> Vec<Case<B>> {
    vec![
        ("orders_that_do_not_cross_rest", orders_that_do_not_cross_rest),
        ("the_best_price_trades_first", the_best_price_trades_first),
        ("at_one_price_the_earlier_order_trades_first", at_one_price_the_earlier_order_trades_first),
        ("a_trade_happens_at_the_resting_price", a_trade_happens_at_the_resting_price),
        ("a_worse_level_is_untouched_while_a_better_one_exists", a_worse_level_is_untouched_while_a_better_one_exists),
        ("what_is_left_of_a_taker_rests_at_its_limit", what_is_left_of_a_taker_rests_at_its_limit),
        ("a_partly_filled_order_keeps_its_place", a_partly_filled_order_keeps_its_place),
        ("trade_ids_have_no_gap", trade_ids_have_no_gap),
    ]
}

fn orders_that_do_not_cross_rest<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Buy, 99, 1);
    desk.rest(2, Sell, 100, 1);
    assert_eq!((desk.depth(Buy), desk.depth(Sell)), (vec![(99, 1, 1)], vec![(100, 1, 1)]));
}

fn the_best_price_trades_first<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    for (id, price) in [(1, 102), (2, 100), (3, 101)] {
        desk.rest(id, Sell, price, 1);
    }
    // D-07: one step, three levels, in the order of execution.
    let sweep = [accepted(4), traded(1, 2, 100, 1), filled(2), traded(2, 3, 101, 1), filled(3), traded(3, 1, 102, 1), filled(1), filled(4)];
    assert_eq!(desk.limit(4, Buy, 102, 3), sweep);
    for (id, price) in [(5, 98), (6, 100), (7, 99)] {
        desk.rest(id, Buy, price, 1);
    }
    let sweep = [accepted(8), traded(4, 6, 100, 1), filled(6), traded(5, 7, 99, 1), filled(7), traded(6, 5, 98, 1), filled(5), filled(8)];
    assert_eq!(desk.limit(8, Sell, 98, 3), sweep);
}

fn at_one_price_the_earlier_order_trades_first<B: Book>(make: Make<B>) {
    for (maker, taker) in [(Sell, Buy), (Buy, Sell)] {
        let mut desk = make(ROOMY);
        for id in 1..=3 {
            desk.rest(id, maker, 100, 2);
        }
        assert_eq!(
            desk.limit(4, taker, 100, 5),
            [accepted(4), traded(1, 1, 100, 2), filled(1), traded(2, 2, 100, 2), filled(2), traded(3, 3, 100, 1), filled(4)]
        );
        assert_eq!(desk.depth(maker), [(100, 1, 1)]);
    }
}

fn a_trade_happens_at_the_resting_price<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 1);
    assert_eq!(desk.limit(2, Buy, 150, 1), [accepted(2), traded(1, 1, 100, 1), filled(1), filled(2)]);
    desk.rest(3, Buy, 100, 1);
    assert_eq!(desk.limit(4, Sell, 50, 1), [accepted(4), traded(2, 3, 100, 1), filled(3), filled(4)]);
}

fn a_worse_level_is_untouched_while_a_better_one_exists<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 101, 5);
    desk.rest(2, Sell, 100, 5);
    assert_eq!(desk.limit(3, Buy, 200, 4), [accepted(3), traded(1, 2, 100, 4), filled(3)]);
    assert_eq!(desk.depth(Sell), [(100, 1, 1), (101, 5, 1)]);
}

fn what_is_left_of_a_taker_rests_at_its_limit<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 2);
    desk.rest(2, Sell, 103, 2);
    assert_eq!(desk.limit(3, Buy, 102, 5), [accepted(3), traded(1, 1, 100, 2), filled(1)]);
    assert_eq!((desk.depth(Buy), desk.depth(Sell)), (vec![(102, 3, 1)], vec![(103, 2, 1)]));
}

fn a_partly_filled_order_keeps_its_place<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Buy, 100, 5);
    desk.rest(2, Buy, 100, 5);
    desk.limit(3, Sell, 100, 3);
    assert_eq!(desk.limit(4, Sell, 100, 3), [accepted(4), traded(2, 1, 100, 2), filled(1), traded(3, 2, 100, 1), filled(4)]);
    assert_eq!(desk.cancel(2, OWNER).len(), 1);
}

fn trade_ids_have_no_gap<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    for n in 1..=20 {
        desk.rest(2 * n, Sell, 100, 1);
        assert_eq!(desk.limit(2 * n + 1, Buy, 100, 1), [accepted(2 * n + 1), traded(n, 2 * n, 100, 1), filled(2 * n), filled(2 * n + 1)]);
    }
}
