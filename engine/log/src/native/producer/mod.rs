//! Sending. A handle queues; a task of its own forms batches, keeps sequences, retries, decides.

mod identity;
mod lane;
mod sender;
mod transaction;

use super::{Native, Shared};
use crate::history::{Event, Phase};
use crate::port::{Outcome, Producer, Reason, Record, SendTicket};
use broker::batch;
use broker::protocol::Tp;
pub(super) use identity::{is_fenced, of_transactions};
pub(super) use lane::Identity;
use lane::{Queued, Ticket};
use runtime::time;
pub(super) use sender::Command;
use sender::Sender;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
pub(super) use transaction::{Failed, Transaction, ask as add_to_transaction};

/// Plain, idempotent sends. Dropped, it sends nothing more; what was not decided stays unknown.
pub struct NativeProducer {
    queue: Queue,
}

/// The handle's end of a sender task.
pub(super) struct Queue {
    shared: Arc<Shared>,
    // Bounded by `buffered`.
    pub(super) commands: mpsc::UnboundedSender<Command>,
    buffered: Arc<AtomicUsize>,
    /// Partitions whose last send was refused because the buffer was full.
    pub(super) full: BTreeSet<Tp>,
}

/// What a record costs beyond its key and value.
const RECORD_OVERHEAD_BYTES: usize = 32;

impl Queue {
    pub(super) fn open(shared: Arc<Shared>, identity: Identity, transaction: Option<Transaction>) -> Queue {
        let (commands, queue) = mpsc::unbounded_channel();
        let buffered = Arc::new(AtomicUsize::new(0));
        runtime::task::spawn(Sender::new(shared.clone(), identity, transaction, buffered.clone()).run(queue));
        Queue { shared, commands, buffered, full: BTreeSet::new() }
    }

    pub(super) fn send(&mut self, tp: Tp, record: Record, deadline_ms: u64, transactional: bool) -> SendTicket {
        let (ticket, waiting) = self.invoke(tp, &record, transactional);
        let bytes = ticket.bytes;
        if self.full.contains(&tp) {
            self.refuse(tp, ticket, Reason::Behind, transactional);
            return waiting;
        }
        if self.buffered.load(Ordering::Relaxed) + bytes > self.shared.config.buffer_bytes_max {
            self.full.insert(tp);
            self.refuse(tp, ticket, Reason::Full, transactional);
            return waiting;
        }
        self.buffered.fetch_add(bytes, Ordering::Relaxed);
        let timestamp_ms = i64::try_from(record.timestamp_ms).unwrap_or(i64::MAX);
        let record = batch::Record { offset: 0, timestamp_ms, key: record.key, value: record.value };
        let queued = Queued { record, deadline_ms, since_ms: time::monotonic_ms(), ticket };
        if let Err(unsent) = self.commands.send(Command::Send { tp, queued })
            && let Command::Send { queued, .. } = unsent.0
        {
            self.refuse(tp, queued.ticket, Reason::Ended("its task has ended".to_owned()), transactional);
        }
        waiting
    }

    /// Refuses a record that is not to be queued at all.
    pub(super) fn refuse_new(&self, tp: Tp, record: &Record, why: Reason) -> SendTicket {
        let (ticket, waiting) = self.invoke(tp, record, true);
        self.refuse(tp, ticket, why, true);
        waiting
    }

    fn invoke(&self, tp: Tp, record: &Record, transactional: bool) -> (Ticket, SendTicket) {
        let (verdict, waiting) = SendTicket::pair();
        let op = self.shared.number();
        let crc = record.value.as_ref().map_or(0, |value| crc32c::crc32c(value));
        self.shared.observer.observe_with(|| Event::Send { op, tp, phase: Phase::Invoke, crc, offset: None, transactional });
        let bytes = RECORD_OVERHEAD_BYTES + record.key.as_ref().map_or(0, |key| key.len()) + record.value.as_ref().map_or(0, |value| value.len());
        (Ticket { op, crc, bytes, verdict }, waiting)
    }

    fn refuse(&self, tp: Tp, ticket: Ticket, why: Reason, transactional: bool) {
        self.shared.observer.observe_with(|| Event::Send { op: ticket.op, tp, phase: Phase::Fail, crc: ticket.crc, offset: None, transactional });
        ticket.verdict.give(Outcome::NotDone(why));
    }
}

impl Native {
    pub(super) async fn open_producer(&self) -> Result<NativeProducer, Reason> {
        let deadline_ms = time::monotonic_ms() + self.shared.config.delivery_timeout_ms;
        let identity = identity::fresh(&self.shared, deadline_ms).await?;
        Ok(NativeProducer { queue: Queue::open(self.shared.clone(), identity, None) })
    }
}

impl Producer for NativeProducer {
    fn send(&mut self, tp: Tp, record: Record, deadline_ms: u64) -> SendTicket {
        self.queue.send(tp, record, deadline_ms, false)
    }

    fn resume(&mut self, tp: Tp) {
        self.queue.full.remove(&tp);
        // A task that has ended refuses by itself.
        let _ = self.queue.commands.send(Command::Resume(tp));
    }
}
