//! A history as operations: sends, transactions and deliveries, with outcomes. Everything is kept by number; a history of a million operations fits.

mod attribution;
mod collect;

use crate::Entry;
use log::history::Phase;
use log::{Event, Tp};

/// No such number.
pub const NONE: u32 = u32::MAX;

/// How an operation ended in the end (Jepsen's classes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It did not and will not happen.
    Fail,
    /// It may have happened, or may still happen.
    Unknown,
}

/// A send.
#[derive(Debug, Clone, Copy)]
pub struct Send {
    /// Number of its partition.
    pub partition: u32,
    /// CRC-32C of the record's value.
    pub value: u32,
    /// Where it stands, if the log has told; else −1.
    pub offset: i64,
    /// The highest offset that had been acknowledged in the partition when it began; −1: none.
    pub floor: i64,
    /// Number of its transaction; [`NONE`]: it is plain, or its transaction is not known.
    pub transaction: u32,
    /// Entry that began it.
    pub begun: u32,
    /// Entry that ended it; [`NONE`]: it is open.
    pub ended: u32,
    /// What the log said of the send alone.
    pub phase: Phase,
    /// Is it part of a transaction?
    pub transactional: bool,
}

/// A transaction.
#[derive(Debug, Clone, Copy)]
pub struct Transaction {
    /// Number of its transactional id.
    pub id: u32,
    /// Entry that began it.
    pub begun: u32,
    /// Entry that ended it; [`NONE`]: it is open.
    pub ended: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Where its sends begin and end in [`Operations::sends_by_transaction`].
    sends: (u32, u32),
}

/// A delivery that is not empty.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    /// Its entry.
    pub at: u32,
    /// Number of its partition.
    pub partition: u32,
    /// Number of the delivery before, if the reader was not set elsewhere since; else [`NONE`].
    pub before: u32,
    /// Transaction it is part of: the only one open on its node; else [`NONE`].
    pub transaction: u32,
    /// Committed records only?
    pub committed: bool,
}

/// All operations of a history.
#[derive(Debug)]
pub struct Operations<'a> {
    /// The facts.
    pub history: &'a [Entry],
    /// Partitions by number.
    pub partitions: Vec<Tp>,
    /// Transactional ids by number.
    pub ids: Vec<&'a str>,
    /// In the order in which they began.
    pub sends: Vec<Send>,
    /// In the order in which they began.
    pub transactions: Vec<Transaction>,
    /// In order.
    pub polls: Vec<Poll>,
    sends_by_transaction: Vec<u32>,
}

impl<'a> Operations<'a> {
    /// Reads a history.
    pub fn of(history: &'a [Entry]) -> Self {
        let mut operations = collect::collect(history);
        operations.sort_sends();
        operations.end_reads();
        operations
    }

    /// How many there are: sends and delivered records, each one.
    pub fn count(&self) -> u64 {
        self.sends.len() as u64 + self.polls.iter().map(|poll| self.records(poll).len() as u64).sum::<u64>()
    }

    /// What a delivery gave: (offset, value).
    pub fn records(&self, poll: &Poll) -> &'a [(i64, u32)] {
        match &self.history[poll.at as usize].event {
            Event::Delivered { records, .. } => records,
            _ => unreachable!("a poll is a delivery"),
        }
    }

    /// What became of a send, its transaction considered.
    pub fn outcome(&self, send: &Send) -> Outcome {
        match (send.phase, send.transactional) {
            (Phase::Fail, _) => Outcome::Fail,
            (Phase::Ok, false) => Outcome::Ok,
            (_, false) => Outcome::Unknown,
            (phase, true) => match self.transactions.get(send.transaction as usize).map(|transaction| transaction.outcome) {
                Some(Outcome::Ok) if phase == Phase::Ok => Outcome::Ok,
                Some(Outcome::Fail) => Outcome::Fail,
                _ => Outcome::Unknown,
            },
        }
    }

    /// The sends of a transaction, in the order in which they began.
    pub fn sends_of(&self, transaction: &Transaction) -> impl DoubleEndedIterator<Item = (u32, &Send)> {
        let (from, to) = transaction.sends;
        self.sends_by_transaction[from as usize..to as usize].iter().map(|number| (*number, &self.sends[*number as usize]))
    }

    fn sort_sends(&mut self) {
        let mut numbers: Vec<u32> = (0..self.sends.len() as u32).filter(|number| self.sends[*number as usize].transaction != NONE).collect();
        // Stable: within a transaction they stay in order.
        numbers.sort_by_key(|number| self.sends[*number as usize].transaction);
        for (at, number) in numbers.iter().enumerate() {
            let transaction = &mut self.transactions[self.sends[*number as usize].transaction as usize];
            if transaction.sends == (0, 0) {
                transaction.sends.0 = at as u32;
            }
            transaction.sends.1 = at as u32 + 1;
        }
        self.sends_by_transaction = numbers;
    }

    /// What a node is given once its transaction has made its last send is nothing that the transaction has read.
    fn end_reads(&mut self) {
        for number in 0..self.polls.len() {
            let poll = self.polls[number];
            let last = self.transactions.get(poll.transaction as usize).and_then(|transaction| Some(self.sends_of(transaction).next_back()?.1.begun));
            if last.is_none_or(|begun| begun < poll.at) {
                self.polls[number].transaction = NONE;
            }
        }
    }

    /// A send in words, at the entry that says most.
    pub fn cite_send(&self, send: &Send) -> String {
        let what = match (send.phase, send.offset) {
            (Phase::Ok, offset @ 0..) => format!("was told value {:08x} is at {}", send.value, self.place(send.partition, offset)),
            (phase, _) => format!("send of value {:08x}: {phase:?}", send.value),
        };
        let at = if send.ended == NONE { send.begun } else { send.ended };
        let of = match self.transactions.get(send.transaction as usize) {
            Some(transaction) => format!(", transaction {} of {}", send.transaction, self.ids[transaction.id as usize]),
            None => String::new(),
        };
        crate::invariants::cite(&self.history[at as usize], format_args!("{what}{of}"))
    }

    /// A transaction in words.
    pub fn cite_transaction(&self, number: u32) -> String {
        let transaction = &self.transactions[number as usize];
        let at = if transaction.ended == NONE { transaction.begun } else { transaction.ended };
        let what = format_args!("transaction {number} of {}, begun at #{}: {:?}", self.ids[transaction.id as usize], transaction.begun, transaction.outcome);
        crate::invariants::cite(&self.history[at as usize], what)
    }

    /// A delivery in words.
    pub fn cite_poll(&self, number: u32, offset: i64) -> String {
        let poll = &self.polls[number as usize];
        crate::invariants::cite(&self.history[poll.at as usize], format_args!("was given {}", self.place(poll.partition, offset)))
    }

    /// A place in words.
    pub fn place(&self, partition: u32, offset: i64) -> String {
        crate::invariants::at(self.partitions[partition as usize], offset)
    }
}
