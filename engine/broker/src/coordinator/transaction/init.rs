//! InitProducerId: who holds a transactional id, and who did (A39).

use super::Step;
use super::record::{Facts, State};
use super::state::{Pending, Transaction};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, ProducerEpoch, Response};
use std::collections::BTreeMap;

/// The last epoch given to a producer. One more is kept for the fence of that producer; then the id gets a new producer id.
pub(super) const PRODUCER_EPOCH_MAX: ProducerEpoch = ProducerEpoch::MAX - 1;

/// An InitProducerId with a transactional id.
pub(super) fn init_producer_id(transactions: &mut BTreeMap<String, Transaction>, step: &mut Step<'_>, to: ReplyTo, id: String, timeout_ms: u32) {
    if timeout_ms == 0 || timeout_ms > step.config().transaction_timeout_ms_max {
        return step.refuse(to, ErrorCode::InvalidTransactionTimeout);
    }
    let transaction = transactions.entry(id.clone()).or_insert_with(Transaction::unknown);
    transaction.init(step, to, &id, timeout_ms);
    if transaction.is_dead() {
        transactions.remove(&id);
    }
}

impl Transaction {
    fn init(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, timeout_ms: u32) {
        if self.pending.is_some() {
            return step.refuse(to, ErrorCode::ConcurrentTransactions);
        }
        match self.facts.as_ref().map(|facts| facts.state) {
            // The open transaction of the former instance ends first; the caller asks again, and gets an epoch above the fence.
            Some(State::Ongoing) => self.fence(step, id, false, Some((to, Response::Error(ErrorCode::ConcurrentTransactions)))),
            Some(State::PrepareCommit | State::PrepareAbort) => step.refuse(to, ErrorCode::ConcurrentTransactions),
            Some(State::Empty | State::CompleteCommit | State::CompleteAbort) | None => self.hand_over(step, to, id, timeout_ms),
        }
    }

    /// The next epoch, or a new producer id where there is none.
    fn hand_over(&mut self, step: &mut Step<'_>, to: ReplyTo, id: &str, timeout_ms: u32) {
        let next = match &self.facts {
            Some(facts) if facts.producer_epoch < PRODUCER_EPOCH_MAX => Some((facts.producer_id, facts.producer_epoch + 1)),
            _ => step.view.next_producer_id().map(|producer_id| (producer_id, 0)),
        };
        let Some((producer_id, producer_epoch)) = next else {
            return step.refuse(to, ErrorCode::CoordinatorLoadInProgress);
        };
        let facts = Facts {
            producer_id,
            producer_epoch,
            timeout_ms,
            state: State::Empty,
            partitions: Default::default(),
            started_ms: 0,
            updated_ms: 0,
            timed_out: false,
            raised: None,
        };
        let answer = match step.view.transaction_version() {
            2.. => Response::InitProducerIdTv2 { producer_id, producer_epoch },
            _ => Response::InitProducerId { producer_id, producer_epoch },
        };
        self.go(step, id, facts, Some((to, answer)));
    }

    /// The id has been idle for too long: nothing is known of it any more (A48).
    pub(super) fn forget(&mut self, step: &mut Step<'_>, id: &str) {
        assert!(self.pending.is_none(), "one transition at a time");
        step.append(id, None, None);
        self.pending = Some(Pending::Dead);
    }
}
