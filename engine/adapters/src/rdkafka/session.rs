//! Transactions through librdkafka: TV1 only, seven threads and about 0.7 MB for each transactional id.
//!
//! Its own rule for a commit that failed is not ours. "Abortable" may follow a commit that the coordinator executed (librdkafka says so where it sets
//! it), and under TV1 a delayed EndTxn decides a *later* transaction of the same incarnation (KAFKA-17754). So whatever does not end in a definite answer
//! is in doubt, and takes the handle with it: the next session of the id is a new incarnation, which fences what may still be on its way.

use super::errors::{is_fenced, told};
use super::native::{Code, Handle, Kind, NativeError, Partitions};
use super::outbox::Outbox;
use super::{Kafka, Shared, config};
use crate::kafka::codes::{is_elder, is_put_out};
use crate::kafka::consumed::Consumed;
use crate::kafka::patience::before;
use log::history::{Event, Phase};
use log::{ErrorCode, GroupProof, Position, Reason, Record, SendTicket, Tp, Tx, TxEnd, TxSession};
use runtime::time;
use std::sync::Arc;
use std::time::Duration;

/// Longest single blocking call for a new incarnation.
const INIT_TRY_MS: u64 = 2_000;

/// A call that has not returned so long after its time is given up.
const OVERTIME_MS: u64 = 1_000;

struct Core {
    shared: Arc<Shared>,
    id: String,
    handle: Arc<Handle>,
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
    /// Does librdkafka know of it? An empty transaction asks nobody.
    begun: bool,
    /// It could not be opened.
    broken: Option<Reason>,
}

impl Kafka {
    pub(super) async fn open_session(&self, id: &str, transaction_timeout_ms: u32, deadline_ms: u64) -> Result<KafkaSession, Reason> {
        let shared = self.shared.clone();
        let handle = Handle::new(Kind::Producer, &shared.config.transactional(id, transaction_timeout_ms)).map_err(Reason::Ended)?;
        config::assert_sending(&handle);
        loop {
            let left_ms = deadline_ms.saturating_sub(time::monotonic_ms());
            if left_ms == 0 {
                return Err(Reason::Deadline);
            }
            match blocking(&handle, left_ms.min(INIT_TRY_MS), Handle::init_transactions).await {
                None => break,
                Some(error) if is_fenced(error.code) => return Err(Reason::Answered(ErrorCode::ProducerFenced)),
                Some(error) if error.is_fatal || !error.is_retriable => return Err(told(&error)),
                Some(_) => time::sleep(Duration::from_millis(20)).await,
            }
        }
        let outbox = Outbox::transactional(shared.clone(), handle.clone());
        Ok(KafkaSession { core: Box::new(Core { shared, id: id.to_owned(), handle, outbox }) })
    }
}

/// A call that blocks its thread, at most so long: librdkafka's word, and ours where it does not keep it. A call that is given up keeps its thread and the
/// handle until it returns; no other call of that handle works meanwhile.
async fn blocking(handle: &Arc<Handle>, wait_ms: u64, call: impl FnOnce(&Handle, i32) -> Option<NativeError> + Send + 'static) -> Option<NativeError> {
    let handle = handle.clone();
    let allowed_ms = i32::try_from(wait_ms).unwrap_or(i32::MAX);
    let called = runtime::task::off_thread(move || call(&handle, allowed_ms));
    match time::timeout(Duration::from_millis(wait_ms + OVERTIME_MS), called).await {
        Ok(returned) => returned,
        Err(_) => {
            Some(NativeError { code: Code::TIMED_OUT, text: "no answer in time".to_owned(), is_fatal: false, is_retriable: false, requires_abort: false })
        }
    }
}

impl Core {
    fn observe(&self, phase: Phase, fenced: bool) {
        // librdkafka tells neither its producer id nor its epoch.
        self.shared.observer.observe_with(|| Event::Transaction { transactional_id: self.id.clone(), producer_id: -1, producer_epoch: -1, phase, fenced });
    }
}

impl TxSession for KafkaSession {
    type Tx = KafkaTx;

    fn begin(self) -> KafkaTx {
        let mut core = self.core;
        core.observe(Phase::Invoke, false);
        core.outbox.begin();
        KafkaTx { core, offsets: Consumed::default(), begun: false, broken: None }
    }
}

