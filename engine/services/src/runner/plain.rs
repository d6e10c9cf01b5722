//! Publishing without transactions: outputs, a look at the journal, then the position.

use super::ServiceError;
use super::machine::Service;
use super::owner::Owner;
use super::restore::Journal;
use super::tenure::Addressed;
use super::transact::Ask;
use log::{LogPort, Next, Outcome, Position, Producer, Reason};
use tokio::sync::oneshot;

/// An owner's plain sends.
pub(super) struct Plain<L: LogPort> {
    pub producer: L::Producer,
    /// A machine's journal, and the epoch that it claimed there.
    pub journal: Option<(Journal, u32)>,
}

impl<L: LogPort> Plain<L> {
    /// Sends; once all of it is acknowledged and still counts, commits the position.
    pub async fn publish<S: Service>(
        mut self,
        owner: &Owner<L, S>,
        outputs: Vec<Addressed>,
        position: Position,
        deadline_ms: u64,
    ) -> Result<Self, ServiceError> {
        let mut tickets = Vec::with_capacity(outputs.len());
        for output in outputs {
            tickets.push(self.producer.send(owner.shared.topics[&output.topic].tp(output.partition), output.record, deadline_ms));
        }
        let (sent, mut journal_end) = (!tickets.is_empty(), None);
        for ticket in tickets {
            let acked = ticket.outcome().await.done().map_err(ServiceError::Log)?;
            if self.journal.as_ref().is_some_and(|(journal, _)| journal.tp == acked.tp) {
                journal_end = acked.offset;
            }
        }
        if sent {
            self.still_counts(&owner.shared.log, journal_end, deadline_ms).await?;
        }
        commit(owner, position, deadline_ms).await.map(|()| self)
    }

    /// Nothing fences a plain producer, so that an owner must look whether its epoch is over before it says that its input is dealt with.
    ///
    /// Seed 3, scenario `no_transactions`, found what happens without:
    /// 1. account-1 is given a partition and stands still; the group goes on, and account-2 owns the partition in epoch 1;
    /// 2. account-1 wakes up, takes over what it was given long ago, and claims epoch 2, which is the first claim of it;
    /// 3. account-1 hears that it was expelled, and is gone;
    /// 4. account-2 sends in epoch 1, which counts no more, and commits its position: the orders of that batch are lost.
    async fn still_counts(&mut self, log: &L, journal_end: Option<i64>, deadline_ms: u64) -> Result<(), ServiceError> {
        let Some((journal, epoch)) = &mut self.journal else { return Ok(()) };
        match journal_end {
            Some(offset) => journal.read_to(log, Next(offset + 1)).await?,
            None => journal.read_to_end(log, deadline_ms).await?,
        }
        if journal.epoch > *epoch {
            runtime::reached!("epoch_was_over");
            return Err(ServiceError::Log(Reason::Ended(format!("epoch {epoch} is over: epoch {} was claimed", journal.epoch))));
        }
        Ok(())
    }
}

async fn commit<L: LogPort, S: Service>(owner: &Owner<L, S>, at: Position, deadline_ms: u64) -> Result<(), ServiceError> {
    let (reply, verdict) = oneshot::channel();
    let ask = Ask::Commit { lease: owner.lease.now(), at, deadline_ms, reply };
    let outcome = match owner.asks.send(ask).await {
        Ok(()) => verdict.await.unwrap_or(Outcome::Unknown(Reason::Disconnected)),
        Err(_) => Outcome::Unknown(Reason::Disconnected),
    };
    outcome.done().map_err(ServiceError::Log)
}
