//! Machines lose their power: brokers one at a time and at full ISR, services, recorder and controller at any moment.

use super::{Scenario, share, three_brokers};
use crate::composition::Timers;

/// See the module.
pub const POWER_LOSS: Scenario = Scenario {
    name: "power_loss",
    about: "machines lose their power, as far as three replicas can bear it",
    weight: 8,
    marks: &["leader_elected"],
    orders: 1_150..=1_450,
    shape: three_brokers,
    timers: Timers::draw,
    mix: || vec![share("broker_crash", 5..=9, 0), share("controller_crash", 1..=2, 20), share("service_crash", 2..=5, 10)],
};
