//! Levels outside the window, by price: a treap in a pool. Priorities are a hash of the price, so that the same levels always make the same tree,
//! about 2·ln(n) deep.

use super::window::Level;

/// The root's parent, and no node.
const NIL: usize = 0;

#[derive(Debug, Clone, Copy)]
struct Node {
    price: u64,
    level: Level,
    /// Lower prices, higher prices. In a free node, `children[0]` is the next free one; in the root's parent it is the root.
    children: [u32; 2],
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Far {
    /// The first one is the root's parent.
    nodes: Box<[Node]>,
    free: usize,
}

/// A child's place: of which node, which child.
type Hole = (usize, usize);

impl Far {
    pub(super) fn new(levels_max: usize) -> Self {
        let nodes = (0..=levels_max).map(|n| {
            let next = if n == 0 || n == levels_max { NIL } else { n + 1 };
            Node { price: 0, level: Level::EMPTY, children: [u32::try_from(next).expect("there are fewer than 2^32 levels"), 0] }
        });
        Far { nodes: nodes.collect(), free: 1 }
    }

    /// Bytes that [`Far::new`] allocates.
    pub(super) fn bytes(levels_max: usize) -> usize {
        (levels_max + 1) * size_of::<Node>()
    }

    fn child(&self, (node, which): Hole) -> usize {
        self.nodes[node].children[which] as usize
    }

    fn set_child(&mut self, (node, which): Hole, child: usize) {
        self.nodes[node].children[which] = child as u32;
    }

    fn priority(&self, node: usize) -> u64 {
        priority_of(self.nodes[node].price)
    }

    fn node_of(&self, price: u64) -> Option<usize> {
        let mut node = self.child((NIL, 0));
        while node != NIL && self.nodes[node].price != price {
            node = self.child((node, usize::from(price > self.nodes[node].price)));
        }
        (node != NIL).then_some(node)
    }

    pub(super) fn get(&self, price: u64) -> Option<&Level> {
        self.node_of(price).map(|node| &self.nodes[node].level)
    }

    pub(super) fn get_mut(&mut self, price: u64) -> Option<&mut Level> {
        self.node_of(price).map(|node| &mut self.nodes[node].level)
    }

    /// The lowest price that is at least `price`.
    pub(super) fn at_or_above(&self, price: u64) -> Option<u64> {
        let (mut node, mut found) = (self.child((NIL, 0)), None);
        while node != NIL {
            let here = self.nodes[node].price;
            found = if here >= price { Some(here) } else { found };
            node = self.child((node, usize::from(here < price)));
        }
        found
    }

    /// The highest price that is at most `price`.
    pub(super) fn at_or_below(&self, price: u64) -> Option<u64> {
        let (mut node, mut found) = (self.child((NIL, 0)), None);
        while node != NIL {
            let here = self.nodes[node].price;
            found = if here <= price { Some(here) } else { found };
            node = self.child((node, usize::from(here <= price)));
        }
        found
    }

    /// Adds a level that is not there.
    pub(super) fn insert(&mut self, price: u64, level: Level) {
        let new = self.free;
        assert!(new != NIL, "room was checked");
        self.free = self.child((new, 0));
        self.nodes[new] = Node { price, level, children: [0, 0] };
        let mut hole = (NIL, 0);
        let mut below = self.child(hole);
        while below != NIL && self.priority(below) > priority_of(price) {
            hole = (below, usize::from(price > self.nodes[below].price));
            below = self.child(hole);
        }
        self.set_child(hole, new);
        // What hung here is split into what is lower and what is higher.
        let mut holes = [(new, 0), (new, 1)];
        while below != NIL {
            let side = usize::from(self.nodes[below].price > price);
            self.set_child(holes[side], below);
            holes[side] = (below, 1 - side);
            below = self.child(holes[side]);
        }
        self.set_child(holes[0], NIL);
        self.set_child(holes[1], NIL);
    }

    /// Takes a level out that is there.
    pub(super) fn remove(&mut self, price: u64) -> Level {
        let mut hole = (NIL, 0);
        let mut node = self.child(hole);
        while self.nodes[node].price != price {
            assert!(node != NIL, "the level is there");
            hole = (node, usize::from(price > self.nodes[node].price));
            node = self.child(hole);
        }
        let (mut lower, mut higher) = (self.child((node, 0)), self.child((node, 1)));
        while lower != NIL && higher != NIL {
            let next = if self.priority(lower) > self.priority(higher) { (lower, 1) } else { (higher, 0) };
            self.set_child(hole, next.0);
            if next.1 == 1 {
                lower = self.child(next);
            } else {
                higher = self.child(next);
            }
            hole = next;
        }
        self.set_child(hole, lower | higher);
        self.set_child((node, 0), self.free);
        self.free = node;
        self.nodes[node].level
    }
}

/// A bijection, so that no two prices have one priority (splitmix64's finalizer).
fn priority_of(price: u64) -> u64 {
    let mixed = (price ^ price >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_sorted_map(steps in prop::collection::vec((any::<bool>(), prop_oneof![1..40_u64, 1..u64::MAX], 1..u64::MAX), 1..300)) {
            const ROOM: usize = 24;
            let (mut far, mut map) = (Far::new(ROOM), BTreeMap::new());
            for (n, (add, price, ask)) in (0_u32..).zip(steps) {
                let level = Level { first: n, last: n };
                if add && map.len() < ROOM && !map.contains_key(&price) {
                    far.insert(price, level);
                    map.insert(price, level);
                } else if let Some(level) = map.remove(&price) {
                    prop_assert_eq!(far.remove(price), level);
                }
                prop_assert_eq!(far.get(price), map.get(&price));
                for ask in [ask, price] {
                    prop_assert_eq!(far.at_or_above(ask), map.range(ask..).next().map(|(price, _)| *price));
                    prop_assert_eq!(far.at_or_below(ask), map.range(..=ask).next_back().map(|(price, _)| *price));
                }
            }
        }
    }
}
