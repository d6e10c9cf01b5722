//! A link: calls to one peer over one ordered connection, made when first needed and made again, after a back-off, when it broke.
//!
//! Calls leave in the order in which they were made and may overlap. A call that is not answered in time closes the connection: whatever was sent on
//! it may or may not have been executed, and is answered [`Broken::Unanswered`]. A break also answers what had not left yet ([`Broken::NotSent`]), so
//! that nothing overtakes what the caller has to send again.

use crate::host::{Inside, Line};
use broker::protocol::{Request, Response};
use bytes::Bytes;
use runtime::net::{self, Frame, FrameReader, FrameWriter, RESPONSE};
use runtime::time;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// A call without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It never left this node.
    NotSent,
    /// It may have been executed.
    Unanswered,
}

/// The limits of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkConfig {
    /// Longest connect.
    pub connect_timeout_ms: u64,
    /// Longest wait for an answer, beyond what the call itself asks the peer to wait.
    pub request_timeout_ms: u64,
    /// Shortest time between a failure and the next connect; doubles with each failure in a row.
    pub backoff_ms_min: u64,
    /// Longest such time.
    pub backoff_ms_max: u64,
}

/// What is done with the answer to a call.
pub type Answer = Box<dyn FnOnce(Result<Response, Broken>) + Send>;

/// Whether a call has left, and the means to hold it back. Exactly one of the two happens.
#[derive(Debug, Clone, Default)]
pub struct Departure(Arc<AtomicU8>);

const WAITING: u8 = 0;
const LEFT: u8 = 1;
const HELD_BACK: u8 = 2;

impl Departure {
    /// Holds the call back for good, unless it has left; true if it never leaves. It is answered [`Broken::NotSent`] later.
    pub fn hold_back(&self) -> bool {
        match self.0.compare_exchange(WAITING, HELD_BACK, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(state) => state == HELD_BACK,
        }
    }

