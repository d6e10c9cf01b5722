//! Controllers come and go, what they decided stays: an epoch of the quorum has one controller, which has every entry that counted before; an entry that
//! counts is the same at every voter; an epoch of a partition has one leader (KIP-595, Raft's election safety, leader completeness, state machine safety).

use super::{Finding, Invariant, cite};
use crate::Entry;
use broker::Note;
use log::{Event, Tp};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Default)]
pub struct OneMetadataLog {
    /// Who leads an epoch of the quorum, and where that is said.
    controllers: BTreeMap<u32, (Arc<str>, String)>,
    /// What counts: the entry's content, and where that is said first.
    counts: BTreeMap<u64, (u32, String)>,
    /// Who leads an epoch of a partition.
    leaders: BTreeMap<(Tp, u32), (u32, String)>,
    finding: Finding,
}

impl Invariant for OneMetadataLog {
    fn name(&self) -> &'static str {
        "one_metadata_log"
    }

    fn observe(&mut self, entry: &Entry) {
        match entry.event {
            Event::Broker(Note::ControllerElected { epoch, end }) => self.elected(entry, epoch, end),
            Event::Broker(Note::MetadataCommitted { offset, crc }) => self.counts(entry, offset, crc),
            Event::Broker(Note::LeaderElected { tp, leader, leader_epoch, .. }) => self.leads(entry, tp, leader, leader_epoch),
            _ => {}
        }
    }

    fn finish(&mut self) -> Finding {
        std::mem::take(&mut self.finding)
    }
}

impl OneMetadataLog {
    fn elected(&mut self, entry: &Entry, epoch: u32, end: u64) {
        self.finding.checked += 1;
        let this = cite(entry, format_args!("leads the quorum in epoch {epoch}, its log ends at {end}"));
        if let Some((offset, (_, cited))) = self.counts.last_key_value().filter(|(offset, _)| **offset >= end) {
            self.finding
                .violated(|| format!("{} leads the quorum without metadata entry {offset}, which counts", entry.node), || vec![cited.clone(), this.clone()]);
        }
        match self.controllers.entry(epoch) {
            Vacant(free) => drop(free.insert((entry.node.clone(), this))),
            Occupied(taken) => {
                let (first, cited) = taken.get();
                self.finding.violated(|| format!("{first} and {} lead the quorum in epoch {epoch}", entry.node), || vec![cited.clone(), this]);
            }
        }
    }

    fn counts(&mut self, entry: &Entry, offset: u64, crc: u32) {
        self.finding.checked += 1;
        let this = cite(entry, format_args!("metadata entry {offset} counts: {crc:08x}"));
        let (known, cited) = self.counts.entry(offset).or_insert_with(|| (crc, this.clone()));
        if *known != crc {
            self.finding.violated(|| format!("metadata entry {offset} is not the same everywhere"), || vec![cited.clone(), this]);
        }
    }

    fn leads(&mut self, entry: &Entry, tp: Tp, leader: u32, leader_epoch: u32) {
        self.finding.checked += 1;
        let this = cite(entry, format_args!("broker-{leader} leads topic {} partition {} in epoch {leader_epoch}", tp.topic.0, tp.partition));
        let (known, cited) = self.leaders.entry((tp, leader_epoch)).or_insert_with(|| (leader, this.clone()));
        if *known != leader {
            let headline = || format!("broker-{known} and broker-{leader} lead topic {} partition {} in epoch {leader_epoch}", tp.topic.0, tp.partition);
            self.finding.violated(headline, || vec![cited.clone(), this]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    fn elected(epoch: u32, end: u64) -> Event {
        Event::Broker(Note::ControllerElected { epoch, end })
    }

    fn committed(offset: u64, crc: u32) -> Event {
        Event::Broker(Note::MetadataCommitted { offset, crc })
    }

    fn leads(leader: u32, leader_epoch: u32) -> Event {
        Event::Broker(Note::LeaderElected { tp: TP, leader, leader_epoch, isr: vec![leader], unclean: false })
    }

    #[test]
    fn rejects_two_controllers_of_one_epoch() {
        let facts = vec![("controller-1", elected(3, 0)), ("controller-2", elected(3, 0))];
        assert_eq!(rejects(OneMetadataLog::default(), facts), "controller-1 and controller-2 lead the quorum in epoch 3");
    }

    #[test]
    fn rejects_a_controller_that_lacks_what_counts() {
        let facts = vec![("controller-1", elected(1, 0)), ("controller-1", committed(0, 7)), ("controller-2", elected(2, 0))];
        assert_eq!(rejects(OneMetadataLog::default(), facts), "controller-2 leads the quorum without metadata entry 0, which counts");
    }

    #[test]
    fn rejects_two_contents_of_one_entry_and_two_leaders_of_one_epoch() {
        let facts = vec![("controller-1", committed(0, 7)), ("controller-2", committed(0, 8))];
        assert_eq!(rejects(OneMetadataLog::default(), facts), "metadata entry 0 is not the same everywhere");
        let facts = vec![("controller-1", leads(1, 4)), ("controller-2", leads(2, 4))];
        assert_eq!(rejects(OneMetadataLog::default(), facts), "broker-1 and broker-2 lead topic 1 partition 0 in epoch 4");
    }

    #[test]
    fn accepts_that_a_voter_learns_late_what_counts_and_that_nobody_was_elected_for_long() {
        let facts = vec![
            ("controller-1", elected(1, 0)),
            ("controller-1", committed(0, 7)),
            ("controller-2", elected(9, 2)),
            ("controller-2", committed(0, 7)),
            ("controller-2", committed(1, 5)),
            ("controller-1", committed(1, 5)),
            ("controller-2", leads(1, 4)),
            ("controller-1", leads(1, 4)),
        ];
        accepts(OneMetadataLog::default(), facts);
    }
}
