//! The seed in whose cost the simulator's speed is quoted (S1): ten simulated minutes, sixteen service instances, 5,000 orders, at least twelve faults of at
//! least five kinds, three of them rebalances. `cargo xtask sim --scenario reference --seed 1` prints its CPU seconds and messages.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const REFERENCE: Scenario = Scenario {
    name: "reference",
    about: "ten minutes, sixteen instances, 5,000 orders: the unit of cost",
    weight: 1,
    marks: &["txn_prepared"],
    orders: 5_000..=5_000,
    // Four each of account, matching_engine and wallet, two gateways, the recorder and the clock.
    shape: |rng| Shape { instances: 4, spares: 0, account_partitions: 4, symbol_partitions: 4, symbols: 4, span_ms: 590_000, ..three_brokers(rng) },
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 3..=5, 0),
            share("partition", 3..=5, 0),
            share("process_pause", 1..=2, 0),
            share("rebalance", 3..=5, 0),
            share("response_lost", 2..=4, 0),
            share("service_crash", 1..=3, 0),
        ]
    },
};
