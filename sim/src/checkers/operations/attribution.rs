//! Which transaction a send belongs to. A node with one open transaction leaves no choice. One with several: its log's brokers tell which producer wrote
//! at the offset that was acknowledged; where no broker speaks (a foreign log), it stays unknown.

use super::NONE;
use std::collections::BTreeMap;

/// A transactional batch: first offset, last offset, producer id.
type Batch = (i64, i64, i64);

#[derive(Debug, Default)]
pub struct Attribution {
    /// By partition: highest leader epoch, and its batches in order.
    logs: BTreeMap<u32, (u32, Vec<Batch>)>,
    /// By node and producer id: its transactions, with the entry that began each.
    begun: BTreeMap<String, BTreeMap<i64, Vec<(u32, u32)>>>,
}

impl Attribution {
    /// A leader has appended a batch of a transaction.
    pub fn appended(&mut self, partition: u32, leader_epoch: u32, first: i64, last: i64, producer_id: i64) {
        let (epoch, batches) = self.logs.entry(partition).or_default();
        // What a deposed leader appends is no part of the log.
        if leader_epoch < *epoch {
            return;
        }
        *epoch = leader_epoch;
        while batches.last().is_some_and(|(_, end, _)| *end >= first) {
            batches.pop();
        }
        batches.push((first, last, producer_id));
    }

    /// A transaction began.
    pub fn begun(&mut self, node: &str, producer_id: i64, at: u32, transaction: u32) {
        if !self.begun.contains_key(node) {
            self.begun.insert(node.to_owned(), BTreeMap::new());
        }
        let producers = self.begun.get_mut(node).expect("just entered");
        producers.entry(producer_id).or_default().push((at, transaction));
    }

    /// The transaction of a node's send, begun at this entry, that stands there.
    pub fn transaction_of(&self, node: &str, partition: u32, offset: i64, begun: u32) -> u32 {
        let find = || {
            let (_, batches) = self.logs.get(&partition)?;
            let (_, last, producer_id) = batches[..batches.partition_point(|(first, ..)| *first <= offset)].last()?;
            let begun_by = self.begun.get(node)?.get(producer_id).filter(|_| *last >= offset)?;
            Some(begun_by[..begun_by.partition_point(|(at, _)| *at < begun)].last()?.1)
        };
        find().unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_belongs_to_the_transaction_that_its_producer_had_begun_before_it() {
        let mut attribution = Attribution::default();
        attribution.begun("a", 7, 10, 0);
        attribution.begun("a", 8, 11, 1);
        attribution.begun("a", 7, 20, 2);
        attribution.appended(0, 1, 0, 4, 7);
        attribution.appended(0, 1, 5, 5, 8);
        assert_eq!(attribution.transaction_of("a", 0, 3, 12), 0);
        assert_eq!(attribution.transaction_of("a", 0, 3, 21), 2);
        assert_eq!(attribution.transaction_of("a", 0, 5, 12), 1);
        assert_eq!(attribution.transaction_of("b", 0, 5, 12), NONE, "another node's");
        assert_eq!(attribution.transaction_of("a", 0, 9, 12), NONE, "nothing is there");
    }

    #[test]
    fn a_deposed_leader_attributes_nothing_and_a_new_one_overwrites() {
        let mut attribution = Attribution::default();
        attribution.begun("a", 7, 10, 0);
        attribution.begun("a", 8, 11, 1);
        attribution.appended(0, 1, 0, 4, 7);
        attribution.appended(0, 2, 3, 3, 8);
        attribution.appended(0, 1, 3, 3, 7);
        assert_eq!(attribution.transaction_of("a", 0, 3, 12), 1);
    }
}
