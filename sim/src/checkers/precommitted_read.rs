//! Precommitted read: a reader of committed records is given one of a transaction that has not even made its last send.

use super::operations::NONE;
use super::{Anomaly, Observed, Verdict};
use crate::Violation;

/// See the module.
pub struct PrecommittedRead;

impl Anomaly for PrecommittedRead {
    fn name(&self) -> &'static str {
        "precommitted_read"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        let mut verdict = Verdict::of(operations.count());
        for transaction in &operations.transactions {
            let Some((_, last)) = operations.sends_of(transaction).next_back() else { continue };
            for (number, send) in operations.sends_of(transaction).filter(|(_, send)| send.offset >= 0) {
                let version = observed.versions.of_partition(send.partition).at(send.offset);
                let Some(version) = version.filter(|version| version.writer == number && version.first_committed_poll != NONE) else { continue };
                if operations.polls[version.first_committed_poll as usize].at < last.begun {
                    let headline = format!("given out as committed before its transaction was complete: {}", operations.place(send.partition, send.offset));
                    let poll = operations.cite_poll(version.first_committed_poll, send.offset);
                    verdict.illegal(|| Violation { headline, facts: vec![operations.cite_send(send), poll, operations.cite_send(last)] });
                }
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

    #[test]
    fn rejects_a_committed_read_of_an_open_transaction() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 4);
        story.polled("a", P, &[(4, 1)]);
        story.added("a", Q, 2, 0);
        story.commit("a", "t");
        assert_eq!(story.rejected(&PrecommittedRead), "given out as committed before its transaction was complete: topic 1 partition 0 offset 4");
    }

    #[test]
    fn accepts_an_uncommitted_read_and_one_that_comes_before_the_answer_to_the_commit() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 4);
        story.delivered("dirty", P, Isolation::ReadUncommitted, true, &[(4, 1)]);
        story.added("a", Q, 2, 0);
        story.polled("r", P, &[(4, 1)]);
        story.commit("a", "t");
        story.accepted(&PrecommittedRead);
    }
}
