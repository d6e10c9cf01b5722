//! The account machine's state hash: what it covers, and how it stays cheap.
//!
//! The words, in this order ([`book::StateHash`]): rules version; last order number; then for balances, credited supply, deposits, orders and
//! listings the [`SetDigest`] of the entries. A set's digest is the wrapping sum of its entries' hashes, so that a change costs what it changes
//! and not the size of the state. Indexes that follow from the orders are not state.

use book::StateHash;

/// A digest of a set of entries, whatever the order in which they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetDigest(u64);

impl SetDigest {
    /// An entry came in.
    pub fn add(&mut self, entry: u64) {
        self.0 = self.0.wrapping_add(entry);
    }

    /// An entry went out.
    pub fn remove(&mut self, entry: u64) {
        self.0 = self.0.wrapping_sub(entry);
    }

    /// The digest.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// The hash of an entry made of words.
pub fn entry(words: &[u64]) -> u64 {
    let mut hash = StateHash::new();
    for word in words {
        hash.add(*word);
    }
    hash.finish()
}

/// Adds a text: its length, then its bytes eight to a word, zeros behind.
pub fn add_text(hash: &mut StateHash, text: &[u8]) {
    hash.add(text.len() as u64);
    for chunk in text.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash.add(u64::from_le_bytes(word));
    }
}
