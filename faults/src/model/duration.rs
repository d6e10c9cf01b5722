//! How long a fault lasts. A uniform draw almost never lands near a timer, so half of the draws are aligned to one (`kafka.md` B.1).

use super::Terrain;
use sim::runtime::rng::Rng;

/// {0.5, 0.9, 1−ε, 1+ε, 1.1, 2} in thousandths.
const AROUND: [u64; 6] = [500, 900, 990, 1_010, 1_100, 2_000];

/// Shortest outage of the long tail.
const TAIL_MS_MIN: u64 = 50;

/// Half of the time around one of the configured timers, else from a long tail; at most `ms_max`.
pub fn aligned_ms(rng: &mut Rng, terrain: &Terrain, ms_max: u64) -> u64 {
    let fitting: Vec<u64> = terrain.timers_ms.iter().map(|(_, ms)| *ms).filter(|ms| *ms <= ms_max).collect();
    if fitting.is_empty() || rng.chance(1, 2) {
        return tail_ms(rng, ms_max);
    }
    let timer_ms = *rng.pick(&fitting);
    (timer_ms * *rng.pick(&AROUND) / 1_000).clamp(1, ms_max)
}

/// How long a process stays down: 0.1 to 30 s, mostly short.
pub fn outage_ms(rng: &mut Rng) -> u64 {
    match rng.below(10) {
        0..5 => rng.range(100..1_500),
        5..9 => rng.range(1_500..8_000),
        _ => rng.range(8_000..30_000),
    }
}

/// Pareto with α ≈ 1.2 in whole numbers: beyond each doubling 2^−1.2 = 0.435 of the draws are left.
fn tail_ms(rng: &mut Rng, ms_max: u64) -> u64 {
    let mut low = TAIL_MS_MIN;
    while low * 2 < ms_max && rng.chance(435, 1_000) {
        low *= 2;
    }
    rng.range(low..low * 2).min(ms_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_part_lands_next_to_a_timer() {
        let terrain = Terrain::small();
        let mut rng = Rng::from_seed(1);
        let draws: Vec<u64> = (0..10_000).map(|_| aligned_ms(&mut rng, &terrain, 15_000)).collect();
        let near = draws.iter().filter(|ms| [5_940, 6_060, 2_970, 3_030].contains(ms)).count();
        assert!((1_300..2_100).contains(&near), "{near} of 10,000 within one percent of a timer");
        assert!(draws.iter().all(|ms| (1..=15_000).contains(ms)));
        assert!(draws.iter().filter(|ms| **ms < 500).count() > 2_500, "short ones are the most frequent");
    }
}
