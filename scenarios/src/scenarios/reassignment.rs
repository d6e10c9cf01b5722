//! Four brokers, three replicas: an operator moves partitions among them all the time, the coordinators' too, while brokers and controllers come and go.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const REASSIGNMENT: Scenario = Scenario {
    name: "reassignment",
    about: "partitions move among four brokers, while brokers and controllers come and go",
    // It came later than the others: see `APART`.
    weight: 0,
    marks: &["leader_reassigned", "reassignment_cancelled", "reassignment_completed", "replica_removed", "txn_prepared"],
    orders: 1_150..=1_450,
    shape: |rng| {
        let shape = three_brokers(rng);
        let controllers = *rng.pick(&[1, 3]);
        // Who comes copies a log that a cleaner has been at, and who goes may be in the middle of it.
        let log_cleaner = rng.chance(1, 3);
        Shape { brokers: 4, controllers, log_cleaner, coordinator_divides: rng.chance(1, 4), ..shape }
    },
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 3..=6, 5),
            share("controller_crash", 1..=3, 30),
            share("partition", 2..=5, 10),
            share("process_pause", 0..=2, 40),
            share("reassignment", 12..=24, 0),
            share("rebalance", 0..=2, 50),
            share("response_lost", 0..=3, 50),
        ]
    },
};
