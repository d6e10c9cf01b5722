//! turmoil's clocks: one for all hosts.
#![allow(clippy::disallowed_methods)] // the seam itself

use std::time::Duration;

pub fn monotonic_us() -> u64 {
    turmoil::sim_elapsed().unwrap_or_default().as_micros() as u64
}

pub fn now_ms() -> u64 {
    turmoil::since_epoch().unwrap_or_default().as_millis() as u64
}

pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}
