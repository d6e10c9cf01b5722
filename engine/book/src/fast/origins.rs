//! The highest order number seen of each origin: a small open-addressing table that only grows up to its bound.

use super::prefetch::prefetch;

/// One origin, or none.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Plus one; 0 is none.
    origin: u32,
    number: u64,
}

/// What [`Origins::see`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is the highest of its origin now.
    New,
    /// This or a higher number was seen before.
    Again,
    /// Another origin, and there is no room for one; nothing was noted.
    NoRoom,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    /// At most half full.
    entries: Box<[Entry]>,
    shift: u32,
    count: usize,
    origins_max: usize,
}

impl Origins {
    pub(super) fn new(origins_max: usize) -> Self {
        let entries = Self::entries_for(origins_max);
        Origins { entries: vec![Entry { origin: 0, number: 0 }; entries].into(), shift: 32 - entries.trailing_zeros(), count: 0, origins_max }
    }

    /// Bytes that [`Origins::new`] allocates.
    pub(super) fn bytes(origins_max: usize) -> usize {
        Self::entries_for(origins_max) * size_of::<Entry>()
    }

    fn entries_for(origins_max: usize) -> usize {
        (2 * origins_max).next_power_of_two()
    }

    /// Asks for an origin's entry.
    #[inline]
    pub(super) fn prefetch(&self, origin: u32) {
        prefetch(&self.entries[self.home(origin)]);
    }

    #[inline]
    fn home(&self, origin: u32) -> usize {
        (origin.wrapping_mul(0x9e37_79b9) >> self.shift) as usize
    }

    /// Notes a number.
    #[inline]
    pub(super) fn see(&mut self, origin: u32, number: u64) -> Seen {
        let mut at = self.home(origin);
        loop {
            let entry = &mut self.entries[at];
            if entry.origin == origin + 1 {
                if number <= entry.number {
                    return Seen::Again;
                }
                entry.number = number;
                return Seen::New;
            }
            if entry.origin == 0 {
                break;
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
        self.add(at, origin, number)
    }

    #[cold]
    fn add(&mut self, at: usize, origin: u32, number: u64) -> Seen {
        if self.count == self.origins_max {
            return Seen::NoRoom;
        }
        self.count += 1;
        self.entries[at] = Entry { origin: origin + 1, number };
        Seen::New
    }

    /// Every origin, ascending, with its highest number.
    pub(super) fn sorted(&self) -> Vec<(u32, u64)> {
        let mut all: Vec<(u32, u64)> = self.entries.iter().filter(|entry| entry.origin != 0).map(|entry| (entry.origin - 1, entry.number)).collect();
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(numbers in prop::collection::vec((prop_oneof![0..8_u32, 0xff_fff0..=0xff_ffff_u32], 0..20_u64), 1..100)) {
            const ROOM: usize = 10;
            let (mut origins, mut map) = (Origins::new(ROOM), BTreeMap::new());
            for (origin, number) in numbers {
                let expected = match map.get(&origin) {
                    Some(highest) if number <= *highest => Seen::Again,
                    None if map.len() == ROOM => Seen::NoRoom,
                    _ => Seen::New,
                };
                prop_assert_eq!(origins.see(origin, number), expected);
                if expected == Seen::New {
                    map.insert(origin, number);
                }
                prop_assert_eq!(origins.sorted(), map.clone().into_iter().collect::<Vec<_>>());
            }
        }
    }
}
