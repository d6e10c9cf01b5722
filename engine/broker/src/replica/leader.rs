//! What a leader knows of its followers, and the rules of the high watermark (A7, A8) and of the in-sync set (A17).

use crate::broker::Parked;
use crate::metadata::Image;
use crate::protocol::{ErrorCode, NodeId, ProducerEpoch, ProducerId};
use std::collections::{BTreeMap, BTreeSet};

/// A follower, as its fetches show it.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    pub node: NodeId,
    /// Its log end; −1 until it fetched from this leader.
    pub end: i64,
    /// Of its last fetch.
    pub broker_epoch: u64,
    /// The last time it had everything.
    caught_up_ms: Option<u64>,
    last_fetch_ms: u64,
    /// Our end at its last fetch.
    last_fetch_end: i64,
    /// The high watermark and the log start it was told.
    pub told: (i64, i64),
}

/// A wish for another ISR that the controller has not answered for good.
#[derive(Debug, Clone)]
pub(crate) struct PendingIsr {
    pub isr: Vec<NodeId>,
}

/// Who waits for offsets below `required`: (required, append, index of its part).
pub(crate) type Waiting = BTreeSet<(i64, u64, u32)>;

/// A transaction's first write here, being verified with its coordinator (A43).
#[derive(Debug)]
pub(crate) struct Verification {
    pub producer_epoch: ProducerEpoch,
    /// Unique: an answer to an older question opens nothing (ABA).
    pub guard: u64,
    /// In order of arrival.
    pub parked: Vec<Parked>,
    /// The coordinator, asked to add the partition, may still be ending the transaction before: it is asked again until then.
    pub again: Option<Again>,
}

/// A question to a transaction's coordinator that may be asked again.
#[derive(Debug, Clone)]
pub(crate) struct Again {
    pub transactional_id: String,
    pub until_ms: u64,
    /// A marker of that producer was written since it was asked.
    pub overtaken: bool,
}

#[derive(Debug)]
pub(crate) struct Leader {
    /// Log end when this leadership began.
    pub epoch_start: i64,
    /// As committed by the controller.
    pub isr: Vec<NodeId>,
    pub pending: Option<PendingIsr>,
    pub followers: Vec<Follower>,
    pub min_isr: usize,
    /// acks = all.
    pub replicated: Waiting,
    /// acks = 1.
    pub stored: Waiting,
    /// Parked fetches of consumers.
    pub readers: BTreeSet<u64>,
    pub verifying: BTreeMap<ProducerId, Verification>,
}

impl Follower {
    fn new(node: NodeId, in_sync: bool, now_ms: u64) -> Self {
        let caught_up_ms = in_sync.then_some(now_ms);
        Follower { node, end: -1, broker_epoch: 0, caught_up_ms, last_fetch_ms: now_ms, last_fetch_end: i64::MAX, told: (-1, 0) }
    }

    fn is_caught_up(&self, leader_end: i64, now_ms: u64, lag_ms_max: u64) -> bool {
        self.end == leader_end || self.caught_up_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) <= lag_ms_max)
    }
}

impl Leader {
    pub fn new(me: NodeId, replicas: &[NodeId], isr: &[NodeId], min_isr: usize, epoch_start: i64, now_ms: u64) -> Self {
        assert!(isr.contains(&me), "a leader is in its ISR");
        Leader {
            epoch_start,
            isr: isr.to_vec(),
            pending: None,
            followers: replicas.iter().filter(|&&node| node != me).map(|node| Follower::new(*node, isr.contains(node), now_ms)).collect(),
            min_isr,
            replicated: BTreeSet::new(),
            stored: BTreeSet::new(),
            readers: BTreeSet::new(),
            verifying: BTreeMap::new(),
        }
    }

