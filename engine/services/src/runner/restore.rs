//! Restoring a partition's state from committed input, and the last epoch from the journal. The first version reads both from the log's start.

use super::machine::Service;
use super::tenure::Tenure;
use super::{ServiceError, frame_of};
use log::{Anchor, ConsumerEvent, Delivered, Isolation, LogPort, Next, Position, Reader, Subscription, Tp};
use runtime::time::monotonic_ms;
use wire::{AccountEvent, Body, OrderEvent};

/// How long one wait for records of a replay may take before it is given up.
const STALL_MS: u64 = 10_000;

/// Applies every record of `tp` before `upto`; what the machine puts out meanwhile was put out before.
pub async fn restore<L: LogPort, S: Service>(log: &L, tp: Tp, upto: Next, tenure: &mut Tenure<S>) -> Result<(), ServiceError> {
    let mut failed = None;
    replay(log, tp, Position::START, upto, |records| {
        if failed.is_none() {
            failed = tenure.apply(records).err();
        }
    })
    .await?;
    match failed {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

/// What the journal of a partition says of its owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Where its partition is.
    pub tp: Tp,
    /// Read up to here.
    pub at: Position,
    /// The highest epoch claimed, 0 if none.
    pub epoch: u32,
    /// The input was published up to here, at least.
    pub published: Next,
}

impl Journal {
    /// Nothing read yet.
    pub fn new(tp: Tp) -> Self {
        Journal { tp, at: Position::START, epoch: 0, published: Next(0) }
    }

    /// Reads on to the end, as whoever answers sees it. A leader that was deposed and does not know answers with an old end: what comes of this is a guess.
    pub async fn read_to_end<L: LogPort>(&mut self, log: &L, deadline_ms: u64) -> Result<(), ServiceError> {
        let end = end_of(log, self.tp, deadline_ms).await?;
        self.read_to(log, end.next).await
    }

    /// Reads on to an offset that is known to exist, from a leader that has it.
    pub async fn read_to<L: LogPort>(&mut self, log: &L, upto: Next) -> Result<(), ServiceError> {
        let (mut epoch, mut published, mut failed) = (self.epoch, self.published, None);
        let at = replay(log, self.tp, self.at, upto, |records| {
            for record in records {
                let (stamp, body) = match frame_of(record) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => continue,
                    Err(why) => {
                        failed = failed.take().or(Some(why));
                        return;
                    }
                };
                match body {
                    Body::AccountEvent(AccountEvent::Owned { epoch: claimed, .. }) | Body::OrderEvent(OrderEvent::Owned { epoch: claimed, .. }) => {
                        epoch = epoch.max(claimed);
                    }
                    _ => published = published.max(Next(stamp.cause.saturating_add(1))),
                }
            }
        })
        .await?;
        if let Some(why) = failed {
            return Err(why);
        }
        (self.at, self.epoch, self.published) = (at, epoch, published);
        Ok(())
    }
}

/// Where a partition ends for a reader of committed records, as whoever answers sees it.
pub(crate) async fn end_of<L: LogPort>(log: &L, tp: Tp, deadline_ms: u64) -> Result<Position, ServiceError> {
    let end = log.offset_at(tp, Anchor::End(Isolation::ReadCommitted), deadline_ms).await.done().map_err(ServiceError::Log)?;
    Ok(end.unwrap_or(Position::START))
}

/// Gives every committed record of `tp` from `from` on and before `upto` to `each`, in order. Ends at the *position*, which it tells: the last offsets may
/// hold no record at all.
pub(crate) async fn replay<L: LogPort>(log: &L, tp: Tp, from: Position, upto: Next, mut each: impl FnMut(&[Delivered])) -> Result<Position, ServiceError> {
    if upto <= from.next {
        return Ok(from);
    }
    let mut reader = log.read(Subscription::Assigned(vec![(tp, from)]), Isolation::ReadCommitted).await.map_err(ServiceError::Log)?;
    let mut heard_ms = monotonic_ms();
    loop {
        let at = match reader.next(heard_ms + STALL_MS).await {
            ConsumerEvent::Records { batch, .. } => {
                let count = batch.records.partition_point(|record| record.offset < upto.0);
                if count > 0 {
                    each(&batch.records[..count]);
                }
                // What came beyond has not been looked at: whoever reads on must be given it again.
                if count < batch.records.len() { Position { next: upto, epoch: None } } else { batch.position }
            }
            ConsumerEvent::Progress { position, .. } => position,
            ConsumerEvent::Nothing => return Err(ServiceError::Stalled { tp, upto }),
            ConsumerEvent::Fatal(reason) => return Err(ServiceError::Log(reason)),
            ConsumerEvent::OutOfRange { .. } | ConsumerEvent::Truncated { .. } => return Err(ServiceError::InputGone { tp }),
            ConsumerEvent::Assigned { .. } | ConsumerEvent::Revoking { .. } | ConsumerEvent::Lost { .. } => continue,
        };
        if at.next >= upto {
            return Ok(at);
        }
        heard_ms = monotonic_ms();
    }
}
