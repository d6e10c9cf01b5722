//! Time. Two clocks: the monotonic one measures durations; the wall clock (`now_ms`) is skewed per node in simulation and may jump.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

#[cfg_attr(madsim, path = "time/madsim.rs")]
#[cfg_attr(all(turmoil, not(madsim)), path = "time/turmoil.rs")]
#[cfg_attr(not(any(madsim, turmoil)), path = "time/system.rs")]
mod clock;

/// The time allowed ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Milliseconds since an arbitrary start, never backwards. In simulation: since the start of the run.
pub fn monotonic_ms() -> u64 {
    clock::monotonic_us() / 1_000
}

/// Microseconds of the same clock.
pub fn monotonic_us() -> u64 {
    clock::monotonic_us()
}

/// Milliseconds since 1970-01-01 by this node's clock, which may be wrong and may jump.
pub fn now_ms() -> u64 {
    clock::now_ms()
}

/// Waits at least `duration` (at least 1 ms in simulation).
pub async fn sleep(duration: Duration) {
    clock::sleep(duration).await;
}

/// Waits until the monotonic clock shows `at_ms`; returns at once if it already does.
pub async fn sleep_until_ms(at_ms: u64) {
    loop {
        let now_us = monotonic_us();
        let Some(left_us) = at_ms.saturating_mul(1_000).checked_sub(now_us).filter(|left| *left > 0) else { return };
        clock::sleep(Duration::from_micros(left_us)).await;
    }
}

/// Runs `future` for at most `duration`; a future that is ready wins over a time that is up.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = pin!(clock::sleep(duration));
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(cx) {
            return std::task::Poll::Ready(Ok(output));
        }
        sleep.as_mut().poll(cx).map(|_| Err(Elapsed))
    })
    .await
}
