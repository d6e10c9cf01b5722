//! Commands out, answers in. Every command carries 16 bytes that no other command of any gateway carries: the life's random number and a count.

use super::error::ApiError;
use log::{Acked, LogPort, Outcome, Producer, Reason, Record, SendTicket, TopicInfo, Tp};
use runtime::task::{Stop, spawn};
use runtime::time::{monotonic_ms, now_ms, sleep, timeout};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use wire::partition::partition_of_account;
use wire::{AccountCommand, AccountEvent, AccountId, Body, Correlation, Stamp};

/// Requests that wait, by correlation; shared by those who ask and the one who hears answers.
#[derive(Debug, Clone)]
pub(super) struct Waiting(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    life: u64,
    count: u64,
    in_flight_max: usize,
    /// Answers are being heard: what is sent now can be answered.
    is_hearing: bool,
    asked: BTreeMap<Correlation, oneshot::Sender<AccountEvent>>,
}

/// One request's seat among those who wait; leaving it is giving up.
pub(super) struct Seat {
    waiting: Waiting,
    pub correlation: Correlation,
    answer: oneshot::Receiver<AccountEvent>,
}

impl Waiting {
    /// Nobody waits; `life` is random.
    pub fn new(life: u64, in_flight_max: usize) -> Self {
        Waiting(Arc::new(Mutex::new(State { life, count: 0, in_flight_max, is_hearing: false, asked: BTreeMap::new() })))
    }

    /// Gives an answer to whoever asked for it, if he still waits.
    pub fn answer(&self, correlation: Correlation, event: AccountEvent) {
        if let Some(asked) = self.state().asked.remove(&correlation) {
            // He may have given up in between.
            let _ = asked.send(event);
        }
    }

    /// From here on answers are heard, or are not.
    pub fn set_hearing(&self, is_hearing: bool) {
        self.state().is_hearing = is_hearing;
    }

    /// Answers are being heard.
    pub fn is_hearing(&self) -> bool {
        self.state().is_hearing
    }

    /// Takes a seat, if answers are heard and not too many wait.
    pub fn enter(&self) -> Result<Seat, ApiError> {
        let mut state = self.state();
        if !state.is_hearing {
            return Err(ApiError::not_done());
        }
        if state.asked.len() >= state.in_flight_max {
            return Err(ApiError::too_many_requests());
        }
        state.count += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&state.life.to_be_bytes());
        bytes[8..].copy_from_slice(&state.count.to_be_bytes());
        let correlation = Correlation(bytes);
        let (asked, answer) = oneshot::channel();
        let other = state.asked.insert(correlation, asked);
        assert!(other.is_none(), "a correlation is used once");
        Ok(Seat { waiting: self.clone(), correlation, answer })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.waiting.state().asked.remove(&self.correlation);
    }
}

/// What the sender is told.
pub(super) enum Errand {
    /// Send this, and tell the verdict.
    Send { tp: Tp, record: Record, deadline_ms: u64, tell: oneshot::Sender<Outcome<Acked>> },
    /// A send to this partition failed.
    Failed { tp: Tp, reason: Reason },
}

/// Turns commands into records, and waits for their answers.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub waiting: Waiting,
    pub errands: mpsc::Sender<Errand>,
    pub commands: TopicInfo,
    pub request_timeout_ms: u64,
}

impl Desk {
    /// One command, one record, one answer. `Err(not_done)`: it was not sent and will not be. `Err(unknown)`: no answer came in time.
    pub async fn ask(&self, mut seat: Seat, account: AccountId, command: AccountCommand) -> Result<AccountEvent, ApiError> {
        let deadline_ms = monotonic_ms() + self.request_timeout_ms;
        let now_ms = now_ms();
        let stamp = Stamp { cause: -1, correlation: seat.correlation, log_time_ms: now_ms, ..Stamp::default() };
        let value = wire::frame::encode(&stamp, &Body::AccountCommand(command));
        let record = Record { key: Some(account.0.to_string().into()), value: Some(value), timestamp_ms: now_ms };
        let tp = self.commands.tp(partition_of_account(account, self.commands.partitions));
        let (tell, verdict) = oneshot::channel();
        if self.errands.try_send(Errand::Send { tp, record, deadline_ms, tell }).is_err() {
            return Err(ApiError::too_many_requests());
        }
        let answered = timeout(Duration::from_millis(self.request_timeout_ms), outcome(verdict, &mut seat.answer));
        answered.await.unwrap_or(Err(ApiError::unknown()))
    }
}

/// An answer may come before the verdict on the send, and after a verdict that says nothing.
async fn outcome(verdict: oneshot::Receiver<Outcome<Acked>>, answer: &mut oneshot::Receiver<AccountEvent>) -> Result<AccountEvent, ApiError> {
    runtime::select! {
        event = &mut *answer => return event.map_err(|_| ApiError::unknown()),
        verdict = verdict => match verdict {
            Ok(Outcome::Done(_)) => {}
            // Nobody told: the sender ended before it took the errand up.
            Ok(Outcome::NotDone(_)) | Err(_) => return Err(ApiError::not_done()),
            Ok(Outcome::Unknown(_)) => runtime::reached!("gateway_send_unknown"),
        },
    }
    answer.await.map_err(|_| ApiError::unknown())
}

/// Sends what it is told to, in order, until asked to stop.
pub(super) async fn send<L: LogPort>(log: L, own: mpsc::WeakSender<Errand>, errands: mpsc::Receiver<Errand>, mut stop: Stop) {
    runtime::select! {
        () = stop.requested() => {}
        () = run_errands(log, own, errands) => {}
    }
}

/// A producer that has ended is replaced.
async fn run_errands<L: LogPort>(log: L, own: mpsc::WeakSender<Errand>, mut errands: mpsc::Receiver<Errand>) {
    let mut producer: Option<L::Producer> = None;
    while let Some(errand) = errands.recv().await {
        match errand {
            Errand::Send { tp, record, deadline_ms, tell } => {
                if producer.is_none() {
                    producer = log.producer().await.ok();
                }
                match &mut producer {
                    Some(producer) => drop(spawn(watch(producer.send(tp, record, deadline_ms), tp, tell, own.clone()))),
                    // Dropping `tell` says that nothing was sent; do not ask the log in a spin.
                    None => sleep(Duration::from_millis(50)).await,
                }
            }
            Errand::Failed { reason: Reason::Ended(_), .. } => producer = None,
            Errand::Failed { tp, .. } => {
                if let Some(producer) = &mut producer {
                    producer.resume(tp);
                }
            }
        }
    }
}

/// Hears the verdict whoever still waits for it: after a failure the partition must be resumed.
async fn watch(ticket: SendTicket, tp: Tp, tell: oneshot::Sender<Outcome<Acked>>, errands: mpsc::WeakSender<Errand>) {
    let outcome = ticket.outcome().await;
    let reason = match &outcome {
        Outcome::Done(_) => None,
        Outcome::NotDone(reason) | Outcome::Unknown(reason) => Some(reason.clone()),
    };
    // First the errand, so that whoever hears of the failure and tries again is sent behind it. A gateway that is ending needs none.
    if let (Some(reason), Some(errands)) = (reason, errands.upgrade()) {
        let _ = errands.send(Errand::Failed { tp, reason }).await;
    }
    // Whoever asked may have his answer, or have given up.
    let _ = tell.send(outcome);
}
