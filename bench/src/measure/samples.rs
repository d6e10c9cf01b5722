//! One figure, measured several times.

use serde::{Deserialize, Serialize};

/// The repetitions of one figure, sorted. Noise of a shared machine only ever adds time, so the lower half tells more than the upper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// At least one value, none of them NaN.
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "a figure was measured at least once");
        assert!(values.iter().all(|value| !value.is_nan()), "a measurement is a number");
        values.sort_by(f64::total_cmp);
        Samples(values)
    }

    /// Smallest.
    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// Largest.
    pub fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The middle one; of an even number the lower of the two.
    pub fn median(&self) -> f64 {
        self.0[(self.0.len() - 1) / 2]
    }

    /// How often it was measured.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// In rising order.
    pub fn values(&self) -> &[f64] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn median_of_odd_and_even_counts() {
        assert_eq!(Samples::new(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Samples::new(vec![4.0, 3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Samples::new(vec![7.0]).median(), 7.0);
    }
}
