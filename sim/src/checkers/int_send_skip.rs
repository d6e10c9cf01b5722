//! Send skip within one transaction: a stranger's record stands between two of its sends. Kafka does not isolate writes, so it is legal. A partition
//! that one transactional id alone writes holds one transaction after the other.

use super::operations::{NONE, Outcome};
use super::{Anomaly, Observed, Verdict};
use crate::Violation;
use std::collections::BTreeMap;

/// See the module.
pub struct IntSendSkip;

impl Anomaly for IntSendSkip {
    fn name(&self) -> &'static str {
        "int_send_skip"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        let mut verdict = Verdict::of(operations.sends.len() as u64);
        let sole = sole_writers(observed);
        for (transaction, number) in operations.transactions.iter().zip(0..).filter(|(transaction, _)| transaction.outcome != Outcome::Fail) {
            let mut last: BTreeMap<u32, i64> = BTreeMap::new();
            for (_, send) in operations.sends_of(transaction).filter(|(_, send)| send.offset >= 0) {
                let Some(before) = last.insert(send.partition, send.offset) else { continue };
                let Some(offset) = stranger_between(observed, send.partition, number, before, send.offset) else { continue };
                if sole[send.partition as usize].is_none() {
                    verdict.legal += 1;
                    continue;
                }
                let headline =
                    format!("another transaction's record stands within a transaction of the only writer: {}", operations.place(send.partition, offset));
                verdict.illegal_for_us(|| Violation { headline, facts: vec![operations.cite_transaction(number), operations.cite_send(send)] });
            }
        }
        verdict
    }
}

/// A version between two offsets that another wrote.
fn stranger_between(observed: &Observed<'_>, partition: u32, transaction: u32, from: i64, to: i64) -> Option<i64> {
    let versions = observed.versions.of_partition(partition);
    let (first, last) = (versions.at(from)?, versions.at(to)?);
    if last.index.saturating_sub(first.index) <= 1 {
        return None;
    }
    (from + 1..to).find(|offset| versions.at(*offset).is_some_and(|version| observed.transaction_of(version.writer) != transaction))
}

/// By partition: the transactional id that alone has written it.
fn sole_writers(observed: &Observed<'_>) -> Vec<Option<u32>> {
    let operations = &observed.operations;
    let mut writers: Vec<Option<Option<u32>>> = vec![None; operations.partitions.len()];
    for send in operations.sends.iter().filter(|send| operations.outcome(send) != Outcome::Fail) {
        let id = (send.transaction != NONE).then(|| operations.transactions[send.transaction as usize].id);
        let writer = &mut writers[send.partition as usize];
        *writer = match writer {
            None => Some(id),
            Some(known) if *known == id => Some(id),
            Some(_) => Some(None),
        };
    }
    writers.into_iter().map(Option::flatten).collect()
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    fn interrupted(first: &str, second: &str) -> Story {
        let mut story = Story::default();
        story.begin("a", first);
        story.added("a", P, 1, 0);
        story.begin("b", second);
        story.added("b", P, 2, 1);
        story.commit("b", second);
        story.added("a", P, 3, 2);
        story.commit("a", first);
        story
    }

    #[test]
    fn rejects_for_us_an_interruption_where_one_id_alone_writes() {
        let headline = interrupted("t", "t").rejected_for_us(&IntSendSkip);
        assert_eq!(headline, "another transaction's record stands within a transaction of the only writer: topic 1 partition 0 offset 1");
    }

    #[test]
    fn accepts_and_counts_it_between_strangers() {
        assert_eq!(interrupted("t", "u").accepted(&IntSendSkip).legal, 1);
    }
}
