//! Poll skip: between two deliveries of a reader that was not set elsewhere stands a record that it should have been given.

use super::{Anomaly, Observed, Verdict};

/// See the module.
pub struct PollSkip;

impl Anomaly for PollSkip {
    fn name(&self) -> &'static str {
        "poll_skip"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let mut verdict = Verdict::of(observed.operations.polls.len() as u64);
        for (number, poll, last, first) in observed.steps().filter(|(_, poll, last, first)| observed.places(poll, *last, *first) > 1) {
            verdict.illegal(|| observed.wrong_step("skipped a record", number, poll, last, first));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    #[test]
    fn rejects_a_reader_that_leaves_out_an_acknowledged_record() {
        let mut story = Story::default();
        story.sent("a", P, 2, 6);
        story.polled("r", P, &[(5, 1)]);
        story.polled("r", P, &[(7, 3)]);
        assert_eq!(story.rejected(&PollSkip), "a reader of r skipped a record: topic 1 partition 0 offset 7 after offset 5");
    }

    #[test]
    fn accepts_markers_and_aborted_records_in_between_and_a_seek() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 2, 6);
        story.abort("a", "t");
        story.polled("r", P, &[(5, 1)]);
        story.polled("r", P, &[(8, 3)]);
        story.polled("s", P, &[(9, 4)]);
        story.delivered("r", P, log::Isolation::ReadCommitted, true, &[(12, 5)]);
        story.accepted(&PollSkip);
    }
}
