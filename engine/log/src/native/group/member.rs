//! One member's life: join, be given partitions, beat, give them up, join again.

use super::join::Joined;
use crate::history::Event;
use crate::native::Shared;
use crate::native::alarm::Alarm;
use crate::native::config::Assignor;
use crate::native::lookup::{Coordinator, Failure, before};
use crate::native::reader::Desk;
use crate::port::{ConsumerEvent, Lease, Reason, StartPoint};
use broker::protocol::{CoordinatorKind, ErrorCode, Request, TopicId, Tp};
use runtime::{BoxFuture, time};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// The member's task.
pub struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) desk: Arc<Desk>,
    pub(super) coordinator: Coordinator,
    pub(super) group: String,
    pub(super) topics: Vec<String>,
    pub(super) instance_id: Option<String>,
    /// Empty: not known to the coordinator.
    pub(super) member_id: String,
    pub(super) generation: i32,
    /// The last generation that gave it an assignment; −1: none.
    pub(super) given_in: i32,
    /// As a leader: what the topics were when it divided them.
    pub(super) divided: Option<Vec<Option<(TopicId, u32)>>>,
    polled_ms: Arc<AtomicU64>,
}

/// Why a member does not go on.
pub struct Ended(pub Reason);

/// Why a generation is over.
enum Over {
    /// Another one begins.
    Rebalance,
    /// The partitions are not this member's any more.
    Lost,
    /// The member is put out for good.
    Ended(Reason),
}

enum Stage {
    /// Asks what was committed; the application knows nothing yet.
    Positions(BoxFuture<'static, Vec<(Tp, StartPoint)>>),
    Steady,
    /// The application is finishing with these; then another generation begins.
    Revoking {
        tps: BTreeSet<Tp>,
        deadline_ms: u64,
    },
}

impl Member {
    /// One that has not joined yet.
    pub fn new(
        shared: Arc<Shared>,
        desk: Arc<Desk>,
        coordinator: Coordinator,
        group: String,
        topics: Vec<String>,
        instance_id: Option<String>,
        polled_ms: Arc<AtomicU64>,
    ) -> Member {
        Member { shared, desk, coordinator, group, topics, instance_id, member_id: String::new(), generation: -1, given_in: -1, divided: None, polled_ms }
    }

    /// Until the reader leaves or is dropped.
    pub async fn run(mut self, mut asked_to_leave: oneshot::Receiver<oneshot::Sender<()>>) {
        let left = runtime::select! {
            asked = &mut asked_to_leave => asked.ok(),
            Ended(why) = self.live() => {
                self.desk.fatal(why);
                None
            }
        };
        if let Some(left) = left {
            let held = self.desk.release(&self.owned());
            if !held.is_empty() {
                self.observe_revoked(held, false);
            }
            self.leave().await;
            // Who left may not wait for it.
            let _ = left.send(());
        }
    }

    /// Waits until the application asks for events (A52).
    pub(super) async fn await_polls(&mut self) {
        while self.is_idle() {
            if !self.owned().is_empty() {
                self.leave().await;
                self.lose_all();
            }
            time::sleep_until_ms(time::monotonic_ms() + self.shared.config.heartbeat_ms).await;
        }
    }

    async fn live(&mut self) -> Ended {
        if self.shared.config.assignor == Assignor::Coordinator {
            return self.live_divided().await;
        }
        loop {
            self.await_polls().await;
            let tps = match self.join().await {
                Ok(Joined { tps }) => tps,
                Err(ended) => return ended,
            };
            let over = self.belong(&tps).await;
            if !matches!(over, Over::Rebalance) {
                self.lose_all();
            }
            if let Over::Ended(why) = over {
                return Ended(why);
            }
        }
    }

