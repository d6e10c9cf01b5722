//! The real clocks.
#![allow(clippy::disallowed_methods)] // the production half: here the wall clock comes in

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

static START: OnceLock<Instant> = OnceLock::new();

pub fn monotonic_us() -> u64 {
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock of this machine is set after 1970").as_millis() as u64
}

pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}
