//! What was sent and has no verdict yet: tickets in the order of their partition, deadlines, and what a failure means for those behind it.
//!
//! librdkafka goes on with later messages after one has failed, and retries until a timeout of its own. So after any failure, or at a record's deadline,
//! the handle is given up with everything in it: what had not left is purged, what had is unknown. The next send starts a new one.

use super::Shared;
use super::config::assert_sending;
use super::errors::{reason, verdict};
use super::native::{Delivery, EventKind, Handle, Kind, Queue};
use log::history::{Event, Phase};
use log::{Acked, Outcome, Reason, Record, SendTicket, Tp, Verdict};
use runtime::time;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// A ticket that waits.
struct Pending {
    tp: Tp,
    op: u64,
    crc: u32,
    deadline_ms: u64,
    verdict: Verdict,
    /// Decided, but one before it is not.
    decided: Option<Outcome<Option<i64>>>,
}

#[derive(Default)]
struct Lane {
    order: VecDeque<u64>,
    /// A ticket of it failed: nothing goes on before `resume`.
    behind: bool,
}

#[derive(Default)]
struct State {
    handle: Option<Arc<Handle>>,
    /// Of this handle; another is started for another one.
    wake: Arc<Notify>,
    next_id: u64,
    pending: BTreeMap<u64, Pending>,
    lanes: BTreeMap<Tp, Lane>,
    /// The first failure since `begin`.
    failed: Option<Reason>,
}

/// The outbox.
pub struct Outbox {
    shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
    /// Something was decided.
    settled: Arc<Notify>,
    transactional: bool,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // What is not decided stays unknown: the tickets' other ends go.
        let mut state = self.state();
        state.pending.clear();
        state.give_up();
    }
}

impl Outbox {
    /// Of plain sends.
    pub fn plain(shared: Arc<Shared>) -> Result<Outbox, Reason> {
        let outbox = Outbox { shared, state: Arc::default(), settled: Arc::default(), transactional: false };
        outbox.start()?;
        Ok(outbox)
    }

