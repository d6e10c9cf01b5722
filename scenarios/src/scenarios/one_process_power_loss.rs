//! `exchange up`: log and services in one process, which acts on what is written and lets nothing out before it is synced. Its power goes at any moment: what
//! users were told stands, and of all the rest a prefix.

use super::{Scenario, share, three_brokers};
use crate::composition::{Shape, Timers};

/// See the module.
pub const ONE_PROCESS_POWER_LOSS: Scenario = Scenario {
    name: "one_process_power_loss",
    about: "everything in one process that loses its power at any moment",
    weight: 4,
    marks: &["txn_prepared"],
    orders: 900..=1_200,
    shape: |rng| {
        let transactions = rng.chance(3, 4);
        Shape { brokers: 1, gateways: 1, instances: 1, spares: 0, transactions, one_process: true, ..three_brokers(rng) }
    },
    timers: Timers::draw,
    mix: || {
        vec![
            share("broker_crash", 4..=9, 0),
            share("partition", 0..=2, 40),
            share("process_pause", 0..=2, 50),
            share("response_lost", 0..=4, 40),
            share("slow_disk", 0..=2, 30),
        ]
    },
};
