//! The end of a transaction: asked for (A40, A41, A42), or forced by a newer instance or the timeout (A39, A45).

use super::Step;
use super::init::PRODUCER_EPOCH_MAX;
use super::marker::Markers;
use super::record::{Facts, Raised, State};
use super::state::Transaction;
use crate::coordinator::ReplyTo;
use crate::note::Note;
use crate::protocol::{ErrorCode, ProducerEpoch, ProducerId, Response};

impl Transaction {
    /// An EndTxn. After the end, the same decision again is a success: version 1 cannot tell a retry from a delayed request that meant a former
    /// transaction (KAFKA-17754).
    pub(super) fn end(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, producer: (ProducerId, ProducerEpoch), commit: bool) {
        let facts = match self.check(step, id, producer) {
            Ok(facts) => facts,
            Err(error) => return step.refuse(to, error),
        };
        match (facts.state, commit) {
            (State::Ongoing, _) => {
                let state = if commit { State::PrepareCommit } else { State::PrepareAbort };
                let next = Facts { state, raised: None, ..facts.clone() };
                self.go(step, id, next, Some((to, Response::EndTxn)));
            }
            (State::CompleteCommit, true) | (State::CompleteAbort, false) => step.reply(to, Response::EndTxn),
            (State::PrepareCommit, true) | (State::PrepareAbort, false) => step.refuse(to, ErrorCode::ConcurrentTransactions),
            (State::Empty | State::PrepareCommit | State::PrepareAbort | State::CompleteCommit | State::CompleteAbort, _) => {
                step.refuse(to, ErrorCode::InvalidTxnState)
            }
        }
    }

    /// An EndTxn of version 2 (A42): it raises the epoch, and so knows a retry from a delayed request that meant a former transaction.
    pub(super) fn end_and_raise(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, producer: (ProducerId, ProducerEpoch), commit: bool) {
        if let Some(facts) = self.facts.as_ref().filter(|facts| facts.raised.is_some_and(|raised| raised.by == producer)) {
            return match (facts.state, commit) {
                _ if self.pending.is_some() => step.refuse(to, ErrorCode::ConcurrentTransactions),
                (State::PrepareCommit, true) | (State::PrepareAbort, false) => step.refuse(to, ErrorCode::ConcurrentTransactions),
                (State::CompleteCommit, true) | (State::CompleteAbort, false) => {
                    step.reply(to, Response::EndTxnTv2 { producer_id: facts.producer_id, producer_epoch: facts.producer_epoch })
                }
                (State::PrepareCommit | State::PrepareAbort | State::CompleteCommit | State::CompleteAbort, _) => step.refuse(to, ErrorCode::InvalidTxnState),
                // The next transaction is open, or somebody else has the id.
                (State::Empty | State::Ongoing, _) => {
                    let (producer_id, producer_epoch) = producer;
                    step.note(Note::ProducerFenced { transactional_id: id.to_owned(), producer_id, producer_epoch });
                    step.refuse(to, ErrorCode::ProducerFenced)
                }
            };
        }
        let facts = match self.check(step, id, producer) {
            Ok(facts) => facts.clone(),
            Err(error) => return step.refuse(to, error),
        };
        match (facts.state, commit) {
            (State::Ongoing, _) | (State::Empty | State::CompleteCommit | State::CompleteAbort, false) => self.prepare_and_raise(step, to, id, facts, commit),
            (State::PrepareCommit | State::PrepareAbort, _) => step.refuse(to, ErrorCode::ConcurrentTransactions),
            // Nothing was ever added that could be committed.
            (State::Empty | State::CompleteCommit | State::CompleteAbort, true) => step.refuse(to, ErrorCode::InvalidTxnState),
        }
    }

    /// The markers carry the raised epoch. The last one of a producer id is kept for them: then the next id takes over.
    fn prepare_and_raise(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, facts: Facts, commit: bool) {
        let by = (facts.producer_id, facts.producer_epoch);
        let is_last = facts.producer_epoch >= PRODUCER_EPOCH_MAX;
        let next_producer_id = if is_last { step.view.next_producer_id() } else { None };
        if is_last && next_producer_id.is_none() {
            return step.refuse(to, ErrorCode::ConcurrentTransactions);
        }
        let producer_epoch = facts.producer_epoch.checked_add(1).expect("the last epoch is kept for the markers");
        let (next_id, next_epoch) = next_producer_id.map_or((facts.producer_id, producer_epoch), |next| (next, 0));
        let state = if commit { State::PrepareCommit } else { State::PrepareAbort };
        let next = Facts { producer_epoch, state, timed_out: false, raised: Some(Raised { by, next_producer_id }), ..facts };
        self.go(step, id, next, Some((to, Response::EndTxnTv2 { producer_id: next_id, producer_epoch: next_epoch })));
    }

    /// Aborts the open transaction under a raised epoch, so that whoever wrote it can go on with nothing.
    pub(super) fn fence(&mut self, step: &mut Step<'_>, id: &str, timed_out: bool, answer: Option<(ReplyTo, Response)>) {
        let facts = self.facts.as_ref().expect("only a known id is fenced");
        assert_eq!(facts.state, State::Ongoing, "only an open transaction is fenced");
        let producer_epoch = facts.producer_epoch.checked_add(1).expect("the last epoch is kept for the fence");
        let next = Facts { producer_epoch, state: State::PrepareAbort, timed_out, raised: None, ..facts.clone() };
        self.go(step, id, next, answer);
    }

    /// The decision is durable, the client has its answer: markers follow.
    pub(super) fn prepared(&mut self, step: &mut Step<'_>, id: &str) {
        let facts = self.facts.as_ref().expect("a prepared transaction is known");
        let commit = facts.state == State::PrepareCommit;
        let (producer_id, producer_epoch, timed_out) = (facts.producer_id, facts.producer_epoch, facts.timed_out);
        step.note(Note::TxnPrepared { transactional_id: id.to_owned(), producer_id, producer_epoch, commit, timed_out });
        self.times_out_ms = None;
        self.markers = Some(Markers::of(&facts.partitions));
        self.send_markers(step, id);
    }

    /// Every marker is written: that is to be durable too, else the next coordinator writes them once more.
    pub(super) fn complete(&mut self, step: &mut Step<'_>, id: &str) {
        let facts = self.facts.as_ref().expect("a prepared transaction is known");
        let state = match facts.state {
            State::PrepareCommit => State::CompleteCommit,
            State::PrepareAbort => State::CompleteAbort,
            other => panic!("{id}: a transaction is completed from Prepare, not from {other:?}"),
        };
        let mut next = Facts { state, partitions: Default::default(), ..facts.clone() };
        if let Some(raised) = &mut next.raised
            && let Some(producer_id) = raised.next_producer_id.take()
        {
            (next.producer_id, next.producer_epoch) = (producer_id, 0);
        }
        self.go(step, id, next, None);
    }

    /// The end is durable: the id is free for the next transaction.
    pub(super) fn completed(&mut self, step: &mut Step<'_>, id: &str) {
        self.markers = None;
        let facts = self.facts.as_ref().expect("a completed transaction is known");
        let (producer_id, producer_epoch, commit) = (facts.producer_id, facts.producer_epoch, facts.state == State::CompleteCommit);
        step.note(Note::TxnCompleted { transactional_id: id.to_owned(), producer_id, producer_epoch, commit });
        step.wake_by(step.after(step.config().transactional_id_expiration_ms));
    }
}
