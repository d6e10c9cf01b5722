//! A log in memory: plain sends and assigned readers, and a switch for what becomes of the next sends to a topic.

#![allow(clippy::disallowed_types, reason = "these tests run in real time only")]

use log::{
    Acked, Anchor, Batch, Caps, ConsumerEvent, Delivered, Durability, GroupProof, Isolation, LogPort, Next, Outcome, Position, Producer, Reader, Reason,
    Record, SendTicket, Subscription, TopicId, TopicInfo, TopicSpec, Tp, Tx, TxEnd, TxSession,
};
use runtime::time::sleep_until_ms;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// What becomes of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// It is appended and acknowledged.
    Work,
    /// It is appended, and nobody hears of it.
    LoseTheAck,
    /// It is lost, and nobody hears of it.
    AreLost,
    /// It is refused.
    AreRefused,
}

#[derive(Clone)]
pub struct MemoryLog {
    state: Arc<Mutex<State>>,
    /// How many records there are in all.
    appended: Arc<watch::Sender<u64>>,
}

struct State {
    topics: Vec<TopicInfo>,
    records: BTreeMap<Tp, Vec<Delivered>>,
    sends: Sends,
}

impl MemoryLog {
    pub fn new() -> Self {
        let state = State { topics: Vec::new(), records: BTreeMap::new(), sends: Sends::Work };
        MemoryLog { state: Arc::new(Mutex::new(state)), appended: Arc::new(watch::Sender::new(0)) }
    }

    pub fn set_sends(&self, sends: Sends) {
        self.state().sends = sends;
    }

    pub fn append(&self, tp: Tp, record: Record) -> i64 {
        let mut state = self.state();
        let queue = state.records.entry(tp).or_default();
        let offset = queue.len() as i64;
        queue.push(Delivered { offset, timestamp_ms: record.timestamp_ms as i64, key: record.key, value: record.value });
        self.appended.send_modify(|count| *count += 1);
        offset
    }

    pub fn records_from(&self, tp: Tp, next: i64) -> Vec<Delivered> {
        self.state().records.get(&tp).map_or_else(Vec::new, |queue| queue[next as usize..].to_vec())
    }

    /// Wakes when something is appended after this call.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

impl LogPort for MemoryLog {
    type Producer = MemoryProducer;
    type Reader = MemoryReader;
    type Session = Never;

    fn caps(&self) -> Caps {
        Caps { transactions: false, durable: Durability::PageCache }
    }

    async fn topics(&self, names: &[&str], _deadline_ms: u64) -> Outcome<Vec<TopicInfo>> {
        let state = self.state();
        let found: Option<Vec<TopicInfo>> = names.iter().map(|name| state.topics.iter().find(|topic| topic.name == *name).cloned()).collect();
        found.map_or(Outcome::NotDone(Reason::Answered(log::ErrorCode::UnknownTopicOrPartition)), Outcome::Done)
    }

    async fn create_topics(&self, specs: Vec<TopicSpec>, _deadline_ms: u64) -> Outcome<()> {
        let mut state = self.state();
        for spec in specs {
            if state.topics.iter().all(|topic| topic.name != spec.name) {
                let id = TopicId(1 + state.topics.len() as u64);
                state.topics.push(TopicInfo { id, name: spec.name, partitions: spec.partitions });
            }
        }
        // The answer is lost: whoever asked has to look.
        Outcome::Unknown(Reason::Deadline)
    }

    async fn producer(&self) -> Result<MemoryProducer, Reason> {
        Ok(MemoryProducer { log: self.clone(), behind: Vec::new() })
    }

    async fn read(&self, subscription: Subscription, _isolation: Isolation) -> Result<MemoryReader, Reason> {
        match subscription {
            Subscription::Assigned(positions) => {
                let positions = positions.into_iter().map(|(tp, position)| (tp, position.next.0)).collect();
                Ok(MemoryReader { log: self.clone(), changes: self.changes(), positions })
            }
            Subscription::Group { .. } => Err(Reason::Ended("this log has no groups".into())),
        }
    }

