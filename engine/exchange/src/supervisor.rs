//! Keeps services running: one that ends by itself is started again after a pause; a request to stop ends them in good order.

use crate::terminal::tell;
use runtime::task::{JoinHandle, Stop, Stopper, stop_channel};
use services::runner::ServiceError;
use std::future::Future;
use std::time::Duration;

/// The running services, in the order in which they were started.
#[derive(Default)]
pub struct Supervisor {
    services: Vec<(String, Stopper, JoinHandle<()>)>,
}

/// Pause before a service that ended by itself is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Starts a service; `start` makes one run of it.
    pub fn start<F>(&mut self, name: &str, mut start: impl FnMut(Stop) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), ServiceError>> + Send + 'static,
    {
        let (stopper, mut stop) = stop_channel();
        let label = name.to_owned();
        let task = runtime::task::spawn(async move {
            loop {
                let ended = start(stop.clone()).await;
                if stop.is_requested() {
                    return;
                }
                match ended {
                    Ok(()) => tell!("{label}: ended by itself; starting it again"),
                    Err(why) => tell!("{label}: {why}; starting it again"),
                }
                runtime::select! {
                    () = stop.requested() => return,
                    () = runtime::time::sleep(RESTART_PAUSE) => {}
                }
            }
        });
        self.services.push((name.to_owned(), stopper, task));
    }

    /// Stops the services, the last started first.
    pub async fn stop(self) {
        for (name, stopper, task) in self.services.into_iter().rev() {
            stopper.stop();
            if runtime::time::timeout(Duration::from_secs(15), task).await.is_err() {
                tell!("{name}: did not stop within 15 s; leaving it");
            }
        }
    }
}
