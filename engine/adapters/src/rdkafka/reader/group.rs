//! Membership: leases with the generation of their assignment, revocation that waits for the application, commits with the lease's own generation.

use super::{Answer, KafkaReader};
use crate::rdkafka::asking::position_of;
use crate::rdkafka::errors::{commit_verdict, reason};
use crate::rdkafka::native::{Code, Event as NativeEvent, EventKind, OFFSET_BEGINNING, Partitions, Queue};
use log::history::{Event, Phase};
use log::{ConsumerEvent, ErrorCode, GroupProof, Lease, Outcome, Position, Reason, StartPoint, Tp};
use runtime::time;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Where a partition would start; its topic by name: it may not have been looked up before.
pub type Start = (Tp, StartPoint);

/// How long one look-up of an assignment's positions may take before it is made again.
const LOOK_UP_MS: u64 = 5_000;
/// How long leaving may take; then the group finds out by itself.
const LEAVE_MS: u64 = 5_000;

/// A reader's part in its group.
pub struct Group {
    name: String,
    instance_id: Option<String>,
    /// Numbers assignments: the answer to an older one's question is void.
    assignment: u64,
    member_id: String,
    generation: i32,
    /// The application has these, or will hear that it has.
    leased: BTreeSet<Tp>,
    /// They are asked back, until then.
    revoking_until_ms: Option<u64>,
}

