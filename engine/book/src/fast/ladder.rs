//! All levels of a book: those near the market in a window that follows it, the others in a tree.
//!
//! A level is in the window exactly if its price is. The window moves when the market leaves its middle half, a page at a time and at most
//! [`MOVES_MAX`] levels in one step: no command pays for a long way alone.

use super::far::Far;
use super::window::{Level, PAGE, PRICES_MAX, Window};

/// Most levels that one command moves into or out of the window, give or take a page. A moved level costs about as much as a far order.
const MOVES_MAX: usize = 16;

/// See the module. What every command needs is in front.
#[derive(Debug, Clone)]
#[repr(C)]
pub(super) struct Ladder {
    window: Window,
    count: usize,
    levels_max: usize,
    /// The window has every price: it never moves, and nothing is far.
    is_whole: bool,
    far: Far,
}

impl Ladder {
    /// Empty; `window_prices` as [`Ladder::window_for`] gives it or as [`Window::new`] takes it.
    pub(super) fn new(price_max: u64, levels_max: usize, window_prices: u64) -> Self {
        let is_whole = price_max < window_prices;
        Ladder { window: Window::new(window_prices), far: Far::new(if is_whole { 0 } else { levels_max }), count: 0, levels_max, is_whole }
    }

    /// Four prices per level that there may be, if there are as many.
    pub(super) fn window_for(price_max: u64, levels_max: usize) -> u64 {
        (levels_max as u64).saturating_mul(4).min(price_max.saturating_add(1)).min(PRICES_MAX).next_power_of_two().max(PAGE)
    }

    /// Bytes that [`Ladder::new`] allocates.
    pub(super) fn bytes(price_max: u64, levels_max: usize, window_prices: u64) -> usize {
        Window::bytes(window_prices) + Far::bytes(if price_max < window_prices { 0 } else { levels_max })
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.count == self.levels_max
    }

