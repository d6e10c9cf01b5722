//! A member of a group that the coordinator divides (KIP-848, A56). Everything goes by heartbeats: each says what is new, and hears what the member is to
//! have. What it is to give up it gives up first, and says so; what is free comes to it then, or with a later heartbeat.

use super::member::{Ended, Member};
use crate::native::alarm::Alarm;
use crate::native::lookup::{Failure, refused};
use crate::port::{Reason, StartPoint};
use broker::protocol::{ErrorCode, Request, Response, Tp};
use runtime::{BoxFuture, time};
use std::collections::BTreeSet;

/// Partitions that were given, and the question where they begin.
type Positions = (Vec<Tp>, BoxFuture<'static, Vec<(Tp, StartPoint)>>);

/// Where a membership stands.
#[derive(Default)]
struct Course {
    /// All that the coordinator said last that the member is to have.
    told: BTreeSet<Tp>,
    /// What the application is finishing with, and until when.
    revoking: Option<(BTreeSet<Tp>, u64)>,
    positions: Option<Positions>,
    /// The next heartbeat says everything: the one before may not have been heard, or this is the first.
    says_all: bool,
    /// Something was given up since the last one.
    gave_up: bool,
}

impl Member {
    /// Until it is put out for good. An application that does not ask for events leaves, and joins when it asks again.
    pub(super) async fn live_divided(&mut self) -> Ended {
        loop {
            self.await_polls().await;
            self.member_id = format!("{}-{:x}", self.shared.config.client_id, self.shared.number());
            self.generation = 0;
            if let Some(ended) = self.follow_division().await {
                return ended;
            }
            self.lose_all();
        }
    }

    pub(super) fn last_beat(group: String, member_id: String, instance_id: Option<String>) -> Request {
        Request::ConsumerGroupHeartbeat { group, member_id, member_epoch: -1, instance_id, rebalance_timeout_ms: 0, topics: None, owned: None }
    }

    /// One membership, from the joining heartbeat on; `None`: it is over, and another may begin.
    async fn follow_division(&mut self) -> Option<Ended> {
        let mut course = Course { says_all: true, ..Course::default() };
        let (mut alarm, mut beat_ms) = (Alarm::default(), time::monotonic_ms());
        let desk = self.desk.clone();
        loop {
            let revokes_by_ms = course.revoking.as_ref().map_or(u64::MAX, |(_, by_ms)| *by_ms);
            if time::monotonic_ms() < beat_ms.min(revokes_by_ms) {
                runtime::select! {
                    from = of(&mut course.positions) => {
                        let (tps, _) = course.positions.take().expect("it was answered");
                        self.give(&tps, from);
                    }
                    () = desk.revoked.notified() => {}
                    () = alarm.ring(Some(beat_ms.min(revokes_by_ms))) => {}
                }
            }
            if let Some((tps, by_ms)) = &course.revoking
                && (desk.is_released(tps) || time::monotonic_ms() >= *by_ms)
            {
                self.lose(tps);
                (course.revoking, course.gave_up) = (None, true);
                // Somebody waits for them.
                beat_ms = time::monotonic_ms();
            }
            if time::monotonic_ms() < beat_ms {
                continue;
            }
            if self.is_idle() {
                // Before anybody else can have it.
                self.lose_all();
                self.leave().await;
                return None;
            }
            match self.beat_divided(&mut course).await {
                Ok(pause_ms) => beat_ms = time::monotonic_ms() + pause_ms,
                Err(Some(ended)) => return Some(ended),
                Err(None) => return None,
            }
        }
    }

    /// One heartbeat: when the next is due. `Err(None)`: what it has is not its own any more.
    async fn beat_divided(&mut self, course: &mut Course) -> Result<u64, Option<Ended>> {
        let says = course.says_all || course.gave_up;
        // What it was given and has not told the application of is its own too.
        let given = course.positions.iter().flat_map(|(tps, _)| tps.iter().copied());
        let owned: Vec<Tp> = self.owned().into_iter().chain(given).collect();
        let request = Request::ConsumerGroupHeartbeat {
            group: self.group.clone(),
            member_id: self.member_id.clone(),
            member_epoch: self.generation,
            instance_id: self.instance_id.clone(),
            rebalance_timeout_ms: self.shared.config.max_poll_interval_ms,
            topics: course.says_all.then(|| self.topics.clone()),
            owned: says.then_some(owned),
        };
        let answer = self.coordinator.ask(&self.shared.cluster, &request, 0).await;
        course.says_all = answer.is_err();
        match answer {
            Ok(Response::ConsumerGroupHeartbeat { member_epoch, heartbeat_ms, assignment, .. }) => {
                course.gave_up = false;
                self.hear(course, member_epoch, assignment);
                Ok(u64::from(heartbeat_ms))
            }
            Ok(other) => self.beat_refused(refused(&other)),
            Err(failure) => self.beat_refused(failure),
        }
    }

    fn beat_refused(&mut self, failure: Failure) -> Result<u64, Option<Ended>> {
        match failure {
            Failure::Refused(ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => Err(None),
            Failure::Refused(code @ (ErrorCode::FencedInstanceId | ErrorCode::UnreleasedInstanceId | ErrorCode::InconsistentGroupProtocol)) => {
                Err(Some(Ended(Reason::Answered(code))))
            }
            // A coordinator that is gone says nothing about the membership: the next one will.
            Failure::Refused(_) | Failure::Broken(_) => Ok(self.shared.config.retry_backoff_ms),
        }
    }

    fn hear(&mut self, course: &mut Course, member_epoch: i32, assignment: Option<Vec<Tp>>) {
        let had: Vec<Tp> = self.owned().into_iter().collect();
        if self.generation != member_epoch {
            self.generation = member_epoch;
            if !had.is_empty() {
                // Commits are of the member's present epoch.
                self.renew(&had);
            }
        }
        let Some(assignment) = assignment else { return };
        course.told = assignment.into_iter().collect();
        // Asked for and taken away again before the application heard of it.
        if course.positions.as_ref().is_some_and(|(tps, _)| tps.iter().any(|tp| !course.told.contains(tp))) {
            course.positions = None;
            // Somebody waits for them, and the application has nothing to give up.
            course.gave_up = true;
        }
        let gone: BTreeSet<Tp> = had.iter().copied().filter(|tp| !course.told.contains(tp)).collect();
        if course.revoking.is_none() && !gone.is_empty() {
            let by_ms = time::monotonic_ms() + u64::from(self.shared.config.max_poll_interval_ms);
            self.desk.revoke(gone.iter().copied().collect(), by_ms);
            course.revoking = Some((gone, by_ms));
        }
        let new: Vec<Tp> = course.told.iter().copied().filter(|tp| !had.contains(tp)).collect();
        if course.positions.as_ref().is_none_or(|(tps, _)| *tps != new) && !new.is_empty() {
            course.positions = Some((new.clone(), self.positions(&new)));
        }
    }
}

async fn of(positions: &mut Option<Positions>) -> Vec<(Tp, StartPoint)> {
    match positions {
        Some((_, asking)) => asking.await,
        None => std::future::pending().await,
    }
}
