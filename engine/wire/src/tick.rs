//! `system_ticks` (clock_service → all).

use rkyv::{Archive, Deserialize, Serialize};

/// The heartbeat of the world: time = max(last + 1, clock).
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemTick {
    /// From 1, without a gap among the ticks that count.
    pub sequence: u64,
    /// Milliseconds since 1970-01-01, strictly increasing among the ticks that count.
    pub time_ms: u64,
}