    /// Levels that there may be.
    pub(super) fn room(&self) -> usize {
        self.levels_max
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The queue at a price, empty or not.
    #[inline]
    pub(super) fn level(&self, price: u64) -> Level {
        if self.window.covers(price) { *self.window.level(price) } else { self.far_level(price) }
    }

    #[cold]
    fn far_level(&self, price: u64) -> Level {
        self.far.get(price).copied().unwrap_or(Level::EMPTY)
    }

    /// The queue at a price; of one outside the window, some other.
    #[inline]
    pub(super) fn cell(&self, price: u64) -> &Level {
        self.window.level(price)
    }

    /// The queue at a price that has one.
    #[inline]
    pub(super) fn level_mut(&mut self, price: u64) -> &mut Level {
        if self.window.covers(price) { self.window.level_mut(price) } else { self.far_level_mut(price) }
    }

    #[cold]
    fn far_level_mut(&mut self, price: u64) -> &mut Level {
        self.far.get_mut(price).expect("an order's level is there")
    }

    /// A new level with one order.
    #[inline]
    pub(super) fn open(&mut self, price: u64, place: u32) {
        assert!(self.count < self.levels_max, "room was checked");
        self.count += 1;
        let level = Level { first: place, last: place };
        if self.window.covers(price) { self.window.open(price, level) } else { self.far.insert(price, level) }
    }

    /// A level whose last order is gone.
    #[inline]
    pub(super) fn close(&mut self, price: u64) {
        self.count -= 1;
        if self.window.covers(price) {
            self.window.close(price);
        } else {
            self.far.remove(price);
        }
    }

    /// The lowest level above a price.
    #[inline]
    pub(super) fn above(&self, price: u64) -> Option<u64> {
        let price = price + 1;
        if self.window.covers(price)
            && let Some(near) = self.window.at_or_above(price)
        {
            return Some(near);
        }
        if self.is_whole { None } else { self.far_above(price) }
    }

    /// The highest level below a price, which is at least 1.
    #[inline]
    pub(super) fn below(&self, price: u64) -> Option<u64> {
        let price = price - 1;
        if self.window.covers(price)
            && let Some(near) = self.window.at_or_below(price)
        {
            return Some(near);
        }
        if self.is_whole { None } else { self.far_below(price) }
    }

    /// At or above a price at or above which the window has nothing, unless the price is below it.
    #[cold]
    fn far_above(&self, price: u64) -> Option<u64> {
        let far = self.far.at_or_above(price);
        if price < self.window.base() && far.is_none_or(|far| far > self.window.base()) { self.window.at_or_above(self.window.base()).or(far) } else { far }
    }

    #[cold]
    fn far_below(&self, price: u64) -> Option<u64> {
        let far = self.far.at_or_below(price);
        let top = self.window.end() - 1;
        if price > top && far.is_none_or(|far| far < top) { self.window.at_or_below(top).or(far) } else { far }
    }

    /// Whether a price is outside the window's middle half, so that it is worth asking [`Ladder::follow`].
    #[inline]
    pub(super) fn is_off(&self, price: u64) -> bool {
        let quarter = self.window.prices() / 4;
        !self.is_whole && price.wrapping_sub(self.window.base() + quarter) >= 2 * quarter
    }

    /// Follows the market, unless its two sides are too far apart for one window and it has one of them.
    #[cold]
    pub(super) fn follow_market(&mut self, bid: u64, ask: u64, middle: u64) {
        let is_split = bid != 0 && ask != u64::MAX && ask - bid > self.window.prices() / 2;
        if !is_split {
            self.follow(middle);
        } else if !self.window.covers(bid) && !self.window.covers(ask) {
            self.follow(bid);
        }
    }

    /// Moves the window some way towards having `price` in its middle.
    fn follow(&mut self, price: u64) {
        let goal = price.saturating_sub(self.window.prices() / 2) / PAGE * PAGE;
        let mut moved = 0;
        while self.window.base() != goal && moved < MOVES_MAX {
            moved += if goal > self.window.base() { self.step_up(goal) } else { self.step_down(goal) };
        }
    }

    /// Over as many pages as cost nothing, or over one; says how many levels went in or out.
    fn step_up(&mut self, goal: u64) -> usize {
        let (base, end) = (self.window.base(), self.window.end());
        let lowest = self.window.at_or_above(base).unwrap_or(goal);
        let entering = self.far.at_or_above(end).map_or(goal, |far| far / PAGE * PAGE - self.window.prices());
        let free = goal.min(lowest / PAGE * PAGE).min(entering);
        if free > base {
            self.window.set_base(free);
            return 0;
        }
        let left = self.leave(base);
        self.window.set_base(base + PAGE);
        left + self.enter(end)
    }

    fn step_down(&mut self, goal: u64) -> usize {
        let (base, end) = (self.window.base(), self.window.end());
        let above_highest = self.window.at_or_below(end - 1).map_or(goal, |highest| (highest / PAGE * PAGE + PAGE).saturating_sub(self.window.prices()));
        let above_entering = self.far.at_or_below(base - 1).map_or(goal, |far| far / PAGE * PAGE + PAGE);
        let free = goal.max(above_highest).max(above_entering);
        if free < base {
            self.window.set_base(free);
            return 0;
        }
        let left = self.leave(end - PAGE);
        self.window.set_base(base - PAGE);
        left + self.enter(base - PAGE)
    }

    /// Puts the levels of a page of the window into the tree.
    fn leave(&mut self, page: u64) -> usize {
        let mut moved = 0;
        while let Some(price) = self.window.lowest_of_page(page) {
            let level = *self.window.level(price);
            self.window.close(price);
            self.far.insert(price, level);
            moved += 1;
        }
        moved
    }

    /// Takes the levels of a page that is in the window now out of the tree.
    fn enter(&mut self, page: u64) -> usize {
        let mut moved = 0;
        while let Some(price) = self.far.at_or_above(page).filter(|price| *price < page + PAGE) {
            let level = self.far.remove(price);
            self.window.open(price, level);
            moved += 1;
        }
        moved
    }

    /// Panics if a level is on the wrong side of the window's edge, or miscounted.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut count = 0;
        let mut at = self.window.at_or_above(self.window.base());
        while let Some(price) = at {
            assert!(!self.window.level(price).is_empty(), "a cell in use has orders");
            count += 1;
            at = if self.window.covers(price + 1) { self.window.at_or_above(price + 1) } else { None };
        }
        let mut at = self.far.at_or_above(0);
        while let Some(price) = at {
            assert!(!self.window.covers(price), "{price} is in the window and in the tree");
            count += 1;
            at = self.far.at_or_above(price + 1);
        }
        assert_eq!(count, self.count, "every level is in one of the two");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a sorted map; a small window goes wherever it likes.
        #[test]
        fn a_moving_window_changes_nothing(
            steps in prop::collection::vec((0..3_u8, prop_oneof![1..1_000_u64, 1..100_000_u64, 1..1_u64 << 62], 0..1_000_u64), 1..200),
        ) {
            const ROOM: usize = 40;
            let (mut ladder, mut map) = (Ladder::new(i64::MAX as u64, ROOM, 256), BTreeMap::new());
            for (n, (what, price, off)) in (0_u32..).zip(steps) {
                match what {
                    0 if map.len() < ROOM && !map.contains_key(&price) => {
                        ladder.open(price, n);
                        map.insert(price, Level { first: n, last: n });
                    }
                    1 => ladder.follow(price),
                    _ => {
                        if let Some((price, _)) = map.range(price..).next().map(|(price, level)| (*price, *level)) {
                            ladder.close(price);
                            map.remove(&price);
                        }
                    }
                }
                ladder.check();
                for ask in [price, price.saturating_sub(off).max(1), price + off] {
                    prop_assert_eq!(ladder.above(ask), map.range(ask + 1..).next().map(|(price, _)| *price));
                    prop_assert_eq!(ladder.below(ask), map.range(..ask).next_back().map(|(price, _)| *price));
                    prop_assert_eq!(ladder.level(ask), map.get(&ask).copied().unwrap_or(Level::EMPTY));
                }
                prop_assert_eq!(ladder.count(), map.len());
            }
        }
    }

    /// However far it is: bounded work a step, and it arrives.
    #[test]
    fn a_window_arrives() {
        let mut ladder = Ladder::new(i64::MAX as u64, 100, 256);
        for n in 1..=50 {
            ladder.open(n * 40, 1);
        }
        for goal in [1_500, 1 << 50, 10, 2_000] {
            let steps = (1..).take_while(|_| {
                ladder.follow(goal);
                ladder.check();
                !ladder.window.covers(goal)
            });
            assert!(steps.take(20).count() < 20, "towards {goal}");
        }
    }
}
