//! G1c, circular information flow: transaction 1 read what transaction 2 wrote, and 2 read, directly or not, what 1 wrote. Of reads of committed records
//! alone no Kafka does it; with writes in the cycle it is as legal as G0; who reads uncommitted records asked for it.
//!
//! A delivery is part of a transaction if that was the only one open on its node and went on to send something afterwards.

use super::cycles::Graph;
use super::operations::NONE;
use super::{Anomaly, Observed, Verdict};

/// See the module.
pub struct G1c;

impl Anomaly for G1c {
    fn name(&self) -> &'static str {
        "g1c"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let nodes = observed.operations.transactions.len();
        let mut reads = observed.reads();
        let mut verdict = Verdict::of(observed.operations.sends.len() as u64 + reads.edges().len() as u64);
        if reads.edges().is_empty() {
            return verdict;
        }
        if let Some(cycle) = reads.cycles(nodes).first() {
            verdict.illegal(|| observed.cycle("transactions read each other's writes", cycle));
        }
        let id = |number: u32| observed.operations.transactions[number as usize].id;
        let of_one_id = cycles_with_a_read(observed.writes_in_order(true), &reads, nodes, |from, to| id(from) == id(to));
        if let Some(cycle) = of_one_id.first() {
            verdict.illegal_for_us(|| observed.cycle("transactions of one transactional id read ahead of what they wrote behind", cycle));
        }
        verdict.legal = cycles_with_a_read(observed.writes_in_order(false), &reads, nodes, |_, _| true).len() as u64;
        verdict
    }
}

/// Cycles of writes and reads in which there is a read.
fn cycles_with_a_read(mut writes: Graph, reads: &Graph, nodes: usize, counts: impl Fn(u32, u32) -> bool) -> Vec<Vec<u32>> {
    let reads: Vec<(u32, u32)> = reads.edges().iter().copied().filter(|(from, to)| counts(*from, *to)).collect();
    reads.iter().for_each(|(from, to)| writes.add(*from, *to));
    let mut cycles = writes.cycles(nodes);
    cycles.retain(|cycle| {
        let has = |node: &u32| cycle.binary_search(node).is_ok();
        reads.iter().any(|(from, to)| has(from) && has(to))
    });
    cycles
}

impl Observed<'_> {
    /// wr edges: who wrote, who read in a transaction of his own.
    fn reads(&self) -> Graph {
        let mut graph = Graph::default();
        for poll in self.operations.polls.iter().filter(|poll| poll.committed && poll.transaction != NONE) {
            for (offset, _) in self.operations.records(poll) {
                let version = self.versions.of_partition(poll.partition).at(*offset).expect("a delivered record has its version");
                let writer = self.transaction_of(version.writer);
                if writer != NONE {
                    graph.add(writer, poll.transaction);
                }
            }
        }
        graph
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;
    use log::Isolation;

    fn read_each_other(isolation: Isolation) -> Story {
        let mut story = Story::default();
        story.begin("a", "t");
        story.begin("b", "u");
        story.added("a", P, 1, 0);
        story.added("b", Q, 2, 0);
        story.delivered("b", P, isolation, true, &[(0, 1)]);
        story.delivered("a", Q, isolation, true, &[(0, 2)]);
        story.added("a", P, 3, 1);
        story.added("b", Q, 4, 1);
        story.commit("a", "t");
        story.commit("b", "u");
        story
    }

    #[test]
    fn rejects_two_transactions_that_read_each_other() {
        let story = read_each_other(Isolation::ReadCommitted);
        assert_eq!(story.rejected(&G1c), "transactions read each other's writes: 2 in a cycle, 0 of t, 1 of u");
    }

    #[test]
    fn accepts_a_chain_of_reads_reads_of_uncommitted_records_and_counts_a_cycle_that_needs_a_write() {
        read_each_other(Isolation::ReadUncommitted).accepted(&G1c);
        let mut story = Story::default();
        story.begin("a", "t");
        story.begin("b", "u");
        story.added("b", P, 9, 0);
        story.added("a", P, 1, 1);
        story.added("a", Q, 2, 0);
        story.commit("a", "t");
        story.polled("b", Q, &[(0, 2)]);
        story.added("b", P, 3, 2);
        story.commit("b", "u");
        assert_eq!(story.accepted(&G1c).legal, 1, "b's first write stands before a's, and b reads a's");
        // What arrives while the commit is on its way is nothing that the transaction has read.
        let mut story = Story::default();
        story.begin("a", "t");
        story.begin("b", "u");
        story.added("a", P, 1, 0);
        story.added("b", Q, 2, 0);
        story.polled("b", P, &[(0, 1)]);
        story.polled("a", Q, &[(0, 2)]);
        story.commit("a", "t");
        story.commit("b", "u");
        story.accepted(&G1c);
    }
}
