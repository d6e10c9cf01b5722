//! `AlterPartition`: a leader's compare-and-set of an ISR (A17). Each partition stands for itself.

use super::Controller;
use crate::coordinator::ReplyTo;
use crate::metadata::MetadataRecord;
use crate::protocol::{AlterIsr, ErrorCode, NodeId, Response};

impl Controller {
    pub(super) fn alter_partitions(&mut self, to: ReplyTo, broker: NodeId, broker_epoch: u64, partitions: Vec<AlterIsr>) {
        if let Err(error) = self.registration(broker, broker_epoch) {
            return self.reply(to, Response::Error(error));
        }
        let (mut entry, mut notes) = (Vec::new(), Vec::new());
        let mut results = Vec::with_capacity(partitions.len());
        for alter in &partitions {
            let mut checked = self.check_alter(broker, alter);
            if checked.is_ok() {
                let old = self.image.partition(alter.tp).expect("checked");
                let isr = alter.isr.iter().map(|&(node, _)| node).collect();
                let before = entry.len();
                self.change(alter.tp, old, isr, old.leader, &mut entry, &mut notes);
                // It completed a reassignment: the caller's epoch is over, perhaps its leadership (Kafka says NEW_LEADER_ELECTED).
                let goes_on =
                    |record: &MetadataRecord| !matches!(record, MetadataRecord::PartitionChanged { state, .. } if state.leader_epoch != alter.leader_epoch);
                if !entry[before..].iter().all(goes_on) {
                    checked = Err(ErrorCode::FencedLeaderEpoch);
                }
            }
            results.push((alter.tp, checked));
        }
        self.decide(entry, notes);
        self.reply_committed(to, Response::AlterPartition { partitions: results });
    }

    /// `InvalidUpdateVersion`: the caller saw another state. `StaleBrokerEpoch`: a member may not be in an ISR, or is another life than the one that
    /// fetched (KIP-903; Kafka says INELIGIBLE_REPLICA).
    fn check_alter(&self, broker: NodeId, alter: &AlterIsr) -> Result<(), ErrorCode> {
        let state = self.image.partition(alter.tp).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if state.leader != Some(broker) || alter.leader_epoch != state.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if alter.partition_epoch != state.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let nodes: Vec<NodeId> = alter.isr.iter().map(|&(node, _)| node).collect();
        if !nodes.contains(&broker) || nodes.iter().any(|node| !state.replicas.contains(node)) {
            return Err(ErrorCode::InvalidRecord);
        }
        let eligible = |&(node, epoch): &(NodeId, u64)| self.image.brokers.get(&node).is_some_and(|known| known.eligible() && known.broker_epoch == epoch);
        if alter.isr.iter().filter(|(node, _)| !state.isr.contains(node)).all(eligible) { Ok(()) } else { Err(ErrorCode::StaleBrokerEpoch) }
    }
}
