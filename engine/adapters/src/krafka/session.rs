//! Transactions through krafka: TV2 where every broker has it, TV1 elsewhere.
//!
//! krafka says itself when it does not know what became of a commit (`CommitUnknown`); the client goes then, as it does when it did not come to an end in
//! time: the next session of the id is a new incarnation, which fences what may still be on its way (KAFKA-17754).

use super::connect::{connect, transactional, transactional_request_ms};
use super::errors::{is_fenced, reason};
use super::outbox::Outbox;
use super::{Kafka, Shared};
use crate::kafka::codes::{is_elder, is_put_out};
use crate::kafka::consumed::Consumed;
use crate::kafka::patience::before;
use ::krafka::KrafkaError;
use ::krafka::consumer::ConsumerGroupMetadata;
use ::krafka::producer::{TopicPartitionOffset, TransactionState, TransactionalProducer};
use log::history::{Event, Phase};
use log::{ErrorCode, GroupProof, Position, Reason, Record, SendTicket, Tp, Tx, TxEnd, TxSession};
use runtime::time;
use std::sync::Arc;
use std::time::Duration;

struct Core {
    shared: Arc<Shared>,
    client: Arc<TransactionalProducer>,
    outbox: Outbox,
}

/// A session between transactions.
pub struct KafkaSession {
    core: Box<Core>,
}

/// An open transaction. Dropped, it stays open until the coordinator's timeout, or until the next session of its id.
pub struct KafkaTx {
    core: Box<Core>,
    offsets: Consumed,
}

impl Kafka {
    pub(super) async fn open_session(&self, id: &str, transaction_timeout_ms: u32, deadline_ms: u64) -> Result<KafkaSession, Reason> {
        let shared = self.shared.clone();
        let mut last = Reason::Deadline;
        let client = loop {
            let begun = before(deadline_ms, begin(&shared, id, transaction_timeout_ms)).await;
            match begun {
                Some(Ok(client)) => break Arc::new(client),
                Some(Err(error)) if is_fenced(&error) => return Err(Reason::Answered(ErrorCode::ProducerFenced)),
                Some(Err(error)) if !error.is_retriable() => return Err(reason(&error)),
                Some(Err(error)) => last = reason(&error),
                None => return Err(last),
            }
            time::sleep(Duration::from_millis(20)).await;
        };
        let outbox = Outbox::transactional(shared.clone(), client.clone());
        Ok(KafkaSession { core: Box::new(Core { shared, client, outbox }) })
    }
}

/// A new incarnation.
async fn begin(shared: &Shared, id: &str, transaction_timeout_ms: u32) -> Result<TransactionalProducer, KrafkaError> {
    let kafka = connect(&shared.config, transactional_request_ms(&shared.config, transaction_timeout_ms)).await?;
    transactional(&kafka, &shared.config, transaction_timeout_ms).build_transactional(id).await
}

impl Core {
    fn observe(&self, phase: Phase, fenced: bool) {
        self.shared.observer.observe_with(|| Event::Transaction {
            transactional_id: self.client.transactional_id().to_owned(),
            producer_id: self.client.producer_id(),
            producer_epoch: self.client.producer_epoch(),
            phase,
            fenced,
        });
    }
}

impl TxSession for KafkaSession {
    type Tx = KafkaTx;

    fn begin(self) -> KafkaTx {
        let core = self.core;
        core.observe(Phase::Invoke, false);
        core.outbox.sending.begin();
        KafkaTx { core, offsets: Consumed::default() }
    }
}

impl Tx for KafkaTx {
    type Session = KafkaSession;

    fn send(&mut self, tp: Tp, record: Record) -> SendTicket {
        let deadline_ms = time::monotonic_ms() + self.core.shared.config.delivery_timeout_ms;
        self.core.outbox.send(tp, record, deadline_ms)
    }

