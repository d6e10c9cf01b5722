//! Questions are asked again while another answer may come, and never past the deadline.

use log::{ErrorCode, Reason};
use runtime::time;
use std::time::Duration;

/// Pause before a question is asked again.
pub const RETRY_MS: u64 = 50;
/// Longest single try; a broker that is gone must not use up the whole deadline.
pub const TRY_MS: u64 = 3_000;

/// Runs until the monotonic clock shows `deadline_ms`.
pub async fn before<F: Future>(deadline_ms: u64, future: F) -> Option<F::Output> {
    let left_ms = deadline_ms.saturating_sub(time::monotonic_ms());
    time::timeout(Duration::from_millis(left_ms), future).await.ok()
}

/// May the same question have another answer a little later?
fn passes(why: &Reason) -> bool {
    use ErrorCode::*;
    match why {
        Reason::Deadline | Reason::Disconnected => true,
        Reason::Answered(code) => matches!(
            code,
            UnknownTopicOrPartition
                | LeaderNotAvailable
                | NotLeaderOrFollower
                | RequestTimedOut
                | CoordinatorNotAvailable
                | CoordinatorLoadInProgress
                | NotCoordinator
                | OffsetNotAvailable
                | UnstableOffsetCommit
                | FencedLeaderEpoch
                | UnknownLeaderEpoch
                | KafkaStorageError
                | NotController
                | UnknownServerError
        ),
        _ => false,
    }
}

/// Asks until there is an answer, or an error that does not pass, or the deadline.
pub async fn persist<T, F: Future<Output = Result<T, Reason>>>(until_ms: u64, mut ask: impl FnMut() -> F) -> Result<T, Reason> {
    let mut answered = None;
    loop {
        let why = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(why) => why,
        };
        if !passes(&why) {
            return Err(why);
        }
        if let Reason::Answered(_) = &why {
            answered = Some(why.clone());
        }
        if time::monotonic_ms() + RETRY_MS >= until_ms {
            // What was said before the time was up says more than that it is.
            return Err(answered.unwrap_or(why));
        }
        time::sleep(Duration::from_millis(RETRY_MS)).await;
    }
}
