//! What an operator asks of the cluster. Every request may be sent again.

use super::lookup::{Failure, before, refused};
use super::verdict;
use super::{Native, Shared};
use crate::link::Broken;
use crate::port::{Outcome, Reason};
use broker::protocol::{ErrorCode, NodeId, Reassignment, Request, Response, TopicConfig, TopicMetadata, TopicSpec, Tp};

impl Native {
    /// Sets a topic's config as a whole; tries again until the deadline.
    pub async fn configure(&self, topic: &str, config: TopicConfig, deadline_ms: u64) -> Outcome<()> {
        self.alter(Request::AlterConfigs { topics: vec![(topic.to_owned(), config)] }, deadline_ms).await
    }

    /// Lets a topic grow to so many partitions (A27). Keys go to other partitions from then on: producers and consumers must know.
    pub async fn grow(&self, topic: &str, partitions: u32, deadline_ms: u64) -> Outcome<()> {
        self.alter(Request::CreatePartitions { topics: vec![(topic.to_owned(), partitions)] }, deadline_ms).await
    }

    /// Lets partitions move to these replicas, or (`None`) back from where they were moving (KIP-455). Done when that is taken up, which is long before they
    /// are there: see [`Native::reassignments`].
    pub async fn reassign(&self, partitions: Vec<(Tp, Option<Vec<NodeId>>)>, deadline_ms: u64) -> Outcome<()> {
        self.shared.administer(&Request::AlterPartitionReassignments { partitions }, deadline_ms).await
    }

    /// The partitions that are moving.
    pub async fn reassignments(&self, deadline_ms: u64) -> Outcome<Vec<Reassignment>> {
        self.shared.inquire(&Request::ListPartitionReassignments, deadline_ms).await.map(|response| match response {
            Response::ListPartitionReassignments { partitions } => partitions,
            _ => Vec::new(),
        })
    }

    /// Lets the first replica of each lead (A22); refused where that is not in sync.
    pub async fn elect_preferred(&self, partitions: Vec<Tp>, deadline_ms: u64) -> Outcome<()> {
        self.shared.administer(&Request::ElectLeaders { partitions }, deadline_ms).await
    }

    /// Every topic, with its partitions' replicas and leaders, as some broker has heard.
    pub async fn describe(&self, deadline_ms: u64) -> Outcome<Vec<TopicMetadata>> {
        self.shared.inquire(&Request::Metadata { topics: None }, deadline_ms).await.map(|response| match response {
            Response::Metadata { topics, .. } => topics,
            _ => Vec::new(),
        })
    }

    /// What this client knows of the topics is old afterwards.
    async fn alter(&self, request: Request, deadline_ms: u64) -> Outcome<()> {
        let outcome = self.shared.administer(&request, deadline_ms).await;
        if let Outcome::Done(()) = outcome {
            self.shared.cluster.refresh(self.shared.cluster.version()).await;
        }
        outcome
    }
}

impl Shared {
    /// A topic that is there already is as good as made.
    pub(super) async fn create_topics(&self, specs: Vec<TopicSpec>, deadline_ms: u64) -> Outcome<()> {
        self.administer(&Request::CreateTopics { topics: specs }, deadline_ms).await
    }

    /// Asks until it is done, refused for good, or the deadline.
    async fn administer(&self, request: &Request, deadline_ms: u64) -> Outcome<()> {
        self.inquire(request, deadline_ms).await.map(drop)
    }

    /// The same; with the answer.
    async fn inquire(&self, request: &Request, deadline_ms: u64) -> Outcome<Response> {
        let mut attempts = verdict::Attempts::default();
        let mut last = Reason::Deadline;
        for attempt in 1.. {
            attempts.sent();
            match before(deadline_ms, self.cluster.ask_any(request)).await {
                Some(Ok(response)) => {
                    let Err(code) = all_done(&response) else { return Outcome::Done(response) };
                    attempts.answered(code);
                    last = Reason::Answered(code);
                    if !verdict::is_passing(code) && code != ErrorCode::NotController {
                        break;
                    }
                    // That broker may lag; what an answer says of a topic, the controller has said.
                    if matches!(response, Response::Error(_)) {
                        self.cluster.ask_another();
                    }
                }
                Some(Err(Broken::NotSent)) => attempts.not_sent(),
                Some(Err(Broken::Unanswered)) | None => {}
            }
            if self.back_off(attempt, deadline_ms).await {
                break;
            }
        }
        attempts.give_up(last)
    }
}

/// An answer speaks of each topic by itself; one that is refused for good counts before one that may be asked again.
fn all_done(response: &Response) -> Result<(), ErrorCode> {
    let worst = |codes: &mut dyn Iterator<Item = ErrorCode>| codes.max_by_key(|code| !verdict::is_passing(*code)).map_or(Ok(()), Err);
    match response {
        Response::CreateTopics { results } => {
            worst(&mut results.iter().filter_map(|(_, result)| result.err()).filter(|code| *code != ErrorCode::TopicAlreadyExists))
        }
        Response::AlterConfigs { results } | Response::CreatePartitions { results } => worst(&mut results.iter().filter_map(|(_, result)| result.err())),
        Response::AlterPartitionReassignments { partitions } | Response::ElectLeaders { partitions } => {
            worst(&mut partitions.iter().filter_map(|(_, result)| result.err()))
        }
        Response::Metadata { .. } | Response::ListPartitionReassignments { .. } => Ok(()),
        other => match refused(other) {
            Failure::Refused(code) => Err(code),
            Failure::Broken(_) => unreachable!("an answer is no broken connection"),
        },
    }
}
