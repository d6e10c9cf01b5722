//! A monotonic clock whose own cost is known.

use super::Samples;
use std::time::Instant;

/// Reads nanoseconds since it was made. Figures of single operations contain [`Clock::cost_ns`]; it is printed beside them, never subtracted.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Time zero is now.
    pub fn start() -> Self {
        Clock { start: Instant::now() }
    }

    /// Nanoseconds since the start.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// What one reading costs: median of several hundred readings in a row.
    pub fn cost_ns(&self) -> f64 {
        const READINGS: u64 = 400;
        let repetition = |_| {
            let begin = self.now_ns();
            for _ in 0..READINGS {
                std::hint::black_box(self.now_ns());
            }
            (self.now_ns() - begin) as f64 / READINGS as f64
        };
        Samples::new((0..51).map(repetition).collect()).median()
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn it_never_runs_backwards() {
        let clock = Clock::start();
        let mut last = 0;
        for _ in 0..10_000 {
            let now = clock.now_ns();
            assert!(now >= last);
            last = now;
        }
    }
}