    /// Of a transactional id's handle, which is never replaced.
    pub fn transactional(shared: Arc<Shared>, handle: Arc<Handle>) -> Outbox {
        let outbox = Outbox { shared, state: Arc::default(), settled: Arc::default(), transactional: true };
        outbox.serve(handle);
        outbox
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    fn start(&self) -> Result<Arc<Handle>, Reason> {
        let handle = Handle::new(Kind::Producer, &self.shared.config.plain()).map_err(Reason::Ended)?;
        assert_sending(&handle);
        self.serve(handle.clone());
        Ok(handle)
    }

    fn serve(&self, handle: Arc<Handle>) {
        let wake = Arc::new(Notify::new());
        let queue = Queue::main(&handle, &wake);
        let mut state = self.state();
        state.handle = Some(handle.clone());
        state.wake = wake.clone();
        drop(state);
        let serving = Serving {
            shared: self.shared.clone(),
            state: self.state.clone(),
            settled: self.settled.clone(),
            handle,
            wake,
            queue,
            transactional: self.transactional,
        };
        runtime::task::spawn(serving.run());
    }

    /// Queues a record.
    pub fn send(&mut self, tp: Tp, record: &Record, deadline_ms: u64) -> SendTicket {
        let (verdict, waiting) = SendTicket::pair();
        let op = self.shared.number();
        let crc = record.value.as_ref().map_or(0, |value| crc32c::crc32c(value));
        let transactional = self.transactional;
        self.shared.observer.observe_with(|| Event::Send { op, tp, phase: Phase::Invoke, crc, offset: None, transactional });
        let pending = Pending { tp, op, crc, deadline_ms, verdict, decided: None };
        if let Err((pending, why)) = self.enqueue(pending, record) {
            let mut state = self.state();
            state.lanes.entry(tp).or_default().behind = true;
            state.failed.get_or_insert(why.clone());
            drop(state);
            pending.give(&self.shared, transactional, Outcome::NotDone(why));
        }
        waiting
    }

    /// Hands it to librdkafka, which copies it. Nothing of it has left when this is refused.
    fn enqueue(&self, pending: Pending, record: &Record) -> Result<(), (Pending, Reason)> {
        let started = self.state().handle.clone();
        let handle = match started {
            Some(handle) => handle,
            None if self.transactional => return Err((pending, Reason::Ended("this transactional producer has ended".to_owned()))),
            None => match self.start() {
                Ok(handle) => handle,
                Err(why) => return Err((pending, why)),
            },
        };
        let Pending { tp, .. } = pending;
        let name = self.shared.topics.name(tp);
        // 0 would mean now.
        let timestamp_ms = i64::try_from(record.timestamp_ms).unwrap_or(i64::MAX).max(1);
        // Under the lock: its delivery report must find it admitted.
        let mut state = self.state();
        if state.lanes.get(&tp).is_some_and(|lane| lane.behind) {
            return Err((pending, Reason::Behind));
        }
        state.next_id += 1;
        let id = state.next_id;
        match handle.produce(&name, tp.partition, record.key.as_deref(), record.value.as_deref(), timestamp_ms, id) {
            Ok(()) => {
                state.admit(id, pending);
                Ok(())
            }
            Err(code) => Err((pending, reason(code))),
        }
    }

    /// Lets a partition go on after a failure.
    pub fn resume(&mut self, tp: Tp) {
        if let Some(lane) = self.state().lanes.get_mut(&tp) {
            lane.behind = false;
        }
    }

    /// Forgets the failures of the transaction before.
    pub fn begin(&mut self) {
        let mut state = self.state();
        state.failed = None;
        state.lanes.values_mut().for_each(|lane| lane.behind = false);
    }

    /// Waits until every ticket has its verdict; `Err` at the first failure since `begin`.
    pub async fn settled(&self) -> Result<(), Reason> {
        loop {
            let changed = self.settled.notified();
            {
                let state = self.state();
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
            if self.state().pending.is_empty() {
                return;
            }
            changed.await;
        }
    }
}

impl Pending {
    fn give(self, shared: &Shared, transactional: bool, outcome: Outcome<Option<i64>>) {
        let (phase, offset) = match &outcome {
            Outcome::Done(offset) => (Phase::Ok, *offset),
            Outcome::NotDone(_) => (Phase::Fail, None),
            Outcome::Unknown(_) => (Phase::Unknown, None),
        };
        let Pending { tp, op, crc, verdict, .. } = self;
        shared.observer.observe_with(|| Event::Send { op, tp, phase, crc, offset, transactional });
        verdict.give(match outcome {
            Outcome::Done(offset) => Outcome::Done(Acked { tp, offset }),
            Outcome::NotDone(why) => Outcome::NotDone(why),
            Outcome::Unknown(why) => Outcome::Unknown(why),
        });
    }
}

impl State {
    fn admit(&mut self, id: u64, pending: Pending) {
        if self.pending.values().next().is_none_or(|first| pending.deadline_ms < first.deadline_ms) {
            // The deadline that its task waits for may be another now.
            self.wake.notify_one();
        }
        self.lanes.entry(pending.tp).or_default().order.push_back(id);
        self.pending.insert(id, pending);
    }

    fn give_up(&mut self) {
        self.handle = None;
        self.wake.notify_one();
    }
}

/// The task of one handle: hears its delivery reports, watches the deadlines.
struct Serving {
    shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
    settled: Arc<Notify>,
    handle: Arc<Handle>,
    wake: Arc<Notify>,
    queue: Queue,
    transactional: bool,
}

impl Serving {
    async fn run(self) {
        while let Some(due_ms) = self.turn() {
            match due_ms {
                Some(due_ms) => {
                    let due = time::sleep_until_ms(due_ms);
                    runtime::select! {
                        () = self.wake.notified() => {}
                        () = due => {}
                    }
                }
                None => self.wake.notified().await,
            }
        }
    }

    /// Everything that came, then the deadlines; when to look again. `None`: this handle was given up.
    fn turn(&self) -> Option<Option<u64>> {
        let mut state = self.state.lock().expect("no panic under the lock");
        if !state.handle.as_ref().is_some_and(|handle| Arc::ptr_eq(handle, &self.handle)) {
            return None;
        }
        while let Some(event) = self.queue.poll() {
            if event.kind() == EventKind::Deliveries {
                for delivery in event.deliveries() {
                    self.arrive(&mut state, &delivery);
                }
            }
        }
        let now_ms = time::monotonic_ms();
        let fatal = self.handle.fatal().map(|(code, _)| reason(code));
        let late = state.pending.values().any(|pending| pending.deadline_ms <= now_ms).then_some(Reason::Deadline);
        if let Some(why) = fatal.filter(|_| !state.pending.is_empty()).or(late) {
            self.condemn(&mut state, &why);
        }
        state.handle.as_ref()?;
        Some(state.pending.values().map(|pending| pending.deadline_ms).min())
    }

    fn arrive(&self, state: &mut State, delivery: &Delivery) {
        let Some(pending) = state.pending.get_mut(&delivery.id) else { return };
        let tp = pending.tp;
        let outcome = verdict(delivery);
        let failure = match &outcome {
            Outcome::Done(_) => None,
            Outcome::NotDone(why) | Outcome::Unknown(why) => Some(why.clone()),
        };
        pending.decided = Some(outcome);
        self.settle(state, tp);
        if let Some(why) = failure {
            self.condemn(state, &why);
        }
    }

    /// Gives the verdicts of a partition that are due, in order.
    fn settle(&self, state: &mut State, tp: Tp) {
        let State { lanes, pending, .. } = state;
        let lane = lanes.get_mut(&tp).expect("a ticket has its lane");
        while let Some(id) = lane.order.front()
            && let Some(outcome) = pending.get_mut(id).expect("in order and pending").decided.take()
        {
            let pending = pending.remove(id).expect("just seen");
            lane.order.pop_front();
            pending.give(&self.shared, self.transactional, outcome);
        }
        self.settled.notify_waiters();
    }

    /// Nothing goes on: the first of each partition has this reason, those behind it are behind.
    fn condemn(&self, state: &mut State, why: &Reason) {
        state.failed.get_or_insert(why.clone());
        let transactional = self.transactional;
        let tps: Vec<Tp> = state.lanes.iter().filter(|(_, lane)| !lane.order.is_empty()).map(|(tp, _)| *tp).collect();
        for tp in tps {
            let lane = state.lanes.get_mut(&tp).expect("listed");
            lane.behind = true;
            let order = std::mem::take(&mut lane.order);
            for (at, id) in order.into_iter().enumerate() {
                let mut pending = state.pending.remove(&id).expect("in order and pending");
                let reason = if at == 0 { why.clone() } else { Reason::Behind };
                let outcome = pending.decided.take().unwrap_or(Outcome::Unknown(reason));
                pending.give(&self.shared, transactional, outcome);
            }
        }
        state.lanes.values_mut().for_each(|lane| lane.behind = true);
        if !transactional {
            state.handle = None;
        }
        self.settled.notify_waiters();
    }
}
