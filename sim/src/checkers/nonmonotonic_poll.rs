//! Nonmonotonic poll: a reader's delivery does not begin behind its last one, although it was not set back.

use super::{Anomaly, Observed, Verdict};

/// See the module.
pub struct NonmonotonicPoll;

impl Anomaly for NonmonotonicPoll {
    fn name(&self) -> &'static str {
        "nonmonotonic_poll"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let mut verdict = Verdict::of(observed.operations.polls.len() as u64);
        for (number, poll, last, first) in observed.steps().filter(|(_, _, last, first)| first <= last) {
            verdict.illegal(|| observed.wrong_step("went backwards", number, poll, last, first));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    #[test]
    fn rejects_a_reader_that_is_given_a_record_again() {
        let mut story = Story::default();
        story.polled("r", P, &[(5, 1)]);
        story.polled("r", P, &[(5, 1)]);
        assert_eq!(story.rejected(&NonmonotonicPoll), "a reader of r went backwards: topic 1 partition 0 offset 5 after offset 5");
    }

    #[test]
    fn accepts_a_reader_that_was_set_back() {
        let mut story = Story::default();
        story.polled("r", P, &[(5, 1)]);
        story.delivered("r", P, log::Isolation::ReadCommitted, true, &[(2, 4)]);
        story.accepted(&NonmonotonicPoll);
    }
}
