//! What an operator asks of the cluster. Every request may be sent again.

use super::Native;
use super::lookup::{Failure, before, refused};
use super::verdict;
use crate::port::{Outcome, Reason};
use broker::protocol::{ErrorCode, Request, Response, TopicConfig};
use runtime::time;

impl Native {
    /// Sets a topic's config as a whole; tries again until the deadline.
    pub async fn configure(&self, topic: &str, config: TopicConfig, deadline_ms: u64) -> Outcome<()> {
        self.administer(&Request::AlterConfigs { topics: vec![(topic.to_owned(), config)] }, deadline_ms).await
    }

    /// Lets a topic grow to so many partitions (A27). Keys go to other partitions from then on: producers and consumers must know.
    pub async fn grow(&self, topic: &str, partitions: u32, deadline_ms: u64) -> Outcome<()> {
        self.administer(&Request::CreatePartitions { topics: vec![(topic.to_owned(), partitions)] }, deadline_ms).await
    }

    async fn administer(&self, request: &Request, deadline_ms: u64) -> Outcome<()> {
        let mut attempts = verdict::Attempts::default();
        let mut last = Reason::Deadline;
        for attempt in 1.. {
            attempts.sent();
            let code = match before(deadline_ms, self.shared.cluster.ask_any(request)).await {
                Some(Ok(Response::AlterConfigs { results } | Response::CreatePartitions { results })) => match results.first() {
                    Some((_, Ok(()))) => {
                        self.shared.cluster.refresh(self.shared.cluster.version()).await;
                        return Outcome::Done(());
                    }
                    Some((_, Err(code))) => *code,
                    None => ErrorCode::UnknownServerError,
                },
                Some(Ok(other)) => match refused(&other) {
                    Failure::Refused(code) => code,
                    Failure::Broken(_) => unreachable!("an answer is no broken connection"),
                },
                Some(Err(_)) | None => {
                    if self.shared.back_off(attempt, deadline_ms).await {
                        break;
                    }
                    continue;
                }
            };
            attempts.answered(code);
            last = Reason::Answered(code);
            let is_definite = !verdict::is_passing(code) && code != ErrorCode::NotController;
            if is_definite || self.shared.back_off(attempt, deadline_ms).await {
                break;
            }
        }
        debug_assert!(last != Reason::Deadline || time::monotonic_ms() >= deadline_ms, "given up without an answer only at the deadline");
        attempts.give_up(last)
    }
}
