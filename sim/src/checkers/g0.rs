//! G0, write cycle: transaction 1 stands before transaction 2 in one partition and behind it in another. Kafka does not isolate writes, so it is legal.
//! Of one transactional id there is one transaction at a time: a cycle between two of them means that an owner wrote while another was the owner.

use super::cycles::Graph;
use super::operations::NONE;
use super::{Anomaly, Observed, Verdict};
use crate::Violation;
use std::collections::BTreeMap;

/// See the module.
pub struct G0;

impl Anomaly for G0 {
    fn name(&self) -> &'static str {
        "g0"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let nodes = observed.operations.transactions.len();
        let mut verdict = Verdict::of(observed.operations.sends.len() as u64);
        let all = observed.writes_in_order(false).cycles(nodes);
        if all.is_empty() {
            return verdict;
        }
        let of_one_id = observed.writes_in_order(true).cycles(nodes);
        if let Some(cycle) = of_one_id.first() {
            verdict.illegal_for_us(|| observed.cycle("transactions of one transactional id stand in two orders", cycle));
        }
        verdict.legal = (all.len() - of_one_id.len().min(all.len())) as u64;
        verdict
    }
}

impl Observed<'_> {
    /// ww edges between transactions that did not fail; `of_one_id`: each to the next of its transactional id.
    pub(super) fn writes_in_order(&self, of_one_id: bool) -> Graph {
        let mut graph = Graph::default();
        for (_, partition) in self.versions.partitions() {
            let mut last = BTreeMap::new();
            for (_, version) in partition.iter() {
                let transaction = self.transaction_of(version.writer);
                if transaction == NONE {
                    continue;
                }
                let lane = if of_one_id { self.operations.transactions[transaction as usize].id } else { 0 };
                if let Some(before) = last.insert(lane, transaction) {
                    graph.add(before, transaction);
                }
            }
        }
        graph
    }

    /// The transaction of a send, if there is one.
    pub(super) fn transaction_of(&self, send: u32) -> u32 {
        self.operations.sends.get(send as usize).map_or(NONE, |send| send.transaction)
    }

    /// A cycle in words.
    pub(super) fn cycle(&self, what: &str, cycle: &[u32]) -> Violation {
        let name = |number: &u32| format!("{number} of {}", self.operations.ids[self.operations.transactions[*number as usize].id as usize]);
        let names: Vec<String> = cycle.iter().take(4).map(name).collect();
        let mut facts = Vec::new();
        for number in cycle.iter().take(4) {
            facts.push(self.operations.cite_transaction(*number));
            facts.extend(self.operations.sends_of(&self.operations.transactions[*number as usize]).take(4).map(|(_, send)| self.operations.cite_send(send)));
        }
        Violation { headline: format!("{what}: {} in a cycle, {}", cycle.len(), names.join(", ")), facts }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    fn crossed(first: &str, second: &str) -> Story {
        let mut story = Story::default();
        story.begin("a", first);
        story.begin("b", second);
        story.added("a", P, 1, 0);
        story.added("b", P, 2, 1);
        story.added("b", Q, 3, 0);
        story.added("a", Q, 4, 1);
        story.commit("a", first);
        story.commit("b", second);
        story
    }

    #[test]
    fn rejects_for_us_two_transactions_of_one_id_that_stand_in_two_orders() {
        let headline = crossed("t", "t").rejected_for_us(&G0);
        assert_eq!(headline, "transactions of one transactional id stand in two orders: 2 in a cycle, 0 of t, 1 of t");
    }

    #[test]
    fn accepts_and_counts_strangers_whose_writes_interleave() {
        assert_eq!(crossed("t", "u").accepted(&G0).legal, 1);
        let mut story = Story::default();
        story.begin("a", "t");
        story.added("a", P, 1, 0);
        story.added("a", Q, 2, 0);
        story.commit("a", "t");
        assert_eq!(story.accepted(&G0).legal, 0);
    }
}
