//! Hears `account_events` from their end on and gives answers to those who wait.
//!
//! It is an assigned reader over every partition: a gateway keeps nothing and belongs to no group. What a gateway that was restarted, or a reader that
//! lost its place, did not hear stays unanswered: the client asks again.

use super::desk::Waiting;
use crate::runner::drop_rule::{DropRule, Verdict};
use crate::runner::restore::end_of;
use crate::runner::tenure::SequenceGap;
use crate::runner::{ServiceError, frame_of};
use log::{Batch, ConsumerEvent, Isolation, LogPort, Position, Reader, Subscription, TopicInfo, Tp};
use runtime::task::Stop;
use runtime::time::{monotonic_ms, sleep};
use std::collections::BTreeMap;
use std::time::Duration;
use wire::Body;

/// How long one look-up of the ends may take.
const LOOK_UP_MS: u64 = 5_000;

/// Pause before the next try.
const RETRY_MS: u64 = 200;

/// Hears until asked to stop; whatever goes wrong, it begins again at the end.
pub(super) async fn hear<L: LogPort>(log: L, events: TopicInfo, waiting: Waiting, mut stop: Stop) {
    while !stop.is_requested() {
        let ended = runtime::select! {
            () = stop.requested() => return,
            ended = hear_from_the_end(&log, &events, &waiting) => ended,
        };
        waiting.set_hearing(false);
        let Err(_why) = ended;
        runtime::reached!("gateway_reader_began_again");
        sleep(Duration::from_millis(RETRY_MS)).await;
    }
}

async fn hear_from_the_end<L: LogPort>(log: &L, events: &TopicInfo, waiting: &Waiting) -> Result<std::convert::Infallible, ServiceError> {
    let from = ends(log, events).await?;
    let mut reader = log.read(Subscription::Assigned(from), Isolation::ReadCommitted).await.map_err(ServiceError::Log)?;
    let mut drop_rules = BTreeMap::new();
    waiting.set_hearing(true);
    loop {
        match reader.next(monotonic_ms() + 60_000).await {
            ConsumerEvent::Records { tp, batch } => {
                // Whoever has his answer may rely on it: one wait for the answers of a batch.
                log.settled().await.map_err(ServiceError::Log)?;
                deliver(&batch, drop_rules.entry(tp).or_default(), waiting)?;
            }
            ConsumerEvent::OutOfRange { tp, .. } | ConsumerEvent::Truncated { tp, .. } => return Err(ServiceError::InputGone { tp }),
            ConsumerEvent::Fatal(reason) => return Err(ServiceError::Log(reason)),
            // Nobody revokes an assigned reader.
            ConsumerEvent::Assigned { .. }
            | ConsumerEvent::Revoking { .. }
            | ConsumerEvent::Lost { .. }
            | ConsumerEvent::Progress { .. }
            | ConsumerEvent::Nothing => {}
        }
    }
}

/// Where each partition ends for a reader of committed records.
async fn ends<L: LogPort>(log: &L, events: &TopicInfo) -> Result<Vec<(Tp, Position)>, ServiceError> {
    let mut from = Vec::new();
    for partition in 0..events.partitions {
        let tp = events.tp(partition);
        from.push((tp, end_of(log, tp, monotonic_ms() + LOOK_UP_MS).await?));
    }
    Ok(from)
}

/// Without transactions a former owner's answers stand in the log too: the drop rule tells them.
fn deliver(batch: &Batch, drop_rule: &mut DropRule, waiting: &Waiting) -> Result<(), ServiceError> {
    for record in &batch.records {
        let Some((stamp, body)) = frame_of(record)? else { continue };
        match drop_rule.judge(&stamp) {
            Verdict::Pass => {}
            Verdict::Drop => continue,
            // An answer is missing: whoever waits for it must not hear a later one instead.
            Verdict::Gap { expected } => {
                return Err(SequenceGap { offset: record.offset, source_name: stamp.source, sequence: stamp.sequence, expected }.into());
            }
        }
        if let Body::AccountEvent(event) = body {
            waiting.answer(stamp.correlation, event);
        }
    }
    Ok(())
}