    /// One generation, from the assignment to its end.
    async fn belong(&mut self, tps: &[Tp]) -> Over {
        let had: Vec<Tp> = self.owned().into_iter().collect();
        let new: Vec<Tp> = tps.iter().copied().filter(|tp| !had.contains(tp)).collect();
        let gone: BTreeSet<Tp> = had.iter().copied().filter(|tp| !tps.contains(tp)).collect();
        if !had.is_empty() {
            // What is to go is nobody else's yet: its last commit is of this generation too.
            self.renew(&had);
        }
        let mut stage = match (gone.is_empty(), new.is_empty()) {
            (false, _) => self.revoke(gone),
            (true, true) => Stage::Steady,
            (true, false) => Stage::Positions(self.positions(&new)),
        };
        let mut alarm = Alarm::default();
        let mut beat_ms = time::monotonic_ms() + self.shared.config.heartbeat_ms;
        let desk = self.desk.clone();
        loop {
            let wakes_ms = if let Stage::Revoking { deadline_ms, .. } = stage { beat_ms.min(deadline_ms) } else { beat_ms };
            runtime::select! {
                from = positions_of(&mut stage) => {
                    self.give(&new, from);
                    stage = Stage::Steady;
                }
                () = desk.revoked.notified() => {}
                () = alarm.ring(Some(wakes_ms)) => {}
            }
            if let Stage::Revoking { tps, deadline_ms } = &stage {
                if desk.is_released(tps) {
                    return Over::Rebalance;
                }
                if time::monotonic_ms() >= *deadline_ms {
                    self.lose(tps);
                    return Over::Rebalance;
                }
            }
            if time::monotonic_ms() < beat_ms {
                continue;
            }
            beat_ms = time::monotonic_ms() + self.shared.config.heartbeat_ms;
            if self.is_idle() {
                // Not asked for an event for too long: leaves by itself, so that others go on (A52).
                self.leave().await;
                return Over::Lost;
            }
            match self.beat().await {
                Ok(()) => {}
                Err(Some(over)) => return over,
                Err(None) => match stage {
                    Stage::Steady if self.is_eager() && !tps.is_empty() => stage = self.revoke(self.owned()),
                    // The application was told of nothing, or has nothing, or goes on with what it has.
                    Stage::Positions(_) | Stage::Steady => return Over::Rebalance,
                    Stage::Revoking { .. } => {}
                },
            }
        }
    }

    fn is_eager(&self) -> bool {
        self.shared.config.assignor == Assignor::Range
    }

    /// What the application has, or will hear that it has.
    pub(super) fn owned(&self) -> BTreeSet<Tp> {
        self.desk.leased()
    }

