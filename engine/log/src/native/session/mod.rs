//! Transactions (`kafka.md` A.5): one session per transactional id, one transaction at a time; of version 2 where the cluster offers it, else of version 1,
//! the one librdkafka knows.
//!
//! Under TV1 a request that was never answered may still act on a *later* transaction of the same incarnation (A41). A session that has one outstanding,
//! or sequences that are not resolved, takes a new incarnation before it goes on.

mod end;
mod offsets;

use super::lookup::Coordinator;
use super::producer::{Command, Failed, Identity, Queue, Transaction, of_transactions};
use super::{Native, Shared};
use crate::history::{Event, Phase};
use crate::native::cluster::Links;
use crate::native::lookup::before;
use crate::port::{GroupProof, Position, Reason, Record, SendTicket, Tx, TxEnd, TxSession};
use broker::protocol::{CoordinatorKind, Tp};
use offsets::Offsets;
use runtime::time;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, oneshot};

/// A session between transactions.
pub struct NativeSession {
    core: Box<Core>,
}

/// An open transaction. Dropped, it stays open until the coordinator's timeout, or until the next session of its id.
pub struct NativeTx {
    core: Box<Core>,
    offsets: Offsets,
    /// Was anything sent, so that the coordinator may know of the transaction?
    sent: bool,
    /// A send was refused before it was queued.
    refused: Option<Reason>,
}

struct Core {
    shared: Arc<Shared>,
    id: Arc<str>,
    timeout_ms: u32,
    identity: Identity,
    /// Who it is from the next transaction on, if the end of this one raised the epoch.
    next: Option<Identity>,
    /// Transactions of version 2 (A42): every end raises the epoch, so that nothing of one transaction can act on the next.
    is_tv2: bool,
    coordinator: Arc<Mutex<Coordinator>>,
    /// Of the groups whose positions it commits.
    groups: Mutex<BTreeMap<String, Coordinator>>,
    /// A request of this incarnation was not answered and may still act later (A41): a new one is needed before the next transaction.
    stale: AtomicBool,
    queue: Queue,
    /// Why no transaction can be opened: a new incarnation was needed and not got.
    broken: Option<Reason>,
}

impl Native {
    pub(super) async fn open_session(&self, id: &str, timeout_ms: u32, deadline_ms: u64) -> Result<NativeSession, Reason> {
        let shared = self.shared.clone();
        let id: Arc<str> = id.into();
        let mut coordinator = Coordinator::new(CoordinatorKind::Transaction, &*id, Links::new(&shared.config));
        let (identity, is_tv2) = of_transactions(&shared, &mut coordinator, &id, timeout_ms, deadline_ms).await?;
        let coordinator = Arc::new(Mutex::new(coordinator));
        let queue = Queue::open(shared.clone(), identity, Some(Transaction::new(id.clone(), coordinator.clone(), identity, is_tv2)));
        let core = Core {
            shared,
            id,
            timeout_ms,
            identity,
            next: None,
            is_tv2,
            coordinator,
            groups: Mutex::default(),
            stale: AtomicBool::new(false),
            queue,
            broken: None,
        };
        Ok(NativeSession { core: Box::new(core) })
    }
}

impl Core {
    fn observe(&self, phase: Phase, fenced: bool) {
        self.shared.observer.observe_with(|| Event::Transaction {
            transactional_id: self.id.to_string(),
            producer_id: self.identity.id,
            producer_epoch: self.identity.epoch,
            phase,
            fenced,
        });
    }

    /// Waits until every send is decided.
    async fn flush(&self, deadline_ms: u64) -> Result<(), Option<Failed>> {
        let (flushed, decided) = oneshot::channel();
        // A task that has ended drops the other end.
        let _ = self.queue.commands.send(Command::Flush(flushed));
        match before(deadline_ms, decided).await {
            Some(Ok(result)) => result.map_err(Some),
            Some(Err(_)) | None => Err(None),
        }
    }

    /// Waits until every send is decided, and meanwhile makes the positions part of the transaction.
    async fn flush_and_hand_over(&self, offsets: &Offsets, deadline_ms: u64) -> Result<(), Option<Failed>> {
        let mut flush = pin!(self.flush(deadline_ms));
        let mut hand_over = pin!(self.commit_offsets(offsets, deadline_ms));
        runtime::select! {
            flushed = &mut flush => {
                flushed?;
                hand_over.await.map_err(Some)
            }
            handed_over = &mut hand_over => {
                handed_over.map_err(Some)?;
                flush.await
            }
        }
    }

    /// Gives up what is not decided; may a batch still be on its way?
    async fn end_sends(&self) -> bool {
        let (ended, unresolved) = oneshot::channel();
        let _ = self.queue.commands.send(Command::End(ended));
        unresolved.await.unwrap_or(true)
    }

    /// Takes the next incarnation.
    async fn renew(&mut self, deadline_ms: u64) {
        let mut coordinator = self.coordinator.lock().await;
        match of_transactions(&self.shared, &mut coordinator, &self.id, self.timeout_ms, deadline_ms).await {
            // The version stays that of the session: its task has begun with it.
            Ok((identity, _)) => {
                (self.identity, self.next) = (identity, None);
                self.stale.store(false, Ordering::Relaxed);
            }
            Err(why) => self.broken = Some(Reason::Ended(format!("no new incarnation of the transactional id: {why}"))),
        }
    }
}

impl TxSession for NativeSession {
    type Tx = NativeTx;

    fn begin(self) -> NativeTx {
        let mut core = self.core;
        core.identity = core.next.take().unwrap_or(core.identity);
        core.observe(Phase::Invoke, false);
        core.queue.full.clear();
        // A task that has ended shows at the end of the transaction.
        let _ = core.queue.commands.send(Command::Begin(core.identity));
        NativeTx { core, offsets: Offsets::default(), sent: false, refused: None }
    }
}

impl Tx for NativeTx {
    type Session = NativeSession;

    fn send(&mut self, tp: Tp, record: Record) -> SendTicket {
        let deadline_ms = time::monotonic_ms() + self.core.shared.config.delivery_timeout_ms;
        let ticket = match &self.core.broken {
            None => self.core.queue.send(tp, record, deadline_ms, true),
            Some(why) => self.core.queue.refuse_new(tp, &record, why.clone()),
        };
        self.sent = true;
        if self.core.queue.full.contains(&tp) {
            self.refused.get_or_insert(Reason::Full);
        }
        ticket
    }

    fn consumed(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)]) {
        self.offsets.add(proof.lease, at);
    }

    async fn commit(self, deadline_ms: u64) -> TxEnd<NativeSession> {
        if let Some(why) = self.core.broken.clone() {
            return self.in_doubt(why);
        }
        let decided = match self.refused.clone() {
            Some(why) => Err(Some(Failed::Abortable(why))),
            None => self.core.flush_and_hand_over(&self.offsets, deadline_ms).await,
        };
        match decided {
            Ok(()) if !self.sent && self.offsets.is_empty() => self.committed(),
            Ok(()) => self.commit_now(deadline_ms).await,
            Err(Some(Failed::Abortable(why))) => self.abort_because(why, deadline_ms).await,
            Err(Some(Failed::Fenced(why))) => self.fenced(why),
            Err(None) => self.in_doubt(Reason::Deadline),
        }
    }

    async fn abort(self, deadline_ms: u64) -> TxEnd<NativeSession> {
        self.abort_because(Reason::Ended("aborted as asked".to_owned()), deadline_ms).await
    }
}
