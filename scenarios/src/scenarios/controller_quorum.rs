//! Three controllers, and nobody lets them rule in peace: whoever leads the quorum is killed, frozen or cut off, while brokers come and go.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const CONTROLLER_QUORUM: Scenario = Scenario {
    name: "controller_quorum",
    about: "three controllers, of which the leading one is killed, frozen or cut off",
    weight: 10,
    marks: &["became_follower", "controller_elected"],
    orders: 1_150..=1_450,
    shape: |rng| Shape { controllers: 3, ..three_brokers(rng) },
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 2..=4, 20),
            share("controller_crash", 3..=6, 0),
            share("partition", 3..=6, 20),
            share("process_pause", 1..=3, 30),
            share("rebalance", 0..=2, 50),
        ]
    },
};
