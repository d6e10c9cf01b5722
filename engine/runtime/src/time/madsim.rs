//! madsim's clock, with a skew per node on top, and its timers.

use crate::simulated;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub fn monotonic_us() -> u64 {
    simulated::elapsed_ns() / 1_000
}

pub fn now_ms() -> u64 {
    simulated::wall_ms()
}

pub fn sleep(duration: Duration) -> Sleep {
    // The first poll reads the clock: a future made early and polled late waits from then, as an async fn would.
    Sleep { duration, inner: None, registered: None }
}

/// madsim adds a timer at every poll that is not yet due and cannot cancel one: a loop that polls a 10 s sleep at every message would leave
/// thousands. This one adds a timer once per task that waits.
#[derive(Debug)]
pub struct Sleep {
    duration: Duration,
    inner: Option<madsim::time::Sleep>,
    registered: Option<Waker>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let inner = this.inner.get_or_insert_with(|| madsim::time::sleep(this.duration));
        if inner.is_elapsed() {
            return Poll::Ready(());
        }
        if this.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        this.registered = Some(cx.waker().clone());
        Pin::new(inner).poll(cx)
    }
}
