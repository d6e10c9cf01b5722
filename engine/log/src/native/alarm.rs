//! One sleep, kept over the turns of a task's loop: a simulated sleep that is dropped stays in the world's heap until its time.

use runtime::{BoxFuture, time};

/// A sleeper.
#[derive(Default)]
pub struct Alarm {
    sleep: Option<(u64, BoxFuture<'static, ()>)>,
}

impl Alarm {
    /// Returns when the monotonic clock shows `at_ms`; never for `None`. Cancel-safe.
    pub async fn ring(&mut self, at_ms: Option<u64>) {
        let Some(at_ms) = at_ms else { return std::future::pending().await };
        let sleep = match &mut self.sleep {
            Some((set_ms, sleep)) if *set_ms == at_ms => sleep,
            sleep => &mut sleep.insert((at_ms, Box::pin(time::sleep_until_ms(at_ms)))).1,
        };
        sleep.await;
        self.sleep = None;
    }
}
