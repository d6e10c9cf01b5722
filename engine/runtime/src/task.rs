//! Tasks, and the request to stop.
#![allow(clippy::disallowed_methods)] // the seam itself

use std::future::Future;
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
pub struct Stop(tokio::sync::watch::Receiver<bool>);

/// The sending end. Dropping it asks for nothing.
#[derive(Debug)]
pub struct Stopper(tokio::sync::watch::Sender<bool>);

/// A connected pair.
pub fn stop_channel() -> (Stopper, Stop) {
    let (tx, rx) = tokio::sync::watch::channel(false);
    (Stopper(tx), Stop(rx))
}

impl Stopper {
    /// Asks every clone of the other end to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Has it been asked?
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when asked to stop; never if the stopper was dropped without asking. Cancel-safe.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
