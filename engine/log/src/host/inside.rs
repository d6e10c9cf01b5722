//! The way in for the parts of the host's own process: calls as values, without a network.
//!
//! They live and die with the log, so that they may act on what is written before it is on the platter (HostConfig::withholds): whatever they do about it
//! is written behind it. Only before they tell somebody outside, they ask [`Inside::settled`].

use super::connection::Arrival;
use crate::link::{Answer, Broken};
use broker::protocol::Request;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Connection numbers from here on stand for lines; accepted ones never get that far.
pub(super) const LINES: u64 = 1 << 62;

/// The way in.
#[derive(Debug, Clone)]
pub struct Inside {
    arrivals: mpsc::UnboundedSender<Arrival>,
    /// Drawn from by whoever opens a line; unique is all it must be.
    lines: Arc<AtomicU64>,
}

/// Answers come in the order of calls. The host hears when the last clone is gone.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<End>);

#[derive(Debug)]
struct End {
    arrivals: mpsc::UnboundedSender<Arrival>,
    number: u64,
    /// Drawn from by whoever calls on this line.
    calls: AtomicU32,
}

impl Inside {
    pub(super) fn new(arrivals: mpsc::UnboundedSender<Arrival>) -> Self {
        Inside { arrivals, lines: Arc::new(AtomicU64::new(LINES)) }
    }

    pub(crate) fn line(&self) -> Line {
        let number = self.lines.fetch_add(1, Ordering::Relaxed);
        Line(Arc::new(End { arrivals: self.arrivals.clone(), number, calls: AtomicU32::new(0) }))
    }

    /// Waits until everything that was written so far is on the platter.
    ///
    /// # Errors
    /// The disk failed, or the host has ended: it never will be.
    pub async fn settled(&self) -> Result<(), Broken> {
        let (tell, told) = oneshot::channel();
        self.arrivals.send(Arrival::Settle { tell }).map_err(|_| Broken::NotSent)?;
        told.await.map_err(|_| Broken::Unanswered)
    }
}

impl Line {
    /// Calls; `answer` runs exactly once, in the host's task, unless the host ends before.
    pub fn call(&self, request: Request, answer: Answer) {
        let End { arrivals, number, calls } = &*self.0;
        let correlation = calls.fetch_add(1, Ordering::Relaxed);
        if let Err(mpsc::error::SendError(Arrival::Call { answer, .. })) = arrivals.send(Arrival::Call { connection: *number, correlation, request, answer }) {
            answer(Err(Broken::NotSent));
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // The host may have ended.
        let _ = self.arrivals.send(Arrival::Closed { connection: self.number });
    }
}
