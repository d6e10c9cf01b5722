//! A group and its members: what is known, and what can be asked of it without changing anything.

use super::consumer::Consumer;
use super::offsets::Offsets;
use crate::protocol::ErrorCode;
use crate::{coordinator::ReplyTo, protocol::Response};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Where a group is between two generations (A51).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No members; it may hold offsets.
    Empty,
    /// The barrier is up: members join.
    PreparingRebalance,
    /// The barrier fell, the generation is new; the leader's assignment is awaited, or on its way to the log.
    CompletingRebalance,
    /// Every member has, or can fetch, its assignment.
    Stable,
    /// Nothing is left of it; it is about to be forgotten.
    Dead,
}

/// A consumer in a group.
#[derive(Debug)]
pub(super) struct Member {
    /// Set: a static member, which keeps its assignment over a restart (KIP-345).
    pub(super) instance_id: Option<String>,
    pub(super) session_timeout_ms: u32,
    pub(super) rebalance_timeout_ms: u32,
    /// Assignors it knows with what it subscribes to, best first.
    pub(super) protocols: Vec<(String, Bytes)>,
    /// Its part in the current generation, once durable.
    pub(super) assignment: Bytes,
    /// Its JoinGroup that waits at the barrier.
    pub(super) joining: Option<ReplyTo>,
    /// Its SyncGroup that waits for the assignment.
    pub(super) syncing: Option<ReplyTo>,
    /// Whether it asked for its part in the current generation.
    pub(super) synced: bool,
    /// When its session ends; a member that waits in `joining` or `syncing` is alive.
    pub(super) session_ends_ms: u64,
}

/// What a JoinGroup says of its sender.
pub(super) struct Joiner {
    pub(super) member_id: String,
    pub(super) instance_id: Option<String>,
    pub(super) session_timeout_ms: u32,
    pub(super) rebalance_timeout_ms: u32,
    pub(super) protocols: Vec<(String, Bytes)>,
}

/// A barrier that is up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Barrier {
    /// It falls then, whoever is missing.
    pub(super) falls_ms: u64,
    /// An empty group waits out its initial delay, extended by each joiner up to this time, even when all members have joined.
    pub(super) delayed_until_ms: Option<u64>,
}

/// A consumer group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) state: State,
    /// Rises with every fall of the barrier. 0: none yet.
    pub(super) generation: i32,
    /// The assignor of this generation.
    pub(super) protocol: Option<String>,
    /// The member that assigns.
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Member of each instance id.
    pub(super) instances: BTreeMap<String, String>,
    /// Member ids given out and not yet used (KIP-394), and until when they hold the barrier up.
    pub(super) invited: BTreeMap<String, u64>,
    /// While `PreparingRebalance`.
    pub(super) barrier: Option<Barrier>,
    /// Members that have not asked for their assignment by then are put out.
    pub(super) sync_ends_ms: u64,
    /// The leader's assignment is on its way to the log.
    pub(super) storing: bool,
    /// When it lost its last member or took its last commit, by the wall clock: offsets expire from there (A60).
    pub(super) idle_since_ms: u64,
    /// When to look whether the offsets of the empty group have ended.
    pub(super) expires_ms: Option<u64>,
    pub(super) offsets: Offsets,
    /// Its members, where the coordinator divides (KIP-848); such a group is `Empty` of others.
    pub(super) consumer: Consumer,
}

impl Member {
    /// Whether it knows the same assignors with the same subscriptions as `joiner` says.
    pub(super) fn matches(&self, joiner: &Joiner) -> bool {
        self.protocols == joiner.protocols
    }

    /// Whether a request of it waits here: then silence does not end its session.
    pub(super) fn waits(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }

    /// What it subscribes to under `protocol`.
    pub(super) fn subscription(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, subscription)| subscription.clone()).unwrap_or_default()
    }
}

