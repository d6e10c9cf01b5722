//! What a reader is to its group: leases with the generation of their assignment, revocation that waits for the application.
//!
//! Assignments are eager: of one generation all leases are given anew, and all are asked back before the next.

use super::patience::TRY_MS;
use log::history::{Event, Phase, SharedObserver};
use log::{ConsumerEvent, ErrorCode, Lease, Outcome, Position, Reason, StartPoint, Tp};
use runtime::time;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Where a partition would start.
pub type Start = (Tp, StartPoint);

/// Member id and generation.
pub type MemberOf = (String, i32);

/// How long leaving may take; then the group finds out by itself.
pub const LEAVE_MS: u64 = 5_000;

/// A reader's part in its group.
pub struct Membership {
    name: String,
    instance_id: Option<String>,
    observer: SharedObserver,
    /// Numbers assignments: the answer to an older one's question is void.
    assignment: u64,
    member_id: String,
    generation: i32,
    /// The application has these, or will hear that it has.
    leased: BTreeSet<Tp>,
    /// They are asked back, until then.
    revoking_until_ms: Option<u64>,
}

/// What to tell the group.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Wait,
    /// The next owner may have everything.
    Release,
}

impl Membership {
    /// Of no partition yet.
    pub fn new(name: String, instance_id: Option<String>, observer: SharedObserver) -> Membership {
        Membership { name, instance_id, observer, assignment: 0, member_id: String::new(), generation: -1, leased: BTreeSet::new(), revoking_until_ms: None }
    }

    /// Its group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose the partitions are: a static member's next life is the same owner under another member id (A55).
    fn owner(&self) -> String {
        self.instance_id.clone().unwrap_or_else(|| self.member_id.clone())
    }

    /// An assignment came; where its partitions start is asked under this number.
    pub fn assigned(&mut self, (member_id, generation): MemberOf) -> u64 {
        self.assignment += 1;
        (self.member_id, self.generation) = (member_id, generation);
        self.assignment
    }

    /// The positions of an assignment are known: the application hears of it.
    pub fn started(&mut self, assignment: u64, starts: Result<Vec<Start>, Reason>, events: &mut VecDeque<ConsumerEvent>) {
        if self.assignment != assignment {
            return;
        }
        let from = match starts {
            Ok(from) => from,
            Err(why) => return events.push_back(ConsumerEvent::Fatal(why)),
        };
        let lease = |tp: Tp| Lease {
            tp,
            group: self.name.clone(),
            generation: self.generation,
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
        };
        let leases: Vec<Lease> = from.iter().map(|(tp, _)| lease(*tp)).collect();
        self.leased = from.iter().map(|(tp, _)| *tp).collect();
        self.observer.observe_with(|| Event::Assigned {
            group: self.name.clone(),
            member: self.owner(),
            generation: self.generation,
            tps: self.leased.iter().copied().collect(),
        });
        events.push_back(ConsumerEvent::Assigned { leases, from });
    }

    /// The group wants everything back, or (`lost`) has taken it. The application has until `deadline_ms`.
    pub fn taken_back(&mut self, lost: bool, deadline_ms: u64, events: &mut VecDeque<ConsumerEvent>) -> Answer {
        // An assignment that the application has not heard of is void.
        self.assignment += 1;
        let unheard = events.iter().any(|event| matches!(event, ConsumerEvent::Assigned { .. }));
        let void = |event: &ConsumerEvent| {
            matches!(
                event,
                ConsumerEvent::Assigned { .. } | ConsumerEvent::OutOfRange { .. } | ConsumerEvent::Truncated { .. } | ConsumerEvent::Revoking { .. }
            )
        };
        events.retain(|event| !void(event));
        let tps: Vec<Tp> = self.leased.iter().copied().collect();
        if lost || unheard || tps.is_empty() {
            if !unheard && !tps.is_empty() {
                events.push_back(ConsumerEvent::Lost { tps });
            }
            return self.release(true);
        }
        self.revoking_until_ms = Some(deadline_ms);
        events.push_back(ConsumerEvent::Revoking { tps, deadline_ms });
        Answer::Wait
    }

