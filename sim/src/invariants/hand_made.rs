//! Builds small histories for the invariants' own tests.

use super::{Finding, Invariant};
use crate::Entry;
use broker::Note;
use broker::batch::ControlKind;
use log::history::Phase;
use log::{Event, Isolation, TopicId, Tp};

pub const TP: Tp = Tp { topic: TopicId(1), partition: 0 };

/// A history from (node, event), one millisecond apart.
pub fn history(facts: Vec<(&str, Event)>) -> Vec<Entry> {
    let entry = |(ordinal, (node, event)): (usize, (&str, Event))| Entry { ordinal: ordinal as u64, at_us: ordinal as u64 * 1_000, node: node.into(), event };
    facts.into_iter().enumerate().map(entry).collect()
}

/// What an invariant finds in it.
pub fn judge(mut invariant: impl Invariant, facts: Vec<(&str, Event)>) -> Finding {
    history(facts).iter().for_each(|entry| invariant.observe(entry));
    invariant.finish()
}

/// It must be broken; its headline.
pub fn rejects(invariant: impl Invariant, facts: Vec<(&str, Event)>) -> String {
    let violation = judge(invariant, facts).violation.expect("this history breaks the invariant");
    assert!(!violation.facts.is_empty(), "a violation gives facts to argue with");
    violation.headline
}

/// It must hold, and have been evaluated.
pub fn accepts(invariant: impl Invariant, facts: Vec<(&str, Event)>) {
    let finding = judge(invariant, facts);
    assert_eq!(finding.violation, None);
    assert!(finding.checked > 0, "nothing was checked");
}

pub fn delivered(reader: u64, restarted: bool, records: &[(i64, u32)]) -> Event {
    Event::Delivered { reader, group: None, tp: TP, isolation: Isolation::ReadCommitted, restarted, records: records.to_vec() }
}

pub fn acked(op: u64, offset: i64, crc: u32) -> Event {
    Event::Send { op, tp: TP, phase: Phase::Ok, crc, offset: Some(offset), transactional: false }
}

/// A plain batch without a producer.
pub fn appended(leader_epoch: u32, first: i64, last: i64, crc: u32, as_leader: bool) -> Event {
    batch(leader_epoch, first, last, crc, as_leader, (-1, -1, -1), false, None)
}

/// A batch of a transaction of producer 7, or its marker.
pub fn transactional(leader_epoch: u32, first: i64, last: i64, control: Option<ControlKind>) -> Event {
    let sequence = if control.is_some() { -1 } else { first as i32 };
    batch(leader_epoch, first, last, first as u32, true, (7, 0, sequence), true, control)
}

/// A batch of an idempotent producer: (id, epoch, first sequence).
pub fn produced(first: i64, last: i64, producer: (i64, i16, i32)) -> Event {
    batch(0, first, last, first as u32, true, producer, false, None)
}

#[allow(clippy::too_many_arguments)]
fn batch(
    leader_epoch: u32,
    first: i64,
    last: i64,
    crc: u32,
    as_leader: bool,
    producer: (i64, i16, i32),
    transactional: bool,
    control: Option<ControlKind>,
) -> Event {
    let (producer_id, producer_epoch, first_sequence) = producer;
    Event::Broker(Note::Appended { tp: TP, leader_epoch, first, last, crc, producer_id, producer_epoch, first_sequence, transactional, control, as_leader })
}

pub fn elected(leader: u32, leader_epoch: u32, isr: &[u32]) -> Event {
    Event::Broker(Note::LeaderElected { tp: TP, leader, leader_epoch, isr: isr.to_vec(), unclean: false })
}

pub fn became_leader(leader_epoch: u32, end: i64) -> Event {
    Event::Broker(Note::BecameLeader { tp: TP, leader_epoch, end, high_watermark: 0 })
}

pub fn high_watermark(high_watermark: i64) -> Event {
    Event::Broker(Note::HighWatermark { tp: TP, high_watermark })
}

pub fn truncated(end: i64) -> Event {
    Event::Broker(Note::Truncated { tp: TP, end, removed: 1 })
}

pub fn recovered(end: i64) -> Event {
    Event::Broker(Note::Recovered { tp: TP, end, clean: false })
}

pub fn became_follower(leader_epoch: u32, leader: u32) -> Event {
    Event::Broker(Note::BecameFollower { tp: TP, leader_epoch, leader })
}

/// Two brokers that each led once, so that their names are known.
pub fn two_that_led() -> Vec<(&'static str, Event)> {
    vec![("controller", elected(2, 0, &[1, 2])), ("broker-2", became_leader(0, 0)), ("controller", elected(1, 1, &[1, 2])), ("broker-1", became_leader(1, 0))]
}
