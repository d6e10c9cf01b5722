//! The end of a transaction, told as it is: committed, aborted, fenced, or in doubt. No abort after a commit that may have been heard.

use super::offsets::is_put_out;
use super::{Core, NativeSession, NativeTx};
use crate::history::Phase;
use crate::link::Broken;
use crate::native::lookup::{Failure, before, refused};
use crate::native::producer::{Identity, is_fenced};
use crate::native::verdict;
use crate::port::{Reason, TxEnd};
use broker::protocol::{ErrorCode, Request, Response};
use std::sync::atomic::Ordering;

/// How EndTxn went.
enum Ended {
    /// As asked; under version 2, who the producer is from now on.
    AsAsked(Option<Identity>),
    /// Refused; no attempt was heard.
    Refused(ErrorCode),
    /// May have been heard, or the deadline has come.
    Unknown(Reason),
}

impl Core {
    /// The raised epoch fences whatever of this transaction is still under way: nothing is stale any more.
    fn raise(&mut self, raised: Option<Identity>) {
        if raised.is_some() {
            self.next = raised;
            self.stale.store(false, Ordering::Relaxed);
        }
    }

    /// A request in this session's version.
    pub(super) fn in_version(&self, request: Request) -> Request {
        if self.is_tv2 { Request::Tv2(Box::new(request)) } else { request }
    }
}

impl NativeTx {
    pub(super) async fn commit_now(self, deadline_ms: u64) -> TxEnd<NativeSession> {
        match self.end_txn(true, deadline_ms).await {
            Ended::AsAsked(raised) => {
                let mut tx = self;
                tx.core.end_sends().await;
                tx.core.raise(raised);
                if tx.core.stale.load(Ordering::Relaxed) {
                    tx.core.renew(deadline_ms).await;
                }
                tx.committed()
            }
            Ended::Refused(code @ (ErrorCode::TransactionAbortable | ErrorCode::UnknownProducerId)) => {
                self.abort_because(Reason::Answered(code), deadline_ms).await
            }
            Ended::Refused(code) if is_fenced(code) || code == ErrorCode::InvalidTxnState => self.fenced(Reason::Answered(code)),
            Ended::Refused(code) => self.in_doubt(Reason::Answered(code)),
            Ended::Unknown(why) => self.in_doubt(why),
        }
    }

    pub(super) async fn abort_because(mut self, why: Reason, deadline_ms: u64) -> TxEnd<NativeSession> {
        if let Some(broken) = self.core.broken.clone() {
            return self.in_doubt(broken);
        }
        let mut unresolved = self.core.end_sends().await;
        if self.sent || !self.offsets.is_empty() {
            match self.end_txn(false, deadline_ms).await {
                // Refused so: the coordinator knows of no open transaction, nothing was added to it.
                Ended::Refused(ErrorCode::InvalidTxnState) => {}
                Ended::AsAsked(raised) => {
                    unresolved &= raised.is_none();
                    self.core.raise(raised);
                }
                Ended::Refused(code) if is_fenced(code) => return self.fenced(Reason::Answered(code)),
                Ended::Refused(code) => return self.in_doubt(Reason::Answered(code)),
                Ended::Unknown(why) => return self.in_doubt(why),
            }
        }
        if unresolved || self.core.stale.load(Ordering::Relaxed) {
            self.core.renew(deadline_ms).await;
        }
        // A member put out of its group has lost the partition, whatever became of the transaction.
        if let Reason::Answered(code) = &why
            && is_put_out(*code)
        {
            return self.fenced(why);
        }
        self.core.observe(Phase::Fail, false);
        TxEnd::Aborted(NativeSession { core: self.core }, why)
    }

    async fn end_txn(&self, commit: bool, deadline_ms: u64) -> Ended {
        let core = &self.core;
        let request = Request::EndTxn { transactional_id: core.id.to_string(), producer_id: core.identity.id, producer_epoch: core.identity.epoch, commit };
        let request = core.in_version(request);
        let mut heard = false;
        let mut last = Reason::Deadline;
        for attempt in 1.. {
            let answer = before(deadline_ms, async { core.coordinator.lock().await.ask(&core.shared.cluster, &request, 0).await }).await;
            match answer {
                Some(Ok(Response::EndTxn)) => return Ended::AsAsked(None),
                Some(Ok(Response::EndTxnTv2 { producer_id, producer_epoch })) => {
                    return Ended::AsAsked(Some(Identity { id: producer_id, epoch: producer_epoch }));
                }
                Some(Ok(other)) => return Ended::Unknown(refused(&other).reason()),
                Some(Err(Failure::Refused(code))) if !verdict::is_passing(code) && !verdict::is_ambiguous(code) => {
                    return if heard { Ended::Unknown(Reason::Answered(code)) } else { Ended::Refused(code) };
                }
                Some(Err(Failure::Refused(code))) => {
                    // A coordinator that resigns answers what it had begun in the same words as what it never looked at.
                    heard |= verdict::is_ambiguous(code) || verdict::is_coordinator_gone(code);
                    last = Reason::Answered(code);
                }
                Some(Err(Failure::Broken(broken))) => {
                    heard |= broken == Broken::Unanswered;
                    if broken == Broken::Unanswered {
                        core.stale.store(true, Ordering::Relaxed);
                    }
                    last = Reason::Disconnected;
                }
                None => {}
            }
            if core.shared.back_off(attempt, deadline_ms).await {
                break;
            }
        }
        Ended::Unknown(last)
    }

    pub(super) fn committed(self) -> TxEnd<NativeSession> {
        self.core.observe(Phase::Ok, false);
        TxEnd::Committed(NativeSession { core: self.core })
    }

    pub(super) fn fenced(self, why: Reason) -> TxEnd<NativeSession> {
        self.core.observe(Phase::Fail, true);
        TxEnd::Fenced(why)
    }

    pub(super) fn in_doubt(self, why: Reason) -> TxEnd<NativeSession> {
        self.core.observe(Phase::Unknown, false);
        TxEnd::InDoubt(why)
    }
}
