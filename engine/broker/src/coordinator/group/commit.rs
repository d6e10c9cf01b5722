//! OffsetCommit, TxnOffsetCommit and OffsetFetch (A46, A47, A53, A57).
//!
//! The check of member and generation is the only fence for what a consumer did; it is per group, not per partition. A transactional commit is
//! checked only where it names a member, and in any state of the group.

use super::offsets::Stored;
use super::state::{Group, State};
use super::{Step, Waiting, record};
use crate::batch::{Producer, Record};
use crate::coordinator::ReplyTo;
use crate::note::Note;
use crate::protocol::{CommittedOffset, ErrorCode, ProducerId, Request, Response, Tp};
use std::collections::BTreeMap;

/// An OffsetCommit or a TxnOffsetCommit. One without a generation makes the group.
pub(super) fn commit(groups: &mut BTreeMap<String, Group>, step: &mut Step<'_>, to: ReplyTo, request: Request) {
    let (name, generation, member_id, instance_id, offsets, transaction) = match request {
        Request::OffsetCommit { group, generation, member_id, instance_id, offsets } => (group, generation, member_id, instance_id, offsets, None),
        Request::TxnOffsetCommit { transactional_id, group, generation, member_id, instance_id, producer_id, producer_epoch, offsets } => {
            let producer = Producer { id: producer_id, epoch: producer_epoch, first_sequence: -1 };
            (group, generation, member_id, instance_id, offsets, Some((transactional_id, producer)))
        }
        other => unreachable!("{other:?} commits no offsets"),
    };
    let checked = match groups.get(&name) {
        Some(group) => group.may_commit(generation, &member_id, instance_id.as_deref(), transaction.is_some()),
        None if generation < 0 => Ok(()),
        None => Err(ErrorCode::IllegalGeneration),
    };
    if let Err(error) = checked {
        step.note(Note::CommitRefused { group: name, member_id, generation, transactional: transaction.is_some() });
        return step.refuse(to, error);
    }
    let group = groups.entry(name.clone()).or_insert_with(|| Group::new(name));
    if transaction.is_none() && group.members.contains_key(&member_id) {
        group.renew_session(step, &member_id);
    }
    group.append_offsets(step, to, offsets, transaction);
}

/// An OffsetFetch. A group that does not exist has committed nothing.
pub(super) fn fetch(group: Option<&Group>, partitions: Vec<Tp>, require_stable: bool) -> Response {
    let fetch_one = |tp: Tp| match group {
        Some(group) if require_stable && group.offsets.is_unstable(tp) => (tp, Err(ErrorCode::UnstableOffsetCommit)),
        Some(group) => (tp, Ok(group.offsets.get(tp))),
        None => (tp, Ok(None)),
    };
    Response::OffsetFetch { partitions: partitions.into_iter().map(fetch_one).collect() }
}

impl Group {
    fn may_commit(&self, generation: i32, member_id: &str, instance_id: Option<&str>, transactional: bool) -> Result<(), ErrorCode> {
        let names_nobody = generation < 0 && member_id.is_empty() && instance_id.is_none();
        if names_nobody {
            // Assign-style: nobody else may be at work. A transaction is let through (KIP-447), its producer id being a fence of its own.
            return if transactional || self.is_empty() { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        }
        if !self.consumer.members.is_empty() {
            return self.consumer.may_commit(generation, member_id, transactional);
        }
        self.validate_in(generation, member_id, instance_id)?;
        if !transactional && self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    fn append_offsets(&mut self, step: &mut Step<'_>, to: ReplyTo, offsets: Vec<(Tp, CommittedOffset)>, transaction: Option<(String, Producer)>) {
        if offsets.is_empty() {
            return step.reply(to, accepted(&offsets, transaction.is_some()));
        }
        let timestamp_ms = step.timestamp_ms();
        let records: Vec<Record> = offsets.iter().map(|&(tp, committed)| record::offset(timestamp_ms, &self.name, tp, committed)).collect();
        let group = self.name.clone();
        match transaction {
            Some((transactional_id, producer)) => {
                self.offsets.send(&offsets);
                step.append_as(records, producer, Some(transactional_id), Waiting::Pending { group, to, producer_id: producer.id, offsets });
            }
            None => step.append(records, Waiting::Committed { group, to, offsets }),
        }
    }

    /// A plain commit is durable, or was refused.
    pub(super) fn committed(&mut self, step: &mut Step<'_>, to: ReplyTo, offsets: Vec<(Tp, CommittedOffset)>, result: Result<i64, ErrorCode>) {
        let base_offset = match result {
            Ok(base_offset) => base_offset,
            Err(error) => return step.refuse(to, error),
        };
        self.idle_since_ms = step.now.wall_ms;
        for (record_offset, &(tp, committed)) in (base_offset..).zip(&offsets) {
            self.offsets.put(tp, Stored { committed, record_offset });
            step.note(Note::Committed { group: self.name.clone(), tp, offset: committed.offset, transactional: false });
        }
        step.reply(to, accepted(&offsets, false));
        self.await_expiry(step);
    }

    /// Offsets of a transaction are durable and wait for its marker, or were refused.
    pub(super) fn pending(
        &mut self,
        step: &mut Step<'_>,
        to: ReplyTo,
        producer_id: ProducerId,
        offsets: Vec<(Tp, CommittedOffset)>,
        result: Result<i64, ErrorCode>,
    ) {
        self.offsets.arrive(&offsets);
        let base_offset = match result {
            Ok(base_offset) => base_offset,
            Err(error) => return step.refuse(to, error),
        };
        self.idle_since_ms = step.now.wall_ms;
        for (record_offset, &(tp, committed)) in (base_offset..).zip(&offsets) {
            self.offsets.put_pending(producer_id, tp, Stored { committed, record_offset });
        }
        step.reply(to, accepted(&offsets, true));
    }
}

fn accepted(offsets: &[(Tp, CommittedOffset)], transactional: bool) -> Response {
    let partitions = offsets.iter().map(|(tp, _)| (*tp, Ok(()))).collect();
    if transactional { Response::TxnOffsetCommit { partitions } } else { Response::OffsetCommit { partitions } }
}
