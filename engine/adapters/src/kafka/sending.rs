//! What was sent and has no verdict yet: tickets in the order of their partition, deadlines, and what a failure means for those behind it.
//!
//! Both libraries go on with later records after one has failed, and retry until a timeout of their own. So after any failure, or at a record's deadline,
//! the handle is given up with everything in it: what had not left never will, what had is unknown. The next send starts a new one.

use log::history::{Event, Phase, SharedObserver};
use log::{Acked, Outcome, Reason, Record, SendTicket, Tp, Verdict};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// A ticket that waits.
pub struct Pending {
    pub tp: Tp,
    op: u64,
    crc: u32,
    bytes: u64,
    deadline_ms: u64,
    verdict: Verdict,
    /// The library has it: a broker may have it as well.
    left: bool,
    /// Decided, but one before it is not.
    decided: Option<Outcome<Option<i64>>>,
}

#[derive(Default)]
struct Lane {
    order: VecDeque<u64>,
    /// A ticket of it failed: nothing goes on before `resume`.
    behind: bool,
}

/// Tickets, and the handle that they were given to.
pub struct State<H> {
    /// A transactional id's is never replaced.
    pub handle: Option<H>,
    /// Of this handle: its task is woken when the earliest deadline or the handle is another.
    pub wake: Arc<Notify>,
    observer: SharedObserver,
    transactional: bool,
    last_id: u64,
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(u64, u64)>,
    bytes: u64,
    lanes: BTreeMap<Tp, Lane>,
    /// The first failure since `begin`.
    failed: Option<Reason>,
}

/// Shared between who sends and who hears of it.
pub struct Sending<H> {
    state: Mutex<State<H>>,
    /// Something was decided.
    settled: Notify,
}

impl<H> Sending<H> {
    /// Without a handle yet.
    pub fn new(observer: SharedObserver, transactional: bool) -> Arc<Sending<H>> {
        let state = State {
            handle: None,
            wake: Arc::default(),
            observer,
            transactional,
            last_id: 0,
            pending: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            bytes: 0,
            lanes: BTreeMap::new(),
            failed: None,
        };
        Arc::new(Sending { state: Mutex::new(state), settled: Notify::new() })
    }

