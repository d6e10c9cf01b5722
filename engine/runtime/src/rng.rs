//! Random numbers: one named algorithm (xoshiro256++ seeded by splitmix64), so that a seed is the same everywhere and for ever.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream of a seed.
    pub fn from_seed(_seed: u64) -> Self {
        let _ = Rng { state: [0; 4] }.state;
        todo!("runtime: written next")
    }

    /// The stream of what a seed decides: same seed and same words, same stream; any other words, an unrelated one.
    pub fn keyed(_seed: u64, _words: &[&str]) -> Self {
        todo!("runtime: written next")
    }

    /// This node's next stream: OS entropy in production; in simulation keyed by run seed, node, purpose and n-th call of the node for it.
    pub fn of_node(_purpose: &str) -> Self {
        todo!("runtime: written next")
    }

    /// Uniform over all u64.
    pub fn next_u64(&mut self) -> u64 {
        todo!("runtime: written next")
    }

    /// Uniform in `0..n` (n ≥ 1), without bias.
    pub fn below(&mut self, _n: u64) -> u64 {
        todo!("runtime: written next")
    }

    /// Uniform in `range` (not empty).
    pub fn range(&mut self, range: std::ops::Range<u64>) -> u64 {
        assert!(range.start < range.end, "an empty range has no number");
        range.start + self.below(range.end - range.start)
    }

    /// True with probability `numerator / denominator`.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
}
