//! A short run with a few faults: the first thing to try.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const SMOKE: Scenario = Scenario {
    name: "smoke",
    about: "a short run with a few faults",
    weight: 4,
    marks: &["position_committed", "txn_prepared"],
    orders: 150..=250,
    shape: |rng| Shape { span_ms: 30_000, clients: 3, ..three_brokers(rng) },
    timers: Timers::draw,
    mix: || vec![share("broker_crash", 1..=1, 0), share("rebalance", 1..=1, 0), share("response_lost", 1..=1, 0)],
};
