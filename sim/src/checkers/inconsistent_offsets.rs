//! Inconsistent offsets: one offset of one partition holds two values, by what readers were given and by what acknowledged sends were told.

use super::{Anomaly, Observed, Verdict};
use crate::Violation;

/// See the module.
pub struct InconsistentOffsets;

impl Anomaly for InconsistentOffsets {
    fn name(&self) -> &'static str {
        "inconsistent_offsets"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let mut verdict = Verdict::of(observed.operations.count());
        if let Some(conflict) = observed.versions.conflicts.first() {
            verdict.illegal(|| Violation {
                headline: format!("two values at {}", observed.operations.place(conflict.partition, conflict.offset)),
                facts: conflict.facts.to_vec(),
            });
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    #[test]
    fn rejects_readers_that_differ_and_a_reader_that_differs_from_an_acknowledgement() {
        let mut story = Story::default();
        story.polled("r", P, &[(3, 1)]);
        story.polled("s", P, &[(3, 2)]);
        assert_eq!(story.rejected(&InconsistentOffsets), "two values at topic 1 partition 0 offset 3");
        let mut story = Story::default();
        story.sent("a", P, 1, 3);
        story.polled("r", P, &[(3, 2)]);
        story.rejected(&InconsistentOffsets);
    }

    #[test]
    fn accepts_an_offset_that_an_aborted_send_was_told_and_another_record_holds() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 3);
        story.abort("a", "t");
        story.polled("r", P, &[(3, 2), (7, 1)]);
        story.accepted(&InconsistentOffsets);
    }
}
