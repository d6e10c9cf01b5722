//! G1a, aborted read: readers of committed records are given a value at more places than sends that may have happened have put it, and there is a send
//! of it that failed: refused, or of an aborted transaction.

use super::{Anomaly, Observed, Verdict};
use crate::Violation;

/// See the module.
pub struct AbortedRead;

impl Anomaly for AbortedRead {
    fn name(&self) -> &'static str {
        "aborted_read"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        let mut verdict = Verdict::default();
        for value in observed.values.iter() {
            verdict.checked += 1;
            let live = value.live(operations);
            if live < value.sends.len() && value.committed() > live {
                let (_, offset, _) = value.places[0];
                let headline = format!("a value whose send failed was given out as committed: {}", operations.place(value.partition, offset));
                verdict.illegal(|| Violation { headline, facts: value.facts(operations, &observed.versions) });
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;
    use log::Isolation;
    use log::history::Phase;

    #[test]
    fn rejects_a_record_of_an_aborted_transaction_and_a_refused_send() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 5, 0);
        story.abort("a", "t");
        story.polled("r", P, &[(0, 5)]);
        assert_eq!(story.rejected(&AbortedRead), "a value whose send failed was given out as committed: topic 1 partition 0 offset 0");
        let mut story = Story::default();
        let refused = story.invoke("a", P, 5, false);
        story.end(refused, Phase::Fail, None);
        story.polled("r", P, &[(0, 5)]);
        story.rejected(&AbortedRead);
    }

    #[test]
    fn accepts_an_aborted_value_that_was_sent_again_an_unknown_that_did_happen_and_an_uncommitted_read() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 5, 0);
        story.delivered("dirty", P, Isolation::ReadUncommitted, true, &[(0, 5)]);
        story.abort("a", "t");
        story.begin("a", "t");
        story.added("a", P, 5, 2);
        story.transaction("a", "t", Phase::Unknown);
        story.polled("r", P, &[(2, 5)]);
        story.accepted(&AbortedRead);
    }
}
