//! Joining: the barrier of all members, then the leader's division (A51).

use super::assign::{RANGE, decode_assignment, encode_topics, range};
use super::member::{Ended, Member};
use super::sticky::{COOPERATIVE_STICKY, Claim, cooperative_sticky};
use crate::native::config::Assignor;
use crate::native::lookup::{Failure, before, refused};
use crate::port::Reason;
use broker::protocol::{ErrorCode, Request, Response, TopicId, Tp};
use bytes::Bytes;
use runtime::time;

/// What a member was given.
pub struct Joined {
    /// Sorted.
    pub tps: Vec<Tp>,
}

impl Member {
    /// Joins, and joins again until there is an assignment.
    pub(super) async fn join(&mut self) -> Result<Joined, Ended> {
        for attempt in 1.. {
            let joined = match self.ask_to_join().await {
                Ok(Response::JoinGroup { generation, protocol, leader, member_id, members }) => {
                    self.generation = generation;
                    self.member_id = member_id;
                    self.divided = None;
                    let assignments = if leader == self.member_id { self.divide(&protocol, &members).await } else { Vec::new() };
                    self.sync(assignments).await
                }
                Ok(Response::MemberIdRequired { member_id }) => {
                    self.member_id = member_id;
                    continue;
                }
                Ok(other) => Err(refused(&other)),
                Err(failure) => Err(failure),
            };
            let failure = match joined {
                Ok(tps) => {
                    self.given_in = self.generation;
                    return Ok(Joined { tps });
                }
                Err(failure) => failure,
            };
            match failure {
                Failure::Refused(ErrorCode::UnknownMemberId) => {
                    // Who waited here with partitions was put out meanwhile.
                    self.lose_all();
                    self.member_id.clear();
                }
                Failure::Refused(ErrorCode::RebalanceInProgress) => continue,
                Failure::Refused(code @ (ErrorCode::FencedInstanceId | ErrorCode::InconsistentGroupProtocol | ErrorCode::InvalidSessionTimeout)) => {
                    return Err(Ended(Reason::Answered(code)));
                }
                Failure::Refused(_) | Failure::Broken(_) => {}
            }
            self.shared.back_off(attempt, u64::MAX).await;
        }
        unreachable!("tried until it is told")
    }

    async fn ask_to_join(&mut self) -> Result<Response, Failure> {
        let rebalance_timeout_ms = self.shared.config.max_poll_interval_ms;
        let request = Request::JoinGroup {
            group: self.group.clone(),
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            session_timeout_ms: self.shared.config.session_timeout_ms,
            rebalance_timeout_ms,
            protocols: vec![self.protocol()],
        };
        self.coordinator.ask(&self.shared.cluster, &request, u64::from(rebalance_timeout_ms)).await
    }

    /// Its assignor, and what it says to it.
    fn protocol(&self) -> (String, Bytes) {
        match self.shared.config.assignor {
            Assignor::Range => (RANGE.to_owned(), encode_topics(&self.topics)),
            Assignor::Coordinator => unreachable!("such a member joins by its heartbeats"),
            Assignor::CooperativeSticky => {
                let owned = self.owned().into_iter().collect();
                (COOPERATIVE_STICKY.to_owned(), Claim { topics: self.topics.clone(), owned, generation: self.given_in }.encode())
            }
        }
    }

    async fn sync(&mut self, assignments: Vec<(String, Bytes)>) -> Result<Vec<Tp>, Failure> {
        let request = Request::SyncGroup {
            group: self.group.clone(),
            generation: self.generation,
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            assignments,
        };
        // The answer waits for the leader's division; a leader that falls silent is put out after its session.
        match self.coordinator.ask(&self.shared.cluster, &request, u64::from(self.shared.config.max_poll_interval_ms)).await? {
            Response::SyncGroup { assignment } => {
                let mut tps = decode_assignment(&assignment).ok_or(Failure::Refused(ErrorCode::InconsistentGroupProtocol))?;
                tps.sort_unstable();
                Ok(tps)
            }
            other => Err(refused(&other)),
        }
    }

    async fn divide(&mut self, protocol: &str, members: &[(String, Bytes)]) -> Vec<(String, Bytes)> {
        if self.sizes().iter().any(Option::is_none) {
            self.refresh().await;
        }
        self.divided = Some(self.sizes());
        match protocol {
            COOPERATIVE_STICKY => cooperative_sticky(members, |topic| self.size(topic)),
            _ => range(members, |topic| self.size(topic)),
        }
    }

    /// As a leader: have the topics changed since they were divided?
    pub(super) async fn must_divide_again(&mut self) -> bool {
        let Some(divided) = self.divided.clone() else { return false };
        if self.shared.cluster.is_old() || divided.iter().any(Option::is_none) {
            self.refresh().await;
        }
        self.sizes() != divided
    }

    /// Asks for metadata, no longer than a heartbeat can wait.
    async fn refresh(&self) {
        let deadline_ms = time::monotonic_ms() + self.shared.config.heartbeat_ms;
        before(deadline_ms, self.shared.cluster.refresh(self.shared.cluster.version())).await;
    }

    fn sizes(&self) -> Vec<Option<(TopicId, u32)>> {
        self.topics.iter().map(|topic| self.size(topic)).collect()
    }

    fn size(&self, topic: &str) -> Option<(TopicId, u32)> {
        let topic = self.shared.cluster.topic(topic)?;
        Some((topic.id, u32::try_from(topic.partitions.len()).expect("partitions are numbered in u32")))
    }
}
