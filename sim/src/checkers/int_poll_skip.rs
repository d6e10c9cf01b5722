//! Poll skip within one delivery: between two of its records stands one that its reader should have been given.

use super::{Anomaly, Observed, Verdict};

/// See the module.
pub struct IntPollSkip;

impl Anomaly for IntPollSkip {
    fn name(&self) -> &'static str {
        "int_poll_skip"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for (poll, number) in observed.operations.polls.iter().zip(0..) {
            let records = observed.operations.records(poll);
            verdict.checked += records.len() as u64;
            let (first, last) = (records[0].0, records[records.len() - 1].0);
            if observed.places(poll, first, last) < records.len() as i64 {
                continue;
            }
            for pair in records.windows(2).filter(|pair| observed.places(poll, pair[0].0, pair[1].0) > 1) {
                verdict.illegal(|| observed.wrong_step("skipped a record within a delivery", number, poll, pair[0].0, pair[1].0));
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
    fn rejects_a_delivery_without_a_record_that_another_reader_was_given() {
        let mut story = Story::default();
        story.polled("r", P, &[(3, 1), (5, 3)]);
        story.polled("s", P, &[(4, 2)]);
        assert_eq!(story.rejected(&IntPollSkip), "a reader of r skipped a record within a delivery: topic 1 partition 0 offset 5 after offset 3");
    }

    #[test]
    fn accepts_a_gap_where_an_aborted_record_is_that_only_a_reader_of_all_was_given() {
        let mut story = Story::default();
        story.polled("r", P, &[(3, 1), (5, 3)]);
        story.delivered("dirty", P, log::Isolation::ReadUncommitted, true, &[(3, 1), (4, 2), (5, 3)]);
        story.accepted(&IntPollSkip);
    }
}
