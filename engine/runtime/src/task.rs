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

/// Work that blocks its thread, on one that runs no tasks; it begins at once, and happens even if nobody waits for it. In simulation there is one thread,
/// and no work that blocks it.
///
/// A runtime that shuts down begins no more work. Who waits for it waits until he is dropped, with all other tasks.
pub fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    #[cfg(madsim)]
    return std::future::ready(work());
    #[cfg(not(madsim))]
    {
        let running = tokio::task::spawn_blocking(work);
        async {
            match running.await {
                Ok(result) => result,
                Err(why) if why.is_cancelled() => std::future::pending().await,
                Err(why) => std::panic::resume_unwind(why.into_panic()),
            }
        }
    }
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

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::off_thread;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn work_for_a_runtime_that_is_gone_never_ends_and_nobody_panics() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let handle = runtime.handle().clone();
        drop(runtime);
        let _in_it = handle.enter();
        let waits = pin!(off_thread(|| 7));
        assert_eq!(waits.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    }
}
