//! Random numbers: one named algorithm (xoshiro256++ seeded by splitmix64), so that a seed is the same everywhere and for ever.
//!
//! Source: Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators" (2021); reference vectors in the tests.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut x = seed;
        let state = std::array::from_fn(|_| split_mix(&mut x));
        Rng { state }
    }

    /// The stream of what a seed decides: same seed and same words, same stream; any other words, an unrelated one.
    pub fn keyed(seed: u64, words: &[&str]) -> Self {
        Rng::from_seed(key(seed, words))
    }

    /// This node's next stream: OS entropy in production; in simulation keyed by run seed, node, purpose and n-th call of the node for it.
    pub fn of_node(purpose: &str) -> Self {
        #[cfg(madsim)]
        return crate::simulated::rng_of_node(purpose);
        #[cfg(not(madsim))]
        Rng::from_seed(os_entropy(purpose))
    }

    /// Uniform over all u64.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let out = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let t = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= t;
        *d = d.rotate_left(45);
        out
    }

    /// Uniform in `0..n` (n ≥ 1), without bias (Lemire's multiplication with rejection).
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below 0");
        let mut wide = u128::from(self.next_u64()) * u128::from(n);
        if (wide as u64) < n {
            let threshold = n.wrapping_neg() % n;
            while (wide as u64) < threshold {
                wide = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (wide >> 64) as u64
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

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

/// A key of a stream: FNV-1a over the words, each closed by its length so that ("ab", "c") is not ("a", "bc"), mixed with the seed.
pub fn key(seed: u64, words: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for byte in seed.to_le_bytes() {
        eat(byte);
    }
    for word in words {
        word.bytes().for_each(&mut eat);
        (word.len() as u64).to_le_bytes().into_iter().for_each(&mut eat);
    }
    mix(hash)
}

/// splitmix64's finaliser: every bit of the input moves half the bits of the output.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn split_mix(x: &mut u64) -> u64 {
    *x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mix(*x)
}

/// The keys of std's hasher come from the OS, once a thread, and differ at each use.
#[cfg(not(madsim))]
#[allow(clippy::disallowed_methods)]
fn os_entropy(purpose: &str) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((purpose, std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_published_vectors() {
        // splitmix64 of seed 1234567, from the Rosetta Code task "Pseudo-random numbers/Splitmix64".
        let mut x = 1_234_567;
        assert_eq!([split_mix(&mut x), split_mix(&mut x)], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        // xoshiro256++ of state [1, 2, 3, 4], from the reference implementation.
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..4).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn words_are_not_run_together() {
        let first = |words: &[&str]| Rng::keyed(7, words).next_u64();
        assert_eq!(first(&["ab", "c"]), first(&["ab", "c"]));
        assert_ne!(first(&["ab", "c"]), first(&["a", "bc"]));
        assert_ne!(first(&["ab"]), first(&["ab", ""]));
        assert_ne!(Rng::keyed(8, &["ab"]).next_u64(), first(&["ab"]));
    }

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut rng = Rng::from_seed(1);
        let mut seen = [0u32; 6];
        for _ in 0..6_000 {
            seen[rng.below(6) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        assert!((0..1000).all(|_| rng.range(5..7) >= 5));
    }
}
