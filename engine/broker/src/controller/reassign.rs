//! Partitions move to other replicas (KIP-455, A22). A partition's replicas grow to those it has and those it is to have; when all of the latter are in sync
//! the others go, in the same change that says so. Nobody waits here: the change that completes a reassignment is one that a leader, or an election, asked for.
//!
//! A second reassignment takes the place of one under way. What it lets go stays until it is complete, also if it had just come; a cancel leaves the replicas
//! from before the first (Kafka 4 keeps then what the first had added, and mixes the two up where the second lets nothing go).

use super::Controller;
use super::elections::Next;
use crate::coordinator::ReplyTo;
use crate::metadata::PartitionState;
use crate::protocol::{ErrorCode, NodeId, Reassignment, Response, Tp};
use std::collections::BTreeSet;

/// Who replicates a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub replicas: Vec<NodeId>,
    pub adding: Vec<NodeId>,
    pub removing: Vec<NodeId>,
}

impl Assignment {
    pub fn of(state: &PartitionState) -> Self {
        Assignment { replicas: state.replicas.clone(), adding: state.adding.clone(), removing: state.removing.clone() }
    }

    fn settled(replicas: Vec<NodeId>) -> Self {
        Assignment { replicas, adding: Vec::new(), removing: Vec::new() }
    }

    /// From where the partition stands to `target`, whose order counts from now on (Kafka's too).
    fn towards(state: &PartitionState, target: &[NodeId]) -> Self {
        let goes = |node: &NodeId| !target.contains(node);
        let removing: Vec<NodeId> = state.replicas.iter().copied().filter(goes).collect();
        let replicas: Vec<NodeId> = target.iter().chain(&removing).copied().collect();
        let is_new = |node: &NodeId| !state.replicas.contains(node) || state.adding.contains(node);
        Assignment { adding: replicas.iter().copied().filter(is_new).collect(), replicas, removing }
    }

    pub fn is_under_way(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }
}

impl Controller {
    /// Each partition by itself; `None` cancels.
    pub(super) fn alter_reassignments(&mut self, to: ReplyTo, partitions: &[(Tp, Option<Vec<NodeId>>)]) {
        let mut results = Vec::with_capacity(partitions.len());
        for (tp, target) in partitions {
            let result = match target {
                Some(target) => self.reassign(*tp, target),
                None => self.cancel_reassignment(*tp),
            };
            results.push((*tp, result));
        }
        self.reply_committed(to, Response::AlterPartitionReassignments { partitions: results });
    }

    /// As decided so far: told when it is committed.
    pub(super) fn list_reassignments(&mut self, to: ReplyTo) {
        let told = |(tp, state): (Tp, &PartitionState)| {
            let Assignment { replicas, adding, removing } = Assignment::of(state);
            Reassignment { tp, replicas, adding, removing }
        };
        let partitions = self.partitions().filter(|(_, state)| state.is_reassigning()).map(told).collect();
        self.reply_committed(to, Response::ListPartitionReassignments { partitions });
    }

    fn reassign(&mut self, tp: Tp, target: &[NodeId]) -> Result<(), ErrorCode> {
        let old = self.image.partition(tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let distinct: BTreeSet<&NodeId> = target.iter().collect();
        let is_registered = |node: &NodeId| self.image.brokers.contains_key(node);
        if target.is_empty() || distinct.len() < target.len() || !target.iter().all(is_registered) {
            return Err(ErrorCode::InvalidReplicaAssignment);
        }
        let next = Next { isr: old.isr.clone(), eligible: old.eligible.clone(), leader: old.leader };
        let (mut entry, mut notes) = (Vec::new(), Vec::new());
        self.change_assignment(tp, old, Assignment::towards(old, target), next, &mut entry, &mut notes);
        self.decide(entry, notes);
        Ok(())
    }

    /// Back to the replicas from before, in the order that the reassignment gave them (Kafka's too). Where only replicas that it brought are in sync, nobody
    /// else has all that is committed: refused, unless unclean elections are allowed.
    fn cancel_reassignment(&mut self, tp: Tp) -> Result<(), ErrorCode> {
        let old = self.image.partition(tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !old.is_reassigning() {
            return Err(ErrorCode::NoReassignmentInProgress);
        }
        let stays = |node: &NodeId| !old.adding.contains(node);
        let replicas: Vec<NodeId> = old.replicas.iter().copied().filter(stays).collect();
        let mut isr: Vec<NodeId> = old.isr.iter().copied().filter(stays).collect();
        if isr.is_empty() {
            if !self.config.unclean_leader_election {
                return Err(ErrorCode::InvalidReplicaAssignment);
            }
            let alive = replicas.iter().copied().find(|&node| self.image.eligible(node));
            isr.push(alive.unwrap_or(replicas[0]));
        }
        let first_alive = || replicas.iter().copied().find(|&node| isr.contains(&node) && self.image.eligible(node));
        let leader = old.leader.filter(|leader| isr.contains(leader)).or_else(first_alive);
        let without = PartitionState { replicas: replicas.clone(), ..old.clone() };
        let eligible = if self.keeps_eligible() { self.eligible_beside(tp, &without, &isr, None) } else { Vec::new() };
        let (mut entry, mut notes) = (Vec::new(), Vec::new());
        self.change_assignment(tp, old, Assignment::settled(replicas), Next { isr, eligible, leader }, &mut entry, &mut notes);
        self.decide(entry, notes);
        Ok(())
    }

    /// A reassignment is complete when everybody who is to stay is in sync: nothing committed goes with those who do not. Their leader hands over to the
    /// first in order of preference.
    pub(super) fn completed(&self, moving: Assignment, next: Next) -> (Assignment, Next) {
        let stays = |node: &NodeId| !moving.removing.contains(node);
        let replicas: Vec<NodeId> = moving.replicas.iter().copied().filter(stays).collect();
        if !moving.is_under_way() || !replicas.iter().all(|node| next.isr.contains(node)) {
            return (moving, next);
        }
        let isr = next.isr.into_iter().filter(stays).collect();
        let first_alive = || replicas.iter().copied().find(|&node| self.image.eligible(node));
        let leader = next.leader.filter(stays).or_else(first_alive);
        (Assignment::settled(replicas), Next { isr, eligible: Vec::new(), leader })
    }
}
