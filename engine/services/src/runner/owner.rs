//! One partition's owner: takes over, applies batches, publishes, and goes on only after the verdict on each.
//!
//! Taking over, in this order: a transaction session (fences every elder, ends what it left open); the committed position; restore; the claim of a new epoch.
//! After an abort, a fence, a loss or a doubt everything is dropped and rebuilt from committed input; there is no undo.

use super::ServiceError;
use super::machine::Service;
use super::plain::Plain;
use super::restore::{Journal, restore};
use super::tenure::{Addressed, Tenure};
use super::transact::{Ask, Leased, Shared};
use log::{Anchor, Batch, Event, LogPort, Next, Position, Producer, Reason, SendTicket, Tx, TxEnd, TxSession};
use runtime::time::{monotonic_ms, sleep, timeout};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::Topic;

/// Why a tenure ended though the lease is still held.
enum Ended {
    /// Rebuild and go on.
    Rebuild(ServiceError),
    /// The dispatcher wants the partition back.
    Revoked,
}

/// How this owner publishes.
enum Publisher<L: LogPort> {
    Transactions(L::Session),
    Plain(Plain<L>),
}

/// One partition, while its lease lasts.
pub(super) struct Owner<L: LogPort, S: Service> {
    pub shared: Arc<Shared<L, S>>,
    pub lease: Arc<Leased>,
    pub input: Topic,
    pub asks: mpsc::Sender<Ask>,
}

impl<L: LogPort, S: Service> Owner<L, S> {
    /// Tenure after tenure until the dispatcher takes the partition back.
    pub async fn run(self) {
        loop {
            match self.tenure().await {
                Ended::Revoked => return,
                Ended::Rebuild(why @ ServiceError::Newer { .. }) => {
                    // Unless the dispatcher is gone already.
                    let _heard = self.asks.send(Ask::End(why)).await;
                    return;
                }
                Ended::Rebuild(why) => {
                    runtime::reached!("machine_rebuilt");
                    self.shared.say(format!("{} rebuilds {:?}: {why}", self.shared.service.name(), self.lease.tp));
                    // Whoever fenced us may be the next member of the group: hear of it first, or two owners fence each other in turns.
                    sleep(Duration::from_millis(self.shared.config.rebuild_backoff_ms)).await;
                }
            }
        }
    }

    async fn tenure(&self) -> Ended {
        let (publisher, tenure, position) = match self.take_over().await {
            Ok(taken) => taken,
            Err(why) => return Ended::Rebuild(why),
        };
        let (feed, batches) = mpsc::channel(1);
        let seek = Ask::Start { tp: self.lease.tp, at: position, feed };
        if self.asks.send(seek).await.is_err() {
            return Ended::Revoked;
        }
        Living { owner: self, tenure, publisher, position, uncommitted: None, verdicts: 0 }.live(batches).await
    }

    async fn take_over(&self) -> Result<(Publisher<L>, Tenure<S>, Position), ServiceError> {
        let Shared { log, config, service, partitions, .. } = &*self.shared;
        let tp = self.lease.tp;
        let deadline_ms = monotonic_ms() + config.takeover_deadline_ms;
        let publisher = if config.transactions {
            let id = format!("{}-{}-{}", service.name(), self.input.name(), tp.partition);
            Publisher::Transactions(log.tx_session(&id, config.transaction_timeout_ms, deadline_ms).await.map_err(ServiceError::Log)?)
        } else {
            Publisher::Plain(Plain { producer: log.producer().await.map_err(ServiceError::Log)?, journal: None })
        };
        let committed = log.offset_at(tp, Anchor::Committed(service.group().to_owned()), deadline_ms).await.done().map_err(ServiceError::Log)?;
        let position = committed.unwrap_or(Position::START);
        let mut tenure = Tenure::new(service, self.input, tp.partition, partitions.clone(), config.tick_ms);
        // A policy keeps nothing but what counts as seen, and needs that. Seed 147, scenario `no_transactions`:
        // 1. matching_engine-1 sends events up to offset 370 and is gone before it commits its position;
        // 2. wallet-3 acts on them, commits 371, and leaves;
        // 3. wallet-1 goes on from 371, with nothing seen;
        // 4. matching_engine-2 takes over and sends the same events once more, from offset 372 on: they do not count, and wallet-1 acts on them.
        restore(log, tp, position.next, &mut tenure).await?;
        let Some(journal) = service.journal() else { return Ok((publisher, tenure, position)) };
        let publisher = self.claim(publisher, &mut tenure, journal, position).await?;
        runtime::reached!("partition_taken_over");
        Ok((publisher, tenure, position))
    }

