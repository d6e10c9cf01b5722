//! Goals, and whether they were met.

use crate::measure::Samples;

/// What a figure is meant to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// A goal against what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The median meets the goal.
    Met,
    /// The best repetition meets it, the median does not: what the code can do where nobody else computes.
    MetAtBest,
    /// Not even the best repetition meets it.
    Missed,
}

impl Goal {
    /// Judges the median, then the best.
    pub fn judge(self, samples: &Samples) -> Verdict {
        let best = match self {
            Goal::AtMost(_) => samples.min(),
            Goal::AtLeast(_) => samples.max(),
        };
        if self.holds(samples.median()) {
            Verdict::Met
        } else if self.holds(best) {
            Verdict::MetAtBest
        } else {
            Verdict::Missed
        }
    }

    fn holds(self, value: f64) -> bool {
        match self {
            Goal::AtMost(bound) => value <= bound,
            Goal::AtLeast(bound) => value >= bound,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Goal::AtMost(bound) => write!(f, "<= {bound}"),
            Goal::AtLeast(bound) => write!(f, ">= {bound}"),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Verdict::Met => "met",
            Verdict::MetAtBest => "met at best",
            Verdict::Missed => "MISSED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides_and_the_best_is_told_apart() {
        let samples = Samples::new(vec![5.0, 6.0, 9.0]);
        assert_eq!(Goal::AtMost(6.0).judge(&samples), Verdict::Met);
        assert_eq!(Goal::AtMost(5.5).judge(&samples), Verdict::MetAtBest);
        assert_eq!(Goal::AtMost(4.0).judge(&samples), Verdict::Missed);
        assert_eq!(Goal::AtLeast(6.0).judge(&samples), Verdict::Met);
        assert_eq!(Goal::AtLeast(8.0).judge(&samples), Verdict::MetAtBest);
        assert_eq!(Goal::AtLeast(10.0).judge(&samples), Verdict::Missed);
    }
}
