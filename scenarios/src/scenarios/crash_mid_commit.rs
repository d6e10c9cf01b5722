//! Brokers and services die in the middle of transactions, and the answers to their commits are lost.

use super::{Scenario, share, three_brokers};
use crate::composition::Timers;

/// See the module.
pub const CRASH_MID_COMMIT: Scenario = Scenario {
    name: "crash_mid_commit",
    about: "brokers and services die in the middle of transactions",
    weight: 18,
    marks: &["txn_prepared", "first_marker_written", "machine_rebuilt"],
    orders: 1_100..=1_400,
    shape: three_brokers,
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 6..=9, 0),
            share("partition", 1..=3, 30),
            share("process_pause", 0..=2, 50),
            share("response_lost", 4..=10, 10),
            share("service_crash", 2..=6, 10),
        ]
    },
};
