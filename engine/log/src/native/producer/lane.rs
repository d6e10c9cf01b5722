//! One partition of a producer: what is queued, what was sent, under which sequence. No I/O.
//!
//! Batches keep their sequence and bytes over all attempts (A28: the log knows them again). After one came back, only the oldest is sent again, alone:
//! nothing overtakes. Verdicts are given in the order of the sends.

#[cfg(test)]
mod tests;

use crate::native::verdict::Attempts;
use crate::port::{Acked, Outcome, Reason, Verdict};
use broker::batch::{self, Batch};
use broker::protocol::{ErrorCode, ProducerEpoch, ProducerId, Tp};
use bytes::Bytes;
use std::collections::VecDeque;

/// A producer id and its incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// ≥ 0.
    pub id: ProducerId,
    /// ≥ 0.
    pub epoch: ProducerEpoch,
}

/// Who hears how a send went.
#[derive(Debug)]
pub struct Ticket {
    /// Number of the operation in the history.
    pub op: u64,
    /// CRC-32C of the value, for the history.
    pub crc: u32,
    /// Bytes it holds of the producer's buffer.
    pub bytes: usize,
    /// The caller's end.
    pub verdict: Verdict,
}

/// A record that is not in a batch yet.
#[derive(Debug)]
pub struct Queued {
    /// The record.
    pub record: batch::Record,
    /// When it must be decided.
    pub deadline_ms: u64,
    /// When it came.
    pub since_ms: u64,
    /// Who waits.
    pub ticket: Ticket,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    bytes: Bytes,
    deadline_ms: u64,
    tickets: Vec<Ticket>,
    attempts: Attempts,
    /// How often it was answered `CorruptMessage`.
    corrupt: u32,
    in_flight: bool,
    done: Option<i64>,
}

/// A ticket with its outcome.
pub type Decided = (Ticket, Outcome<Acked>);

/// One partition.
#[derive(Debug)]
pub struct Lane {
    tp: Tp,
    /// `None`: sequences are unresolved, a new identity is needed before anything goes on (A33).
    pub identity: Option<Identity>,
    next_sequence: i32,
    queue: VecDeque<Queued>,
    sent: VecDeque<Sent>,
    numbers: u64,
    /// Sends are refused until `resume`.
    pub behind: bool,
    /// Nothing leaves before.
    pub not_before_ms: u64,
}

impl Lane {
    /// An empty one.
    pub fn new(tp: Tp, identity: Option<Identity>) -> Self {
        Lane { tp, identity, next_sequence: 0, queue: VecDeque::new(), sent: VecDeque::new(), numbers: 0, behind: false, not_before_ms: 0 }
    }

    /// Begins anew under this identity, from sequence 0.
    pub fn identify(&mut self, identity: Identity) {
        assert!(self.sent.is_empty(), "a batch keeps the identity under which it was first sent");
        self.identity = Some(identity);
        self.next_sequence = 0;
    }

    /// Takes a record.
    pub fn push(&mut self, queued: Queued) {
        self.queue.push_back(queued);
    }

