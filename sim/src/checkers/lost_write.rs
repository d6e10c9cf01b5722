//! Lost write: acknowledged, a reader went past its offset, and nobody was ever given it.

use super::operations::{NONE, Outcome};
use super::{Anomaly, Observed, Verdict};
use crate::Violation;

/// See the module.
pub struct LostWrite;

impl Anomaly for LostWrite {
    fn name(&self) -> &'static str {
        "lost_write"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        let mut verdict = Verdict::default();
        for send in operations.sends.iter().filter(|send| send.offset >= 0 && operations.outcome(send) == Outcome::Ok) {
            verdict.checked += 1;
            let partition = observed.versions.of_partition(send.partition);
            let was_given = partition.at(send.offset).is_some_and(|version| version.first_poll != NONE);
            if !was_given && partition.was_read_over(send.offset) {
                let headline = format!("an acknowledged record was passed over and never given out: {}", operations.place(send.partition, send.offset));
                verdict.illegal(|| Violation { headline, facts: vec![operations.cite_send(send)] });
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;
    use log::history::Phase;

    #[test]
    fn rejects_an_acknowledged_record_that_a_reader_went_past() {
        let mut story = Story::default();
        story.sent("a", P, 1, 4);
        story.polled("r", P, &[(3, 7)]);
        story.polled("r", P, &[(5, 8)]);
        assert_eq!(story.rejected(&LostWrite), "an acknowledged record was passed over and never given out: topic 1 partition 0 offset 4");
    }

    #[test]
    fn accepts_an_aborted_one_one_in_doubt_and_one_that_nobody_has_come_to() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 4);
        story.abort("a", "t");
        story.begin("a", "t");
        story.added("a", P, 2, 5);
        story.transaction("a", "t", Phase::Unknown);
        story.sent("a", P, 3, 9);
        story.polled("r", P, &[(3, 7), (6, 8)]);
        // Set beyond it: it did not go past it.
        story.delivered("r", P, log::Isolation::ReadCommitted, true, &[(12, 9)]);
        story.accepted(&LostWrite);
    }
}
