//! What a person runs on a laptop: one node that syncs before it answers, and may lose its power at any moment.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const SINGLE_NODE_POWER_LOSS: Scenario = Scenario {
    name: "single_node_power_loss",
    about: "one synced node loses its power at any moment",
    weight: 6,
    marks: &["txn_prepared"],
    orders: 900..=1_200,
    shape: |rng| Shape { brokers: 1, ..three_brokers(rng) },
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 3..=6, 0),
            share("partition", 0..=2, 40),
            share("process_pause", 0..=2, 50),
            share("rebalance", 0..=3, 40),
            share("response_lost", 0..=4, 40),
            share("service_crash", 0..=3, 40),
            share("slow_disk", 0..=2, 50),
        ]
    },
};
