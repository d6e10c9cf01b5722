//! A digest that is the same on every machine and for ever: postcard bytes of every entry, eight at a time through splitmix64's finaliser.

use super::Entry;
use runtime::rng::mix;
use std::fmt;

/// Digest of a history, as it grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    state: u64,
    entries: u64,
}

impl Digest {
    /// Adds one entry.
    pub fn add(&mut self, entry: &Entry) {
        let bytes = postcard::to_stdvec(entry).expect("an entry has no part that cannot be serialised");
        self.add_bytes(&bytes);
        self.entries += 1;
    }

    /// Adds one run of bytes, closed by its length.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.add_word(u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
        }
        let mut last = [0; 8];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        self.add_word(u64::from_le_bytes(last));
        self.add_word(bytes.len() as u64);
    }

    fn add_word(&mut self, word: u64) {
        self.state = mix(self.state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ word);
    }

    /// As a number.
    pub fn value(&self) -> u64 {
        mix(self.state ^ self.entries)
    }

    /// How many entries are in it.
    pub fn entries(&self) -> u64 {
        self.entries
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Event;

    fn entry(ordinal: u64, rows: u64) -> Entry {
        let tp = log::Tp { topic: log::TopicId(1), partition: 0 };
        let event = Event::StateHash { service: "x".into(), tp, next: rows as i64, hash: 9 };
        Entry { ordinal, at_us: 5, node: "n".into(), event }
    }

    #[test]
    fn order_and_content_count() {
        let digest = |entries: &[Entry]| {
            let mut digest = Digest::default();
            entries.iter().for_each(|entry| digest.add(entry));
            digest.value()
        };
        let (a, b) = (entry(0, 1), entry(1, 2));
        assert_eq!(digest(&[a.clone(), b.clone()]), digest(&[a.clone(), b.clone()]));
        assert_ne!(digest(&[a.clone(), b.clone()]), digest(&[b.clone(), a.clone()]));
        assert_ne!(digest(std::slice::from_ref(&a)), digest(&[a.clone(), b]));
    }

    #[test]
    fn it_is_the_same_for_ever() {
        let mut digest = Digest::default();
        digest.add_bytes(b"lockstep");
        digest.add_bytes(b"");
        assert_eq!(digest.to_string(), "25e5064d2e76836e");
    }
}