    /// Nobody waits while holding it.
    pub fn lock(&self) -> MutexGuard<'_, State<H>> {
        self.state.lock().expect("no panic under the lock")
    }

    /// A record that is about to be sent.
    pub fn ticket(&self, op: u64, tp: Tp, record: &Record, deadline_ms: u64) -> (Pending, SendTicket) {
        let (verdict, ticket) = SendTicket::pair();
        let crc = record.value.as_ref().map_or(0, |value| crc32c::crc32c(value));
        let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let pending = Pending { tp, op, crc, bytes: len(&record.key) + len(&record.value), deadline_ms, verdict, left: false, decided: None };
        let state = self.lock();
        let transactional = state.transactional;
        state.observer.observe_with(|| Event::Send { op, tp, phase: Phase::Invoke, crc, offset: None, transactional });
        (pending, ticket)
    }

    /// It was refused before it left, and what comes behind it is stopped.
    pub fn refuse(&self, pending: Pending, why: Reason) {
        let mut state = self.lock();
        state.lanes.entry(pending.tp).or_default().behind = true;
        state.failed.get_or_insert(why.clone());
        state.give(pending, Outcome::NotDone(why));
    }

    /// What became of one. After a failure the handle has nothing left to hear of.
    pub fn decide(&self, id: u64, outcome: Outcome<Option<i64>>) {
        let mut state = self.lock();
        let failure = match &outcome {
            Outcome::Done(_) => None,
            Outcome::NotDone(why) | Outcome::Unknown(why) => Some(why.clone()),
        };
        let Some(pending) = state.pending.get_mut(&id) else { return };
        let tp = pending.tp;
        pending.decided = Some(outcome);
        state.settle(tp);
        if let Some(why) = failure {
            state.condemn(&why);
        }
        self.settled.notify_waiters();
    }

    /// Condemns what waits if the handle has ended (`fatal`) or a deadline has passed; otherwise tells when the next will. `None`: nothing waits.
    pub fn watch(&self, now_ms: u64, fatal: Option<Reason>) -> Option<u64> {
        let mut state = self.lock();
        let (due_ms, _) = *state.deadlines.first()?;
        let Some(why) = fatal.or_else(|| (due_ms <= now_ms).then_some(Reason::Deadline)) else { return Some(due_ms) };
        state.condemn(&why);
        self.settled.notify_waiters();
        None
    }

    /// Lets a partition go on after a failure.
    pub fn resume(&self, tp: Tp) {
        if let Some(lane) = self.lock().lanes.get_mut(&tp) {
            lane.behind = false;
        }
    }

    /// Forgets the failures of the transaction before.
    pub fn begin(&self) {
        let mut state = self.lock();
        state.failed = None;
        state.lanes.values_mut().for_each(|lane| lane.behind = false);
    }

    /// What is not decided stays unknown: the tickets' other ends go, and the handle with them.
    pub fn end(&self) {
        let mut state = self.lock();
        state.pending.clear();
        state.deadlines.clear();
        state.lanes.clear();
        state.give_up();
    }

    /// Waits until every ticket has its verdict; `Err` at the first failure since `begin`.
    pub async fn settled(&self) -> Result<(), Reason> {
        loop {
            let changed = self.settled.notified();
            {
                let state = self.lock();
                if let Some(why) = &state.failed {
                    return Err(why.clone());
                }
                if state.pending.is_empty() {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    /// Waits until every ticket has its verdict, whatever it is.
    pub async fn drained(&self) {
        loop {
            let changed = self.settled.notified();
            if self.lock().pending.is_empty() {
                return;
            }
            changed.await;
        }
    }
}

impl<H> State<H> {
    /// The name of the next ticket.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Did a ticket of it fail?
    pub fn is_behind(&self, tp: Tp) -> bool {
        self.lanes.get(&tp).is_some_and(|lane| lane.behind)
    }

    /// Bytes of what waits, with one more. librdkafka counts for itself.
    #[cfg_attr(not(feature = "krafka"), allow(dead_code))]
    pub fn bytes_with(&self, pending: &Pending) -> u64 {
        self.bytes + pending.bytes
    }

    /// It waits from now on.
    pub fn admit(&mut self, id: u64, pending: Pending) {
        if self.deadlines.first().is_none_or(|(due_ms, _)| pending.deadline_ms < *due_ms) {
            self.wake.notify_one();
        }
        self.deadlines.insert((pending.deadline_ms, id));
        self.bytes += pending.bytes;
        self.lanes.entry(pending.tp).or_default().order.push_back(id);
        self.pending.insert(id, pending);
    }

    /// The library takes it now. `false`: it has its verdict already, and must not be sent.
    pub fn leave(&mut self, id: u64) -> bool {
        self.pending.get_mut(&id).map(|pending| pending.left = true).is_some()
    }

    /// Another handle for the next send.
    pub fn give_up(&mut self) {
        self.handle = None;
        self.wake.notify_one();
    }

    /// Gives the verdicts of a partition that are due, in order.
    fn settle(&mut self, tp: Tp) {
        while let Some(id) = self.lanes.get(&tp).and_then(|lane| lane.order.front()).copied()
            && let Some(outcome) = self.pending.get_mut(&id).expect("in order and pending").decided.take()
        {
            self.lanes.get_mut(&tp).expect("just seen").order.pop_front();
            let pending = self.take(id);
            self.give(pending, outcome);
        }
    }

    /// The first of each partition has this reason, those behind it are behind.
    fn condemn(&mut self, why: &Reason) {
        self.failed.get_or_insert(why.clone());
        let orders: Vec<VecDeque<u64>> = self.lanes.values_mut().map(|lane| std::mem::take(&mut lane.order)).collect();
        self.lanes.values_mut().for_each(|lane| lane.behind = true);
        for order in orders {
            for (at, id) in order.into_iter().enumerate() {
                let mut pending = self.take(id);
                let reason = if at == 0 { why.clone() } else { Reason::Behind };
                let open = if pending.left { Outcome::Unknown(reason) } else { Outcome::NotDone(reason) };
                let outcome = pending.decided.take().unwrap_or(open);
                self.give(pending, outcome);
            }
        }
        if !self.transactional {
            self.give_up();
        }
    }

    fn take(&mut self, id: u64) -> Pending {
        let pending = self.pending.remove(&id).expect("in order and pending");
        self.deadlines.remove(&(pending.deadline_ms, id));
        self.bytes -= pending.bytes;
        pending
    }

    fn give(&self, pending: Pending, outcome: Outcome<Option<i64>>) {
        let (phase, offset) = match &outcome {
            Outcome::Done(offset) => (Phase::Ok, *offset),
            Outcome::NotDone(_) => (Phase::Fail, None),
            Outcome::Unknown(_) => (Phase::Unknown, None),
        };
        let Pending { tp, op, crc, verdict, .. } = pending;
        let transactional = self.transactional;
        self.observer.observe_with(|| Event::Send { op, tp, phase, crc, offset, transactional });
        verdict.give(match outcome {
            Outcome::Done(offset) => Outcome::Done(Acked { tp, offset }),
            Outcome::NotDone(why) => Outcome::NotDone(why),
            Outcome::Unknown(why) => Outcome::Unknown(why),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::TopicId;
    use log::history::Silent;

    fn tp(partition: u32) -> Tp {
        Tp { topic: TopicId(7), partition }
    }

    fn send(sending: &Sending<()>, partition: u32, deadline_ms: u64, left: bool) -> (u64, SendTicket) {
        let record = Record { key: None, value: Some(bytes::Bytes::from_static(b"four")), timestamp_ms: 1 };
        let (pending, ticket) = sending.ticket(1, tp(partition), &record, deadline_ms);
        let mut state = sending.lock();
        let id = state.next_id();
        state.admit(id, pending);
        if left {
            assert!(state.leave(id));
        }
        (id, ticket)
    }

    fn sending(transactional: bool) -> Arc<Sending<()>> {
        let sending = Sending::new(Arc::new(Silent), transactional);
        sending.lock().handle = Some(());
        sending
    }

    #[tokio::test]
    async fn verdicts_of_a_partition_come_in_the_order_of_its_sends() {
        let sending = sending(false);
        let ((first, one), (second, two)) = (send(&sending, 0, 9, true), send(&sending, 0, 9, true));
        sending.decide(second, Outcome::Done(Some(8)));
        assert!(!sending.lock().pending.is_empty(), "the second waits for the first");
        sending.decide(first, Outcome::Done(Some(7)));
        assert_eq!(one.outcome().await, Outcome::Done(Acked { tp: tp(0), offset: Some(7) }));
        assert_eq!(two.outcome().await, Outcome::Done(Acked { tp: tp(0), offset: Some(8) }));
        assert_eq!(sending.settled().await, Ok(()));
        assert_eq!(sending.lock().bytes, 0);
    }

    #[tokio::test]
    async fn a_failure_stops_every_partition_and_tells_what_had_left_from_what_had_not() {
        let sending = sending(false);
        let ((first, one), (_, two), (_, other), (_, three)) =
            (send(&sending, 0, 9, true), send(&sending, 0, 9, true), send(&sending, 1, 9, true), send(&sending, 0, 9, false));
        sending.decide(first, Outcome::NotDone(Reason::Disconnected));
        assert_eq!(one.outcome().await, Outcome::NotDone(Reason::Disconnected));
        assert_eq!(two.outcome().await, Outcome::Unknown(Reason::Disconnected));
        assert_eq!(other.outcome().await, Outcome::Unknown(Reason::Disconnected));
        assert_eq!(three.outcome().await, Outcome::NotDone(Reason::Behind));
        assert!(sending.lock().is_behind(tp(1)) && sending.lock().handle.is_none(), "a handle goes as a whole");
        sending.resume(tp(1));
        assert!(sending.lock().is_behind(tp(0)) && !sending.lock().is_behind(tp(1)));
    }

    #[tokio::test]
    async fn at_a_deadline_nothing_goes_on() {
        let sending = sending(true);
        let ((_, late), (_, early)) = (send(&sending, 0, 50, true), send(&sending, 1, 20, false));
        assert_eq!(sending.watch(19, None), Some(20));
        assert_eq!(sending.watch(20, None), None);
        assert_eq!(early.outcome().await, Outcome::NotDone(Reason::Deadline));
        assert_eq!(late.outcome().await, Outcome::Unknown(Reason::Deadline));
        assert_eq!(sending.settled().await, Err(Reason::Deadline));
        assert!(sending.lock().handle.is_some(), "a transactional id's handle stays");
        sending.begin();
        assert_eq!(sending.settled().await, Ok(()));
    }
}
