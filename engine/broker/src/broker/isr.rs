//! In-sync sets: followers join and leave by `AlterPartition`, a compare-and-set at the controller (A17). One request at a time, for all partitions
//! that wish a change.

use super::{Broker, Purpose, Timer};
use crate::protocol::{AlterIsr, ErrorCode, NodeId, Request, Response, Tp};
use crate::replica::leader::PendingIsr;
use std::collections::BTreeSet;

/// A wish as it was sent.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    tp: Tp,
    leader_epoch: u32,
    partition_epoch: u32,
    isr: Vec<NodeId>,
}

#[derive(Default)]
pub(super) struct AlterQueue {
    queued: BTreeSet<Tp>,
    in_flight: bool,
    watching: bool,
}

impl Broker {
    /// Looks for laggards twice in each `replica_lag_ms_max`, as long as this broker leads anything replicated.
    pub(super) fn watch_isrs(&mut self) {
        if !self.isr.watching {
            self.isr.watching = true;
            self.io.set_timer_in(self.config.replica_lag_ms_max / 2, Timer::IsrCheck);
        }
    }

    pub(super) fn check_isrs(&mut self) {
        self.isr.watching = false;
        let (now_ms, lag_ms_max) = (self.now_ms(), self.config.replica_lag_ms_max);
        let mut leads = false;
        let mut wishes = Vec::new();
        for replica in self.replicas.values() {
            let Some(leader) = replica.leader() else { continue };
            leads |= !leader.followers.is_empty();
            if let Some(isr) = leader.shrunk(replica.log.written(), now_ms, lag_ms_max) {
                wishes.push((replica.tp, isr));
            }
        }
        wishes.into_iter().for_each(|(tp, isr)| self.wish_isr(tp, isr));
        if leads {
            self.watch_isrs();
        }
    }

    /// A follower may have come close enough to join.
    pub(super) fn maybe_expand_isr(&mut self, tp: Tp, node: NodeId) {
        let replica = &self.replicas[&tp];
        if let Some(isr) = replica.leader().and_then(|leader| leader.expanded(node, replica.high_watermark, &self.image)) {
            self.wish_isr(tp, isr);
        }
    }

    /// Registrations changed: followers may have become eligible, or have ceased to hold the high watermark back.
    pub(super) fn reconsider_followers(&mut self) {
        let led: Vec<(Tp, Vec<NodeId>)> = self
            .replicas
            .values()
            .filter_map(|replica| Some((replica.tp, replica.leader()?.followers.iter().map(|follower| follower.node).collect())))
            .collect();
        for (tp, followers) in led {
            followers.into_iter().for_each(|node| self.maybe_expand_isr(tp, node));
            self.advance_high_watermark(tp);
        }
    }

    fn wish_isr(&mut self, tp: Tp, isr: Vec<NodeId>) {
        let leader = self.replicas.get_mut(&tp).and_then(|replica| replica.leader_mut()).expect("a leader wishes");
        assert!(leader.pending.is_none(), "one wish at a time");
        leader.pending = Some(PendingIsr { isr });
        self.isr.queued.insert(tp);
        self.alter_partition();
    }

    pub(super) fn alter_partition(&mut self) {
        let Some(broker_epoch) = self.broker_epoch else { return };
        if self.isr.in_flight || self.isr.queued.is_empty() {
            return;
        }
        let queued = std::mem::take(&mut self.isr.queued);
        let asked: Vec<Asked> = queued.into_iter().filter_map(|tp| self.asked(tp)).collect();
        if asked.is_empty() {
            return;
        }
        let partitions = asked.iter().map(|asked| self.alter_isr(asked, broker_epoch)).collect();
        self.isr.in_flight = true;
        self.ask_controller(0, Request::AlterPartition { broker: self.config.node, broker_epoch, partitions }, Purpose::AlterPartition(asked));
    }

    fn asked(&self, tp: Tp) -> Option<Asked> {
        let replica = self.replicas.get(&tp)?;
        let isr = replica.leader()?.pending.as_ref()?.isr.clone();
        Some(Asked { tp, leader_epoch: replica.leader_epoch?, partition_epoch: replica.partition_epoch, isr })
    }

    fn alter_isr(&self, asked: &Asked, broker_epoch: u64) -> AlterIsr {
        let leader = self.replicas[&asked.tp].leader().expect("just seen");
        let epoch_of = |node: NodeId| leader.followers.iter().find(|follower| follower.node == node).map_or(broker_epoch, |follower| follower.broker_epoch);
        let with_epoch = |&node: &NodeId| {
            // A member that has not fetched from this leader yet is in the ISR by the controller's word.
            let known = self.image.brokers.get(&node).map_or(0, |registration| registration.broker_epoch);
            (node, if leader.followers.iter().any(|follower| follower.node == node && follower.end < 0) { known } else { epoch_of(node) })
        };
        AlterIsr { tp: asked.tp, leader_epoch: asked.leader_epoch, partition_epoch: asked.partition_epoch, isr: asked.isr.iter().map(with_epoch).collect() }
    }

    pub(super) fn alter_partition_answered(&mut self, asked: Vec<Asked>, response: Option<Response>) {
        self.isr.in_flight = false;
        match response {
            Some(Response::AlterPartition { partitions }) => {
                let results = partitions.into_iter().map(|(_, result)| result);
                asked.into_iter().zip(results).for_each(|(asked, result)| self.isr_answered(&asked, result));
                self.alter_partition();
            }
            // It may have been executed: the wish stands, both sets count, and the same compare-and-set is asked again.
            _ => {
                self.isr.queued.extend(asked.iter().map(|asked| asked.tp));
                self.io.set_timer_in(self.config.controller_retry_ms, Timer::AlterPartition);
            }
        }
    }

    fn isr_answered(&mut self, asked: &Asked, result: Result<(), ErrorCode>) {
        let Some(replica) = self.replicas.get_mut(&asked.tp) else { return };
        if replica.leader_epoch != Some(asked.leader_epoch) || replica.partition_epoch != asked.partition_epoch {
            return;
        }
        let Some(leader) = replica.leader_mut() else { return };
        match result {
            Ok(()) => {
                leader.isr.clone_from(&asked.isr);
                leader.pending = None;
                replica.partition_epoch += 1;
                self.isr_changed(asked.tp);
            }
            // Definite: nothing changed. The next fetch or check wishes again.
            Err(ErrorCode::StaleBrokerEpoch) => leader.pending = None,
            // Somebody changed the partition; the metadata will say how, and ends the wish.
            Err(_) => {}
        }
    }
}
