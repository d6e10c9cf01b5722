//! The coordinators of the internal partitions this broker leads: loading, requests, and carrying out what they ask.

use super::clients::ClusterView;
use super::produce::Acks;
use super::verification::Parked;
use super::{Broker, DiskOp, Purpose, Timer, Version};
use crate::batch::{Batch, Producer, Record};
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::transaction::TransactionCoordinator;
use crate::coordinator::{Coordinator, Effect, ReplyTo, View};
use crate::io::Now;
use crate::protocol::{CONSUMER_OFFSETS, ErrorCode, Request, Response, TRANSACTION_STATE, Tp};
use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes read at a time while loading.
const LOAD_BYTES: u32 = 1 << 20;

/// In the partition's log, not known to be replicated.
enum Queued {
    Append { token: u64, base: i64 },
    Marker(Batch),
}

/// A coordinator and how far it has come.
pub(super) struct Hosted {
    leader_epoch: u32,
    coordinator: Box<dyn Coordinator>,
    /// Next offset to load.
    next: i64,
    /// Log end at the election: loaded and replicated up to here, it serves.
    load_end: i64,
    serving: bool,
    /// (one past its last offset, what), in the order of the log.
    queue: VecDeque<(i64, Queued)>,
}

impl Broker {
    /// Begins to load the coordinator of a partition that this broker leads now, if it has one.
    pub(super) fn host_coordinator(&mut self, tp: Tp, leader_epoch: u32) {
        let name = self.image.topics[&tp.topic].spec.name.as_str();
        let config = self.config.coordinator;
        let coordinator: Box<dyn Coordinator> = match name {
            CONSUMER_OFFSETS => Box::new(GroupCoordinator::new(tp, leader_epoch, config)),
            TRANSACTION_STATE => Box::new(TransactionCoordinator::new(tp, leader_epoch, config)),
            _ => return,
        };
        let load_end = self.replicas[&tp].log.end();
        self.hosted.insert(tp, Hosted { leader_epoch, coordinator, next: 0, load_end, serving: false, queue: VecDeque::new() });
        self.load_more(tp);
    }

    fn load_more(&mut self, tp: Tp) {
        let hosted = &self.hosted[&tp];
        match self.replicas[&tp].log.slice(hosted.next, hosted.load_end, LOAD_BYTES) {
            Some(slice) => {
                let leader_epoch = hosted.leader_epoch;
                self.io.read(&slice.file, slice.position, u64::from(slice.len), DiskOp::CoordinatorRead { tp, leader_epoch });
            }
            None => {
                self.hosted.get_mut(&tp).expect("just seen").next = i64::MAX;
                self.advance_coordinator(tp);
            }
        }
    }

    pub(super) fn coordinator_read(&mut self, tp: Tp, leader_epoch: u32, bytes: &Bytes) {
        let Some(hosted) = self.hosted.get_mut(&tp).filter(|hosted| hosted.leader_epoch == leader_epoch) else { return };
        let Ok(batches) = Batch::split(bytes.clone()) else { return self.stop_now() };
        for batch in &batches {
            hosted.coordinator.load(batch);
            hosted.next = batch.header().next_offset();
        }
        self.load_more(tp);
    }

    /// The high watermark moved, or the load ended: start, then tell what is replicated.
    pub(super) fn advance_coordinator(&mut self, tp: Tp) {
        let Some(hosted) = self.hosted.get_mut(&tp) else { return };
        let high_watermark = self.replicas[&tp].high_watermark;
        if !hosted.serving {
            if hosted.next < i64::MAX || high_watermark < hosted.load_end {
                return;
            }
            hosted.serving = true;
            self.with_coordinator(tp, |coordinator, now, view, out| coordinator.start(now, view, out));
        }
        while let Some(hosted) = self.hosted.get_mut(&tp)
            && let Some((end, _)) = hosted.queue.front()
            && *end <= high_watermark
        {
            let (_, queued) = hosted.queue.pop_front().expect("just seen");
            self.with_coordinator(tp, |coordinator, now, view, out| match &queued {
                Queued::Append { token, base } => coordinator.appended(now, *token, Ok(*base), view, out),
                Queued::Marker(batch) => coordinator.marker(now, batch, out),
            });
        }
    }

    /// Calls a coordinator and does what it asks.
    fn with_coordinator(&mut self, tp: Tp, call: impl FnOnce(&mut dyn Coordinator, Now, &mut dyn View, &mut Vec<Effect>)) {
        let Some(hosted) = self.hosted.get_mut(&tp) else { return };
        let mut effects = Vec::new();
        let mut view = ClusterView { image: &self.image, producer_ids: &mut self.producer_ids, out_of_ids: false };
        call(hosted.coordinator.as_mut(), self.io.now, &mut view, &mut effects);
        let (out_of_ids, leader_epoch) = (view.out_of_ids, hosted.leader_epoch);
        if out_of_ids {
            self.allocate_producer_ids();
        }
        effects.into_iter().for_each(|effect| self.carry_out(tp, leader_epoch, effect));
    }

    fn carry_out(&mut self, tp: Tp, leader_epoch: u32, effect: Effect) {
        match effect {
            Effect::Reply { to, response } => self.reply(to, response),
            Effect::Append { token, records, producer, transactional_id } => self.coordinator_appends(tp, token, &records, producer, transactional_id),
            Effect::Ask { token, to, request } => drop(self.ask(to, 0, request, Purpose::Coordinator { tp, leader_epoch, token })),
            Effect::Timer { at_ms } => self.io.set_timer(at_ms, Timer::Coordinator(tp)),
            Effect::Note(note) => self.io.note(note),
        }
    }

