//! Nonmonotonic send within one transaction: of two sends to one partition the later stands first.

use super::{Anomaly, Observed, Verdict};
use crate::Violation;
use std::collections::BTreeMap;

/// See the module.
pub struct IntNonmonotonicSend;

impl Anomaly for IntNonmonotonicSend {
    fn name(&self) -> &'static str {
        "int_nonmonotonic_send"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        let mut verdict = Verdict::of(operations.sends.len() as u64);
        for transaction in &operations.transactions {
            let mut last = BTreeMap::new();
            for (_, send) in operations.sends_of(transaction).filter(|(_, send)| send.offset >= 0) {
                let before = last.insert(send.partition, send).filter(|before| before.offset >= send.offset);
                if let Some(before) = before {
                    let headline =
                        format!("a transaction's sends are out of order: {} after offset {}", operations.place(send.partition, send.offset), before.offset);
                    verdict.illegal(|| Violation { headline, facts: vec![operations.cite_send(before), operations.cite_send(send)] });
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

    #[test]
    fn rejects_a_second_send_that_overtook_the_first() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 4);
        story.added("a", P, 2, 3);
        story.commit("a", "t");
        assert_eq!(story.rejected(&IntNonmonotonicSend), "a transaction's sends are out of order: topic 1 partition 0 offset 3 after offset 4");
    }

    #[test]
    fn accepts_other_partitions_other_transactions_and_gaps() {
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 4);
        story.added("a", Q, 2, 3);
        story.added("a", P, 3, 9);
        story.commit("a", "t");
        story.accepted(&IntNonmonotonicSend);
    }
}
