//! A transactional id: its durable facts, the transition under way, and the checks on who asks.

use super::Step;
use super::marker::Markers;
use super::record::{Facts, State};
use crate::coordinator::ReplyTo;
use crate::note::Note;
use crate::protocol::{ErrorCode, ProducerEpoch, ProducerId, Response};

/// A transition on its way to the log.
#[derive(Debug)]
pub(super) enum Pending {
    /// To these facts.
    Next(Facts),
    /// To nothing: the id has expired.
    Dead,
}

/// A transactional id.
#[derive(Debug)]
pub(super) struct Transaction {
    /// What is durable. `None`: the first record is still on its way, or was the tombstone.
    pub(super) facts: Option<Facts>,
    /// While set, every other request is `ConcurrentTransactions`.
    pub(super) pending: Option<Pending>,
    /// When the open transaction has taken too long, by the monotonic clock.
    pub(super) times_out_ms: Option<u64>,
    /// While Prepare*.
    pub(super) markers: Option<Markers>,
}

impl Transaction {
    pub(super) fn new(facts: Facts) -> Self {
        Transaction { facts: Some(facts), pending: None, times_out_ms: None, markers: None }
    }

    /// An id that nothing is known of.
    pub(super) fn unknown() -> Self {
        Transaction { facts: None, pending: None, times_out_ms: None, markers: None }
    }

    /// Whether it can be forgotten.
    pub(super) fn is_dead(&self) -> bool {
        self.facts.is_none() && self.pending.is_none()
    }

    /// The facts, if `producer` is who has the id now, and no transition is under way.
    pub(super) fn check(&self, step: &mut Step<'_>, id: &str, producer: (ProducerId, ProducerEpoch)) -> Result<&Facts, ErrorCode> {
        let facts = self.check_producer(step, id, producer)?;
        if self.pending.is_some() { Err(ErrorCode::ConcurrentTransactions) } else { Ok(facts) }
    }

    /// The facts, if `producer` is who has the id now.
    pub(super) fn check_producer(
        &self,
        step: &mut Step<'_>,
        id: &str,
        (producer_id, producer_epoch): (ProducerId, ProducerEpoch),
    ) -> Result<&Facts, ErrorCode> {
        let facts = self.facts.as_ref().ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let error = match (facts.producer_id == producer_id, facts.producer_epoch == producer_epoch) {
            (true, true) => return Ok(facts),
            (true, false) => ErrorCode::ProducerFenced,
            (false, _) => ErrorCode::InvalidProducerIdMapping,
        };
        step.note(Note::ProducerFenced { transactional_id: id.to_owned(), producer_id, producer_epoch });
        Err(error)
    }

    /// Sends a transition to the log.
    pub(super) fn go(&mut self, step: &mut Step<'_>, id: &str, next: Facts, answer: Option<(ReplyTo, Response)>) {
        assert!(self.pending.is_none(), "one transition at a time");
        let next = Facts { updated_ms: step.now.wall_ms, ..next };
        step.append(id, Some(&next), answer);
        self.pending = Some(Pending::Next(next));
    }

    /// The transition is durable: it is a fact now, and what follows from it begins.
    pub(super) fn moved(&mut self, step: &mut Step<'_>, id: &str, answer: Option<(ReplyTo, Response)>) {
        let before = self.facts.take();
        match self.pending.take().expect("what is durable was on its way") {
            Pending::Next(next) => self.facts = Some(next),
            Pending::Dead => return,
        }
        if let Some((to, response)) = answer {
            step.reply(to, response);
        }
        let facts = self.facts.as_ref().expect("just set");
        match facts.state {
            State::Empty => step.wake_by(step.after(step.config().transactional_id_expiration_ms)),
            State::Ongoing if before.is_none_or(|before| before.state != State::Ongoing) => {
                let timeout_ms = u64::from(facts.timeout_ms);
                self.await_timeout(step, timeout_ms);
            }
            State::Ongoing => step.wake_by(step.after(step.config().transaction_scan_ms)),
            State::PrepareCommit | State::PrepareAbort => self.prepared(step, id),
            State::CompleteCommit | State::CompleteAbort => self.completed(step, id),
        }
    }

    /// The log refused the transition: the facts are as they were.
    pub(super) fn stayed(&mut self, step: &mut Step<'_>, answer: Option<(ReplyTo, Response)>, error: ErrorCode) {
        self.pending = None;
        if let Some((to, _)) = answer {
            step.refuse(to, error);
        }
        // What no client asked for (a timeout's abort, completion, expiry) is tried again by the alarm.
        step.wake_by(step.after(step.config().marker_retry_ms));
    }
}
