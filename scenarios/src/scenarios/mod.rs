//! Scenarios: one per file. A scenario is ranges of shape, a workload, a mix of faults and the marks that a sweep of it must reach; the seed draws the rest.

mod controller_quorum;
mod crash_mid_commit;
mod no_transactions;
mod one_process_power_loss;
mod partition_and_heal;
mod power_loss;
mod reassignment;
mod rebalance_storm;
mod reference;
mod single_node_power_loss;
mod smoke;
mod steady_flow;

use crate::composition::{Exchange, Shape, Timers, specs};
use crate::workload::Market;
use faults::model::{Share, draw};
use runtime::rng::Rng;
use sim::plan::FORMAT;
use sim::{Plan, Workload};
use std::ops::RangeInclusive;

/// What is run under a seed.
pub struct Scenario {
    /// Its name: as its file.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Its share among the weights of all: so often a seed without a scenario of its own draws this one. 0: see [`APART`].
    pub weight: u64,
    /// Marks that a sweep must reach.
    pub marks: &'static [&'static str],
    /// How many orders.
    pub orders: RangeInclusive<u64>,
    /// How many of everything.
    pub shape: fn(&mut Rng) -> Shape,
    /// By which timers they live.
    pub timers: fn(&mut Rng) -> Timers,
    /// What goes wrong.
    pub mix: fn() -> Vec<Share>,
}

/// Every scenario, in alphabetical order.
pub const ALL: &[&Scenario] = &[
    &controller_quorum::CONTROLLER_QUORUM,
    &crash_mid_commit::CRASH_MID_COMMIT,
    &no_transactions::NO_TRANSACTIONS,
    &one_process_power_loss::ONE_PROCESS_POWER_LOSS,
    &partition_and_heal::PARTITION_AND_HEAL,
    &power_loss::POWER_LOSS,
    &reassignment::REASSIGNMENT,
    &rebalance_storm::REBALANCE_STORM,
    &reference::REFERENCE,
    &single_node_power_loss::SINGLE_NODE_POWER_LOSS,
    &smoke::SMOKE,
    &steady_flow::STEADY_FLOW,
];

/// The scenario of a name.
pub fn by_name(name: &str) -> Option<&'static Scenario> {
    ALL.iter().copied().find(|scenario| scenario.name == name)
}

/// Scenarios that came later, by name, and one of how many seeds draws each, from a stream of its own: every other seed is the run that it was.
const APART: &[(&str, u64)] = &[("reassignment", 16)];

/// The scenario that a seed draws.
pub fn of_seed(seed: u64) -> &'static Scenario {
    let is_drawn = |(name, one_in): &&(&str, u64)| Rng::keyed(seed, &["scenario of the seed", name]).below(*one_in) == 0;
    if let Some((name, _)) = APART.iter().find(is_drawn) {
        return by_name(name).expect("it is listed");
    }
    let total: u64 = ALL.iter().map(|scenario| scenario.weight).sum();
    let mut at = Rng::keyed(seed, &["scenario of the seed"]).below(total);
    for scenario in ALL {
        if at < scenario.weight {
            return scenario;
        }
        at -= scenario.weight;
    }
    unreachable!("the weights add up to the total")
}

/// Everything that a seed decides, as plain values. Shape, timers, market and each fault come from streams of their own.
pub fn plan(scenario: &Scenario, seed: u64, commit: &str) -> Plan {
    let stream = |what: &str| Rng::keyed(seed, &[scenario.name, what]);
    let transaction_version = if stream("transaction version").below(4) == 0 { 2 } else { 1 };
    let shape = Shape { transaction_version, ..(scenario.shape)(&mut stream("shape")) };
    let timers = (scenario.timers)(&mut stream("timers"));
    let mut rng = stream("market");
    let market = Market {
        orders: rng.range(*scenario.orders.start()..*scenario.orders.end() + 1) as u32,
        clients: shape.clients,
        span_ms: shape.span_ms,
        symbols: specs(shape.symbols).iter().map(|spec| spec.symbol.as_str().to_owned()).collect(),
        mid_ticks: rng.range(500..5_000).cast_signed(),
        cancel_percent: 92,
    };
    let exchange = Exchange { shape: shape.clone(), timers: timers.clone() };
    Plan {
        format: FORMAT,
        commit: commit.to_owned(),
        scenario: scenario.name.to_owned(),
        seed,
        scheduler_seed: stream("scheduler").next_u64(),
        shape: shape.to_value(),
        timers: timers.to_map(),
        workload: Workload::Generator(serde_json::to_value(&market).expect("a market is plain values")),
        faults: draw(stream("faults").next_u64(), &exchange.terrain(), &(scenario.mix)()),
    }
}

/// A kind of fault with how many a run gets, and in how many percent of the seeds it is switched off.
fn share(kind: &'static str, count: RangeInclusive<u64>, off_percent: u64) -> Share {
    Share { kind, count, off_percent }
}

/// Three brokers and two instances of everything; sizes vary a little with the seed.
fn three_brokers(rng: &mut Rng) -> Shape {
    Shape {
        brokers: 3,
        controllers: 1,
        gateways: 2,
        instances: 2,
        spares: 1,
        clients: rng.range(4..7) as u32,
        lanes: 6,
        account_partitions: rng.range(2..4) as u32,
        symbol_partitions: 2,
        symbols: rng.range(1..4) as u32,
        transactions: true,
        transaction_version: 1,
        coordinator_divides: false,
        log_cleaner: false,
        client_bytes_per_s: None,
        one_process: false,
        span_ms: rng.range(100..140) * 1_000,
        latency_us: *rng.pick(&[200, 300, 500, 1_000]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faults::model::within_model;
    use std::collections::BTreeSet;

    #[test]
    fn ten_thousand_plans_are_within_the_declared_fault_model() {
        let mut drawn = BTreeSet::new();
        for seed in 0..10_000 {
            let scenario = of_seed(seed);
            drawn.insert(scenario.name);
            let plan = plan(scenario, seed, "test");
            let exchange = Exchange {
                shape: Shape::from_value(&plan.shape).unwrap_or_else(|error| panic!("seed {seed}: {error}")),
                timers: Timers::from_map(&plan.timers).unwrap_or_else(|error| panic!("seed {seed}: {error}")),
            };
            within_model(&plan.faults, &exchange.terrain()).unwrap_or_else(|error| panic!("seed {seed} {}: {error}", scenario.name));
            plan.check().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
        assert_eq!(drawn.len(), ALL.len(), "every scenario is drawn");
    }

    /// Who types the README's first command watches brokers crash, links cut and groups rebalanced.
    #[test]
    fn the_first_seed_that_anybody_runs_shows_what_this_is_for() {
        let plan = plan(of_seed(42), 42, "test");
        for kind in ["broker_crash", "partition", "rebalance"] {
            assert!(plan.kinds().get(kind).is_some_and(|count| *count >= 2), "{kind}: {:?}", plan.kinds());
        }
    }

    #[test]
    fn a_plan_comes_back_from_its_text() {
        let plan = plan(&steady_flow::STEADY_FLOW, 42, "3f9c2ab");
        assert_eq!(Plan::from_text("plan.json", &plan.to_text()), Ok(plan));
    }

    #[test]
    fn the_list_is_alphabetical() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
    }
}
