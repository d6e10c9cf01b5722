//! The levels of a run of neighbouring prices, 8 bytes each, in a ring: a price's cell is its low bits, so the run can move without copying.
//! Bids and asks share it, for at one price there is never more than one of them.

use super::bitmap::{Bitmap, CELLS_MAX};
use super::orders::NONE;

/// The queue of one price: places of its first and last order. What it holds is counted when somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Level {
    /// No order, no level.
    pub(super) const EMPTY: Level = Level { first: NONE, last: NONE };

    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

/// Prices of one page: a window moves by pages.
pub(super) const PAGE: u64 = 64;

/// Prices that a window can have.
pub(super) const PRICES_MAX: u64 = CELLS_MAX as u64;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Window {
    levels: Box<[Level]>,
    in_use: Bitmap,
    /// Its lowest price, a multiple of [`PAGE`].
    base: u64,
}

impl Window {
    /// A window of so many prices, a power of two between [`PAGE`] and [`PRICES_MAX`].
    pub(super) fn new(prices: u64) -> Self {
        assert!(prices.is_power_of_two() && (PAGE..=PRICES_MAX).contains(&prices), "a window of {prices} prices: a power of two, {PAGE} to {PRICES_MAX}");
        Window { levels: vec![Level::EMPTY; prices as usize].into(), in_use: Bitmap::new(prices as usize), base: 0 }
    }

    /// Bytes that [`Window::new`] allocates.
    pub(super) fn bytes(prices: u64) -> usize {
        let words = prices as usize / 64;
        prices as usize * size_of::<Level>() + (words + words.div_ceil(64)) * size_of::<u64>()
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn prices(&self) -> u64 {
        self.levels.len() as u64
    }

    /// The first price above it.
    pub(super) fn end(&self) -> u64 {
        self.base + self.prices()
    }

    #[inline]
    pub(super) fn covers(&self, price: u64) -> bool {
        price.wrapping_sub(self.base) < self.prices()
    }

    /// The number of a price's cell; also of one outside the window, whose cell is another's.
    #[inline]
    fn cell(&self, price: u64) -> usize {
        price as usize & (self.levels.len() - 1)
    }

    /// Unchecked, as is [`Window::level_mut`]: see `Orders::at` for what that saves.
    #[inline]
    pub(super) fn level(&self, price: u64) -> &Level {
        // SAFETY: `cell` masks with the length less one, and the length is a power of two: `new` asserts it.
        unsafe { self.levels.get_unchecked(self.cell(price)) }
    }

    #[inline]
    pub(super) fn level_mut(&mut self, price: u64) -> &mut Level {
        let cell = self.cell(price);
        // SAFETY: as `level`.
        unsafe { self.levels.get_unchecked_mut(cell) }
    }

    /// Makes an empty cell a level.
    #[inline]
    pub(super) fn open(&mut self, price: u64, level: Level) {
        debug_assert!(self.covers(price) && self.level(price).is_empty(), "a level is opened once, in the window");
        let cell = self.cell(price);
        self.levels[cell] = level;
        self.in_use.set(cell);
    }

    /// Makes a level an empty cell.
    #[inline]
    pub(super) fn close(&mut self, price: u64) {
        let cell = self.cell(price);
        self.levels[cell] = Level::EMPTY;
        self.in_use.clear(cell);
    }

    /// The lowest level at or above a price in the window.
    #[inline]
    pub(super) fn at_or_above(&self, price: u64) -> Option<u64> {
        // Behind the ring's end come the cells from 0 on: higher prices up to the window's own lowest, whose price is then below.
        let cell = self.in_use.at_or_above(self.cell(price)).or_else(|| self.in_use.at_or_above(0))?;
        Some(self.price_of(cell)).filter(|found| *found >= price)
    }

    /// The highest level at or below a price in the window.
    #[inline]
    pub(super) fn at_or_below(&self, price: u64) -> Option<u64> {
        let cell = self.in_use.at_or_below(self.cell(price)).or_else(|| self.in_use.at_or_below(self.levels.len() - 1))?;
        Some(self.price_of(cell)).filter(|found| *found <= price)
    }

    fn price_of(&self, cell: usize) -> u64 {
        let first = self.cell(self.base);
        self.base + ((cell + self.levels.len() - first) & (self.levels.len() - 1)) as u64
    }

    /// The lowest price of a page of the window (`price` is the page's first) that has a level.
    pub(super) fn lowest_of_page(&self, page: u64) -> Option<u64> {
        let word = self.in_use.page(self.cell(page) / 64);
        (word != 0).then(|| page + u64::from(word.trailing_zeros()))
    }

    /// Moves an edge over pages that are empty.
    pub(super) fn set_base(&mut self, base: u64) {
        debug_assert!(base.is_multiple_of(PAGE), "a window moves by pages");
        self.base = base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_goes_around_the_ring_and_not_past_its_start() {
        let mut window = Window::new(128);
        window.set_base(64);
        let level = Level { first: 1, last: 1 };
        for price in [70, 130, 191] {
            window.open(price, level);
        }
        assert_eq!([64, 70, 71, 130, 131, 191].map(|price| window.at_or_above(price)), [Some(70), Some(70), Some(130), Some(130), Some(191), Some(191)]);
        assert_eq!([69, 70, 129, 130, 191].map(|price| window.at_or_below(price)), [None, Some(70), Some(70), Some(130), Some(191)]);
        window.close(191);
        assert_eq!((window.at_or_above(131), window.at_or_above(191)), (None, None));
        assert_eq!((window.lowest_of_page(64), window.lowest_of_page(128)), (Some(70), Some(130)));
        assert!(window.covers(64) && window.covers(191) && !window.covers(63) && !window.covers(192));
    }
}
