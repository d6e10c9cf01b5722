//! The same exchange on plain sends: sources, epochs, sequences and causes alone must make each effect happen once.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const NO_TRANSACTIONS: Scenario = Scenario {
    name: "no_transactions",
    about: "the same on plain sends: the drop rule alone makes each effect happen once",
    weight: 6,
    marks: &["partition_taken_over", "record_dropped_by_number"],
    orders: 1_100..=1_400,
    shape: |rng| Shape { transactions: false, ..three_brokers(rng) },
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 3..=5, 10),
            share("partition", 1..=4, 20),
            share("process_pause", 0..=3, 30),
            share("rebalance", 3..=6, 0),
            share("response_lost", 1..=5, 20),
            share("service_crash", 2..=5, 10),
        ]
    },
};
