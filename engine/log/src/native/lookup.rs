//! Questions that change nothing: topics, offsets, committed positions, coordinators.

use super::Shared;
use super::cluster::{Cluster, Links};
use super::verdict;
use crate::link::Broken;
use crate::port::{Anchor, Next, Outcome, Position, Reason, TopicInfo};
use broker::protocol::{CommittedOffset, CoordinatorKind, ErrorCode, Isolation, OffsetSpec, Request, Response, Tp};
use runtime::time;
use std::future::Future;
use std::time::Duration;

/// How one attempt at a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer.
    Broken(Broken),
    /// An error for an answer.
    Refused(ErrorCode),
}

impl Failure {
    /// The same, as the port says it.
    pub fn reason(self) -> Reason {
        match self {
            Failure::Broken(_) => Reason::Disconnected,
            Failure::Refused(code) => Reason::Answered(code),
        }
    }
}

/// An answer of an unexpected kind is an error of the peer.
pub fn refused(response: &Response) -> Failure {
    match response {
        Response::Error(code) => Failure::Refused(*code),
        _ => Failure::Refused(ErrorCode::UnknownServerError),
    }
}

/// The coordinator of a group or a transactional id, looked up when needed.
#[derive(Debug)]
pub struct Coordinator {
    kind: CoordinatorKind,
    key: String,
    links: Links,
    address: Option<String>,
}

impl Coordinator {
    /// Not looked up yet.
    pub fn new(kind: CoordinatorKind, key: impl Into<String>, links: Links) -> Self {
        Coordinator { kind, key: key.into(), links, address: None }
    }

    /// Finds it.
    pub async fn find(&mut self, cluster: &Cluster) -> Result<String, Failure> {
        if let Some(address) = &self.address {
            return Ok(address.clone());
        }
        match cluster.ask_any(&Request::FindCoordinator { kind: self.kind, key: self.key.clone() }).await {
            Ok(Response::FindCoordinator { address, .. }) => Ok(self.address.insert(address).clone()),
            Ok(other) => {
                // That broker may lag.
                cluster.ask_another();
                Err(refused(&other))
            }
            // The question changes nothing: whether it arrived does not matter.
            Err(_) => Err(Failure::Broken(Broken::NotSent)),
        }
    }

    /// Asks it; forgets it if it is not the one, or does not answer. An error for the whole request is a failure.
    pub async fn ask(&mut self, cluster: &Cluster, request: &Request, wait_ms: u64) -> Result<Response, Failure> {
        let address = self.find(cluster).await?;
        let answer = self.links.to(&address).call(request, wait_ms).await;
        let failure = match answer {
            Ok(Response::Error(code)) => Failure::Refused(code),
            Ok(response) => return Ok(response),
            Err(broken) => Failure::Broken(broken),
        };
        self.note(failure);
        Err(failure)
    }

    /// Forgets it if that failure says that it is elsewhere.
    pub fn note(&mut self, failure: Failure) {
        match failure {
            Failure::Refused(code) if !verdict::is_coordinator_gone(code) => {}
            Failure::Refused(_) | Failure::Broken(_) => self.address = None,
        }
    }
}

/// Runs `future` until the monotonic clock shows `deadline_ms`.
pub async fn before<F: Future>(deadline_ms: u64, future: F) -> Option<F::Output> {
    const DAY_MS: u64 = 86_400_000;
    let left_ms = deadline_ms.saturating_sub(time::monotonic_ms()).min(DAY_MS);
    time::timeout(Duration::from_millis(left_ms), future).await.ok()
}

impl Shared {
    pub(super) async fn topics(&self, names: &[&str], deadline_ms: u64) -> Outcome<Vec<TopicInfo>> {
        for attempt in 0.. {
            let found: Option<Vec<TopicInfo>> = names.iter().map(|name| self.topic(name)).collect();
            if let Some(found) = found {
                return Outcome::Done(found);
            }
            if time::monotonic_ms() >= deadline_ms {
                break;
            }
            if attempt > 0 {
                self.back_off(attempt, deadline_ms).await;
            }
            before(deadline_ms, self.cluster.refresh(self.cluster.version())).await;
        }
        match self.cluster.version() {
            0 => Outcome::NotDone(Reason::Deadline),
            _ => Outcome::NotDone(Reason::Answered(ErrorCode::UnknownTopicOrPartition)),
        }
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        let topic = self.cluster.topic(name)?;
        let partitions = u32::try_from(topic.partitions.len()).expect("partitions are numbered in u32");
        Some(TopicInfo { id: topic.id, name: topic.name, partitions })
    }