impl Group {
    /// Of no partition yet.
    pub fn new(name: String, instance_id: Option<String>) -> Group {
        Group { name, instance_id, assignment: 0, member_id: String::new(), generation: -1, leased: BTreeSet::new(), revoking_until_ms: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose the partitions are: a static member's next life is the same owner under another member id (A55).
    fn owner(&self) -> String {
        self.instance_id.clone().unwrap_or_else(|| self.member_id.clone())
    }
}

impl KafkaReader {
    pub(super) fn rebalance(&mut self, event: &NativeEvent) {
        let given = matches!(event.error(), Err((Code::ASSIGN, _)));
        if given {
            self.assigned(event);
        } else {
            self.taken_back();
        }
    }

    /// Acknowledged at once, to nowhere; the application hears of it when the positions are known.
    fn assigned(&mut self, event: &NativeEvent) {
        let elements = event.partitions();
        let (mut all, mut apart) = (Partitions::new(), Vec::new());
        for element in &elements {
            let name = CString::new(element.topic.as_str()).expect("topic names have no zero byte");
            // Kept apart from the first record on.
            apart.push(Queue::partition(&self.handle, &name, element.partition, &self.wake));
            all.add(&name, i32::try_from(element.partition).expect("partitions are few"), OFFSET_BEGINNING, None);
        }
        if self.handle.assign(Some(&all)).is_err() {
            // The handle has ended: its fatal error comes as an event of its own.
            return;
        }
        self.handle.pause(&all);
        let membership = self.handle.membership();
        let Some(group) = &mut self.group else { return };
        let Some((member_id, generation)) = membership else { return };
        group.assignment += 1;
        (group.member_id, group.generation) = (member_id, generation);
        let (kafka, answers, wake) = (self.kafka.clone(), self.answers_in.clone(), self.wake.clone());
        let (name, assignment) = (group.name.clone(), group.assignment);
        let partitions = elements.into_iter().map(|element| (element.topic, element.partition)).collect();
        runtime::task::spawn(async move {
            let starts = kafka.starts(&name, partitions, &answers).await;
            // A reader that is gone asks no more.
            let _ = answers.send(Answer::Starts { assignment, starts });
            wake.notify_one();
        });
    }

    /// The positions of an assignment are known: the application hears of it.
    pub(super) fn started(&mut self, assignment: u64, starts: Result<Vec<Start>, Reason>) {
        let Some(group) = &mut self.group else { return };
        if group.assignment != assignment {
            return;
        }
        let from = match starts {
            Ok(from) => from,
            Err(why) => return self.events.push_back(ConsumerEvent::Fatal(why)),
        };
        let (generation, member_id) = (group.generation, group.member_id.clone());
        let lease = |tp: Tp| Lease { tp, group: group.name.clone(), generation, member_id: member_id.clone(), instance_id: group.instance_id.clone() };
        let leases: Vec<Lease> = from.iter().map(|(tp, _)| lease(*tp)).collect();
        group.leased = from.iter().map(|(tp, _)| *tp).collect();
        let told = Event::Assigned { group: group.name.clone(), member: group.owner(), generation, tps: group.leased.iter().copied().collect() };
        self.shared().observer.observe_with(|| told);
        self.events.push_back(ConsumerEvent::Assigned { leases, from });
    }

    /// What the application hears becomes true when it hears it.
    pub(super) fn hand_out(&mut self, event: ConsumerEvent) -> ConsumerEvent {
        match &event {
            ConsumerEvent::Assigned { leases, .. } => {
                for lease in leases {
                    self.held.remove(&lease.tp);
                    self.hold(lease.tp);
                }
            }
            ConsumerEvent::Revoking { tps, .. } | ConsumerEvent::Lost { tps } => self.held.retain(|tp, _| !tps.contains(tp)),
            _ => {}
        }
        event
    }

    /// The group wants everything back (eager), or has taken it.
    fn taken_back(&mut self) {
        let lost = self.handle.is_assignment_lost();
        // Nothing of it is delivered any more.
        self.held.clear();
        let now_ms = time::monotonic_ms();
        let max_ms = u64::from(self.shared().config.max_poll_interval_ms);
        let Some(group) = &mut self.group else { return };
        // An assignment that the application has not heard of is void.
        group.assignment += 1;
        let unheard = self.events.iter().any(|event| matches!(event, ConsumerEvent::Assigned { .. }));
        self.events.retain(|event| !matches!(event, ConsumerEvent::Assigned { .. } | ConsumerEvent::OutOfRange { .. } | ConsumerEvent::Revoking { .. }));
        let tps: Vec<Tp> = group.leased.iter().copied().collect();
        if lost || unheard || tps.is_empty() {
            if !unheard && !tps.is_empty() {
                self.events.push_back(ConsumerEvent::Lost { tps });
            }
            return self.release(true);
        }
        let deadline_ms = now_ms + max_ms;
        group.revoking_until_ms = Some(deadline_ms);
        self.events.push_back(ConsumerEvent::Revoking { tps, deadline_ms });
    }

    /// The application is done with these.
    pub(super) fn give_up(&mut self, tps: &[Tp]) {
        let Some(group) = &mut self.group else { return };
        let had: Vec<Tp> = tps.iter().copied().filter(|tp| group.leased.remove(tp)).collect();
        let told = Event::Revoked { group: group.name.clone(), member: group.owner(), generation: group.generation, tps: had.clone(), lost: false };
        let all = group.leased.is_empty() && group.revoking_until_ms.is_some();
        self.held.retain(|tp, _| !had.contains(tp));
        if !had.is_empty() {
            self.shared().observer.observe_with(|| told);
        }
        if all {
            self.release(false);
        }
    }

    /// One that does not give up in time is put out by its group; it must not go on here either.
    pub(super) fn revocation_overdue(&mut self) {
        let Some(group) = &self.group else { return };
        if group.revoking_until_ms.is_some_and(|until_ms| time::monotonic_ms() >= until_ms) {
            let tps: Vec<Tp> = group.leased.iter().copied().collect();
            self.events.retain(|event| !matches!(event, ConsumerEvent::Revoking { .. }));
            self.events.push_back(ConsumerEvent::Lost { tps });
            self.release(true);
        }
    }

    /// Acknowledges: the next owner may have it.
    fn release(&mut self, lost: bool) {
        if let Some(group) = &mut self.group {
            group.revoking_until_ms = None;
            let tps: Vec<Tp> = std::mem::take(&mut group.leased).into_iter().collect();
            let told = Event::Revoked { group: group.name.clone(), member: group.owner(), generation: group.generation, tps: tps.clone(), lost };
            if !tps.is_empty() {
                self.shared().observer.observe_with(|| told);
            }
        }
        // An error says that the handle has ended: it tells so itself.
        let _ended = self.handle.assign(None);
    }

    /// librdkafka commits with the generation of the moment, so a lease of another is refused here, before it can be dressed up as today's.
    pub(super) async fn commit_positions(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
        let Some(group) = &self.group else { return Outcome::NotDone(Reason::Ended("this reader is in no group".to_owned())) };
        let (name, generation) = (group.name.clone(), proof.lease.generation);
        let op = self.shared().number();
        let offsets: Vec<(Tp, i64)> = at.iter().map(|(tp, position)| (*tp, position.next.0)).collect();
        let note = |phase: Phase| Event::Commit { op, group: name.clone(), generation, phase, offsets: offsets.clone() };
        self.shared().observer.observe_with(|| note(Phase::Invoke));
        let outcome = self.commit_now(proof.lease, at, deadline_ms).await;
        let phase = match &outcome {
            Outcome::Done(()) => Phase::Ok,
            Outcome::NotDone(_) => Phase::Fail,
            Outcome::Unknown(_) => Phase::Unknown,
        };
        self.shared().observer.observe_with(|| note(phase));
        outcome
    }

    async fn commit_now(&self, lease: &Lease, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
        let group = self.group.as_ref().expect("asked before");
        if lease.group != group.name {
            return Outcome::NotDone(Reason::Ended(format!("this lease is of group {}", lease.group)));
        }
        let now = self.handle.membership();
        let refused = match &now {
            // A member that was put out has no id before it joins again.
            Some((member_id, _)) if *member_id != lease.member_id => Some(ErrorCode::UnknownMemberId),
            Some((_, generation)) if *generation != lease.generation || group.generation != lease.generation => Some(ErrorCode::IllegalGeneration),
            Some(_) if self.handle.is_assignment_lost() => Some(ErrorCode::UnknownMemberId),
            Some(_) => None,
            None => Some(ErrorCode::UnknownMemberId),
        };
        if let Some(code) = refused {
            return Outcome::NotDone(Reason::Answered(code));
        }
        let mut list = Partitions::new();
        for (tp, position) in at {
            let name = self.shared().topics.name(*tp);
            list.add(&name, i32::try_from(tp.partition).expect("partitions are few"), position.next.0, position.epoch);
        }
        let notify = Arc::new(Notify::new());
        let queue = Queue::new(&self.handle, &notify);
        if let Err(code) = self.handle.commit(&list, &queue) {
            return Outcome::NotDone(reason(code));
        }
        let answered = async {
            loop {
                if let Some(event) = queue.poll() {
                    return event;
                }
                notify.notified().await;
            }
        };
        let left_ms = deadline_ms.saturating_sub(time::monotonic_ms());
        match time::timeout(Duration::from_millis(left_ms), answered).await {
            Ok(event) => verdict_of(&event),
            Err(_) => Outcome::Unknown(Reason::Deadline),
        }
    }

    /// Gives everything up and says good-bye. A static member leaves no word: its next life takes over at once (A55).
    pub(super) async fn leave_group(mut self) {
        if self.group.is_none() {
            return;
        }
        self.held.clear();
        self.release(false);
        let queue = Queue::new(&self.handle, &self.wake);
        self.handle.close(&queue);
        let until_ms = time::monotonic_ms() + LEAVE_MS;
        while !self.handle.is_closed() && time::monotonic_ms() < until_ms {
            while let Some(event) = queue.poll() {
                if event.kind() == EventKind::Rebalance {
                    let _ended = self.handle.assign(None);
                }
            }
            // `is_closed` wakes nobody.
            let _in_time = time::timeout(Duration::from_millis(10), self.wake.notified()).await;
        }
    }
}

fn verdict_of(event: &NativeEvent) -> Outcome<()> {
    match event.error() {
        Err((code, _)) => commit_verdict(code),
        Ok(()) => {
            let worst = event.partitions().into_iter().find(|element| element.error != Code::NONE);
            worst.map_or(Outcome::Done(()), |element| commit_verdict(element.error))
        }
    }
}

impl crate::rdkafka::Kafka {
    /// Where these partitions would start, asked until there is an answer: an assignment without one cannot be told.
    async fn starts(&self, group: &str, partitions: Vec<(String, u32)>, asked_by: &tokio::sync::mpsc::UnboundedSender<Answer>) -> Result<Vec<Start>, Reason> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut why = Reason::Deadline;
        while !asked_by.is_closed() {
            let until_ms = time::monotonic_ms() + LOOK_UP_MS;
            match self.try_starts(group, &partitions, until_ms).await {
                Ok(starts) => return Ok(starts),
                // What an operator must mend does not pass by itself.
                Err(Reason::Ended(what)) => return Err(Reason::Ended(what)),
                Err(failed) => why = failed,
            }
            time::sleep(Duration::from_millis(100)).await;
        }
        Err(why)
    }

    async fn try_starts(&self, group: &str, partitions: &[(String, u32)], until_ms: u64) -> Result<Vec<Start>, Reason> {
        let names: BTreeSet<&str> = partitions.iter().map(|(name, _)| name.as_str()).collect();
        if names.iter().any(|name| self.shared.topics.find(name, 0).is_none()) {
            let names: Vec<&str> = names.into_iter().collect();
            if let Outcome::NotDone(why) | Outcome::Unknown(why) = self.look_up(&names, until_ms).await {
                return Err(why);
            }
        }
        let tps: Vec<Tp> = partitions.iter().map(|(name, partition)| self.shared.topics.find(name, *partition).expect("just looked up")).collect();
        let elements = match self.committed(group, &tps, until_ms).await {
            Ok(elements) => elements,
            Err(Reason::Answered(ErrorCode::UnstableOffsetCommit)) => return Ok(tps.into_iter().map(|tp| (tp, StartPoint::Pending)).collect()),
            Err(why) => return Err(why),
        };
        let mut starts = Vec::new();
        for element in elements {
            let tp = self.shared.topics.find(&element.topic, element.partition).expect("asked for");
            let start = match (reason(element.error), position_of(&element)) {
                (_, Some(position)) if element.error == Code::NONE => StartPoint::Committed(position),
                (_, None) if element.error == Code::NONE => StartPoint::Nothing,
                (Reason::Answered(ErrorCode::UnstableOffsetCommit), _) => StartPoint::Pending,
                (why, _) => return Err(why),
            };
            starts.push((tp, start));
        }
        Ok(starts)
    }
}