impl Group {
    /// A group without members.
    pub(super) fn new(name: String) -> Self {
        Group {
            name,
            state: State::Empty,
            generation: 0,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            invited: BTreeMap::new(),
            barrier: None,
            sync_ends_ms: 0,
            storing: false,
            idle_since_ms: 0,
            expires_ms: None,
            offsets: Offsets::default(),
            consumer: Consumer::default(),
        }
    }

    /// Whether the sender is the member it says it is (A55: an older duplicate of an instance is fenced).
    pub(super) fn validate(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            let current = self.instances.get(instance_id).ok_or(ErrorCode::UnknownMemberId)?;
            if current != member_id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// As [`Group::validate`], and of the current generation.
    pub(super) fn validate_in(&self, generation: i32, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        self.validate(member_id, instance_id)?;
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::IllegalGeneration) }
    }

    /// Whether `protocols` has an assignor that every member knows.
    pub(super) fn supports(&self, protocols: &[(String, Bytes)]) -> bool {
        protocols.iter().any(|(name, _)| self.is_common(name))
    }

    fn is_common(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.protocols.iter().any(|(name, _)| name == protocol))
    }

    /// The assignor that most members like best among those that all know; the first by name of equals.
    pub(super) fn elect_protocol(&self) -> String {
        let mut votes: BTreeMap<&str, u32> = BTreeMap::new();
        for member in self.members.values() {
            let (best, _) = member.protocols.iter().find(|(name, _)| self.is_common(name)).expect("nobody joins without a common assignor");
            *votes.entry(best).or_default() += 1;
        }
        let most = votes.values().copied().max().expect("a group with members votes");
        votes.into_iter().find(|&(_, count)| count == most).map(|(name, _)| name.to_owned()).expect("someone has the most votes")
    }

    /// Whether it has no member of either kind.
    pub(super) fn is_empty(&self) -> bool {
        self.state == State::Empty && self.consumer.members.is_empty()
    }

    /// Whether nobody is missing at the barrier.
    pub(super) fn all_joined(&self) -> bool {
        self.invited.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// How long members may take from one generation to the next: the longest that one of them asked for.
    pub(super) fn rebalance_timeout_ms(&self) -> u64 {
        self.members.values().map(|member| u64::from(member.rebalance_timeout_ms)).max().unwrap_or(0)
    }

    /// Who is in this generation; a static member goes by its instance id, which a restart does not change.
    pub(super) fn roster(&self) -> Vec<String> {
        let mut roster: Vec<String> = self.members.iter().map(|(id, member)| member.instance_id.clone().unwrap_or_else(|| id.clone())).collect();
        roster.sort();
        roster
    }

    /// The answer to a JoinGroup of the current generation.
    pub(super) fn joined(&self, member_id: &str) -> Response {
        let protocol = self.protocol.clone().expect("a generation with members has an assignor");
        let leader = self.leader.clone().expect("a generation with members has a leader");
        let members = match leader == member_id {
            true => self.members.iter().map(|(id, member)| (id.clone(), member.subscription(&protocol))).collect(),
            false => Vec::new(),
        };
        Response::JoinGroup { generation: self.generation, protocol, leader, member_id: member_id.to_owned(), members }
    }

    /// The earliest moment at which time alone changes this group, if there is one.
    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        let invitations = self.invited.values().copied();
        let sessions = self.members.values().filter(|member| !member.waits()).map(|member| member.session_ends_ms);
        let barrier = self.barrier.map(|barrier| barrier.falls_ms);
        let syncs = self.awaits_syncs().then_some(self.sync_ends_ms);
        invitations.chain(sessions).chain(barrier).chain(syncs).chain(self.expires_ms).chain(self.consumer.next_deadline_ms()).min()
    }

    /// Whether a member has yet to ask for its assignment of the current generation.
    pub(super) fn awaits_syncs(&self) -> bool {
        matches!(self.state, State::CompletingRebalance | State::Stable) && self.members.values().any(|member| !member.synced)
    }
}
