//! What readers have in common: questions asked beside the stream, turns, and what is told of a delivery.

use super::membership::{Membership, Start};
use log::history::Event;
use log::{Anchor, Batch, ConsumerEvent, Isolation, LogPort, Next, Outcome, Position, Reason, Tp};
use runtime::time;
use std::collections::{BTreeMap, VecDeque};

/// An answer to a question that the reader asked beside its stream.
pub enum Answer {
    /// Where the partitions of assignment number `assignment` would start.
    Starts { assignment: u64, starts: Result<Vec<Start>, Reason> },
    /// The log's edges, of a partition whose position is outside.
    Edges { tp: Tp, wanted: Position, log_start: Next, end: Next },
}

impl Answer {
    /// Tells the application, if it still matters: a seek since then makes a question about edges void.
    pub fn tell(self, group: Option<&mut Membership>, is_halted: impl Fn(Tp) -> bool, events: &mut VecDeque<ConsumerEvent>) {
        match self {
            Answer::Starts { assignment, starts } => {
                if let Some(group) = group {
                    group.started(assignment, starts, events);
                }
            }
            Answer::Edges { tp, wanted, log_start, end } => {
                if is_halted(tp) {
                    events.push_back(ConsumerEvent::OutOfRange { tp, wanted, log_start, end });
                }
            }
        }
    }
}

/// Where does the log begin and end, now that a position is outside? Asked until there is an answer; `None`: nobody wants it any more.
pub async fn edges<L: LogPort>(log: L, tp: Tp, wanted: Position, isolation: Isolation, is_gone: impl Fn() -> bool) -> Option<Answer> {
    while !is_gone() {
        let until_ms = time::monotonic_ms() + 3_000;
        let log_start = log.offset_at(tp, Anchor::Start, until_ms).await;
        let end = log.offset_at(tp, Anchor::End(isolation), until_ms).await;
        if let (Outcome::Done(Some(log_start)), Outcome::Done(Some(end))) = (log_start, end) {
            return Some(Answer::Edges { tp, wanted, log_start: log_start.next, end: end.next });
        }
    }
    None
}

/// Partitions are served in turn: who comes after the last one, around to that.
pub fn in_turn<H>(held: &BTreeMap<Tp, H>, last: Option<Tp>) -> Vec<Tp> {
    let mut order: Vec<Tp> = held.keys().copied().collect();
    order.rotate_left(last.map_or(0, |last| held.range(..=last).count()) % held.len().max(1));
    order
}

/// For the history; `reader`: unique per client.
pub fn delivered(reader: u64, group: Option<&Membership>, tp: Tp, isolation: Isolation, batch: &Batch, restarted: bool) -> Event {
    let records = batch.records.iter().map(|record| (record.offset, record.value.as_ref().map_or(0, |value| crc32c::crc32c(value)))).collect();
    Event::Delivered { reader, group: group.map(|group| group.name().to_owned()), tp, isolation, restarted, records }
}