    /// The partition's replicas are these within this leadership (KIP-455); true if there are new ones.
    pub fn assign(&mut self, me: NodeId, replicas: &[NodeId], min_isr: usize, now_ms: u64) -> bool {
        self.min_isr = min_isr;
        self.followers.retain(|follower| replicas.contains(&follower.node));
        let is_new = |node: &NodeId| *node != me && !self.followers.iter().any(|follower| follower.node == *node);
        let new: Vec<Follower> = replicas.iter().copied().filter(is_new).map(|node| Follower::new(node, self.isr.contains(&node), now_ms)).collect();
        self.followers.extend(new.iter().cloned());
        !new.is_empty()
    }

    pub fn follower_mut(&mut self, node: NodeId) -> Option<&mut Follower> {
        self.followers.iter_mut().find(|follower| follower.node == node)
    }

    /// Committed or proposed: until the controller's word is known, both may hold.
    fn in_maximal_isr(&self, node: NodeId) -> bool {
        self.isr.contains(&node) || self.pending.as_ref().is_some_and(|pending| pending.isr.contains(&node))
    }

    /// A follower's fetch from `offset`: true if its end is news. A fetch of an older incarnation is refused (KIP-903).
    pub fn fetched(&mut self, node: NodeId, broker_epoch: u64, offset: i64, leader_end: i64, now_ms: u64) -> Result<bool, ErrorCode> {
        let follower = self.follower_mut(node).ok_or(ErrorCode::NotLeaderOrFollower)?;
        if broker_epoch < follower.broker_epoch {
            return Err(ErrorCode::StaleBrokerEpoch);
        }
        if offset >= leader_end {
            follower.caught_up_ms = Some(now_ms);
        } else if offset >= follower.last_fetch_end {
            follower.caught_up_ms = follower.caught_up_ms.max(Some(follower.last_fetch_ms));
        }
        let news = follower.end != offset || follower.broker_epoch != broker_epoch;
        follower.end = offset;
        follower.broker_epoch = broker_epoch;
        follower.last_fetch_ms = now_ms;
        follower.last_fetch_end = leader_end;
        Ok(news)
    }

    /// Least end over the maximal ISR and over replicas that are about to join it; `None` while the ISR is below its minimum.
    pub fn least_end(&self, own_end: i64, leader_end: i64, image: &Image, now_ms: u64, lag_ms_max: u64) -> Option<i64> {
        if self.isr.len() < self.min_isr {
            return None;
        }
        let counts = |follower: &&Follower| {
            self.in_maximal_isr(follower.node) || (follower.is_caught_up(leader_end, now_ms, lag_ms_max) && is_eligible(follower, image))
        };
        Some(self.followers.iter().filter(counts).map(|follower| follower.end).fold(own_end, i64::min))
    }

    /// The ISR with this follower, if it may join (A17).
    pub fn expanded(&self, node: NodeId, high_watermark: i64, image: &Image) -> Option<Vec<NodeId>> {
        if self.pending.is_some() || self.in_maximal_isr(node) {
            return None;
        }
        let follower = self.followers.iter().find(|follower| follower.node == node)?;
        if follower.end < high_watermark || follower.end < self.epoch_start || !is_eligible(follower, image) {
            return None;
        }
        Some(self.isr.iter().copied().chain([node]).collect())
    }

    /// The ISR without those that lag, if there are such.
    pub fn shrunk(&self, leader_end: i64, now_ms: u64, lag_ms_max: u64) -> Option<Vec<NodeId>> {
        if self.pending.is_some() {
            return None;
        }
        let lags = |node: &NodeId| self.followers.iter().any(|follower| follower.node == *node && !follower.is_caught_up(leader_end, now_ms, lag_ms_max));
        let isr: Vec<NodeId> = self.isr.iter().copied().filter(|node| !lags(node)).collect();
        (isr.len() < self.isr.len()).then_some(isr)
    }
}

fn is_eligible(follower: &Follower, image: &Image) -> bool {
    image.brokers.get(&follower.node).is_some_and(|broker| broker.eligible() && broker.broker_epoch == follower.broker_epoch)
}