    /// Writes `Owned { epoch: last + 1 }` first of all, and is sure of *last* only afterwards: the claim's offset comes from a leader that could replicate it,
    /// and everything before it is read from one that has it.
    ///
    /// Seed 71470066141777, scenario `rebalance_storm`, found what happens without:
    /// 1. broker-1 leads the journal; it is cut off from the other brokers, and the controller hands the leadership on;
    /// 2. the cut heals, but the controller's word does not reach broker-1: it goes on believing that it leads;
    /// 3. account-2 takes the partition over at the new leader and claims epoch 2;
    /// 4. account-1 starts afresh, takes the partition over, and learns from broker-1 who leads: broker-1;
    /// 5. broker-1 answers with the end from before step 1: the last epoch there is 1;
    /// 6. account-1 claims epoch 2 as well; the claim finds its way to the new leader, and is committed.
    ///
    /// Only a question has a deadline, not the reading: that takes as long as there is log. Seed 3, scenario `steady_flow`, with a quota
    /// that makes reading slow (`scenarios/regressions/0003-steady-flow.json`):
    /// 1. account-1 takes over, reads all input below the committed position, and has used up the takeover's deadline;
    /// 2. it asks for the journal's end: the deadline has passed;
    /// 3. it rebuilds, from the log's start again, and so on for ever.
    async fn claim(&self, publisher: Publisher<L>, tenure: &mut Tenure<S>, journal: Topic, position: Position) -> Result<Publisher<L>, ServiceError> {
        let Shared { log, service, topics, config, .. } = &*self.shared;
        let mut journal = Journal::new(topics[&journal].tp(self.lease.tp.partition));
        journal.read_to_end(log, monotonic_ms() + config.takeover_deadline_ms).await?;
        let deadline_ms = monotonic_ms() + config.takeover_deadline_ms;
        let epoch = journal.epoch + 1;
        tenure.begin_epoch(epoch);
        let record = tenure.claim(&service.owned(epoch, runtime::rng::Rng::of_node("claim").next_u64()), position.next.0);
        match publisher {
            Publisher::Transactions(session) => {
                let mut tx = session.begin();
                let ticket = tx.send(journal.tp, record);
                let end = match self.first_of_epoch(&mut journal, epoch, ticket).await.and_then(|()| nothing_beyond(&journal, position)) {
                    Ok(()) => tx.commit(deadline_ms).await,
                    Err(why) => {
                        let _the_next_session_ends_it_otherwise = tx.abort(deadline_ms).await;
                        return Err(why);
                    }
                };
                match end {
                    TxEnd::Committed(session) => Ok(Publisher::Transactions(session)),
                    TxEnd::Aborted(_, reason) | TxEnd::Fenced(reason) | TxEnd::InDoubt(reason) => Err(ServiceError::Log(reason)),
                }
            }
            Publisher::Plain(mut plain) => {
                let ticket = plain.producer.send(journal.tp, record, deadline_ms);
                self.first_of_epoch(&mut journal, epoch, ticket).await?;
                Ok(Publisher::Plain(Plain { journal: Some((journal, epoch)), ..plain }))
            }
        }
    }

    /// Waits for the claim's offset and reads everything before it. Only the first claim of an epoch counts.
    async fn first_of_epoch(&self, journal: &mut Journal, epoch: u32, claim: SendTicket) -> Result<(), ServiceError> {
        let acked = claim.outcome().await.done().map_err(ServiceError::Log)?;
        let Some(offset) = acked.offset else {
            return Err(ServiceError::Log(Reason::Ended("the log did not tell the offset of a claim".to_owned())));
        };
        journal.read_to(&self.shared.log, Next(offset)).await?;
        if journal.epoch >= epoch {
            runtime::reached!("claim_lost");
            return Err(ServiceError::Log(Reason::Ended(format!("epoch {epoch} was claimed by another owner"))));
        }
        Ok(())
    }
}

/// The committed position, too, may come from a coordinator that was deposed and does not know. With transactions the journal cannot be ahead of it.
fn nothing_beyond(journal: &Journal, position: Position) -> Result<(), ServiceError> {
    if journal.published > position.next {
        runtime::reached!("committed_position_was_old");
        return Err(ServiceError::Log(Reason::Ended(format!(
            "the journal knows of input up to {:?}, the committed position is {:?}",
            journal.published, position.next
        ))));
    }
    Ok(())
}

