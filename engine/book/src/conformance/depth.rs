//! I-O6 and the state hash.

use super::desk::{OWNER, ROOMY};
use super::{Case, Make};
use crate::{Book, Level};
use wire::order::OrderType::LimitMaker;
use wire::order::Side::{Buy, Sell};
use wire::order::TimeInForce::Gtc;

pub(super) fn cases<B: Book>() -> Vec<Case<B>> {
    vec![
        ("depth_is_best_first_and_cut", depth_is_best_first_and_cut),
        ("an_empty_level_is_absent", an_empty_level_is_absent),
        ("the_hash_is_of_the_state", the_hash_is_of_the_state),
        ("the_hash_tells_states_apart", the_hash_tells_states_apart),
        ("the_hash_is_frozen", the_hash_is_frozen),
    ]
}

fn depth_is_best_first_and_cut<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    for (id, price) in [(1, 98), (3, 100), (5, 99), (7, 100)] {
        desk.rest(id, Buy, price, 1);
        desk.rest(id + 1, Sell, 300 - price, 2);
    }
    let level = |price_ticks, lots, orders| Level { price_ticks, lots, orders };
    assert_eq!(desk.levels(Buy, 2), [level(100, 2, 2), level(99, 1, 1)]);
    assert_eq!(desk.levels(Sell, 2), [level(200, 4, 2), level(201, 2, 1)]);
    assert_eq!((desk.levels(Sell, 0).len(), desk.levels(Sell, 4).len()), (0, 3));
}

fn an_empty_level_is_absent<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1, Sell, 100, 2);
    desk.rest(2, Sell, 101, 2);
    desk.limit(3, Buy, 100, 2);
    assert_eq!(desk.depth(Sell), [(101, 2, 1)]);
    desk.cancel(2, OWNER);
    assert!(desk.depth(Sell).is_empty());
}

fn the_hash_is_of_the_state<B: Book>(make: Make<B>) {
    let (mut one, mut other) = (make(ROOMY), make(ROOMY));
    one.rest(1, Buy, 100, 5);
    one.reduce(1, OWNER, 2);
    other.rest(1, Buy, 99, 3);
    assert_ne!(one.state_hash(), other.state_hash());
    other.replace(1, OWNER, 100, 3);
    assert_eq!(one.state_hash(), other.state_hash(), "the same orders in the same places");
}

fn the_hash_tells_states_apart<B: Book>(make: Make<B>) {
    let mut hashes = vec![make(ROOMY).state_hash()];
    let mut with = |build: &dyn Fn(&mut super::Desk<B>)| {
        let mut desk = make(ROOMY);
        build(&mut desk);
        hashes.push(desk.state_hash());
    };
    with(&|desk| desk.rest(1, Buy, 100, 1));
    with(&|desk| desk.rest(1, Sell, 100, 1));
    with(&|desk| desk.rest(1, Buy, 101, 1));
    with(&|desk| desk.rest(1, Buy, 100, 2));
    with(&|desk| desk.rest(2, Buy, 100, 1));
    with(&|desk| drop(desk.place(1, Buy, LimitMaker, Gtc, 100, 1)));
    with(&|desk| {
        desk.rest(1, Buy, 100, 1);
        desk.cancel(1, OWNER);
    });
    with(&|desk| {
        desk.rest(1, Buy, 100, 1);
        desk.limit(2, Sell, 100, 1);
    });
    with(&|desk| {
        desk.rest(1, Buy, 100, 1);
        desk.rest(2, Buy, 100, 1);
    });
    with(&|desk| {
        desk.rest(1, Buy, 100, 1);
        desk.rest(2, Buy, 100, 1);
        desk.replace(1, OWNER, 100, 1);
    });
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count, "two different states have one hash");
}

fn the_hash_is_frozen<B: Book>(make: Make<B>) {
    let mut desk = make(ROOMY);
    desk.rest(1 << 40 | 1, Buy, 100, 5);
    desk.rest(2 << 40 | 1, Sell, 105, 7);
    desk.place(1 << 40 | 2, Sell, LimitMaker, Gtc, 105, 2);
    desk.limit(2 << 40 | 2, Sell, 100, 1);
    assert_eq!(format!("{:016x}", desk.state_hash()), "37c4398dc953b082");
}
