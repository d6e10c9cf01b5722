//! Duplicate: a value stands at more offsets than sends may have put it. A retry is the same send; a service that sends the same bytes again on purpose
//! makes another.

use super::{Anomaly, Observed, Verdict};
use crate::Violation;

/// See the module.
pub struct Duplicate;

impl Anomaly for Duplicate {
    fn name(&self) -> &'static str {
        "duplicate"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        let mut verdict = Verdict::default();
        for value in observed.values.iter() {
            verdict.checked += 1;
            // A surplus that a failed send may explain is an aborted read.
            let live = value.live(operations);
            let doubled = (live == value.sends.len() && value.committed() > live) || value.places.len() > value.sends.len();
            if doubled {
                let offsets: Vec<String> = value.places.iter().take(4).map(|(_, offset, _)| offset.to_string()).collect();
                let (first, sends) = (operations.place(value.partition, value.places[0].1), value.sends.len());
                let headline = format!("value {:08x}, sent {sends} time(s), stands at {} offsets: {first}", value.value, value.places.len());
                verdict.illegal(|| Violation {
                    headline,
                    facts: value.facts(operations, &observed.versions).into_iter().chain([format!("offsets {}", offsets.join(", "))]).collect(),
                });
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
    fn rejects_a_retry_that_was_written_twice() {
        let mut story = Story::default();
        story.sent("a", P, 5, 1);
        story.polled("r", P, &[(0, 5), (1, 5)]);
        assert_eq!(story.rejected(&Duplicate), "value 00000005, sent 1 time(s), stands at 2 offsets: topic 1 partition 0 offset 0");
    }

    #[test]
    fn accepts_a_value_sent_twice_an_unknown_that_did_happen_and_one_that_stands_in_two_partitions() {
        let mut story = Story::default();
        let unknown = story.invoke("a", P, 5, false);
        story.end(unknown, Phase::Unknown, None);
        story.sent("a", P, 5, 1);
        story.sent("a", Q, 5, 0);
        story.polled("r", P, &[(0, 5), (1, 5)]);
        story.polled("r", Q, &[(0, 5)]);
        story.accepted(&Duplicate);
    }
}