    fn coordinator_appends(&mut self, tp: Tp, token: u64, records: &[Record], producer: Producer, transactional_id: Option<String>) {
        let batch = Batch::build(records, producer, transactional_id.is_some());
        let Some(transactional_id) = transactional_id else { return self.append_of_coordinator(tp, token, batch) };
        let parked = match self.may_append(tp, Acks::All).and_then(|()| self.must_verify(tp, &batch)) {
            Ok(false) => return self.append_of_coordinator(tp, token, batch),
            Ok(true) => self.verify(tp, (producer.id, producer.epoch), &transactional_id, self.coordinating, Parked::Coordinator { token, batch }),
            Err(error) => Err(error),
        };
        if let Err(error) = parked {
            self.coordinator_append_refused(tp, token, error);
        }
    }

    pub(super) fn append_of_coordinator(&mut self, tp: Tp, token: u64, batch: Batch) {
        let replica = self.replicas.get_mut(&tp).expect("a hosted partition has a replica");
        let checked = replica.producers.check(batch.header()).map(drop);
        if let Err(error) = self.may_append(tp, Acks::All).and(checked) {
            return self.coordinator_append_refused(tp, token, error);
        }
        let replica = self.replicas.get_mut(&tp).expect("just seen");
        let base = replica.log.end();
        let batch = batch.assign(base, replica.leader_epoch.expect("a leader has an epoch"));
        replica.append(&batch, true, self.config.segment_bytes, &mut self.io);
        if let Some(hosted) = self.hosted.get_mut(&tp) {
            hosted.queue.push_back((batch.header().next_offset(), Queued::Append { token, base }));
        }
    }

    /// Nothing of it is in the log.
    pub(super) fn coordinator_append_refused(&mut self, tp: Tp, token: u64, error: ErrorCode) {
        self.with_coordinator(tp, |coordinator, now, view, out| coordinator.appended(now, token, Err(error), view, out));
    }

    /// A marker is in the log of a group coordinator's partition.
    pub(super) fn queue_marker(&mut self, tp: Tp, batch: Batch) {
        if let Some(hosted) = self.hosted.get_mut(&tp) {
            hosted.queue.push_back((batch.header().next_offset(), Queued::Marker(batch)));
        }
    }

    pub(super) fn coordinator_answered(&mut self, tp: Tp, leader_epoch: u32, token: u64, response: Option<Response>) {
        if self.hosted.get(&tp).is_some_and(|hosted| hosted.leader_epoch == leader_epoch) {
            self.with_coordinator(tp, |coordinator, now, view, out| coordinator.answered(now, token, response, view, out));
        }
    }

    pub(super) fn tick_coordinator(&mut self, tp: Tp) {
        if self.hosted.get(&tp).is_some_and(|hosted| hosted.serving) {
            self.with_coordinator(tp, |coordinator, now, view, out| coordinator.tick(now, view, out));
        }
    }

    pub(super) fn resign_coordinator(&mut self, tp: Tp) {
        if let Some(mut hosted) = self.hosted.remove(&tp) {
            let mut effects = Vec::new();
            hosted.coordinator.resign(&mut effects);
            for effect in effects {
                match effect {
                    Effect::Reply { to, response } => self.reply(to, response),
                    Effect::Note(note) => self.io.note(note),
                    Effect::Append { .. } | Effect::Ask { .. } | Effect::Timer { .. } => {}
                }
            }
        }
    }

    /// A request for a coordinator: the one of its group or transaction, if it is here and serves.
    pub(super) fn coordinate(&mut self, to: ReplyTo, request: Request) {
        let (asked, version) = match &request {
            Request::Tv2(asked) => (&**asked, Version::Two),
            asked => (asked, Version::One),
        };
        let (topic, key) = match asked {
            Request::JoinGroup { group, .. }
            | Request::SyncGroup { group, .. }
            | Request::Heartbeat { group, .. }
            | Request::LeaveGroup { group, .. }
            | Request::ConsumerGroupHeartbeat { group, .. }
            | Request::OffsetCommit { group, .. }
            | Request::OffsetFetch { group, .. }
            | Request::TxnOffsetCommit { group, .. } => (CONSUMER_OFFSETS, group.as_str()),
            Request::InitProducerId { transactional_id: Some(id), .. }
            | Request::AddPartitionsToTxn { transactional_id: id, .. }
            | Request::AddOffsetsToTxn { transactional_id: id, .. }
            | Request::EndTxn { transactional_id: id, .. } => (TRANSACTION_STATE, id.as_str()),
            _ => return self.reply(to, Response::Error(ErrorCode::UnsupportedVersion)),
        };
        let Some(tp) = self.view().coordinator_partition(topic, key) else {
            return self.reply(to, Response::Error(ErrorCode::CoordinatorNotAvailable));
        };
        match self.hosted.get(&tp).map(|hosted| hosted.serving) {
            None => self.reply(to, Response::Error(ErrorCode::NotCoordinator)),
            Some(false) => self.reply(to, Response::Error(ErrorCode::CoordinatorLoadInProgress)),
            Some(true) => {
                self.coordinating = version;
                self.with_coordinator(tp, |coordinator, now, view, out| coordinator.handle(now, to, request, view, out));
                self.coordinating = Version::One;
            }
        }
    }
}