    async fn tx_session(&self, _id: &str, _timeout_ms: u32, _deadline_ms: u64) -> Result<Never, Reason> {
        Err(Reason::Ended("this log has no transactions".into()))
    }

    async fn offset_at(&self, tp: Tp, _anchor: Anchor, _deadline_ms: u64) -> Outcome<Option<Position>> {
        let end = self.state().records.get(&tp).map_or(0, |queue| queue.len() as i64);
        Outcome::Done(Some(Position { next: Next(end), epoch: None }))
    }
}

pub struct MemoryProducer {
    log: MemoryLog,
    behind: Vec<Tp>,
}

impl Producer for MemoryProducer {
    fn send(&mut self, tp: Tp, record: Record, _deadline_ms: u64) -> SendTicket {
        let (verdict, ticket) = SendTicket::pair();
        if self.behind.contains(&tp) {
            verdict.give(Outcome::NotDone(Reason::Behind));
            return ticket;
        }
        let sends = self.log.state().sends;
        match sends {
            Sends::Work => {
                let offset = self.log.append(tp, record);
                verdict.give(Outcome::Done(Acked { tp, offset: Some(offset) }));
            }
            Sends::LoseTheAck => {
                self.log.append(tp, record);
                verdict.give(Outcome::Unknown(Reason::Deadline));
            }
            Sends::AreLost => verdict.give(Outcome::Unknown(Reason::Deadline)),
            Sends::AreRefused => verdict.give(Outcome::NotDone(Reason::Deadline)),
        }
        if sends != Sends::Work {
            self.behind.push(tp);
        }
        ticket
    }

    fn resume(&mut self, tp: Tp) {
        self.behind.retain(|behind| *behind != tp);
    }
}

pub struct MemoryReader {
    log: MemoryLog,
    changes: watch::Receiver<u64>,
    positions: BTreeMap<Tp, i64>,
}

impl MemoryReader {
    fn try_next(&mut self) -> Option<ConsumerEvent> {
        for (tp, next) in &mut self.positions {
            let records = self.log.records_from(*tp, *next);
            if let Some(last) = records.last() {
                *next = last.offset + 1;
                return Some(ConsumerEvent::Records { tp: *tp, batch: Batch { position: Position { next: Next(*next), epoch: None }, records } });
            }
        }
        None
    }
}

impl Reader for MemoryReader {
    async fn next(&mut self, until_ms: u64) -> ConsumerEvent {
        loop {
            self.changes.mark_unchanged();
            if let Some(event) = self.try_next() {
                return event;
            }
            runtime::select! {
                changed = self.changes.changed() => changed.expect("the log outlives its readers"),
                () = sleep_until_ms(until_ms) => return ConsumerEvent::Nothing,
            }
        }
    }

    fn pause(&mut self, _tp: Tp) {}

    fn unpause(&mut self, _tp: Tp) {}

    fn seek(&mut self, tp: Tp, to: Position) {
        self.positions.insert(tp, to.next.0);
    }

    fn revoked(&mut self, _tps: &[Tp]) {}

    async fn commit(&mut self, _proof: GroupProof<'_>, _at: &[(Tp, Position)], _deadline_ms: u64) -> Outcome<()> {
        Outcome::NotDone(Reason::Ended("this log has no groups".into()))
    }

    async fn leave(self) {}
}

/// There are no transactions here.
pub enum Never {}

impl TxSession for Never {
    type Tx = Never;

    fn begin(self) -> Never {
        self
    }
}

impl Tx for Never {
    type Session = Never;

    fn send(&mut self, _tp: Tp, _record: Record) -> SendTicket {
        match *self {}
    }

    fn consumed(&mut self, _proof: GroupProof<'_>, _at: &[(Tp, Position)]) {
        match *self {}
    }

    async fn commit(self, _deadline_ms: u64) -> TxEnd<Never> {
        match self {}
    }

    async fn abort(self, _deadline_ms: u64) -> TxEnd<Never> {
        match self {}
    }
}
