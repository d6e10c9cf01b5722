//! Torn transaction: some of its records were given out as committed, and of others, acknowledged too, a reader went past the place without them
//! (Jepsen: lost-write of an unknown transaction with another write of it observed).

use super::operations::{NONE, Outcome, Send};
use super::{Anomaly, Observed, Verdict};
use crate::Violation;

/// See the module.
pub struct TornTransaction;

impl Anomaly for TornTransaction {
    fn name(&self) -> &'static str {
        "torn_transaction"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        // Every send is a part of something, if only of itself.
        let mut verdict = Verdict::of(operations.sends.len() as u64);
        for (transaction, number) in operations.transactions.iter().zip(0..).filter(|(transaction, _)| transaction.outcome != Outcome::Fail) {
            let told = || operations.sends_of(transaction).map(|(_, send)| send).filter(|send| send.offset >= 0);
            let Some(seen) = told().find(|send| was_given(observed, send)) else { continue };
            if let Some(gone) = told().find(|send| was_passed_over(observed, send)) {
                let headline = format!("a part of a transaction was given out, another passed over: {}", operations.place(gone.partition, gone.offset));
                let facts = || vec![operations.cite_transaction(number), operations.cite_send(seen), operations.cite_send(gone)];
                verdict.illegal(|| Violation { headline, facts: facts() });
            }
        }
        verdict
    }
}

fn was_given(observed: &Observed<'_>, send: &Send) -> bool {
    let version = observed.versions.of_partition(send.partition).at(send.offset);
    version.is_some_and(|version| version.value == send.value && version.first_committed_poll != NONE)
}

fn was_passed_over(observed: &Observed<'_>, send: &Send) -> bool {
    let partition = observed.versions.of_partition(send.partition);
    let is_there = partition.at(send.offset).is_some_and(|version| version.value == send.value && version.first_poll != NONE);
    !is_there && partition.was_read_over(send.offset)
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;
    use log::history::Phase;

    #[test]
    fn rejects_a_transaction_in_doubt_of_which_half_is_there() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 4);
        story.added("a", Q, 2, 4);
        story.transaction("a", "t", Phase::Unknown);
        story.polled("r", P, &[(3, 7), (4, 1), (6, 8)]);
        story.polled("r", Q, &[(3, 7), (6, 8)]);
        assert_eq!(story.rejected(&TornTransaction), "a part of a transaction was given out, another passed over: topic 1 partition 1 offset 4");
    }

    #[test]
    fn accepts_one_that_did_not_happen_and_one_whose_other_half_nobody_has_come_to() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 4);
        story.added("a", Q, 2, 4);
        story.transaction("a", "t", Phase::Unknown);
        story.polled("r", P, &[(3, 7), (6, 8)]);
        story.polled("r", Q, &[(3, 7), (6, 8)]);
        story.begin("a", "t");
        story.added("a", P, 5, 8);
        story.added("a", Q, 6, 8);
        story.commit("a", "t");
        story.polled("r", P, &[(8, 5), (9, 9)]);
        story.accepted(&TornTransaction);
    }

    #[test]
    fn of_several_transactions_open_on_a_node_the_brokers_tell_which_a_send_belongs_to() {
        let torn = |brokers_speak: bool| {
            let mut story = Story::default();
            story.begin("a", "t");
            story.begin("a", "u");
            for (tp, value) in [(P, 1), (Q, 2)] {
                if brokers_speak {
                    story.appended(tp, 4, i64::from(b't'));
                }
                story.added("a", tp, value, 4);
            }
            story.commit("a", "t");
            story.polled("r", P, &[(3, 7), (4, 1), (6, 8)]);
            story.polled("r", Q, &[(3, 7), (6, 8)]);
            story
        };
        torn(true).rejected(&TornTransaction);
        torn(false).accepted(&TornTransaction);
    }
}
