//! Time. Two clocks: the monotonic one measures durations; the wall clock (`now_ms`) is skewed per node in simulation and may jump.

use std::future::Future;
use std::time::Duration;

/// The time allowed ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Milliseconds since an arbitrary start, never backwards. In simulation: since the start of the run.
pub fn monotonic_ms() -> u64 {
    todo!("runtime: written next")
}

/// Microseconds of the same clock.
pub fn monotonic_us() -> u64 {
    todo!("runtime: written next")
}

/// Milliseconds since 1970-01-01 by this node's clock, which may be wrong and may jump.
pub fn now_ms() -> u64 {
    todo!("runtime: written next")
}

/// Waits at least `duration` (at least 1 ms in simulation).
pub async fn sleep(_duration: Duration) {
    todo!("runtime: written next")
}

/// Waits until the monotonic clock shows `at_ms`; returns at once if it already does.
pub async fn sleep_until_ms(_at_ms: u64) {
    todo!("runtime: written next")
}

/// Runs `future` for at most `duration`.
pub async fn timeout<F: Future>(_duration: Duration, _future: F) -> Result<F::Output, Elapsed> {
    todo!("runtime: written next")
}
