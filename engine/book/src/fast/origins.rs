//! The highest order number seen of each origin. An exchange counts its origins from 0, so that they index an array, 8 bytes each; whatever is beyond the
//! array is in a small open-addressing table. Neither grows.

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

/// The lowest number that an origin may use next: one above the highest seen. 0: none was seen.
type Next = u64;

/// An origin beyond the array, or none.
#[derive(Debug, Clone, Copy)]
struct Far {
    /// Plus one; 0 is none.
    origin: u32,
    next: Next,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    /// One for each origin that there may be.
    near: Box<[Next]>,
    /// At most half full.
    far: Box<[Far]>,
    shift: u32,
    count: usize,
}

impl Origins {
    pub(super) fn new(origins_max: usize) -> Self {
        let far = Self::far_for(origins_max);
        Origins { near: vec![0; origins_max].into(), far: vec![Far { origin: 0, next: 0 }; far].into(), shift: 32 - far.trailing_zeros(), count: 0 }
    }

    /// Bytes that [`Origins::new`] allocates.
    pub(super) fn bytes(origins_max: usize) -> usize {
        origins_max * size_of::<Next>() + Self::far_for(origins_max) * size_of::<Far>()
    }

    fn far_for(origins_max: usize) -> usize {
        (2 * origins_max).next_power_of_two()
    }

    /// Notes a number.
    #[inline]
    pub(super) fn see(&mut self, origin: u32, number: u64) -> Seen {
        match self.near.get_mut(origin as usize) {
            Some(next) if *next != 0 => note(next, number),
            _ => self.see_first_or_far(origin, number),
        }
    }

    #[inline(never)]
    fn see_first_or_far(&mut self, origin: u32, number: u64) -> Seen {
        let has_room = self.count < self.near.len();
        let at = self.far_place(origin);
        let (near, far) = (self.near.get_mut(origin as usize), &mut self.far[at]);
        let is_far = near.is_none();
        let next = near.unwrap_or(&mut far.next);
        if *next == 0 {
            if !has_room {
                return Seen::NoRoom;
            }
            self.count += 1;
            if is_far {
                far.origin = origin + 1;
            }
        }
        note(next, number)
    }

    /// Where in the table an origin is, or would be.
    fn far_place(&self, origin: u32) -> usize {
        let mut at = (origin.wrapping_mul(0x9e37_79b9) >> self.shift) as usize;
        while self.far[at].origin != 0 && self.far[at].origin != origin + 1 {
            at = (at + 1) & (self.far.len() - 1);
        }
        at
    }

    /// Every origin, ascending, with its highest number.
    pub(super) fn sorted(&self) -> Vec<(u32, u64)> {
        let near = (0..).zip(&self.near).filter(|(_, next)| **next != 0).map(|(origin, next)| (origin, next - 1));
        let mut far: Vec<(u32, u64)> = self.far.iter().filter(|far| far.origin != 0).map(|far| (far.origin - 1, far.next - 1)).collect();
        far.sort_unstable();
        near.chain(far).collect()
    }
}

#[inline]
fn note(next: &mut Next, number: u64) -> Seen {
    if number < *next {
        return Seen::Again;
    }
    *next = number + 1;
    Seen::New
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