    pub(super) async fn offset_at(&self, tp: Tp, anchor: Anchor, deadline_ms: u64) -> Outcome<Option<Position>> {
        let mut last = Reason::Deadline;
        let mut coordinator = match &anchor {
            Anchor::Committed(group) => Some(Coordinator::new(CoordinatorKind::Group, group, self.cluster.links())),
            Anchor::Start | Anchor::End(_) => None,
        };
        for attempt in 1.. {
            let look = async {
                match (&anchor, &mut coordinator) {
                    (Anchor::Committed(group), Some(coordinator)) => self.committed(coordinator, group, &[tp]).await.map(|found| found[0].1),
                    (Anchor::End(isolation), _) => self.list_offset(tp, *isolation, OffsetSpec::Latest).await.map(Some),
                    (Anchor::Start | Anchor::Committed(_), _) => self.list_offset(tp, Isolation::ReadUncommitted, OffsetSpec::Earliest).await.map(Some),
                }
            };
            match before(deadline_ms, look).await {
                Some(Ok(position)) => return Outcome::Done(position),
                Some(Err(Failure::Refused(code))) if !verdict::is_passing(code) => return Outcome::NotDone(Reason::Answered(code)),
                Some(Err(failure)) => last = failure.reason(),
                None => {}
            }
            if self.back_off(attempt, deadline_ms).await {
                break;
            }
        }
        Outcome::NotDone(last)
    }

    /// An end of the log. Its epoch is left out: the leader's own may have no record yet, and would look like a divergence later.
    pub(super) async fn list_offset(&self, tp: Tp, isolation: Isolation, spec: OffsetSpec) -> Result<Position, Failure> {
        let seen = self.cluster.version();
        let Some(leader) = self.cluster.leader(tp) else {
            self.cluster.refresh(seen).await;
            return Err(Failure::Refused(ErrorCode::LeaderNotAvailable));
        };
        let request = Request::ListOffsets { isolation, partitions: vec![(tp, spec, Some(leader.epoch))] };
        let failure = match self.cluster.ask_at(&leader.address, &request).await {
            Ok(Response::ListOffsets { partitions }) => match partitions.first() {
                Some((_, Ok((offset, _)))) => return Ok(Position { next: Next(*offset), epoch: None }),
                Some((_, Err(code))) => Failure::Refused(*code),
                None => Failure::Refused(ErrorCode::UnknownServerError),
            },
            Ok(other) => refused(&other),
            Err(broken) => Failure::Broken(broken),
        };
        if failure != Failure::Refused(ErrorCode::OffsetNotAvailable) {
            self.cluster.refresh(seen).await;
        }
        Err(failure)
    }

    /// What a group has committed, waiting for nothing: a pending transaction is `UnstableOffsetCommit`.
    pub(super) async fn committed(&self, coordinator: &mut Coordinator, group: &str, tps: &[Tp]) -> Result<Vec<(Tp, Option<Position>)>, Failure> {
        let request = Request::OffsetFetch { group: group.to_owned(), partitions: tps.to_vec(), require_stable: true };
        let partitions = match coordinator.ask(&self.cluster, &request, 0).await? {
            Response::OffsetFetch { partitions } => partitions,
            other => return Err(refused(&other)),
        };
        let position = |committed: CommittedOffset| Position { next: Next(committed.offset), epoch: committed.leader_epoch };
        tps.iter()
            .map(|tp| match partitions.iter().find(|(answered, _)| answered == tp) {
                Some((_, Ok(committed))) => Ok((*tp, committed.map(position))),
                Some((_, Err(code))) => Err(Failure::Refused(*code)),
                None => Err(Failure::Refused(ErrorCode::UnknownServerError)),
            })
            .collect::<Result<Vec<_>, Failure>>()
            .inspect_err(|failure| coordinator.note(*failure))
    }
}
