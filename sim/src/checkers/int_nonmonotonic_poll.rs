//! Nonmonotonic poll within one delivery: its offsets do not rise.

use super::{Anomaly, Observed, Verdict};

/// See the module.
pub struct IntNonmonotonicPoll;

impl Anomaly for IntNonmonotonicPoll {
    fn name(&self) -> &'static str {
        "int_nonmonotonic_poll"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for (poll, number) in observed.operations.polls.iter().zip(0..) {
            let records = observed.operations.records(poll);
            verdict.checked += records.len() as u64;
            for pair in records.windows(2).filter(|pair| pair[1].0 <= pair[0].0) {
                verdict.illegal(|| observed.wrong_step("went backwards within a delivery", number, poll, pair[0].0, pair[1].0));
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    #[test]
    fn rejects_a_delivery_that_goes_back() {
        let mut story = Story::default();
        story.polled("r", P, &[(3, 1), (5, 2), (4, 3)]);
        assert_eq!(story.rejected(&IntNonmonotonicPoll), "a reader of r went backwards within a delivery: topic 1 partition 0 offset 4 after offset 5");
    }

    #[test]
    fn accepts_sparse_offsets() {
        let mut story = Story::default();
        story.polled("r", P, &[(3, 1), (50, 2)]);
        story.accepted(&IntNonmonotonicPoll);
    }
}
