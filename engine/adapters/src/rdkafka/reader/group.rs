//! Membership: what librdkafka says of rebalances, and commits with the lease's own generation.

use super::KafkaReader;
use crate::kafka::membership::{self, LEAVE_MS};
use crate::kafka::reading::Answer;
use crate::rdkafka::asking::position_of;
use crate::rdkafka::errors::{commit_verdict, reason};
use crate::rdkafka::native::{Code, Event as NativeEvent, EventKind, OFFSET_BEGINNING, Partitions, Queue};
use log::{ConsumerEvent, ErrorCode, GroupProof, Lease, Outcome, Position, Reason, Tp};
use runtime::time;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Until a member that was given nothing joins once more: brokers have heard of a new topic by then.
const JOIN_AGAIN_MS: u64 = 2_000;

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
        self.joins_again_ms = (elements.is_empty() && !self.joined_again).then(|| time::monotonic_ms() + JOIN_AGAIN_MS);
        let (Some(membership), Some(group)) = (self.handle.membership(), &mut self.group) else { return };
        let assignment = group.assigned(membership);
        let (kafka, answers, wake, name) = (self.kafka.clone(), self.answers_in.clone(), self.wake.clone(), group.name().to_owned());
        let partitions: Vec<(String, u32)> = elements.into_iter().map(|element| (element.topic, element.partition)).collect();
        runtime::task::spawn(async move {
            let starts = membership::starts(|| answers.is_closed(), |until_ms| kafka.committed_of(&name, &partitions, until_ms)).await;
            // A reader that is gone asks no more.
            let _ = answers.send(Answer::Starts { assignment, starts });
            wake.notify_one();
        });
    }

    /// Given nothing, it may be so because the member that divided the topics had asked a broker that had not heard of them yet: librdkafka looks again after
    /// five minutes and finds no change to what it knew before (seen: a new topic, its group idle for as long as its members stayed). Once only: a group may
    /// have more members than partitions.
    pub(super) fn join_again(&mut self) {
        if self.joins_again_ms.take_if(|at_ms| time::monotonic_ms() >= *at_ms).is_some() {
            self.joined_again = true;
            // An error says that the handle has ended: it tells so itself.
            let _ended = self.handle.subscribe(&self.topics);
        }
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
        let deadline_ms = time::monotonic_ms() + u64::from(self.shared().config.max_poll_interval_ms);
        let Some(group) = &mut self.group else { return };
        let answer = group.taken_back(lost, deadline_ms, &mut self.events);
        self.acknowledge(answer);
    }

    /// The application is done with these.
    pub(super) fn give_up(&mut self, tps: &[Tp]) {
        let Some(group) = &mut self.group else { return };
        let (had, answer) = group.give_up(tps);
        self.held.retain(|tp, _| !had.contains(tp));
        self.acknowledge(answer);
    }

    pub(super) fn revocation_overdue(&mut self) {
        let Some(group) = &mut self.group else { return };
        let answer = group.overdue(time::monotonic_ms(), &mut self.events);
        self.acknowledge(answer);
    }

    fn acknowledge(&self, answer: membership::Answer) {
        if answer == membership::Answer::Release {
            // An error says that the handle has ended: it tells so itself.
            let _ended = self.handle.assign(None);
        }
    }

    pub(super) async fn commit_positions(&self, proof: GroupProof<'_>, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
        let Some(group) = &self.group else { return Outcome::NotDone(Reason::Ended("this reader is in no group".to_owned())) };
        group.noted(self.shared().number(), proof.lease, at, self.commit_now(proof.lease, at, deadline_ms)).await
    }

    async fn commit_now(&self, lease: &Lease, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
        let group = self.group.as_ref().expect("asked before");
        if let Some(why) = group.refusal(lease, self.handle.membership().as_ref()) {
            return Outcome::NotDone(why);
        }
        if self.handle.is_assignment_lost() {
            return Outcome::NotDone(Reason::Answered(ErrorCode::UnknownMemberId));
        }
        let mut list = Partitions::new();
        for (tp, position) in at {
            let name = self.shared().topics.name(*tp);
            list.add(&name, i32::try_from(tp.partition).expect("partitions are few"), position.next.0, position.epoch);
        }
        let notify = Arc::new(Notify::new());
        let queue = Queue::new(&self.handle, &notify);
        let begin_ms = time::monotonic_ms();
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
            Ok(event) => verdict_of(&event, time::monotonic_ms() - begin_ms),
            Err(_) => Outcome::Unknown(Reason::Deadline),
        }
    }

    /// Gives everything up and says good-bye. A static member leaves no word: its next life takes over at once (A55).
    pub(super) async fn leave_group(mut self) {
        let Some(group) = &mut self.group else { return };
        let answer = group.release(false);
        self.held.clear();
        self.acknowledge(answer);
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

fn verdict_of(event: &NativeEvent, took_ms: u64) -> Outcome<()> {
    match event.error() {
        Err((code, _)) => commit_verdict(code, took_ms),
        Ok(()) => {
            let worst = event.partitions().into_iter().find(|element| element.error != Code::NONE);
            worst.map_or(Outcome::Done(()), |element| commit_verdict(element.error, took_ms))
        }
    }
}

impl crate::rdkafka::Kafka {
    /// Committed positions of partitions of topics that may not have been looked up before.
    async fn committed_of(&self, group: &str, partitions: &[(String, u32)], until_ms: u64) -> Result<Vec<(Tp, Result<Option<Position>, Reason>)>, Reason> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
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
            // Of the answer as a whole: it is so in one of them.
            Err(why @ Reason::Answered(ErrorCode::UnstableOffsetCommit)) => return Ok(tps.into_iter().map(|tp| (tp, Err(why.clone()))).collect()),
            Err(why) => return Err(why),
        };
        let one = |element: crate::rdkafka::native::Element| {
            let tp = self.shared.topics.find(&element.topic, element.partition).expect("asked for");
            (tp, if element.error == Code::NONE { Ok(position_of(&element)) } else { Err(reason(element.error)) })
        };
        Ok(elements.into_iter().map(one).collect())
    }
}
