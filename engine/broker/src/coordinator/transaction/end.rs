//! The end of a transaction: asked for (A40, A41), or forced by a newer instance or the timeout (A39, A45).

use super::Step;
use super::marker::Markers;
use super::record::{Facts, State};
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
                let next = Facts { state, ..facts.clone() };
                self.go(step, id, next, Some((to, Response::EndTxn)));
            }
            (State::CompleteCommit, true) | (State::CompleteAbort, false) => step.reply(to, Response::EndTxn),
            (State::PrepareCommit, true) | (State::PrepareAbort, false) => step.refuse(to, ErrorCode::ConcurrentTransactions),
            (State::Empty | State::PrepareCommit | State::PrepareAbort | State::CompleteCommit | State::CompleteAbort, _) => {
                step.refuse(to, ErrorCode::InvalidTxnState)
            }
        }
    }

    /// Aborts the open transaction under a raised epoch, so that whoever wrote it can go on with nothing.
    pub(super) fn fence(&mut self, step: &mut Step<'_>, id: &str, timed_out: bool, answer: Option<(ReplyTo, Response)>) {
        let facts = self.facts.as_ref().expect("only a known id is fenced");
        assert_eq!(facts.state, State::Ongoing, "only an open transaction is fenced");
        let producer_epoch = facts.producer_epoch.checked_add(1).expect("the last epoch is kept for the fence");
        let next = Facts { producer_epoch, state: State::PrepareAbort, timed_out, ..facts.clone() };
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
        let next = Facts { state, partitions: Default::default(), ..facts.clone() };
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
