//! Restoring a partition's state from committed input, and the last epoch from the journal. The first version reads both from the log's start.

use super::ServiceError;
use super::machine::Service;
use super::tenure::Tenure;
use log::{Anchor, ConsumerEvent, Delivered, Isolation, LogPort, Next, Outcome, Position, Reader, Subscription, Tp};
use runtime::time::monotonic_ms;
use wire::{AccountEvent, Body, OrderEvent};

/// How long one wait for records of a replay may take before it is given up.
const STALL_MS: u64 = 10_000;

/// Applies every record of `tp` before `upto`; what the machine puts out meanwhile was put out before.
pub async fn restore<L: LogPort, S: Service>(log: &L, tp: Tp, upto: Next, tenure: &mut Tenure<S>) -> Result<(), ServiceError> {
    let mut failed = None;
    replay(log, tp, upto, |records| {
        if failed.is_none() {
            failed = tenure.apply(records).err();
        }
    })
    .await?;
    match failed {
        Some(gap) => Err(ServiceError::Gap(gap)),
        None => Ok(()),
    }
}

/// The highest epoch claimed in a journal partition so far, 0 if none, and the claims of it in log order.
pub async fn last_claims<L: LogPort>(log: &L, journal: Tp, deadline_ms: u64) -> Result<(u32, Vec<u64>), ServiceError> {
    let end = match log.offset_at(journal, Anchor::End(Isolation::ReadCommitted), deadline_ms).await {
        Outcome::Done(position) => position.map_or(Next(0), |position| position.next),
        Outcome::NotDone(reason) | Outcome::Unknown(reason) => return Err(ServiceError::Log(reason)),
    };
    let mut epoch = 0;
    let mut claims = Vec::new();
    replay(log, journal, end, |records| {
        for (claimed, claim) in records.iter().filter_map(claim_of) {
            if claimed > epoch {
                epoch = claimed;
                claims.clear();
            }
            if claimed == epoch {
                claims.push(claim);
            }
        }
    })
    .await?;
    Ok((epoch, claims))
}

fn claim_of(record: &Delivered) -> Option<(u32, u64)> {
    match wire::frame::decode(record.value.as_deref()?).ok()?.1 {
        Body::AccountEvent(AccountEvent::Owned { epoch, claim }) | Body::OrderEvent(OrderEvent::Owned { epoch, claim }) => Some((epoch, claim)),
        _ => None,
    }
}

/// Gives every committed record of `tp` before `upto` to `each`, in order. Ends at the *position*: the last offsets may hold no record at all.
pub(crate) async fn replay<L: LogPort>(log: &L, tp: Tp, upto: Next, mut each: impl FnMut(&[Delivered])) -> Result<(), ServiceError> {
    if upto <= Next(0) {
        return Ok(());
    }
    let mut reader = log.read(Subscription::Assigned(vec![(tp, Position::START)]), Isolation::ReadCommitted).await.map_err(ServiceError::Log)?;
    let mut heard_ms = monotonic_ms();
    loop {
        let at = match reader.next(heard_ms + STALL_MS).await {
            ConsumerEvent::Records { batch, .. } => {
                let count = batch.records.partition_point(|record| record.offset < upto.0);
                if count > 0 {
                    each(&batch.records[..count]);
                }
                batch.position.next
            }
            ConsumerEvent::Progress { position, .. } => position.next,
            ConsumerEvent::Nothing => return Err(ServiceError::Stalled { tp, upto }),
            ConsumerEvent::Fatal(reason) => return Err(ServiceError::Log(reason)),
            ConsumerEvent::OutOfRange { .. } | ConsumerEvent::Truncated { .. } => return Err(ServiceError::InputGone { tp }),
            ConsumerEvent::Assigned { .. } | ConsumerEvent::Revoking { .. } | ConsumerEvent::Lost { .. } => continue,
        };
        if at >= upto {
            return Ok(());
        }
        heard_ms = monotonic_ms();
    }
}
