//! The network falls apart in every way, and comes together again; what it held back arrives late.

use super::{Scenario, share, three_brokers};
use crate::composition::Timers;

/// See the module.
pub const PARTITION_AND_HEAL: Scenario = Scenario {
    name: "partition_and_heal",
    about: "the network falls apart and comes together again",
    weight: 14,
    marks: &["became_follower", "truncated_by_epoch"],
    orders: 1_150..=1_450,
    shape: three_brokers,
    // Sends that give up within their transaction: it is aborted, and what the network held back arrives after its end.
    timers: |rng| {
        let timers = Timers::draw(rng);
        if rng.chance(1, 3) { timers.delivered_within_transactions() } else { timers }
    },
    mix: || {
        vec![
            share("broker_crash", 2..=4, 20),
            share("controller_crash", 0..=1, 50),
            share("partition", 6..=12, 0),
            share("process_pause", 0..=2, 50),
            share("rebalance", 0..=3, 50),
            share("request_delayed", 2..=6, 20),
        ]
    },
};
