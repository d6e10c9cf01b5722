//! Elections: from the in-sync set (A18; `eligible` has those that also look outside of it). The last member of an ISR stays in it, dead or alive: nobody
//! else has everything. Only where unclean elections are asked for (A19) any live replica may lead instead, and what it lacks is gone.

use super::reassign::Assignment;
use super::{Controller, Timer};
use crate::coordinator::ReplyTo;
use crate::metadata::{MetadataRecord, PartitionState};
use crate::note::Note;
use crate::protocol::{ErrorCode, NodeId, Response, Tp};

/// What a partition changes to.
pub(super) struct Next {
    pub isr: Vec<NodeId>,
    pub eligible: Vec<NodeId>,
    pub leader: Option<NodeId>,
}

impl Controller {
    pub(super) fn partitions(&self) -> impl Iterator<Item = (Tp, &PartitionState)> {
        let of_topic = |(&topic, held): (&_, &'_ crate::metadata::Topic)| (0..held.partitions.len() as u32).map(move |partition| Tp { topic, partition });
        self.image.topics.iter().flat_map(of_topic).map(|tp| (tp, self.image.partition(tp).expect("just listed")))
    }

    /// After a start: the life before may have died between committing an ISR and saying so.
    pub(super) fn restate_isrs(&mut self) {
        let isr_of = |(tp, state): (Tp, &PartitionState)| Note::IsrChanged { tp, leader_epoch: state.leader_epoch, isr: state.isr.clone() };
        let notes: Vec<Note> = self.partitions().map(isr_of).collect();
        self.note_committed(notes);
    }

    /// A broker leaves: leaderships move to another live member of the ISR, or to nobody.
    pub(super) fn remove_from_partitions(&self, broker: NodeId, entry: &mut Vec<MetadataRecord>, notes: &mut Vec<Note>) {
        if self.keeps_eligible() {
            return self.remove_to_eligible(broker, entry, notes);
        }
        for (tp, old) in self.partitions() {
            let others: Vec<NodeId> = old.isr.iter().copied().filter(|&node| node != broker).collect();
            let isr = if others.is_empty() { old.isr.clone() } else { others };
            let leader = if old.leader == Some(broker) { self.elect(old, &isr, broker) } else { old.leader };
            match leader {
                None => match self.elect_unclean(old, broker) {
                    Some(unclean) => self.change(tp, old, vec![unclean], Some(unclean), entry, notes),
                    None => self.change(tp, old, isr, None, entry, notes),
                },
                leader => self.change(tp, old, isr, leader, entry, notes),
            }
        }
    }

    /// A broker came alive: it leads what has no leader and counts it as in sync.
    pub(super) fn lead_leaderless(&self, broker: NodeId, entry: &mut Vec<MetadataRecord>, notes: &mut Vec<Note>) {
        if self.keeps_eligible() {
            return self.lead_eligible(broker, entry, notes);
        }
        for (tp, old) in self.partitions() {
            if old.leader.is_some() {
                continue;
            }
            if old.isr.contains(&broker) {
                self.change(tp, old, old.isr.clone(), Some(broker), entry, notes);
            } else if self.config.unclean_leader_election && old.replicas.contains(&broker) {
                self.change(tp, old, vec![broker], Some(broker), entry, notes);
            }
        }
    }

    /// ElectLeaders (A22): a leader moves with no fault at all.
    pub(super) fn elect_preferred(&mut self, to: ReplyTo, partitions: &[Tp]) {
        let mut results = Vec::with_capacity(partitions.len());
        for &tp in partitions {
            results.push((tp, self.elect_preferred_of(tp)));
        }
        self.reply_committed(to, Response::ElectLeaders { partitions: results });
    }

    pub(super) fn begin_rebalancing(&mut self) {
        let Some(pause_ms) = self.config.leader_rebalance_ms else { return };
        let at_ms = self.io.now.monotonic_ms + pause_ms;
        self.rebalance_at_ms = Some(at_ms);
        self.io.set_timer(at_ms, Timer::Rebalance);
    }

    pub(super) fn end_rebalancing(&mut self) {
        if let Some(at_ms) = self.rebalance_at_ms.take() {
            self.io.cancel_timer(at_ms, Timer::Rebalance);
        }
    }

    /// The same, asked by nobody, for every partition that somebody else leads (Kafka's `auto.leader.rebalance.enable`, on).
    pub(super) fn rebalance_leaders(&mut self) {
        self.begin_rebalancing();
        let is_away = |state: &PartitionState| state.leader.is_some_and(|leader| leader != state.replicas[0]);
        let away: Vec<Tp> = self.partitions().filter(|(_, state)| is_away(state)).map(|(tp, _)| tp).collect();
        for tp in away {
            // Who is not in sync or not alive is looked at again the next time.
            let _ = self.elect_preferred_of(tp);
        }
    }

    fn elect_preferred_of(&mut self, tp: Tp) -> Result<(), ErrorCode> {
        let old = self.image.partition(tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let preferred = old.replicas[0];
        if !old.isr.contains(&preferred) || !self.image.eligible(preferred) {
            return Err(ErrorCode::LeaderNotAvailable);
        }
        let (mut entry, mut notes) = (Vec::new(), Vec::new());
        self.change(tp, old, old.isr.clone(), Some(preferred), &mut entry, &mut notes);
        self.decide(entry, notes);
        Ok(())
    }

    /// The first replica in order of preference that is in sync and alive.
    fn elect(&self, state: &PartitionState, isr: &[NodeId], leaving: NodeId) -> Option<NodeId> {
        state.replicas.iter().copied().find(|&node| node != leaving && isr.contains(&node) && self.image.eligible(node))
    }

    /// The first replica in order of preference that is alive, where that is allowed: it alone is in sync from then on.
    fn elect_unclean(&self, state: &PartitionState, leaving: NodeId) -> Option<NodeId> {
        let mut alive = state.replicas.iter().copied().filter(|&node| node != leaving && self.image.eligible(node));
        alive.next().filter(|_| self.config.unclean_leader_election)
    }

    /// Records another ISR and leader of a partition, if either is another.
    pub(super) fn change(
        &self,
        tp: Tp,
        old: &PartitionState,
        isr: Vec<NodeId>,
        leader: Option<NodeId>,
        entry: &mut Vec<MetadataRecord>,
        notes: &mut Vec<Note>,
    ) {
        let eligible = if self.keeps_eligible() { self.eligible_beside(tp, old, &isr, None) } else { Vec::new() };
        self.change_to(tp, old, Next { isr, eligible, leader }, entry, notes);
    }

    /// The same, where it is known who else may lead.
    pub(super) fn change_to(&self, tp: Tp, old: &PartitionState, next: Next, entry: &mut Vec<MetadataRecord>, notes: &mut Vec<Note>) {
        self.change_assignment(tp, old, Assignment::of(old), next, entry, notes);
    }

    /// The same, where other replicas are, or come to be, assigned. A reassignment that is complete by that is completed.
    pub(super) fn change_assignment(
        &self,
        tp: Tp,
        old: &PartitionState,
        assignment: Assignment,
        next: Next,
        entry: &mut Vec<MetadataRecord>,
        notes: &mut Vec<Note>,
    ) {
        let cancels = old.is_reassigning() && !assignment.is_under_way();
        let unclean = next.leader.is_some_and(|leader| next.leader != old.leader && !old.isr.contains(&leader) && !old.eligible.contains(&leader));
        let (assignment, next) = self.completed(assignment, next);
        let Next { isr, eligible, leader } = next;
        let reassigned = assignment != Assignment::of(old);
        if isr == old.isr && leader == old.leader && eligible == old.eligible && !reassigned {
            return;
        }
        assert!(leader.is_none_or(|leader| isr.contains(&leader)), "a leader of {tp:?} comes from its ISR");
        // Who is no replica any more must not be heard as one, should he be one again (KIP-455).
        let is_smaller = old.replicas.iter().any(|node| !assignment.replicas.contains(node));
        let leader_epoch = old.leader_epoch + u32::from(leader != old.leader || is_smaller);
        if isr != old.isr {
            notes.push(Note::IsrChanged { tp, leader_epoch, isr: isr.clone() });
        }
        if let Some(leader) = leader.filter(|_| leader_epoch != old.leader_epoch) {
            notes.push(Note::LeaderElected { tp, leader, leader_epoch, isr: isr.clone(), unclean });
        }
        if eligible != old.eligible {
            notes.push(Note::EligibleLeadersChanged { tp, eligible: eligible.clone() });
        }
        let Assignment { replicas, adding, removing } = assignment;
        if reassigned {
            let (replicas, adding, removing) = (replicas.clone(), adding.clone(), removing.clone());
            notes.push(match () {
                () if !adding.is_empty() || !removing.is_empty() => Note::ReassignmentBegun { tp, replicas, adding, removing },
                () if cancels => Note::ReassignmentCancelled { tp, replicas },
                () => Note::ReassignmentCompleted { tp, replicas, moved: leader.is_some() && leader != old.leader },
            });
        }
        let led_last = || old.leader.or(old.last_known).filter(|node| replicas.contains(node));
        let last_known = if self.keeps_eligible() && leader.is_none() { led_last() } else { None };
        let partition_epoch = old.partition_epoch + 1;
        let state = PartitionState { replicas, isr, leader, leader_epoch, partition_epoch, eligible, last_known, adding, removing };
        push_state(tp, state, entry);
    }
}

/// All of a partition's state. What came later than the first record of it has one of its own, so that a log from before can be read.
fn push_state(tp: Tp, state: PartitionState, entry: &mut Vec<MetadataRecord>) {
    let PartitionState { eligible, last_known, adding, removing, .. } = state.clone();
    entry.push(MetadataRecord::PartitionChanged { tp, state });
    if !eligible.is_empty() || last_known.is_some() {
        entry.push(MetadataRecord::EligibleLeaders { tp, eligible, last_known });
    }
    if !adding.is_empty() || !removing.is_empty() {
        entry.push(MetadataRecord::Reassigning { tp, adding, removing });
    }
}
