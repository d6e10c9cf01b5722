//! Which of up to 2^18 cells are in use: three levels of 64-bit words, so that the next one in use is at most three words away.

/// Cells that one bitmap can have.
pub(super) const CELLS_MAX: usize = 64 * 64 * 64;

/// Each bit of `middle` says that a word of `leaves` is not zero, each of `top` that one of `middle` is not.
#[derive(Debug, Clone)]
pub(super) struct Bitmap {
    leaves: Box<[u64]>,
    middle: Box<[u64]>,
    top: u64,
}

impl Bitmap {
    /// No cell in use. `cells` is a multiple of 64, at most [`CELLS_MAX`].
    pub(super) fn new(cells: usize) -> Self {
        assert!(cells > 0 && cells.is_multiple_of(64) && cells <= CELLS_MAX, "a bitmap of {cells} cells: a multiple of 64 up to {CELLS_MAX}");
        let leaves = cells / 64;
        Bitmap { leaves: vec![0; leaves].into(), middle: vec![0; leaves.div_ceil(64)].into(), top: 0 }
    }

    /// The 64 cells from `64 * page` on.
    pub(super) fn page(&self, page: usize) -> u64 {
        self.leaves[page]
    }

    /// Puts a cell in use.
    pub(super) fn set(&mut self, cell: usize) {
        let leaf = cell / 64;
        let before = self.leaves[leaf];
        self.leaves[leaf] = before | bit(cell);
        if before == 0 {
            self.middle[leaf / 64] |= bit(leaf);
            self.top |= bit(leaf / 64);
        }
    }

    /// Takes a cell out of use.
    pub(super) fn clear(&mut self, cell: usize) {
        let leaf = cell / 64;
        self.leaves[leaf] &= !bit(cell);
        if self.leaves[leaf] == 0 {
            self.middle[leaf / 64] &= !bit(leaf);
            if self.middle[leaf / 64] == 0 {
                self.top &= !bit(leaf / 64);
            }
        }
    }

    /// The lowest cell in use that is at least `cell`.
    pub(super) fn at_or_above(&self, cell: usize) -> Option<usize> {
        let leaf = cell / 64;
        let word = self.leaves[leaf] & from(cell);
        if word != 0 {
            return Some(leaf * 64 + lowest(word));
        }
        let word = self.middle[leaf / 64] & from(leaf) & !bit(leaf);
        if word != 0 {
            return Some(self.lowest_of(leaf / 64 * 64 + lowest(word)));
        }
        let middle = leaf / 64;
        let word = self.top & from(middle) & !bit(middle);
        if word == 0 {
            return None;
        }
        let middle = lowest(word);
        Some(self.lowest_of(middle * 64 + lowest(self.middle[middle])))
    }

    /// The highest cell in use that is at most `cell`.
    pub(super) fn at_or_below(&self, cell: usize) -> Option<usize> {
        let leaf = cell / 64;
        let word = self.leaves[leaf] & upto(cell);
        if word != 0 {
            return Some(leaf * 64 + highest(word));
        }
        let word = self.middle[leaf / 64] & upto(leaf) & !bit(leaf);
        if word != 0 {
            return Some(self.highest_of(leaf / 64 * 64 + highest(word)));
        }
        let middle = leaf / 64;
        let word = self.top & upto(middle) & !bit(middle);
        if word == 0 {
            return None;
        }
        let middle = highest(word);
        Some(self.highest_of(middle * 64 + highest(self.middle[middle])))
    }

    fn lowest_of(&self, leaf: usize) -> usize {
        leaf * 64 + lowest(self.leaves[leaf])
    }

    fn highest_of(&self, leaf: usize) -> usize {
        leaf * 64 + highest(self.leaves[leaf])
    }
}

fn bit(n: usize) -> u64 {
    1 << (n % 64)
}

/// Bits `n % 64` to 63.
fn from(n: usize) -> u64 {
    u64::MAX << (n % 64)
}

/// Bits 0 to `n % 64`.
fn upto(n: usize) -> u64 {
    u64::MAX >> (63 - n % 64)
}

fn lowest(word: u64) -> usize {
    word.trailing_zeros() as usize
}

/// Of a word that is not zero.
fn highest(word: u64) -> usize {
    63 - word.leading_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Against a sorted set; sizes of one, two and three levels.
        #[test]
        fn it_is_a_set(cells in prop_oneof![Just(64_usize), Just(64 * 64), Just(CELLS_MAX)], steps in prop::collection::vec((any::<bool>(), any::<u32>(), any::<u32>()), 1..200)) {
            let (mut bitmap, mut set) = (Bitmap::new(cells), BTreeSet::new());
            for (add, near, ask) in steps {
                // Crowded at the low end, so that cells are met again.
                let cell = near as usize % if near % 2 == 0 { 70.min(cells) } else { cells };
                if add { bitmap.set(cell); set.insert(cell); } else { bitmap.clear(cell); set.remove(&cell); }
                let ask = ask as usize % cells;
                prop_assert_eq!(bitmap.at_or_above(ask), set.range(ask..).next().copied());
                prop_assert_eq!(bitmap.at_or_below(ask), set.range(..=ask).next_back().copied());
                let page = (0..64).filter(|n| set.contains(&(ask / 64 * 64 + n))).fold(0, |word, n| word | 1_u64 << n);
                prop_assert_eq!(bitmap.page(ask / 64), page);
            }
        }
    }
}
