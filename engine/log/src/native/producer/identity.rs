//! Producer ids: a session of an idempotent producer, or of a transactional id.

use super::lane::Identity;
use crate::native::Shared;
use crate::native::lookup::{Coordinator, Failure, before, refused};
use crate::native::verdict;
use crate::port::Reason;
use broker::protocol::{ErrorCode, Request, Response};

/// A fresh id without a transactional id; any broker gives one.
pub async fn fresh(shared: &Shared, deadline_ms: u64) -> Result<Identity, Reason> {
    let request = Request::InitProducerId { transactional_id: None, transaction_timeout_ms: 0 };
    for attempt in 1.. {
        let answer = before(deadline_ms, shared.cluster.ask_any(&request)).await;
        match answer.map(|answer| answer.map_err(Failure::Broken).and_then(identity)) {
            Some(Ok((identity, _))) => return Ok(identity),
            Some(Err(Failure::Refused(code))) if !verdict::is_passing(code) => return Err(Reason::Answered(code)),
            Some(Err(_)) | None => shared.cluster.ask_another(),
        }
        if shared.back_off(attempt, deadline_ms).await {
            break;
        }
    }
    Err(Reason::Deadline)
}

/// The next incarnation of a transactional id: fences the elder, waits out what it left open (A39). And whether its transactions are of version 2.
pub async fn of_transactions(
    shared: &Shared,
    coordinator: &mut Coordinator,
    transactional_id: &str,
    timeout_ms: u32,
    deadline_ms: u64,
) -> Result<(Identity, bool), Reason> {
    let request = Request::InitProducerId { transactional_id: Some(transactional_id.to_owned()), transaction_timeout_ms: timeout_ms };
    let mut last = Reason::Deadline;
    for attempt in 1.. {
        let answer = before(deadline_ms, coordinator.ask(&shared.cluster, &request, 0)).await;
        match answer.map(|answer| answer.and_then(identity)) {
            Some(Ok((identity, offers_tv2))) => return Ok((identity, offers_tv2 && shared.config.transaction_version_max >= 2)),
            // Fenced here means that a newer incarnation came between: this call may still become the newest.
            Some(Err(Failure::Refused(code))) if !verdict::is_passing(code) && !is_fenced(code) => return Err(Reason::Answered(code)),
            Some(Err(failure)) => last = failure.reason(),
            None => {}
        }
        if shared.back_off(attempt, deadline_ms).await {
            break;
        }
    }
    Err(last)
}

/// Does somebody else own the id?
pub fn is_fenced(code: ErrorCode) -> bool {
    verdict::of_produce(code) == verdict::Class::Fenced
}

fn identity(response: Response) -> Result<(Identity, bool), Failure> {
    match response {
        Response::InitProducerId { producer_id, producer_epoch } => Ok((Identity { id: producer_id, epoch: producer_epoch }, false)),
        Response::InitProducerIdTv2 { producer_id, producer_epoch } => Ok((Identity { id: producer_id, epoch: producer_epoch }, true)),
        other => Err(refused(&other)),
    }
}