    /// One heartbeat. `Err(None)`: a rebalance has begun.
    async fn beat(&mut self) -> Result<(), Option<Over>> {
        if self.must_divide_again().await {
            return Err(None);
        }
        let request = Request::Heartbeat {
            group: self.group.clone(),
            generation: self.generation,
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
        };
        match self.coordinator.ask(&self.shared.cluster, &request, 0).await {
            Err(Failure::Refused(ErrorCode::RebalanceInProgress)) => Err(None),
            Err(Failure::Refused(ErrorCode::UnknownMemberId)) => {
                self.member_id.clear();
                Err(Some(Over::Lost))
            }
            Err(Failure::Refused(ErrorCode::IllegalGeneration)) => Err(Some(Over::Lost)),
            Err(Failure::Refused(code @ ErrorCode::FencedInstanceId)) => Err(Some(Over::Ended(Reason::Answered(code)))),
            // A coordinator that is gone says nothing about the membership: the next one will.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Asks what the group has committed (A46). A pending transaction is not waited for: only who takes over can end it before its timeout.
    pub(super) fn positions(&self, tps: &[Tp]) -> BoxFuture<'static, Vec<(Tp, StartPoint)>> {
        let (shared, group, tps) = (self.shared.clone(), self.group.clone(), tps.to_vec());
        Box::pin(async move {
            let mut coordinator = Coordinator::new(CoordinatorKind::Group, group.clone(), shared.cluster.links());
            for attempt in 1.. {
                match shared.committed(&mut coordinator, &group, &tps).await {
                    Ok(found) => return found.into_iter().map(|(tp, position)| (tp, position.map_or(StartPoint::Nothing, StartPoint::Committed))).collect(),
                    Err(Failure::Refused(ErrorCode::UnstableOffsetCommit)) => return tps.into_iter().map(|tp| (tp, StartPoint::Pending)).collect(),
                    Err(_) => {}
                }
                shared.back_off(attempt, u64::MAX).await;
            }
            unreachable!("tried until it is told")
        })
    }

    pub(super) fn give(&self, tps: &[Tp], from: Vec<(Tp, StartPoint)>) {
        let leases = self.leases(tps);
        self.desk.give(ConsumerEvent::Assigned { leases, from }, tps, (self.member_id.clone(), self.generation));
    }

    /// What it has it commits by a new generation from now on.
    pub(super) fn renew(&self, tps: &[Tp]) {
        self.desk.renew(self.leases(tps), (self.member_id.clone(), self.generation));
    }

    fn leases(&self, tps: &[Tp]) -> Vec<Lease> {
        let lease = |tp: &Tp| Lease {
            tp: *tp,
            group: self.group.clone(),
            generation: self.generation,
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
        };
        let (group, member, generation) = (self.group.clone(), self.owner(), self.generation);
        self.shared.observer.observe_with(|| Event::Assigned { group, member, generation, tps: tps.to_vec() });
        runtime::reached!("partitions_assigned");
        tps.iter().map(lease).collect()
    }

    fn revoke(&self, tps: BTreeSet<Tp>) -> Stage {
        let deadline_ms = time::monotonic_ms() + u64::from(self.shared.config.max_poll_interval_ms);
        self.desk.revoke(tps.iter().copied().collect(), deadline_ms);
        Stage::Revoking { tps, deadline_ms }
    }

    /// What is held is gone.
    pub(super) fn lose_all(&self) {
        self.lose(&self.owned());
    }

    pub(super) fn lose(&self, tps: &BTreeSet<Tp>) {
        let tps = self.desk.release(tps);
        if !tps.is_empty() {
            self.observe_revoked(tps.clone(), true);
            self.desk.tell(ConsumerEvent::Lost { tps });
        }
    }

    /// Whose the partitions are: a static member's next life is the same owner under another member id (A55).
    fn owner(&self) -> String {
        self.instance_id.clone().unwrap_or_else(|| self.member_id.clone())
    }

    fn observe_revoked(&self, tps: Vec<Tp>, lost: bool) {
        let (group, member, generation) = (self.group.clone(), self.owner(), self.generation);
        self.shared.observer.observe_with(|| Event::Revoked { group, member, generation, tps, lost });
    }

    /// Has the application not asked for an event for too long?
    pub(super) fn is_idle(&self) -> bool {
        time::monotonic_ms() > self.polled_ms.load(Ordering::Relaxed).saturating_add(u64::from(self.shared.config.max_poll_interval_ms))
    }

    pub(super) async fn leave(&mut self) {
        if self.member_id.is_empty() {
            return;
        }
        let (group, member_id, instance_id) = (self.group.clone(), std::mem::take(&mut self.member_id), self.instance_id.clone());
        let request = match self.shared.config.assignor {
            Assignor::Coordinator => Self::last_beat(group, member_id, instance_id),
            Assignor::Range | Assignor::CooperativeSticky => Request::LeaveGroup { group, member_id, instance_id },
        };
        let deadline_ms = time::monotonic_ms() + self.shared.config.request_timeout_ms;
        // Unheard, the session times out.
        let _ = before(deadline_ms, self.coordinator.ask(&self.shared.cluster, &request, 0)).await;
    }
}

async fn positions_of(stage: &mut Stage) -> Vec<(Tp, StartPoint)> {
    match stage {
        Stage::Positions(asking) => asking.await,
        Stage::Steady | Stage::Revoking { .. } => std::future::pending().await,
    }
}
