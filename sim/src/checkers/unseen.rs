//! Unseen: acknowledged, and nobody has come to it. While readers are on their way that is lag, and legal; after a read of everything it is not.

use super::operations::{NONE, Outcome};
use super::{Anomaly, Observed, Verdict};
use crate::Violation;

/// See the module.
pub struct Unseen;

impl Anomaly for Unseen {
    fn name(&self) -> &'static str {
        "unseen"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        let mut verdict = Verdict::default();
        for send in operations.sends.iter().filter(|send| operations.outcome(send) == Outcome::Ok) {
            verdict.checked += 1;
            let partition = observed.versions.of_partition(send.partition);
            let is_unseen = match send.offset {
                // The log did not tell where: then anywhere.
                ..0 => !observed.values.stands(send.partition, send.value),
                offset => partition.at(offset).is_none_or(|version| version.first_poll == NONE) && !partition.was_read_over(offset),
            };
            if is_unseen && observed.final_read {
                let headline = match send.offset {
                    ..0 => format!("an acknowledged record was never given out: value {:08x}", send.value),
                    offset => format!("an acknowledged record was never given out: {}", operations.place(send.partition, offset)),
                };
                verdict.illegal(|| Violation { headline, facts: vec![operations.cite_send(send)] });
            } else if is_unseen {
                verdict.legal += 1;
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
    fn rejects_after_a_final_read_and_counts_as_lag_before_it() {
        let mut story = Story::default();
        story.polled("r", P, &[(3, 7)]);
        story.sent("a", P, 1, 4);
        assert_eq!(story.accepted(&Unseen).legal, 1);
        let verdict = Unseen.find(&Observed::new(story.entries(), true));
        assert_eq!(
            verdict.illegal.map(|violation| violation.headline),
            Some("an acknowledged record was never given out: topic 1 partition 0 offset 4".to_owned())
        );
    }

    #[test]
    fn accepts_an_acknowledgement_without_an_offset_whose_value_stands_somewhere_and_an_aborted_one() {
        let mut story = Story::default();
        let send = story.invoke("a", P, 1, false);
        story.end(send, log::history::Phase::Ok, None);
        story.begin("a", "t");
        story.added("a", P, 2, 4);
        story.abort("a", "t");
        story.polled("r", P, &[(3, 1)]);
        let verdict = Unseen.find(&Observed::new(story.entries(), true));
        assert_eq!((verdict.illegal, verdict.checked), (None, 1));
    }
}
