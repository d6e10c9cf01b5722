//! What ends with time: open transactions (A45), and ids that nobody uses (A48). And what a new coordinator takes up where the former left it.

use super::Step;
use super::record::State;
use super::state::Transaction;

impl Transaction {
    /// After a failover: markers of a decided transaction are written again (a second marker changes nothing), and an open one has the time
    /// that the wall clock says is left of its timeout.
    pub(super) fn resume(&mut self, step: &mut Step<'_>, id: &str) {
        let facts = self.facts.as_ref().expect("what is loaded is known");
        match facts.state {
            State::Ongoing => {
                let taken_ms = step.now.wall_ms.saturating_sub(facts.started_ms);
                let left_ms = u64::from(facts.timeout_ms).saturating_sub(taken_ms);
                self.await_timeout(step, left_ms);
            }
            State::PrepareCommit | State::PrepareAbort => self.prepared(step, id),
            State::Empty | State::CompleteCommit | State::CompleteAbort => step.wake_by(step.after(step.config().transactional_id_expiration_ms)),
        }
    }

    /// The transaction is open: it has `left_ms` from now.
    pub(super) fn await_timeout(&mut self, step: &mut Step<'_>, left_ms: u64) {
        self.times_out_ms = Some(step.after(left_ms));
        step.wake_by(step.after(step.config().transaction_scan_ms));
    }

    /// The alarm rang: does whatever time asks for, and says when to look again.
    pub(super) fn expire(&mut self, step: &mut Step<'_>, id: &str) {
        let Some(facts) = self.facts.as_ref().filter(|_| self.pending.is_none()) else { return };
        let (state, updated_ms) = (facts.state, facts.updated_ms);
        match state {
            State::Ongoing if self.times_out_ms.is_some_and(|times_out_ms| times_out_ms <= step.now.monotonic_ms) => self.fence(step, id, true, None),
            State::Ongoing => step.wake_by(step.after(step.config().transaction_scan_ms)),
            State::PrepareCommit | State::PrepareAbort => self.send_markers(step, id),
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                let expiration_ms = step.config().transactional_id_expiration_ms;
                match step.now.wall_ms.saturating_sub(updated_ms) {
                    idle_ms if idle_ms >= expiration_ms => self.forget(step, id),
                    // A wall clock may jump: not oftener than every scan.
                    idle_ms => step.wake_by(step.after((expiration_ms - idle_ms).max(step.config().transaction_scan_ms))),
                }
            }
        }
    }
}
