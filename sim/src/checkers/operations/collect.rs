//! One pass over a history: begins are paired with ends.

use super::attribution::Attribution;
use super::{NONE, Operations, Outcome, Poll, Send, Transaction};
use crate::Entry;
use broker::Note;
use log::history::Phase;
use log::{Event, Isolation, Tp};
use std::collections::BTreeMap;

/// A node: what is open on it.
#[derive(Default)]
struct Process {
    /// Sends by operation number.
    sends: BTreeMap<u64, u32>,
    /// Transactions by transactional id.
    transactions: BTreeMap<u32, u32>,
    /// The last delivery of each reader: (reader, partition).
    readers: BTreeMap<(u64, u32), u32>,
}

#[derive(Default)]
struct Collector<'a> {
    partitions: BTreeMap<Tp, u32>,
    /// The highest offset that was acknowledged, by partition.
    floors: Vec<i64>,
    ids: BTreeMap<&'a str, u32>,
    processes: BTreeMap<&'a str, Process>,
    attribution: Attribution,
    sends: Vec<Send>,
    transactions: Vec<Transaction>,
    polls: Vec<Poll>,
}

pub fn collect(history: &[Entry]) -> Operations<'_> {
    let mut collector = Collector::default();
    for (at, entry) in history.iter().enumerate() {
        collector.observe(u32::try_from(at).expect("a history of four thousand million facts does not fit in memory"), entry);
    }
    let mut partitions: Vec<(u32, Tp)> = collector.partitions.iter().map(|(tp, number)| (*number, *tp)).collect();
    partitions.sort_unstable();
    let mut ids: Vec<(u32, &str)> = collector.ids.iter().map(|(id, number)| (*number, *id)).collect();
    ids.sort_unstable();
    Operations {
        history,
        partitions: partitions.into_iter().map(|(_, tp)| tp).collect(),
        ids: ids.into_iter().map(|(_, id)| id).collect(),
        sends: collector.sends,
        transactions: collector.transactions,
        polls: collector.polls,
        sends_by_transaction: Vec::new(),
    }
}

impl<'a> Collector<'a> {
    fn observe(&mut self, at: u32, entry: &'a Entry) {
        match &entry.event {
            Event::Broker(Note::Appended { tp, leader_epoch, first, last, producer_id: 0.., transactional: true, control: None, as_leader: true, .. }) => {
                let Event::Broker(Note::Appended { producer_id, .. }) = &entry.event else { unreachable!("just matched") };
                let partition = self.partition(*tp);
                self.attribution.appended(partition, *leader_epoch, *first, *last, *producer_id);
            }
            Event::Send { op, tp, phase: Phase::Invoke, crc, transactional, .. } => self.send(at, &entry.node, *op, *tp, *crc, *transactional),
            Event::Send { op, phase, offset, .. } => self.sent(at, &entry.node, *op, *phase, *offset),
            Event::Transaction { transactional_id, producer_id, phase, .. } => self.transaction(at, &entry.node, transactional_id, *producer_id, *phase),
            Event::Delivered { reader, tp, isolation, restarted, records, .. } => {
                let partition = self.partition(*tp);
                let poll = Poll { at, partition, before: NONE, transaction: NONE, committed: *isolation == Isolation::ReadCommitted };
                self.delivered(&entry.node, *reader, poll, *restarted, records.is_empty());
            }
            // What was open on a node that ended stays open; its readers and sessions end with it.
            Event::Service { name, up: false, .. } => {
                self.processes.remove(&**name);
            }
            _ => {}
        }
    }

    fn partition(&mut self, tp: Tp) -> u32 {
        let next = self.partitions.len() as u32;
        let number = *self.partitions.entry(tp).or_insert(next);
        if number == next {
            self.floors.push(-1);
        }
        number
    }

    fn process(&mut self, node: &'a str) -> &mut Process {
        self.processes.entry(node).or_default()
    }

    fn send(&mut self, at: u32, node: &'a str, op: u64, tp: Tp, value: u32, transactional: bool) {
        let partition = self.partition(tp);
        let number = self.sends.len() as u32;
        let process = self.process(node);
        process.sends.insert(op, number);
        let transaction = if transactional { only(&process.transactions) } else { NONE };
        let floor = self.floors[partition as usize];
        self.sends.push(Send { partition, value, offset: -1, floor, transaction, begun: at, ended: NONE, phase: Phase::Unknown, transactional });
    }

    fn sent(&mut self, at: u32, node: &'a str, op: u64, phase: Phase, offset: Option<i64>) {
        let Some(number) = self.process(node).sends.remove(&op) else { return };
        let send = &mut self.sends[number as usize];
        (send.ended, send.phase, send.offset) = (at, phase, offset.filter(|_| phase == Phase::Ok).unwrap_or(-1));
        let floor = &mut self.floors[send.partition as usize];
        *floor = (*floor).max(send.offset);
        if send.transactional && send.transaction == NONE && send.offset >= 0 {
            send.transaction = self.attribution.transaction_of(node, send.partition, send.offset, send.begun);
        }
    }

    fn transaction(&mut self, at: u32, node: &'a str, transactional_id: &'a str, producer_id: i64, phase: Phase) {
        let next = self.ids.len() as u32;
        let id = *self.ids.entry(transactional_id).or_insert(next);
        let number = self.transactions.len() as u32;
        let open = &mut self.process(node).transactions;
        if phase == Phase::Invoke {
            // One that was dropped without an end stays unknown.
            open.insert(id, number);
            self.attribution.begun(node, producer_id, at, number);
            self.transactions.push(Transaction { id, begun: at, ended: NONE, outcome: Outcome::Unknown, sends: (0, 0) });
        } else if let Some(ended) = open.remove(&id) {
            let transaction = &mut self.transactions[ended as usize];
            transaction.ended = at;
            transaction.outcome = match phase {
                Phase::Ok => Outcome::Ok,
                Phase::Fail => Outcome::Fail,
                Phase::Unknown | Phase::Invoke => Outcome::Unknown,
            };
        }
    }

    fn delivered(&mut self, node: &'a str, reader: u64, mut poll: Poll, restarted: bool, is_empty: bool) {
        let number = self.polls.len() as u32;
        let process = self.process(node);
        let key = (reader, poll.partition);
        let before = process.readers.get(&key).copied().filter(|_| !restarted);
        if is_empty {
            if restarted {
                process.readers.remove(&key);
            }
            return;
        }
        process.readers.insert(key, number);
        poll.before = before.unwrap_or(NONE);
        poll.transaction = only(&process.transactions);
        self.polls.push(poll);
    }
}

/// The transaction that is open, if it is the only one.
fn only(open: &BTreeMap<u32, u32>) -> u32 {
    match open.len() {
        1 => *open.first_key_value().expect("there is one").1,
        _ => NONE,
    }
}
