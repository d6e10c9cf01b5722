//! Plain commits: generation and member are checked by the coordinator (A53, A57).

use crate::history::{Event, Phase};
use crate::link::Broken;
use crate::native::Shared;
use crate::native::lookup::{Coordinator, Failure, before, refused};
use crate::native::verdict::{self, Attempts};
use crate::port::{GroupProof, Outcome, Position, Reason};
use broker::protocol::{CommittedOffset, Request, Response, Tp};

/// Commits positions; tries again until the deadline.
pub async fn commit(shared: &Shared, coordinator: &mut Coordinator, proof: GroupProof<'_>, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
    let op = shared.number();
    let observe = |phase: Phase| {
        let (group, generation) = (proof.lease.group.clone(), proof.lease.generation);
        shared.observer.observe_with(|| Event::Commit {
            op,
            group,
            generation,
            phase,
            offsets: at.iter().map(|(tp, position)| (*tp, position.next.0)).collect(),
        });
    };
    observe(Phase::Invoke);
    let outcome = attempt(shared, coordinator, &proof, at, deadline_ms).await;
    observe(match &outcome {
        Outcome::Done(()) => Phase::Ok,
        Outcome::NotDone(_) => Phase::Fail,
        Outcome::Unknown(_) => Phase::Unknown,
    });
    if let Outcome::Done(()) = outcome {
        runtime::reached!("position_committed");
    }
    outcome
}

async fn attempt(shared: &Shared, coordinator: &mut Coordinator, proof: &GroupProof<'_>, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
    let offset = |position: &Position| CommittedOffset { offset: position.next.0, leader_epoch: position.epoch };
    let request = Request::OffsetCommit {
        group: proof.lease.group.clone(),
        generation: proof.lease.generation,
        member_id: proof.lease.member_id.clone(),
        instance_id: proof.lease.instance_id.clone(),
        offsets: at.iter().map(|(tp, position)| (*tp, offset(position))).collect(),
    };
    let mut attempts = Attempts::default();
    for attempt in 1.. {
        attempts.sent();
        match before(deadline_ms, coordinator.ask(&shared.cluster, &request, 0)).await.map(|answer| answer.and_then(committed)) {
            Some(Ok(())) => return Outcome::Done(()),
            Some(Err(Failure::Refused(code))) => {
                attempts.answered(code);
                if !verdict::is_passing(code) {
                    return attempts.give_up(Reason::Answered(code));
                }
                coordinator.note(Failure::Refused(code));
            }
            Some(Err(Failure::Broken(Broken::NotSent))) => attempts.not_sent(),
            Some(Err(Failure::Broken(Broken::Unanswered))) | None => {}
        }
        if shared.back_off(attempt, deadline_ms).await {
            break;
        }
    }
    attempts.give_up(Reason::Deadline)
}

fn committed(response: Response) -> Result<(), Failure> {
    let Response::OffsetCommit { partitions } = response else { return Err(refused(&response)) };
    // What does not pass tells more than what does.
    let code = partitions.iter().filter_map(|(_, result)| result.err()).max_by_key(|code| !verdict::is_passing(*code));
    code.map_or(Ok(()), |code| Err(Failure::Refused(code)))
}
