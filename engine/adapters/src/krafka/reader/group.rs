//! Membership: what krafka says of rebalances, and commits with the lease's own generation.

use super::listener::{News, membership};
use super::{Held, KafkaReader};
use crate::kafka::membership::{self, LEAVE_MS, Membership};
use crate::kafka::reading::Answer;
use crate::krafka::errors::commit_verdict;
use crate::krafka::{Kafka, Shared};
use ::krafka::CloseOptions;
use ::krafka::consumer::{Consumer, OffsetAndMetadata, TopicPartition};
use log::{ConsumerEvent, ErrorCode, GroupProof, Lease, Outcome, Position, Reason, Tp};
use runtime::time;
use std::collections::BTreeSet;
use std::time::Duration;

impl KafkaReader {
    pub(super) fn hear(&mut self, news: News) {
        let deadline_ms = time::monotonic_ms() + u64::from(self.shared().config.max_poll_interval_ms);
        match news {
            News::Assigned { partitions, membership } => self.assigned(partitions, membership),
            News::Revoking { membership, done } => {
                self.held.clear();
                self.done = Some(done);
                let Some(group) = &mut self.group else { return };
                // krafka forgets a membership when its coordinator moves: then there is nothing to commit with.
                let answer = group.taken_back(membership.is_none(), deadline_ms, &mut self.events);
                self.acknowledge(answer);
            }
            News::Lost => {
                self.held.clear();
                self.done = None;
                let Some(group) = &mut self.group else { return };
                let answer = group.taken_back(true, deadline_ms, &mut self.events);
                self.acknowledge(answer);
            }
        }
    }

    /// The application hears of it when the positions are known.
    fn assigned(&mut self, partitions: Vec<(String, i32)>, membership: Option<(String, i32)>) {
        let (Some(membership), Some(group)) = (membership, &mut self.group) else { return };
        let assignment = group.assigned(membership);
        let (kafka, answers, name) = (self.kafka.clone(), self.answers_in.clone(), group.name().to_owned());
        runtime::task::spawn(async move {
            let starts = membership::starts(|| answers.is_closed(), |until_ms| kafka.committed_of(&name, &partitions, until_ms)).await;
            // A reader that is gone asks no more.
            let _ = answers.send(Answer::Starts { assignment, starts });
        });
    }

    /// What the application hears becomes true when it hears it.
    pub(super) fn hand_out(&mut self, event: ConsumerEvent) -> ConsumerEvent {
        match &event {
            ConsumerEvent::Assigned { leases, .. } => self.held = leases.iter().map(|lease| (lease.tp, Held::new())).collect(),
            ConsumerEvent::Revoking { tps, .. } | ConsumerEvent::Lost { tps } => self.held.retain(|tp, _| !tps.contains(tp)),
            _ => {}
        }
        event
    }

    /// The application is done with these.
    pub(super) fn give_up(&mut self, tps: &[Tp]) {
        let Some(group) = &mut self.group else { return };
        let (had, answer) = group.give_up(tps);
        for tp in had {
            self.held.remove(&tp);
            self.stop(tp);
        }
        self.acknowledge(answer);
    }

    pub(super) fn revocation_overdue(&mut self) {
        let Some(group) = &mut self.group else { return };
        let answer = group.overdue(time::monotonic_ms(), &mut self.events);
        self.acknowledge(answer);
    }

    fn acknowledge(&mut self, answer: membership::Answer) {
        if answer == membership::Answer::Release
            && let Some(done) = self.done.take()
        {
            // A poll that was given up waits no more.
            let _ = done.send(());
        }
    }

    pub(super) async fn commit_positions(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
        let KafkaReader { kafka, consumer, group, .. } = self;
        let Some(group) = group else { return Outcome::NotDone(Reason::Ended("this reader is in no group".to_owned())) };
        let commit = commit_now(&kafka.shared, consumer, group, proof.lease, at, deadline_ms);
        group.noted(kafka.shared.number(), proof.lease, at, commit).await
    }

    /// Gives everything up and says good-bye. A static member leaves no word: its next life takes over at once (A55).
    pub(super) async fn leave_group(mut self) {
        let Some(group) = &mut self.group else { return };
        let answer = group.release(false);
        self.acknowledge(answer);
        // Nobody answers a revocation any more: none is waited for.
        (self.polling, self.news) = (None, tokio::sync::mpsc::unbounded_channel().1);
        let options = CloseOptions::new().timeout(Duration::from_millis(LEAVE_MS));
        // The group finds out by itself.
        let _in_vain = self.consumer.close_with(options).await;
    }
}

async fn commit_now(shared: &Shared, consumer: &Consumer, group: &Membership, lease: &Lease, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
    if let Some(why) = group.refusal(lease, membership(consumer).await.as_ref()) {
        return Outcome::NotDone(why);
    }
    let offset = |(tp, position): &(Tp, Position)| {
        let (topic, partition) = shared.named(*tp);
        let mut offset = OffsetAndMetadata::new(position.next.0);
        offset.leader_epoch = position.epoch.and_then(|epoch| i32::try_from(epoch).ok());
        (TopicPartition::new(topic, partition), offset)
    };
    let begin_ms = time::monotonic_ms();
    let wait = Duration::from_millis(deadline_ms.saturating_sub(begin_ms));
    match time::timeout(wait, consumer.commit_offsets(at.iter().map(offset))).await {
        Ok(Ok(())) => Outcome::Done(()),
        Ok(Err(error)) => commit_verdict(&error, time::monotonic_ms() - begin_ms),
        Err(_) => Outcome::Unknown(Reason::Deadline),
    }
}

impl Kafka {
    /// Committed positions of partitions of topics that may not have been looked up before.
    async fn committed_of(&self, group: &str, partitions: &[(String, i32)], until_ms: u64) -> Result<Vec<(Tp, Result<Option<Position>, Reason>)>, Reason> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let names: BTreeSet<&str> = partitions.iter().map(|(name, _)| name.as_str()).collect();
        if names.iter().any(|name| self.shared.find(name, 0).is_none()) {
            let names: Vec<&str> = names.into_iter().collect();
            if let Outcome::NotDone(why) | Outcome::Unknown(why) = self.look_up(&names, until_ms).await {
                return Err(why);
            }
        }
        let tps: Vec<Tp> = partitions.iter().map(|(name, partition)| self.shared.find(name, *partition).expect("just looked up")).collect();
        match self.committed(group, &tps, until_ms).await {
            // Of the answer as a whole: it is so in one of them.
            Err(why @ Reason::Answered(ErrorCode::UnstableOffsetCommit)) => Ok(tps.into_iter().map(|tp| (tp, Err(why.clone()))).collect()),
            answered => answered,
        }
    }
}