    fn leave(&self) -> bool {
        self.0.compare_exchange(WAITING, LEFT, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

struct Call {
    kind: u16,
    body: Bytes,
    wait_ms: u64,
    departure: Departure,
    answer: Answer,
}

struct Waiting {
    deadline_ms: u64,
    answer: Answer,
}

/// The calling end. The connection ends with the last of them.
#[derive(Debug, Clone)]
pub struct Link(Way);

// Both are bounded by their users: each keeps a limit of calls without an answer.
#[derive(Debug, Clone)]
enum Way {
    Network(mpsc::UnboundedSender<Call>),
    Inside(Line),
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call {{ kind: {} }}", self.kind)
    }
}

impl Link {
    /// A link to `address`; connects with the first call.
    pub fn open(address: String, config: LinkConfig) -> Link {
        let (calls, queue) = mpsc::unbounded_channel();
        runtime::task::spawn(Driver { address, config, failures: 0, not_before_ms: 0 }.run(queue));
        Link(Way::Network(calls))
    }

    /// A link to the log of this very process: nothing breaks it, and no answer is late that the process could still wait for.
    pub fn inside(inside: &Inside) -> Link {
        Link(Way::Inside(inside.line()))
    }

    /// Calls; `answer` runs exactly once unless the node ends before. `wait_ms`: how long the request asks the peer to wait.
    pub fn start(&self, request: &Request, wait_ms: u64, answer: impl FnOnce(Result<Response, Broken>) + Send + 'static) -> Departure {
        let departure = Departure::default();
        match &self.0 {
            Way::Network(calls) => {
                let call = Call { kind: request.kind(), body: request.encode(), wait_ms, departure: departure.clone(), answer: Box::new(answer) };
                if let Err(unsent) = calls.send(call) {
                    (unsent.0.answer)(Err(Broken::NotSent));
                }
            }
            Way::Inside(line) => {
                let left = departure.leave();
                assert!(left, "nobody could hold it back yet");
                line.call(request.clone(), Box::new(answer));
            }
        }
        departure
    }

    /// Calls and waits. Cancelled, the call still happens.
    pub async fn call(&self, request: &Request, wait_ms: u64) -> Result<Response, Broken> {
        let (tx, rx) = oneshot::channel();
        self.start(request, wait_ms, move |answer| {
            // The caller may have stopped waiting.
            let _ = tx.send(answer);
        });
        rx.await.unwrap_or(Err(Broken::Unanswered))
    }
}

struct Driver {
    address: String,
    config: LinkConfig,
    failures: u32,
    not_before_ms: u64,
}

impl Driver {
    async fn run(mut self, mut calls: mpsc::UnboundedReceiver<Call>) {
        while let Some(first) = calls.recv().await {
            time::sleep_until_ms(self.not_before_ms).await;
            match time::timeout(Duration::from_millis(self.config.connect_timeout_ms), net::connect(&self.address)).await {
                Ok(Ok(stream)) => {
                    if Conversation::new(self.config).run(net::framed(stream), first, &mut calls).await {
                        self.failures = 0;
                    }
                }
                Ok(Err(_)) | Err(time::Elapsed) => (first.answer)(Err(Broken::NotSent)),
            }
            self.failures = (self.failures + 1).min(16);
            let backoff_ms = self.config.backoff_ms_min << (self.failures - 1);
            self.not_before_ms = time::monotonic_ms() + backoff_ms.min(self.config.backoff_ms_max);
            while let Ok(behind) = calls.try_recv() {
                (behind.answer)(Err(Broken::NotSent));
            }
        }
    }
}

struct Conversation {
    config: LinkConfig,
    waiting: Mutex<BTreeMap<u32, Waiting>>,
    was_idle: Notify,
}

impl Conversation {
    fn new(config: LinkConfig) -> Self {
        Conversation { config, waiting: Mutex::new(BTreeMap::new()), was_idle: Notify::new() }
    }

    /// Until the connection ends; was anything answered on it?
    async fn run(self, (reader, writer): (FrameReader, FrameWriter), first: Call, calls: &mut mpsc::UnboundedReceiver<Call>) -> bool {
        let mut answered = false;
        runtime::select! {
            () = self.receive(reader, &mut answered) => {}
            () = self.send(writer, first, calls) => {}
            () = self.overdue() => {}
        }
        for (_, waiting) in self.waiting.into_inner().expect("no panic under the lock") {
            (waiting.answer)(Err(Broken::Unanswered));
        }
        answered
    }

    async fn send(&self, mut writer: FrameWriter, first: Call, calls: &mut mpsc::UnboundedReceiver<Call>) {
        let mut next = Some(first);
        let mut correlation = 0u32;
        while let Some(call) = next {
            if !call.departure.leave() {
                (call.answer)(Err(Broken::NotSent));
                next = calls.recv().await;
                continue;
            }
            correlation = correlation.wrapping_add(1);
            let deadline_ms = time::monotonic_ms() + self.config.request_timeout_ms + call.wait_ms;
            self.lock().insert(correlation, Waiting { deadline_ms, answer: call.answer });
            self.was_idle.notify_one();
            if writer.send(Frame { kind: call.kind, correlation, body: call.body }).await.is_err() {
                return;
            }
            next = calls.recv().await;
        }
    }

    async fn receive(&self, mut reader: FrameReader, answered: &mut bool) {
        while let Ok(Some(frame)) = reader.next().await {
            // A response nobody waits for, or one that cannot be read, means that the two ends disagree: start anew.
            let (Ok(response), true) = (Response::decode(&frame.body), frame.kind & RESPONSE != 0) else { return };
            let Some(waiting) = self.lock().remove(&frame.correlation) else { return };
            *answered = true;
            (waiting.answer)(Ok(response));
        }
    }

    /// Returns when a call has waited too long.
    async fn overdue(&self) {
        loop {
            let earliest = self.lock().values().map(|waiting| waiting.deadline_ms).min();
            match earliest {
                None => self.was_idle.notified().await,
                Some(at_ms) if at_ms <= time::monotonic_ms() => return,
                Some(at_ms) => time::sleep_until_ms(at_ms).await,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Waiting>> {
        self.waiting.lock().expect("no panic under the lock")
    }
}
