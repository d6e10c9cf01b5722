//! Elections with eligible leader replicas (KIP-966, A18). An ISR may become empty: its last member is not believed to have everything when it comes back
//! from a death that was not in order. Who leaves an ISR that is, or by that falls, below its minimum is kept in mind instead: nothing is committed from then
//! on (A8), so that it has all there is, until its own death loses something.
//!
//! Who leads: a live member of the ISR; else a live eligible one; else, where neither set has a member, the last leader alone; else, where unclean elections
//! are allowed, anybody alive.

use super::Controller;
use super::elections::Next;
use crate::metadata::{MetadataRecord, PartitionState};
use crate::note::Note;
use crate::protocol::{NodeId, Tp};

impl Controller {
    /// Whether the cluster is finalised at it.
    pub(super) fn keeps_eligible(&self) -> bool {
        self.image.eligible_leaders_version > 0
    }

    /// Who may lead beside the members of an ISR; `distrusted` may not.
    pub(super) fn eligible_beside(&self, tp: Tp, old: &PartitionState, isr: &[NodeId], distrusted: Option<NodeId>) -> Vec<NodeId> {
        if isr.len() >= self.image.min_isr_of(tp.topic, old) {
            return Vec::new();
        }
        let had_all = |node: &NodeId| old.isr.contains(node) || old.eligible.contains(node);
        old.replicas.iter().copied().filter(|node| had_all(node) && !isr.contains(node) && Some(*node) != distrusted).collect()
    }

    /// A broker leaves.
    pub(super) fn remove_to_eligible(&self, broker: NodeId, entry: &mut Vec<MetadataRecord>, notes: &mut Vec<Note>) {
        for (tp, old) in self.partitions().filter(|(_, old)| old.isr.contains(&broker) || old.leader == Some(broker)) {
            self.go_on_without(broker, tp, old, None, entry, notes);
        }
    }

    /// A broker's next life cannot vouch for what the one before had.
    pub(super) fn distrust(&self, broker: NodeId, entry: &mut Vec<MetadataRecord>, notes: &mut Vec<Note>) {
        for (tp, old) in self.partitions().filter(|(_, old)| old.isr.contains(&broker) || old.eligible.contains(&broker)) {
            self.go_on_without(broker, tp, old, Some(broker), entry, notes);
        }
    }

    fn go_on_without(&self, broker: NodeId, tp: Tp, old: &PartitionState, distrusted: Option<NodeId>, entry: &mut Vec<MetadataRecord>, notes: &mut Vec<Note>) {
        let isr: Vec<NodeId> = old.isr.iter().copied().filter(|&node| node != broker).collect();
        let eligible = self.eligible_beside(tp, old, &isr, distrusted);
        let next = self.elect_eligible(tp, old, isr, eligible, |node| node != broker && self.image.eligible(node));
        self.change_to(tp, old, next, entry, notes);
    }

    /// A broker came alive: perhaps it can lead what has no leader.
    pub(super) fn lead_eligible(&self, broker: NodeId, entry: &mut Vec<MetadataRecord>, notes: &mut Vec<Note>) {
        for (tp, old) in self.partitions().filter(|(_, old)| old.leader.is_none()) {
            let next = self.elect_eligible(tp, old, old.isr.clone(), old.eligible.clone(), |node| node == broker || self.image.eligible(node));
            self.change_to(tp, old, next, entry, notes);
        }
    }

    fn elect_eligible(&self, tp: Tp, old: &PartitionState, isr: Vec<NodeId>, eligible: Vec<NodeId>, is_alive: impl Fn(NodeId) -> bool) -> Next {
        let first_of = |set: &[NodeId]| old.replicas.iter().copied().find(|&node| set.contains(&node) && is_alive(node));
        let stays = old.leader.filter(|&leader| isr.contains(&leader) && is_alive(leader));
        if let Some(leader) = stays.or_else(|| first_of(&isr)) {
            return Next { isr, eligible, leader: Some(leader) };
        }
        if let Some(leader) = first_of(&eligible) {
            let is_enough = self.image.min_isr(tp) <= 1;
            let eligible = eligible.into_iter().filter(|&node| node != leader && !is_enough).collect();
            return Next { isr: vec![leader], eligible, leader: Some(leader) };
        }
        let alone = old.leader.or(old.last_known).filter(|&last| isr.is_empty() && eligible.is_empty() && is_alive(last));
        let anybody = || first_of(&old.replicas).filter(|_| self.config.unclean_leader_election);
        match alone.or_else(anybody) {
            // What it lacks is lost, for everybody.
            Some(leader) => Next { isr: vec![leader], eligible: Vec::new(), leader: Some(leader) },
            None => Next { isr, eligible, leader: None },
        }
    }
}
