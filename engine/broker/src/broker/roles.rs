//! What a replica does when the metadata gives it another role.

use super::Broker;
use crate::metadata::PartitionState;
use crate::note::Note;
use crate::protocol::{ErrorCode, NodeId, Tp};
use crate::replica::leader::Leader;
use crate::replica::{Replica, Role};
use std::collections::BTreeSet;

impl Broker {
    /// Takes over the image's state of a partition.
    pub(super) fn take_partition_state(&mut self, tp: Tp) {
        let Some(state) = self.image.partition(tp).cloned() else { return };
        if !state.replicas.contains(&self.config.node) {
            if self.replicas.contains_key(&tp) {
                self.remove_replica(tp);
            }
            return;
        }
        // It was one before: this is taken up when nothing is left of that.
        if self.removals.is_going(tp) {
            return;
        }
        let (clean, io) = (self.recovery.clean(), &mut self.io);
        let replica = self.replicas.entry(tp).or_insert_with(|| {
            // New, or a power loss took its files.
            io.note(Note::Recovered { tp, end: 0, clean });
            Replica::new(tp)
        });
        let topic = &self.image.topics[&tp.topic];
        (replica.config, replica.compacted) = (topic.config, topic.spec.compacted);
        if replica.leader_epoch.is_none_or(|epoch| epoch < state.leader_epoch) {
            self.change_role(tp, &state);
        } else if replica.partition_epoch < state.partition_epoch {
            replica.partition_epoch = state.partition_epoch;
            let (me, min_isr, now_ms) = (self.config.node, self.image.min_isr(tp), self.io.now.monotonic_ms);
            if let Some(leader) = replica.leader_mut() {
                leader.isr.clone_from(&state.isr);
                leader.pending = None;
                if leader.assign(me, &state.replicas, min_isr, now_ms) {
                    self.watch_isrs();
                }
                self.isr_changed(tp);
            }
        }
    }

    fn change_role(&mut self, tp: Tp, state: &PartitionState) {
        self.stop_leading(tp);
        self.stop_following(tp);
        let replica = self.replicas.get_mut(&tp).expect("just made");
        replica.leader_epoch = Some(state.leader_epoch);
        replica.partition_epoch = state.partition_epoch;
        match state.leader {
            Some(leader) if leader == self.config.node => self.lead(tp, state),
            Some(leader) => self.follow(tp, leader, state.leader_epoch),
            None => {}
        }
    }

    fn lead(&mut self, tp: Tp, state: &PartitionState) {
        let min_isr = self.image.min_isr(tp);
        let (me, now_ms) = (self.config.node, self.now_ms());
        let replica = self.replicas.get_mut(&tp).expect("just made");
        let end = replica.log.end();
        replica.role = Role::Leader(Box::new(Leader::new(me, &state.replicas, &state.isr, min_isr, end, now_ms)));
        if replica.epochs.assign(state.leader_epoch, end) {
            replica.checkpoint_epochs(&mut self.io);
        }
        self.io.note(Note::BecameLeader { tp, leader_epoch: state.leader_epoch, end, high_watermark: replica.high_watermark });
        if state.replicas.len() > 1 {
            self.watch_isrs();
        }
        self.host_coordinator(tp, state.leader_epoch);
        self.advance_high_watermark(tp);
        self.advance_coordinator(tp);
    }

    fn follow(&mut self, tp: Tp, leader: NodeId, leader_epoch: u32) {
        let replica = self.replicas.get_mut(&tp).expect("just made");
        replica.role = Role::Follower { leader, fetch_at_ms: 0, leader_high_watermark: 0, readers: BTreeSet::new() };
        // An epoch in which it led and wrote nothing never happened.
        if replica.epochs.truncate(replica.log.end()) {
            replica.checkpoint_epochs(&mut self.io);
        }
        self.io.note(Note::BecameFollower { tp, leader_epoch, leader });
        self.fetchers.entry(leader).or_default().add(tp);
        self.fetch_from(leader);
    }

    pub(super) fn stop_following(&mut self, tp: Tp) {
        let Some(replica) = self.replicas.get_mut(&tp) else { return };
        if !matches!(replica.role, Role::Follower { .. }) {
            return;
        }
        let Role::Follower { leader, readers, .. } = std::mem::replace(&mut replica.role, Role::Idle) else { unreachable!("just seen") };
        let held_back = self.fetchers.get_mut(&leader).expect("a follower has a fetcher").remove(tp);
        readers.iter().for_each(|&id| self.wake_reader(id));
        // Else nobody would ask that leader any more for the other partitions (seed 36 of `a22_nor_where_partitions_move_among_four`):
        // 1. partitions 0 and 1 are fetched from broker 3, and what came of partition 1 is not synced yet: the next fetch waits for that;
        // 2. partition 1 is broker 1's from now on. When it is synced, the next fetch from broker 1 is sent.
        if held_back {
            self.fetch_from(leader);
        }
    }

    /// Tells everybody who waits at this leader to look elsewhere; what was appended may or may not survive.
    pub(super) fn stop_leading(&mut self, tp: Tp) {
        let Some(replica) = self.replicas.get_mut(&tp) else { return };
        if replica.leader().is_none() {
            return;
        }
        let Role::Leader(leader) = std::mem::replace(&mut replica.role, Role::Idle) else { unreachable!("just seen") };
        let waiting = leader.replicated.iter().chain(&leader.stored).copied();
        waiting.for_each(|(_, id, part)| self.finish_part(id, part, Some(ErrorCode::NotLeaderOrFollower)));
        self.resign_coordinator(tp);
        for verification in leader.verifying.into_values() {
            verification.parked.into_iter().for_each(|parked| self.refuse_parked(tp, parked, ErrorCode::NotLeaderOrFollower));
        }
        leader.readers.iter().for_each(|&id| self.wake_reader(id));
        leader.followers.iter().for_each(|follower| self.wake_follower(follower.node));
    }
}