    fn consumed(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)]) {
        self.offsets.add(proof.lease, at);
    }

    async fn commit(self, deadline_ms: u64) -> TxEnd<KafkaSession> {
        match before(deadline_ms, self.core.outbox.sending.settled()).await {
            Some(Ok(())) => {}
            Some(Err(why)) => return self.abort_because(why, deadline_ms).await,
            None => return self.in_doubt(Reason::Deadline),
        }
        match before(deadline_ms, self.hand_over()).await {
            Some(Ok(())) => {}
            Some(Err(error)) if is_fenced(&error) => return self.fenced(reason(&error)),
            Some(Err(error)) => return self.abort_because(reason(&error), deadline_ms).await,
            None => return self.in_doubt(Reason::Deadline),
        }
        if !self.is_begun() {
            return self.committed();
        }
        match before(deadline_ms, self.core.client.commit()).await {
            Some(Ok(())) => self.committed(),
            // Open: the coordinator was not asked, or refused; nothing of it is unanswered.
            Some(Err(error)) if self.core.client.state() == TransactionState::Open => self.abort_because(reason(&error), deadline_ms).await,
            Some(Err(error)) => {
                let fenced = is_fenced(&error);
                self.failed(reason(&error), fenced)
            }
            None => self.in_doubt(Reason::Deadline),
        }
    }

    async fn abort(self, deadline_ms: u64) -> TxEnd<KafkaSession> {
        self.abort_because(Reason::Ended("aborted as asked".to_owned()), deadline_ms).await
    }
}

impl KafkaTx {
    /// Does krafka know of it? An empty transaction asks nobody.
    fn is_begun(&self) -> bool {
        self.core.client.state() != TransactionState::Ready
    }

    /// Makes the positions part of the transaction. Without their epochs, which krafka does not send here.
    async fn hand_over(&self) -> Result<(), KrafkaError> {
        for ((group, generation, member, instance), at) in self.offsets.by_owner() {
            let offset = |(tp, position): (&Tp, &Position)| {
                let (topic, partition) = self.core.shared.named(*tp);
                TopicPartitionOffset::new(topic, partition, position.next.0)
            };
            let offsets: Vec<TopicPartitionOffset> = at.iter().map(offset).collect();
            let owner = ConsumerGroupMetadata::new(group, *generation, member, instance.clone());
            if !self.is_begun() {
                self.core.client.begin()?;
            }
            self.core.client.send_offsets(&offsets, &owner).await?;
        }
        Ok(())
    }

    /// No EndTxn that commits has left, or none is unanswered: the transaction is open, or the coordinator has ended it.
    async fn abort_because(self, why: Reason, deadline_ms: u64) -> TxEnd<KafkaSession> {
        // Whatever is on its way goes first, also what nobody waits for any more.
        let deadline_ms = deadline_ms.max(time::monotonic_ms() + 1_000);
        if before(deadline_ms, self.core.outbox.sending.drained()).await.is_none() {
            return self.in_doubt(Reason::Deadline);
        }
        let handing = self.core.outbox.handing.clone();
        let Some(_handing) = before(deadline_ms, handing.lock()).await else { return self.in_doubt(Reason::Deadline) };
        match self.core.client.state() {
            TransactionState::Ready => {}
            // A send or a position that was refused has told that this is an elder.
            TransactionState::Fatal => return self.failed(why, false),
            _ => match before(deadline_ms, self.core.client.abort()).await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    let fenced = is_fenced(&error);
                    return self.failed(reason(&error), fenced);
                }
                None => return self.in_doubt(Reason::Deadline),
            },
        }
        // A member put out of its group has lost the partition, whatever became of the transaction.
        if is_put_out(&why) {
            return self.fenced(why);
        }
        self.core.observe(Phase::Fail, false);
        TxEnd::Aborted(KafkaSession { core: self.core }, why)
    }

    /// The end is not known, unless it was told that this is an elder.
    fn failed(self, why: Reason, fenced: bool) -> TxEnd<KafkaSession> {
        if fenced || is_elder(&why) {
            return self.fenced(Reason::Answered(ErrorCode::ProducerFenced));
        }
        self.in_doubt(why)
    }

    fn committed(self) -> TxEnd<KafkaSession> {
        self.core.observe(Phase::Ok, false);
        TxEnd::Committed(KafkaSession { core: self.core })
    }

    fn fenced(self, why: Reason) -> TxEnd<KafkaSession> {
        self.core.observe(Phase::Fail, true);
        TxEnd::Fenced(why)
    }

    fn in_doubt(self, why: Reason) -> TxEnd<KafkaSession> {
        self.core.observe(Phase::Unknown, false);
        TxEnd::InDoubt(why)
    }
}