/// A tenure that has taken over.
struct Living<'o, L: LogPort, S: Service> {
    owner: &'o Owner<L, S>,
    tenure: Tenure<S>,
    publisher: Publisher<L>,
    /// Committed.
    position: Position,
    /// Applied without outputs, not committed yet, and since when.
    uncommitted: Option<(Position, u64)>,
    /// Verdicts heard, to sample state hashes.
    verdicts: u64,
}

impl<L: LogPort, S: Service> Living<'_, L, S> {
    async fn live(mut self, mut batches: mpsc::Receiver<Batch>) -> Ended {
        let idle_commit_ms = self.owner.shared.config.idle_commit_ms;
        loop {
            // Without anything to commit there is no timer: one that is set for ever would never be taken back.
            let heard = match self.uncommitted {
                Some((_, since_ms)) => {
                    let wait_ms = (since_ms + idle_commit_ms).saturating_sub(monotonic_ms()).max(1);
                    timeout(Duration::from_millis(wait_ms), batches.recv()).await
                }
                None => Ok(batches.recv().await),
            };
            let step = match heard {
                Ok(None) => return Ended::Revoked,
                Ok(Some(batch)) => self.batch(batch).await,
                Err(_) => self.publish_position().await,
            };
            self = match step {
                Ok(living) => living,
                Err(why) => return Ended::Rebuild(why),
            };
        }
    }

    async fn batch(mut self, batch: Batch) -> Result<Self, ServiceError> {
        let outputs = self.tenure.apply(&batch.records)?;
        let tp = self.owner.lease.tp;
        let mut living = if outputs.is_empty() {
            let since_ms = self.uncommitted.map_or_else(monotonic_ms, |(_, since_ms)| since_ms);
            self.uncommitted = Some((batch.position, since_ms));
            self
        } else {
            self.publish(outputs, batch.position).await?
        };
        if living.owner.asks.send(Ask::More { tp }).await.is_err() {
            // The dispatcher is gone: the feed will end next.
            living.uncommitted = None;
        }
        Ok(living)
    }

    async fn publish_position(self) -> Result<Self, ServiceError> {
        match self.uncommitted {
            Some((position, _)) => self.publish(Vec::new(), position).await,
            None => Ok(self),
        }
    }

    /// Outputs and position, then the verdict.
    async fn publish(mut self, outputs: Vec<Addressed>, position: Position) -> Result<Self, ServiceError> {
        let deadline_ms = monotonic_ms() + self.owner.shared.config.publish_deadline_ms;
        self.publisher = match self.publisher {
            Publisher::Transactions(session) => {
                Publisher::Transactions(publish_in_transaction::<L, S>(self.owner, session, outputs, position, deadline_ms).await?)
            }
            Publisher::Plain(plain) => Publisher::Plain(plain.publish(self.owner, outputs, position, deadline_ms).await?),
        };
        runtime::reached!("position_committed");
        self.position = position;
        self.uncommitted = None;
        self.verdicts += 1;
        self.note_state();
        Ok(self)
    }

    /// One verdict in sixteen leaves a state hash in the history: `replay_equals_live` compares a fresh machine with it.
    fn note_state(&self) {
        let observer = &self.owner.shared.observer;
        if observer.is_on() && self.verdicts % 16 == 1 && self.owner.shared.service.journal().is_some() {
            let Next(next) = self.position.next;
            observer.observe(Event::StateHash {
                service: self.owner.shared.service.name().to_owned(),
                tp: self.owner.lease.tp,
                next,
                hash: self.tenure.state_hash(),
            });
        }
    }
}

async fn publish_in_transaction<L: LogPort, S: Service>(
    owner: &Owner<L, S>,
    session: L::Session,
    outputs: Vec<Addressed>,
    position: Position,
    deadline_ms: u64,
) -> Result<L::Session, ServiceError> {
    let mut tx = session.begin();
    for output in outputs {
        let _verdict_comes_with_the_commit = tx.send(owner.shared.topics[&output.topic].tp(output.partition), output.record);
    }
    tx.consumed(owner.lease.now().proof(), &[(owner.lease.tp, position)]);
    match tx.commit(deadline_ms).await {
        TxEnd::Committed(session) => Ok(session),
        TxEnd::Aborted(_, reason) => {
            runtime::reached!("txn_aborted");
            Err(ServiceError::Log(reason))
        }
        TxEnd::Fenced(reason) => {
            runtime::reached!("zombie_fenced");
            Err(ServiceError::Log(reason))
        }
        TxEnd::InDoubt(reason) => {
            runtime::reached!("txn_in_doubt");
            Err(ServiceError::Log(reason))
        }
    }
}

/// Topics by their number, as the log knows them.
pub(super) type Topics = BTreeMap<Topic, log::TopicInfo>;
