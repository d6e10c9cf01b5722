//! Appends whose answer waits: for the log, for the in-sync replicas, or for the transaction coordinator (A9, A10).

use super::{Broker, Timer};
use crate::batch::Batch;
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, Response, Tp};
use std::collections::BTreeMap;

/// How the answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Produce,
    Markers,
}

/// One partition of it.
#[derive(Debug)]
pub(super) enum Part {
    Done(Result<i64, ErrorCode>),
    /// In the log from `base` on.
    Appended {
        base: i64,
    },
    /// Not in the log before the transaction coordinator has spoken.
    Verifying(Batch),
}

#[derive(Debug)]
struct Pending {
    to: ReplyTo,
    kind: Kind,
    parts: Vec<(Tp, Part)>,
    /// Parts that are not done.
    open: usize,
    expires_ms: Option<u64>,
}

#[derive(Default)]
pub(super) struct Appends {
    last: u64,
    pending: BTreeMap<u64, Pending>,
}

impl Appends {
    /// A number for the next request.
    pub fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Takes the batch that waits for its verification, if the request still waits.
    pub fn take_verifying(&mut self, id: u64, part: u32) -> Option<Batch> {
        let part = &mut self.pending.get_mut(&id)?.parts[part as usize].1;
        match std::mem::replace(part, Part::Appended { base: -1 }) {
            Part::Verifying(batch) => Some(batch),
            other => {
                *part = other;
                None
            }
        }
    }

    /// The batch behind a verification is in the log.
    pub fn set_appended(&mut self, id: u64, part: u32, base: i64) {
        self.pending.get_mut(&id).expect("it waits").parts[part as usize].1 = Part::Appended { base };
    }
}

impl Broker {
    /// Answers, or keeps the request until its last part is done.
    pub(super) fn answer_when_done(&mut self, id: u64, to: ReplyTo, kind: Kind, parts: Vec<(Tp, Part)>, timeout_ms: Option<u32>) {
        let open = parts.iter().filter(|(_, part)| !matches!(part, Part::Done(_))).count();
        if open == 0 {
            return self.answer_append(to, kind, parts);
        }
        let expires_ms = timeout_ms.map(|timeout_ms| self.now_ms() + u64::from(timeout_ms));
        if let Some(at_ms) = expires_ms {
            self.io.set_timer(at_ms, Timer::AppendExpires(id));
        }
        self.appends.pending.insert(id, Pending { to, kind, parts, open, expires_ms });
    }

    /// A part is done: `None` means that what was appended may be acknowledged.
    pub(super) fn finish_part(&mut self, id: u64, part: u32, error: Option<ErrorCode>) {
        let Some(pending) = self.appends.pending.get_mut(&id) else { return };
        let state = &mut pending.parts[part as usize].1;
        let result = match (&*state, error) {
            (Part::Done(_), _) => return,
            (_, Some(error)) => Err(error),
            (Part::Appended { base }, None) => Ok(*base),
            (Part::Verifying(_), None) => unreachable!("an unverified batch is not in the log"),
        };
        *state = Part::Done(result);
        pending.open -= 1;
        if pending.open == 0 {
            let Pending { to, kind, parts, expires_ms, .. } = self.appends.pending.remove(&id).expect("just seen");
            if let Some(at_ms) = expires_ms {
                self.io.cancel_timer(at_ms, Timer::AppendExpires(id));
            }
            self.answer_append(to, kind, parts);
        }
    }

    /// Time is up: what is in the log may still be replicated (A9: written, undecided); what was not verified never will be.
    pub(super) fn append_expired(&mut self, id: u64) {
        let Some(mut pending) = self.appends.pending.remove(&id) else { return };
        for (_, part) in &mut pending.parts {
            if !matches!(part, Part::Done(_)) {
                *part = Part::Done(Err(ErrorCode::RequestTimedOut));
            }
        }
        self.answer_append(pending.to, pending.kind, pending.parts);
    }

    fn answer_append(&mut self, to: ReplyTo, kind: Kind, parts: Vec<(Tp, Part)>) {
        let done = |(tp, part)| match part {
            Part::Done(result) => (tp, result),
            Part::Appended { .. } | Part::Verifying(_) => unreachable!("answered when all is done"),
        };
        let results = parts.into_iter().map(done);
        let response = match kind {
            Kind::Produce => Response::Produce { partitions: results.collect() },
            Kind::Markers => Response::WriteTxnMarkers { partitions: results.map(|(tp, result)| (tp, result.map(drop))).collect() },
        };
        self.reply(to, response);
    }
}
