//! Sends of one producer, and the librdkafka handle that has them: [`Sending`] says what becomes of them when it fails.

use super::Shared;
use super::config::assert_sending;
use super::errors::{reason, verdict};
use super::native::{EventKind, Handle, Kind, Queue};
use crate::kafka::sending::{Pending, Sending};
use log::{Reason, Record, SendTicket, Tp};
use runtime::time;
use std::sync::Arc;
use tokio::sync::Notify;

/// The outbox.
pub struct Outbox {
    shared: Arc<Shared>,
    sending: Arc<Sending<Arc<Handle>>>,
    transactional: bool,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.sending.end();
    }
}

impl Outbox {
    /// Of plain sends.
    pub fn plain(shared: Arc<Shared>) -> Result<Outbox, Reason> {
        let outbox = Outbox { sending: Sending::new(shared.observer.clone(), false), shared, transactional: false };
        outbox.start()?;
        Ok(outbox)
    }

    /// Of a transactional id's handle, which is never replaced.
    pub fn transactional(shared: Arc<Shared>, handle: Arc<Handle>) -> Outbox {
        let outbox = Outbox { sending: Sending::new(shared.observer.clone(), true), shared, transactional: true };
        outbox.serve(handle);
        outbox
    }

    fn start(&self) -> Result<(), Reason> {
        let handle = Handle::new(Kind::Producer, &self.shared.config.plain()).map_err(Reason::Ended)?;
        assert_sending(&handle);
        self.serve(handle);
        Ok(())
    }

    fn serve(&self, handle: Arc<Handle>) {
        let wake = Arc::new(Notify::new());
        let queue = Queue::main(&handle, &wake);
        let mut state = self.sending.lock();
        state.handle = Some(handle.clone());
        state.wake = wake.clone();
        drop(state);
        runtime::task::spawn(Serving { sending: self.sending.clone(), handle, wake, queue }.run());
    }

    /// Queues a record.
    pub fn send(&mut self, tp: Tp, record: &Record, deadline_ms: u64) -> SendTicket {
        let (pending, ticket) = self.sending.ticket(self.shared.number(), tp, record, deadline_ms);
        if let Err((pending, why)) = self.enqueue(pending, record) {
            self.sending.refuse(pending, why);
        }
        ticket
    }

    /// Hands it to librdkafka, which copies it. Nothing of it has left when this is refused.
    fn enqueue(&self, pending: Pending, record: &Record) -> Result<(), (Pending, Reason)> {
        let tp = pending.tp;
        let name = self.shared.topics.name(tp);
        // 0 would mean now.
        let timestamp_ms = i64::try_from(record.timestamp_ms).unwrap_or(i64::MAX).max(1);
        let mut state = self.sending.lock();
        // Under one lock with what follows: a handle that is given up in between would hear of nothing more, and a delivery report must find its ticket.
        let handle = loop {
            match state.handle.clone() {
                Some(handle) => break handle,
                None if self.transactional => return Err((pending, Reason::Ended("this transactional producer has ended".to_owned()))),
                None => {
                    drop(state);
                    if let Err(why) = self.start() {
                        return Err((pending, why));
                    }
                    state = self.sending.lock();
                }
            }
        };
        if state.is_behind(tp) {
            return Err((pending, Reason::Behind));
        }
        let id = state.next_id();
        match handle.produce(&name, tp.partition, record.key.as_deref(), record.value.as_deref(), timestamp_ms, id) {
            Ok(()) => {
                state.admit(id, pending);
                // librdkafka does not tell when.
                state.leave(id);
                Ok(())
            }
            Err(code) => Err((pending, reason(code))),
        }
    }

    /// Lets a partition go on after a failure.
    pub fn resume(&mut self, tp: Tp) {
        self.sending.resume(tp);
    }

    /// Forgets the failures of the transaction before.
    pub fn begin(&mut self) {
        self.sending.begin();
    }

    /// Waits until every ticket has its verdict; `Err` at the first failure since `begin`.
    pub async fn settled(&self) -> Result<(), Reason> {
        self.sending.settled().await
    }

    /// Waits until every ticket has its verdict, whatever it is.
    pub async fn drained(&self) {
        self.sending.drained().await;
    }
}

/// The task of one handle: hears its delivery reports, watches the deadlines.
struct Serving {
    sending: Arc<Sending<Arc<Handle>>>,
    handle: Arc<Handle>,
    wake: Arc<Notify>,
    queue: Queue,
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
        if !self.is_served() {
            return None;
        }
        while let Some(event) = self.queue.poll() {
            if event.kind() == EventKind::Deliveries {
                for delivery in event.deliveries() {
                    self.sending.decide(delivery.id, verdict(&delivery));
                }
            }
        }
        let fatal = self.handle.fatal().map(|(code, _)| reason(code));
        let due_ms = self.sending.watch(time::monotonic_ms(), fatal);
        self.is_served().then_some(due_ms)
    }

    fn is_served(&self) -> bool {
        self.sending.lock().handle.as_ref().is_some_and(|handle| Arc::ptr_eq(handle, &self.handle))
    }
}
