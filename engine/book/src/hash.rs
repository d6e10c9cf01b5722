//! The state hash: FNV-1a, 64 bits, over little-endian 64-bit words.
//!
//! The words of a book, in this order: last trade id; number of origins, then per origin ascending (origin, highest number seen); then for bids and
//! asks: number of levels, then per level, best first: price, number of orders, then per order in priority: id, account, remaining lots, 1 if
//! post-only else 0.

/// Collects words.
#[derive(Debug, Clone, Copy)]
pub struct StateHash(u64);

impl StateHash {
    /// FNV's offset basis.
    pub fn new() -> Self {
        StateHash(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a word.
    pub fn add(&mut self, word: u64) {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The hash of all words so far.
    pub fn finish(self) -> u64 {
        self.0
    }
}

impl Default for StateHash {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a's published vector for "foobar", reached through one word and the rule that zero bytes only multiply.
    #[test]
    fn it_is_fnv_1a() {
        assert_eq!(StateHash::new().finish(), 0xcbf2_9ce4_8422_2325);
        let mut hash = StateHash::new();
        hash.add(u64::from_le_bytes(*b"foobar\0\0"));
        let expected = 0x8594_4171_f739_67e8_u64.wrapping_mul(0x0000_0100_0000_01b3).wrapping_mul(0x0000_0100_0000_01b3);
        assert_eq!(hash.finish(), expected);
    }
}
