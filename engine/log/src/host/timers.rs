//! The cores' timers: one sleeper for the earliest.

use broker::protocol::NodeId;
use runtime::{BoxFuture, time};
use std::collections::{BTreeMap, BTreeSet};

/// What is set, and the sleep that waits for the earliest of it.
#[derive(Default)]
pub struct Timers {
    set: BTreeMap<u64, BTreeSet<NodeId>>,
    sleep: Option<(u64, BoxFuture<'static, ()>)>,
}

impl Timers {
    /// Wakes `node` at `at_ms`.
    pub fn set(&mut self, node: NodeId, at_ms: u64) {
        self.set.entry(at_ms).or_default().insert(node);
    }

    /// The nodes whose time has come, each once; waits for the first. Cancel-safe.
    pub async fn due(&mut self) -> BTreeSet<NodeId> {
        let Some((&earliest_ms, _)) = self.set.first_key_value() else { return std::future::pending().await };
        // A sleep is kept over calls: a simulated one that is dropped stays in the world's heap until its time.
        let sleep = match &mut self.sleep {
            Some((at_ms, sleep)) if *at_ms == earliest_ms => sleep,
            sleep => &mut sleep.insert((earliest_ms, Box::pin(time::sleep_until_ms(earliest_ms)))).1,
        };
        sleep.await;
        self.sleep = None;
        let later = self.set.split_off(&(time::monotonic_ms().max(earliest_ms) + 1));
        std::mem::replace(&mut self.set, later).into_values().flatten().collect()
    }
}