impl Tx for KafkaTx {
    type Session = KafkaSession;

    fn send(&mut self, tp: Tp, record: Record) -> SendTicket {
        self.open();
        // Not open, librdkafka refuses it.
        let deadline_ms = time::monotonic_ms() + self.core.shared.config.delivery_timeout_ms;
        self.core.outbox.send(tp, &record, deadline_ms)
    }

    fn consumed(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)]) {
        self.offsets.add(proof.lease, at);
    }

    async fn commit(mut self, deadline_ms: u64) -> TxEnd<KafkaSession> {
        if !self.offsets.by_owner().is_empty() {
            self.open();
        }
        if let Some(why) = self.broken.clone() {
            return self.failed(why);
        }
        if !self.begun {
            return self.committed();
        }
        match before(deadline_ms, self.core.outbox.settled()).await {
            Some(Ok(())) => {}
            Some(Err(why)) => return self.abort_because(why, deadline_ms).await,
            None => return self.in_doubt(Reason::Deadline),
        }
        if let Err(error) = self.hand_over(deadline_ms).await {
            return match told(&error) {
                why if is_fenced(error.code) => self.fenced(why),
                // The handle takes no other call while that one blocks.
                why if error.code == Code::TIMED_OUT => self.in_doubt(why),
                why => self.abort_because(why, deadline_ms).await,
            };
        }
        let left_ms = deadline_ms.saturating_sub(time::monotonic_ms()).max(1);
        match blocking(&self.core.handle, left_ms, Handle::commit_transaction).await {
            None => self.committed(),
            Some(error) => self.failed(told(&error)),
        }
    }

    async fn abort(self, deadline_ms: u64) -> TxEnd<KafkaSession> {
        self.abort_because(Reason::Ended("aborted as asked".to_owned()), deadline_ms).await
    }
}

impl KafkaTx {
    fn open(&mut self) {
        if !self.begun && self.broken.is_none() {
            self.broken = self.core.handle.begin_transaction().map(|error| told(&error));
            self.begun = self.broken.is_none();
        }
    }

    /// Makes the positions part of the transaction; tries again while that may help.
    async fn hand_over(&self, deadline_ms: u64) -> Result<(), NativeError> {
        for ((group, generation, member, instance), at) in self.offsets.by_owner() {
            loop {
                let mut list = Partitions::new();
                for (tp, position) in at {
                    let partition = i32::try_from(tp.partition).expect("partitions are few");
                    list.add(&self.core.shared.topics.name(*tp), partition, position.next.0, position.epoch);
                }
                let (group, generation, member, instance) = (group.clone(), *generation, member.clone(), instance.clone());
                let left_ms = deadline_ms.saturating_sub(time::monotonic_ms()).max(1);
                let call = move |handle: &Handle, wait_ms| handle.send_offsets(&list, &group, generation, &member, instance.as_deref(), wait_ms);
                match blocking(&self.core.handle, left_ms, call).await {
                    None => break,
                    Some(error) if error.is_retriable && !error.requires_abort && time::monotonic_ms() < deadline_ms => {
                        time::sleep(Duration::from_millis(20)).await;
                    }
                    Some(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// No EndTxn has left: the transaction is open, or the coordinator has ended it.
    async fn abort_because(self, why: Reason, deadline_ms: u64) -> TxEnd<KafkaSession> {
        if self.core.handle.fatal().is_some() {
            return self.failed(why);
        }
        if self.begun {
            let left_ms = deadline_ms.saturating_sub(time::monotonic_ms()).max(1);
            if let Some(error) = blocking(&self.core.handle, left_ms, Handle::abort_transaction).await {
                return self.failed(told(&error));
            }
            if before(deadline_ms.max(time::monotonic_ms() + 1_000), self.core.outbox.drained()).await.is_none() {
                return self.in_doubt(Reason::Deadline);
            }
        }
        // A member put out of its group has lost the partition, whatever became of the transaction.
        if is_put_out(&why) {
            return self.fenced(why);
        }
        self.core.observe(Phase::Fail, false);
        TxEnd::Aborted(KafkaSession { core: self.core }, why)
    }

    /// The end is not known, unless the handle knows that it was fenced.
    fn failed(self, why: Reason) -> TxEnd<KafkaSession> {
        let fenced = self.core.handle.fatal().is_some_and(|(code, _)| is_fenced(code));
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
