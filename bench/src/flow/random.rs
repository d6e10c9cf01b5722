//! One stream of chance and the distributions drawn from it, in integers only: a seed means the same on every machine.

/// xoshiro256++, seeded by splitmix64.
#[derive(Debug, Clone)]
pub struct Random([u64; 4]);

/// One in fixed point: 2^32.
pub const ONE: i64 = 1 << 32;

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Random(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        }))
    }

    /// 64 bits.
    #[allow(clippy::should_implement_trait, reason = "it never ends: an Option would say that it might")]
    pub fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ b << 17, d.rotate_left(45)];
        result
    }

    /// Uniform below `bound` (≥ 1), by the high word of a product: biased by less than 2^-32 for any bound used here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).cast_unsigned()).cast_signed()
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Standard normal in units of [`ONE`]: twelve uniforms less their mean (Irwin–Hall), so within ±6.
    pub fn normal(&mut self) -> i64 {
        (0..12).map(|_| (self.next() >> 32).cast_signed()).sum::<i64>() - 6 * ONE
    }
}

/// Whole numbers from 1 up, the n-th with weight n^-1.5: the depth of a limit order book as it is commonly measured.
#[derive(Debug, Clone)]
pub struct PowerLaw {
    /// Sums of weights up to and with each number.
    sums: Vec<u64>,
}

impl PowerLaw {
    /// Up to `max`.
    pub fn new(max: u64) -> Self {
        let mut sum = 0;
        let sums = (1..=max).map(|n| {
            // n^-1.5 in units of 2^-40, the root with ten binary digits behind the point.
            sum += (1_u64 << 50) / (n * (n << 20).isqrt());
            sum
        });
        PowerLaw { sums: sums.collect() }
    }

    /// Draws one.
    pub fn draw(&self, random: &mut Random) -> i64 {
        let at = random.below(*self.sums.last().expect("there is a number"));
        self.sums.partition_point(|sum| *sum <= at) as i64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stream is part of the streams' names: a seed quoted in a report must mean the same next year. Numbers from an independent program.
    #[test]
    fn the_stream_is_frozen() {
        let mut random = Random::new(42);
        assert_eq!([random.next(), random.next(), random.next()], FROZEN);
    }

    const FROZEN: [u64; 3] = [15_021_278_609_987_233_951, 5_881_210_131_331_364_753, 18_149_643_915_985_481_100];

    #[test]
    fn the_normal_has_its_moments() {
        let mut random = Random::new(1);
        let draws: Vec<i64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<i64>() / 100_000;
        let variance = draws.iter().map(|draw| (i128::from(*draw) * i128::from(*draw)) >> 32).sum::<i128>() / 100_000;
        assert!(mean.abs() < ONE / 50, "{mean}");
        assert!((variance - i128::from(ONE)).abs() < i128::from(ONE / 50), "{variance}");
    }

    #[test]
    fn the_power_law_has_its_exponent() {
        let (mut random, law) = (Random::new(2), PowerLaw::new(1_000));
        let draws: Vec<i64> = (0..100_000).map(|_| law.draw(&mut random)).collect();
        let count = |n| draws.iter().filter(|draw| **draw == n).count() as i64;
        assert!(draws.iter().all(|draw| (1..=1_000).contains(draw)));
        // 4^1.5 = 8.
        assert!((count(1) - 8 * count(4)).abs() < count(1) / 10, "{} of 1, {} of 4", count(1), count(4));
    }
}
