//! Trading goes on while now and then something of every kind goes wrong.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const STEADY_FLOW: Scenario = Scenario {
    name: "steady_flow",
    about: "trading goes on while something of every kind goes wrong",
    weight: 26,
    marks: &["txn_prepared", "machine_rebuilt", "log_compacted", "throttled"],
    orders: 1_150..=1_500,
    shape: |rng| {
        let shape = three_brokers(rng);
        let log_cleaner = rng.chance(1, 3);
        // Who builds his state anew reads faster than that, and so does who was held up; who trades does not.
        let client_bytes_per_s = rng.chance(1, 4).then(|| *rng.pick(&[128_000, 256_000]));
        Shape { log_cleaner, client_bytes_per_s, ..shape }
    },
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 4..=6, 5),
            share("controller_crash", 0..=2, 30),
            share("partition", 2..=5, 5),
            share("process_pause", 0..=3, 25),
            share("rebalance", 2..=4, 10),
            share("response_lost", 1..=5, 20),
            share("service_crash", 1..=3, 20),
        ]
    },
};
