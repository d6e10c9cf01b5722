//! Members of every group join, leave, die and stand still, again and again, while brokers crash.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const REBALANCE_STORM: Scenario = Scenario {
    name: "rebalance_storm",
    about: "members join, leave, die and stand still, again and again",
    weight: 17,
    marks: &["machine_rebuilt", "partition_taken_over"],
    orders: 1_100..=1_400,
    shape: |rng| {
        let shape = three_brokers(rng);
        Shape { coordinator_divides: rng.chance(1, 3), ..shape }
    },
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 2..=4, 10),
            share("partition", 1..=4, 20),
            share("process_pause", 1..=4, 20),
            share("rebalance", 6..=12, 0),
            share("service_crash", 0..=3, 40),
        ]
    },
};