    /// The application is done with these; which of them were its own, and what that means.
    pub fn give_up(&mut self, tps: &[Tp]) -> (Vec<Tp>, Answer) {
        let had: Vec<Tp> = tps.iter().copied().filter(|tp| self.leased.remove(tp)).collect();
        self.tell_revoked(had.clone(), false);
        let all = self.leased.is_empty() && self.revoking_until_ms.is_some();
        (had, if all { self.release(false) } else { Answer::Wait })
    }

    /// One that does not give up in time is put out by its group; it must not go on here either.
    pub fn overdue(&mut self, now_ms: u64, events: &mut VecDeque<ConsumerEvent>) -> Answer {
        if self.revoking_until_ms.is_none_or(|until_ms| now_ms < until_ms) {
            return Answer::Wait;
        }
        let tps: Vec<Tp> = self.leased.iter().copied().collect();
        events.retain(|event| !matches!(event, ConsumerEvent::Revoking { .. }));
        events.push_back(ConsumerEvent::Lost { tps });
        self.release(true)
    }

    /// Everything is given up.
    pub fn release(&mut self, lost: bool) -> Answer {
        self.revoking_until_ms = None;
        let tps: Vec<Tp> = std::mem::take(&mut self.leased).into_iter().collect();
        self.tell_revoked(tps, lost);
        Answer::Release
    }

    fn tell_revoked(&self, tps: Vec<Tp>, lost: bool) {
        if !tps.is_empty() {
            self.observer.observe_with(|| Event::Revoked { group: self.name.clone(), member: self.owner(), generation: self.generation, tps, lost });
        }
    }

    /// A commit, taken down.
    pub async fn noted(&self, op: u64, lease: &Lease, at: &[(Tp, Position)], commit: impl Future<Output = Outcome<()>>) -> Outcome<()> {
        let (group, generation) = (&self.name, lease.generation);
        let note = |phase: Phase| {
            let offsets = at.iter().map(|(tp, position)| (*tp, position.next.0)).collect();
            self.observer.observe_with(|| Event::Commit { op, group: group.clone(), generation, phase, offsets });
        };
        note(Phase::Invoke);
        let outcome = commit.await;
        note(match &outcome {
            Outcome::Done(()) => Phase::Ok,
            Outcome::NotDone(_) => Phase::Fail,
            Outcome::Unknown(_) => Phase::Unknown,
        });
        outcome
    }

    /// The libraries commit with the generation of the moment (`now`), so a lease of another is refused here, before it can be dressed up as today's.
    pub fn refusal(&self, lease: &Lease, now: Option<&MemberOf>) -> Option<Reason> {
        if lease.group != self.name {
            return Some(Reason::Ended(format!("this lease is of group {}", lease.group)));
        }
        let code = match now {
            // A member that was put out has no id before it joins again.
            None => ErrorCode::UnknownMemberId,
            Some((member_id, _)) if *member_id != lease.member_id => ErrorCode::UnknownMemberId,
            Some((_, generation)) if *generation != lease.generation || self.generation != lease.generation => ErrorCode::IllegalGeneration,
            Some(_) => return None,
        };
        Some(Reason::Answered(code))
    }
}

/// How long one look-up of an assignment's positions may take before it is made again.
const LOOK_UP_MS: u64 = TRY_MS + 2_000;

/// Where partitions would start, asked until there is an answer: an assignment without one cannot be told. `committed` asks for one try, until then.
pub async fn starts<F>(is_void: impl Fn() -> bool, mut committed: impl FnMut(u64) -> F) -> Result<Vec<Start>, Reason>
where
    F: Future<Output = Result<Vec<(Tp, Result<Option<Position>, Reason>)>, Reason>>,
{
    let mut why = Reason::Deadline;
    while !is_void() {
        match committed(time::monotonic_ms() + LOOK_UP_MS).await.and_then(|found| found.into_iter().map(start).collect()) {
            Ok(starts) => return Ok(starts),
            // What an operator must mend does not pass by itself.
            Err(Reason::Ended(what)) => return Err(Reason::Ended(what)),
            Err(failed) => why = failed,
        }
        time::sleep(Duration::from_millis(100)).await;
    }
    Err(why)
}

