//! Builds small histories for the checkers' own tests: two partitions, values as small numbers.

use super::{Anomaly, Observed, Verdict};
use crate::Entry;
use broker::Note;
use log::history::Phase;
use log::{Event, Isolation, TopicId, Tp};

pub const P: Tp = Tp { topic: TopicId(1), partition: 0 };
pub const Q: Tp = Tp { topic: TopicId(1), partition: 1 };

/// A history in the making.
#[derive(Default)]
pub struct Story {
    entries: Vec<Entry>,
    ops: u64,
    readers: Vec<String>,
}

/// A send that has begun.
#[derive(Clone, Copy)]
pub struct Begun<'a> {
    node: &'a str,
    op: u64,
    tp: Tp,
    value: u32,
    transactional: bool,
}

impl Story {
    pub fn push(&mut self, node: &str, event: Event) {
        let ordinal = self.entries.len() as u64;
        self.entries.push(Entry { ordinal, at_us: ordinal * 1_000, node: node.into(), event });
    }

    pub fn invoke<'a>(&mut self, node: &'a str, tp: Tp, value: u32, transactional: bool) -> Begun<'a> {
        self.ops += 1;
        let begun = Begun { node, op: self.ops, tp, value, transactional };
        self.push(node, Event::Send { op: begun.op, tp, phase: Phase::Invoke, crc: value, offset: None, transactional });
        begun
    }

    pub fn end(&mut self, send: Begun<'_>, phase: Phase, offset: Option<i64>) {
        let Begun { node, op, tp, value, transactional } = send;
        self.push(node, Event::Send { op, tp, phase, crc: value, offset, transactional });
    }

    /// A plain send that is ok at once.
    pub fn sent(&mut self, node: &str, tp: Tp, value: u32, offset: i64) {
        let send = self.invoke(node, tp, value, false);
        self.end(send, Phase::Ok, Some(offset));
    }

    /// A send of the node's open transaction that is ok at once.
    pub fn added(&mut self, node: &str, tp: Tp, value: u32, offset: i64) {
        let send = self.invoke(node, tp, value, true);
        self.end(send, Phase::Ok, Some(offset));
    }

    pub fn transaction(&mut self, node: &str, id: &str, phase: Phase) {
        let event =
            Event::Transaction { transactional_id: id.to_owned(), producer_id: id.bytes().map(i64::from).sum(), producer_epoch: 0, phase, fenced: false };
        self.push(node, event);
    }

    pub fn begin(&mut self, node: &str, id: &str) {
        self.transaction(node, id, Phase::Invoke);
    }

    pub fn commit(&mut self, node: &str, id: &str) {
        self.transaction(node, id, Phase::Ok);
    }

    pub fn abort(&mut self, node: &str, id: &str) {
        self.transaction(node, id, Phase::Fail);
    }

    /// The node's reader goes on; its first delivery counts as set there.
    pub fn polled(&mut self, node: &str, tp: Tp, records: &[(i64, u32)]) {
        let key = format!("{node} {tp:?}");
        let restarted = !self.readers.contains(&key);
        if restarted {
            self.readers.push(key);
        }
        self.delivered(node, tp, Isolation::ReadCommitted, restarted, records);
    }

    pub fn delivered(&mut self, node: &str, tp: Tp, isolation: Isolation, restarted: bool, records: &[(i64, u32)]) {
        self.push(node, Event::Delivered { reader: 1, group: None, tp, isolation, restarted, records: records.to_vec() });
    }

    /// A leader says whose batch is there.
    pub fn appended(&mut self, tp: Tp, offset: i64, producer_id: i64) {
        let note = Note::Appended {
            tp,
            leader_epoch: 0,
            first: offset,
            last: offset,
            crc: 0,
            producer_id,
            producer_epoch: 0,
            first_sequence: 0,
            transactional: true,
            control: None,
            as_leader: true,
        };
        self.push("broker-1", Event::Broker(note));
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn judge(&self, anomaly: &dyn Anomaly) -> Verdict {
        anomaly.find(&Observed::new(&self.entries, false))
    }

    /// No Kafka may do this; the headline.
    pub fn rejected(&self, anomaly: &dyn Anomaly) -> String {
        let violation = self.judge(anomaly).illegal.expect("this history shows the anomaly");
        assert!(!violation.facts.is_empty(), "a violation gives facts to argue with");
        violation.headline
    }

    /// Kafka may, we may not; the headline.
    pub fn rejected_for_us(&self, anomaly: &dyn Anomaly) -> String {
        let verdict = self.judge(anomaly);
        assert_eq!(verdict.illegal, None, "Kafka may do this");
        verdict.illegal_for_us.expect("this history shows the anomaly").headline
    }

    /// Looked at, and nothing found that is illegal for anybody.
    pub fn accepted(&self, anomaly: &dyn Anomaly) -> Verdict {
        let verdict = self.judge(anomaly);
        assert_eq!((&verdict.illegal, &verdict.illegal_for_us), (&None, &None));
        assert!(verdict.checked > 0, "nothing was checked");
        verdict
    }
}
