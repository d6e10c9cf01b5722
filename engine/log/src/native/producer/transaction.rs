//! What a sender keeps of its transaction: which partitions belong to it, and whether it has failed.

use super::identity::is_fenced;
use super::lane::Identity;
use super::sender::Arrival;
use crate::native::Shared;
use crate::native::lookup::{Coordinator, Failure, before, refused};
use crate::native::verdict;
use crate::port::Reason;
use broker::protocol::{ErrorCode, Request, Response, Tp};
use runtime::time;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Why a transaction cannot be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// It must be aborted.
    Abortable(Reason),
    /// Somebody else owns the id.
    Fenced(Reason),
}

/// The sender's side of a transaction.
pub struct Transaction {
    id: Arc<str>,
    coordinator: Arc<Mutex<Coordinator>>,
    identity: Identity,
    /// The leaders add their partitions themselves.
    is_tv2: bool,
    /// Which transaction of this session: a late answer must not count for the next.
    number: u64,
    added: BTreeSet<Tp>,
    adding: bool,
    failed: Option<Failed>,
    flush: Option<oneshot::Sender<Result<(), Failed>>>,
}

impl Transaction {
    /// None open yet.
    pub fn new(id: Arc<str>, coordinator: Arc<Mutex<Coordinator>>, identity: Identity, is_tv2: bool) -> Self {
        Transaction { id, coordinator, identity, is_tv2, number: 0, added: BTreeSet::new(), adding: false, failed: None, flush: None }
    }

    /// The transactional id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens the next.
    pub fn begin(&mut self, identity: Identity) {
        self.identity = identity;
        self.number += 1;
        self.added.clear();
        self.adding = false;
        self.failed = None;
        self.flush = None;
    }

    /// May the partition's leader be sent to?
    pub fn has(&self, tp: Tp) -> bool {
        self.is_tv2 || self.added.contains(&tp)
    }

    /// A request in this transaction's version.
    pub fn in_version(&self, request: Request) -> Request {
        if self.is_tv2 { Request::Tv2(Box::new(request)) } else { request }
    }

    /// Can it only be aborted?
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// It failed; the first reason stays, but being fenced is said above all.
    pub fn fail(&mut self, failed: Failed) {
        match (&self.failed, &failed) {
            (None, _) | (Some(Failed::Abortable(_)), Failed::Fenced(_)) => self.failed = Some(failed),
            (Some(_), _) => {}
        }
    }

    /// Somebody waits for all sends to be decided.
    pub fn flush(&mut self, flushed: oneshot::Sender<Result<(), Failed>>) {
        self.flush = Some(flushed);
    }

    /// Tells who waits, if there is something to tell.
    pub fn flushed(&mut self, idle: bool) {
        let verdict = match &self.failed {
            Some(failed) => Err(failed.clone()),
            None if idle => Ok(()),
            None => return,
        };
        if let Some(flush) = self.flush.take() {
            // Who waits may have given up.
            let _ = flush.send(verdict);
        }
    }

    /// Adds what is wanted and does not belong to it yet.
    pub fn add(&mut self, shared: &Arc<Shared>, wanted: impl Iterator<Item = Tp>, arrivals: &mpsc::UnboundedSender<Arrival>) {
        if self.is_tv2 || self.adding || self.failed.is_some() {
            return;
        }
        let tps: Vec<Tp> = wanted.filter(|tp| !self.added.contains(tp)).collect();
        if tps.is_empty() {
            return;
        }
        self.adding = true;
        let number = self.number;
        let request = Request::AddPartitionsToTxn {
            transactional_id: self.id.to_string(),
            producer_id: self.identity.id,
            producer_epoch: self.identity.epoch,
            partitions: tps.clone(),
            verify_only: false,
        };
        let (shared, coordinator, arrivals) = (shared.clone(), self.coordinator.clone(), arrivals.clone());
        let deadline_ms = time::monotonic_ms() + shared.config.delivery_timeout_ms;
        runtime::task::spawn(async move {
            runtime::select! {
                () = arrivals.closed() => {}
                result = ask(&shared, &coordinator, &request, deadline_ms) => drop(arrivals.send(Arrival::Added { transaction: number, tps, result })),
            }
        });
    }

    /// The answer to that; the failure if it is one.
    pub fn added(&mut self, number: u64, tps: &[Tp], result: Result<(), Failed>) -> Option<Failed> {
        if number != self.number {
            return None;
        }
        self.adding = false;
        match result {
            Ok(()) => {
                self.added.extend(tps);
                None
            }
            Err(failed) => Some(failed),
        }
    }
}

/// The markers of the transaction before are usually written within a few of these (A40).
const CONCURRENT_BACKOFF_MS: u64 = 2;

/// Asks the transaction coordinator to add something to the open transaction; tries again until the deadline.
pub async fn ask(shared: &Shared, coordinator: &Mutex<Coordinator>, request: &Request, deadline_ms: u64) -> Result<(), Failed> {
    let mut last = Reason::Deadline;
    for attempt in 1.. {
        let answer = before(deadline_ms, async { coordinator.lock().await.ask(&shared.cluster, request, 0).await }).await;
        match answer.map(|answer| answer.and_then(added)) {
            Some(Ok(())) => return Ok(()),
            Some(Err(Failure::Refused(code))) if is_fenced(code) => return Err(Failed::Fenced(Reason::Answered(code))),
            // A partition unknown to the coordinator may only be new.
            Some(Err(Failure::Refused(code))) if !verdict::is_passing(code) => return Err(Failed::Abortable(Reason::Answered(code))),
            Some(Err(failure)) => {
                coordinator.lock().await.note(failure);
                last = failure.reason();
            }
            None => {}
        }
        let is_concurrent = last == Reason::Answered(ErrorCode::ConcurrentTransactions);
        let first_ms = if is_concurrent { CONCURRENT_BACKOFF_MS } else { shared.config.retry_backoff_ms };
        if shared.back_off_from(first_ms, attempt, deadline_ms).await {
            break;
        }
    }
    Err(Failed::Abortable(last))
}

fn added(response: Response) -> Result<(), Failure> {
    match response {
        Response::AddOffsetsToTxn => Ok(()),
        Response::AddPartitionsToTxn { partitions } => {
            // The worst tells: being fenced, then what does not pass.
            let code = partitions.iter().filter_map(|(_, result)| result.err()).max_by_key(|code: &ErrorCode| (is_fenced(*code), !verdict::is_passing(*code)));
            code.map_or(Ok(()), |code| Err(Failure::Refused(code)))
        }
        other => Err(refused(&other)),
    }
}