fn start((tp, committed): (Tp, Result<Option<Position>, Reason>)) -> Result<Start, Reason> {
    match committed {
        Ok(position) => Ok((tp, position.map_or(StartPoint::Nothing, StartPoint::Committed))),
        Err(Reason::Answered(ErrorCode::UnstableOffsetCommit)) => Ok((tp, StartPoint::Pending)),
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::history::Silent;
    use log::{Next, TopicId};
    use std::sync::Arc;

    const TP: Tp = Tp { topic: TopicId(7), partition: 0 };
    const AT: Position = Position { next: Next(3), epoch: None };

    fn member() -> (Membership, VecDeque<ConsumerEvent>) {
        let (mut member, mut events) = (Membership::new("group".to_owned(), None, Arc::new(Silent)), VecDeque::new());
        let assignment = member.assigned(("member".to_owned(), 2));
        member.started(assignment, Ok(vec![(TP, StartPoint::Nothing)]), &mut events);
        (member, events)
    }

    fn lease(generation: i32) -> Lease {
        Lease { tp: TP, group: "group".to_owned(), generation, member_id: "member".to_owned(), instance_id: None }
    }

    #[test]
    fn a_pending_commit_is_told_apart_from_none() {
        let unstable = Reason::Answered(ErrorCode::UnstableOffsetCommit);
        assert_eq!(start((TP, Err(unstable))), Ok((TP, StartPoint::Pending)));
        assert_eq!(start((TP, Ok(None))), Ok((TP, StartPoint::Nothing)));
        assert_eq!(start((TP, Ok(Some(AT)))), Ok((TP, StartPoint::Committed(AT))));
        assert_eq!(start((TP, Err(Reason::Deadline))), Err(Reason::Deadline), "it is asked again");
    }

    #[test]
    fn a_lease_commits_only_in_its_own_generation() {
        let (member, _) = member();
        let now = |id: &str, generation| (id.to_owned(), generation);
        assert_eq!(member.refusal(&lease(2), Some(&now("member", 2))), None);
        let refused = |lease: Lease, now: Option<&MemberOf>| member.refusal(&lease, now);
        assert_eq!(refused(lease(1), Some(&now("member", 2))), Some(Reason::Answered(ErrorCode::IllegalGeneration)));
        assert_eq!(refused(lease(2), Some(&now("member", 3))), Some(Reason::Answered(ErrorCode::IllegalGeneration)));
        assert_eq!(refused(lease(2), Some(&now("another", 2))), Some(Reason::Answered(ErrorCode::UnknownMemberId)));
        assert_eq!(refused(lease(2), None), Some(Reason::Answered(ErrorCode::UnknownMemberId)));
        assert!(matches!(refused(Lease { group: "other".to_owned(), ..lease(2) }, None), Some(Reason::Ended(_))));
    }

    #[test]
    fn a_revocation_waits_for_the_application_and_not_for_ever() {
        let (mut member, mut events) = member();
        events.clear();
        assert_eq!(member.taken_back(false, 50, &mut events), Answer::Wait);
        assert!(matches!(events.pop_front(), Some(ConsumerEvent::Revoking { deadline_ms: 50, .. })));
        assert_eq!(member.overdue(49, &mut events), Answer::Wait);
        assert_eq!(member.overdue(50, &mut events), Answer::Release);
        assert!(matches!(events.pop_front(), Some(ConsumerEvent::Lost { tps }) if tps == [TP]));
        assert_eq!(member.give_up(&[TP]), (Vec::new(), Answer::Wait), "it is gone already");
    }

    #[test]
    fn an_assignment_that_nobody_heard_of_is_taken_back_without_a_word() {
        let (mut member, mut events) = member();
        assert_eq!(member.taken_back(false, 50, &mut events), Answer::Release);
        assert!(events.is_empty());
    }
}