    /// Nothing queued, nothing sent?
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.sent.is_empty()
    }

    /// Is there a record that needs an identity?
    pub fn wants_to_send(&self) -> bool {
        !self.behind && !self.is_idle()
    }

    /// When the next thing happens by time alone: a deadline, the end of a linger or of a back-off.
    pub fn wakes_at_ms(&self, linger_ms: u64, now_ms: u64) -> Option<u64> {
        let deadline = self.deadline_ms();
        let lingered = self.queue.front().map(|queued| queued.since_ms + linger_ms).filter(|at| *at > now_ms);
        let backed_off = Some(self.not_before_ms).filter(|at| *at > now_ms && !self.is_idle());
        [deadline, lingered, backed_off].into_iter().flatten().min()
    }

    fn deadline_ms(&self) -> Option<u64> {
        self.sent.front().map(|sent| sent.deadline_ms).or_else(|| self.queue.front().map(|queued| queued.deadline_ms))
    }

    /// The batch to send now: its number and bytes. It counts as in flight from here.
    pub fn next_batch(&mut self, now_ms: u64, linger_ms: u64, bytes_max: usize, in_flight_max: usize, transactional: bool) -> Option<(u64, Bytes)> {
        let identity = self.identity.filter(|_| !self.behind && now_ms >= self.not_before_ms)?;
        let in_flight = self.sent.iter().filter(|sent| sent.in_flight).count();
        if self.sent.iter().any(|sent| !sent.in_flight && sent.done.is_none()) {
            let oldest = self.sent.iter_mut().find(|sent| sent.done.is_none()).expect("one came back");
            if in_flight > 0 {
                return None;
            }
            oldest.in_flight = true;
            oldest.attempts.sent();
            return Some((oldest.number, oldest.bytes.clone()));
        }
        let lingered = self.queue.front().is_some_and(|queued| now_ms >= queued.since_ms + linger_ms || self.queued_bytes() >= bytes_max);
        if in_flight >= in_flight_max || !lingered {
            return None;
        }
        let number = self.build(identity, bytes_max, transactional);
        Some((number, self.sent.back().expect("just built").bytes.clone()))
    }

    fn queued_bytes(&self) -> usize {
        self.queue.iter().map(|queued| queued.ticket.bytes).sum()
    }

    fn build(&mut self, identity: Identity, bytes_max: usize, transactional: bool) -> u64 {
        let mut records = Vec::new();
        let mut tickets = Vec::new();
        let mut bytes = 0;
        let mut deadline_ms = u64::MAX;
        while let Some(first) = self.queue.front()
            && (records.is_empty() || bytes + first.ticket.bytes <= bytes_max)
        {
            let queued = self.queue.pop_front().expect("looked at");
            bytes += queued.ticket.bytes;
            deadline_ms = deadline_ms.min(queued.deadline_ms);
            records.push(queued.record);
            tickets.push(queued.ticket);
        }
        let producer = batch::Producer { id: identity.id, epoch: identity.epoch, first_sequence: self.next_sequence };
        let built = Batch::build(&records, producer, transactional);
        // Kafka's sequences run from 0 to i32::MAX and begin again at 0.
        let next = (i64::from(self.next_sequence) + records.len() as i64) % (i64::from(i32::MAX) + 1);
        self.next_sequence = i32::try_from(next).expect("taken modulo");
        self.numbers += 1;
        let mut attempts = Attempts::default();
        attempts.sent();
        self.sent.push_back(Sent {
            number: self.numbers,
            bytes: built.bytes().clone(),
            deadline_ms,
            tickets,
            attempts,
            corrupt: 0,
            in_flight: true,
            done: None,
        });
        self.numbers
    }

    fn find(&mut self, number: u64) -> Option<&mut Sent> {
        // A batch that was given up is not found: its late answer changes nothing.
        self.sent.iter_mut().find(|sent| sent.number == number)
    }

    /// A batch is in the log at this base offset.
    pub fn acknowledged(&mut self, number: u64, base_offset: i64) -> Vec<Decided> {
        if let Some(sent) = self.find(number) {
            sent.done = Some(base_offset);
            sent.in_flight = false;
        }
        let mut decided = Vec::new();
        while let Some(base_offset) = self.sent.front().and_then(|sent| sent.done) {
            let sent = self.sent.pop_front().expect("looked at");
            let acked = |at: usize| Acked { tp: self.tp, offset: Some(base_offset + at as i64) };
            decided.extend(sent.tickets.into_iter().enumerate().map(|(at, ticket)| (ticket, Outcome::Done(acked(at)))));
        }
        decided
    }

    /// A batch came back; it will be sent again after `not_before_ms`. `reached`: it may have arrived.
    pub fn came_back(&mut self, number: u64, code: Option<ErrorCode>, reached: bool, not_before_ms: u64) {
        if let Some(sent) = self.find(number) {
            sent.in_flight = false;
            match code {
                Some(code) => sent.attempts.answered(code),
                None if !reached => sent.attempts.not_sent(),
                None => {}
            }
            self.not_before_ms = not_before_ms;
        }
    }

    /// Was this batch answered `CorruptMessage` too often?
    pub fn is_corrupt_again(&mut self, number: u64) -> bool {
        const CORRUPT_MAX: u32 = 3;
        self.find(number).is_some_and(|sent| {
            sent.corrupt += 1;
            sent.corrupt >= CORRUPT_MAX
        })
    }

    /// Is it the oldest that is not done? An out-of-order answer to a later one only says that the oldest has to come first.
    pub fn is_oldest(&self, number: u64) -> bool {
        self.sent.iter().find(|sent| sent.done.is_none()).is_some_and(|sent| sent.number == number)
    }

    /// This batch failed for good with that answer: decides everything in the lane.
    pub fn fail(&mut self, number: u64, code: ErrorCode) -> Vec<Decided> {
        match self.find(number) {
            Some(sent) => sent.attempts.answered(code),
            None => return Vec::new(),
        }
        self.give_up(Reason::Answered(code))
    }

    /// Has the deadline of the oldest come?
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms)
    }

    /// Decides everything in the lane because its oldest is due.
    pub fn expire(&mut self) -> Vec<Decided> {
        self.give_up(Reason::Deadline)
    }

    /// Gives everything up: the oldest for this reason, all others because of it.
    pub fn give_up(&mut self, why: Reason) -> Vec<Decided> {
        let mut decided: Vec<Decided> = Vec::new();
        let mut why = Some(why);
        for sent in std::mem::take(&mut self.sent) {
            let outcome = match (sent.done, why.take()) {
                // Acknowledged, but behind one that is not known to be: the promise of order is broken, so it is not called done.
                (Some(_), _) => Outcome::Unknown(Reason::Behind),
                (None, Some(why)) => sent.attempts.give_up(why),
                (None, None) if sent.attempts.may_have_happened() => Outcome::Unknown(Reason::Behind),
                (None, None) => Outcome::NotDone(Reason::Behind),
            };
            decided.extend(sent.tickets.into_iter().map(|ticket| (ticket, outcome.clone())));
            self.identity = None;
        }
        for queued in std::mem::take(&mut self.queue) {
            let outcome = Outcome::NotDone(why.take().unwrap_or(Reason::Behind));
            decided.push((queued.ticket, outcome));
        }
        self.behind = !decided.is_empty() || self.behind;
        decided
    }
}
