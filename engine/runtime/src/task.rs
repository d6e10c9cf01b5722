//! Tasks, and the request to stop.
#![allow(clippy::disallowed_methods)] // the seam itself

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
pub use tokio::task::JoinHandle;

/// Starts a task on this node. It ends when its node is killed.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::task::spawn(future)
}

/// Lets other tasks run.
pub async fn yield_now() {
    tokio::task::yield_now().await;
}

/// The receiving end of a request to stop: a service that hears it leaves its groups and returns.
#[derive(Debug, Clone)]
pub struct Stop(Arc<Asked>);

/// The sending end. Dropping it asks for nothing.
#[derive(Debug)]
pub struct Stopper(Arc<Asked>);

/// Not tokio's watch channel: that wakes its waiters in an order drawn per process, and no seed decides it.
#[derive(Debug, Default)]
struct Asked {
    asked: AtomicBool,
    changed: Notify,
}

/// A connected pair.
pub fn stop_channel() -> (Stopper, Stop) {
    let asked = Arc::<Asked>::default();
    (Stopper(asked.clone()), Stop(asked))
}

impl Stopper {
    /// Asks every clone of the other end to stop.
    pub fn stop(&self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }
}

impl Stop {
    /// Has it been asked?
    pub fn is_requested(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Returns when asked to stop; never if the stopper was dropped without asking. Cancel-safe.
    pub async fn requested(&mut self) {
        let mut changed = std::pin::pin!(self.0.changed.notified());
        // Registered before the look: whoever asks in between wakes it.
        changed.as_mut().enable();
        if !self.is_requested() {
            changed.await;
        }
    }
}
