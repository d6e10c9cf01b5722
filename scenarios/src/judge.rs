//! One plan, run and judged.

use crate::composition::{Exchange, Left, Shape, Timers, run, specs};
use crate::evidence::{ClientStep, Evidence, LiveHash};
use crate::invariants;
use crate::operation::{Answer, Ask, Operation};
use crate::said;
use crate::tally::Tally;
use crate::verdict::{Class, SeedReport};
use crate::workload::{Action, Market, Workload};
use hdrhistogram::Histogram;
use log::Event;
use log::history::Phase;
use sim::checkers::Law;
use sim::invariants::{Finding, Violation};
use sim::{Crash, Ended, Entry, Plan, RunOutcome, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::{AccountEvent, Body, EndReason, OrderEvent, Topic};

/// A plan that was run.
pub struct Judged {
    /// The result in short.
    pub report: SeedReport,
    /// Every invariant of the log and of the exchange, by name.
    pub scores: Vec<(String, Finding)>,
    /// The invariant that decided the verdict.
    pub violation: Option<(String, Violation)>,
    /// The services' lines that put out what it cites.
    pub said: Vec<String>,
    /// A panic, or a clock that stood still.
    pub crash: Option<Crash>,
    /// The clock stood still: the run's thread is lost.
    pub thread_is_lost: bool,
    /// Every fact.
    pub history: Vec<Entry>,
    /// Orders that the workload had.
    pub orders: u64,
}

/// What a plan's values mean; the error names the field and its rule.
pub fn read(plan: &Plan) -> Result<(Exchange, Vec<Action>), String> {
    let exchange = Exchange { shape: Shape::from_value(&plan.shape)?, timers: Timers::from_map(&plan.timers)? };
    let workload = match &plan.workload {
        sim::Workload::Generator(market) => {
            let market: Market = serde_json::from_value(market.clone()).map_err(|error| format!("field workload.generator: {error}"))?;
            market.check(&exchange.shape).map_err(|rule| format!("field workload.generator.{rule}"))?;
            Workload::Generator(market)
        }
        sim::Workload::List(list) => {
            let action = |(at, value): (usize, &serde_json::Value)| {
                let action: Action = serde_json::from_value(value.clone()).map_err(|error| format!("field workload.list[{at}]: {error}"))?;
                action.check(&exchange.shape).map_err(|rule| format!("field workload.list[{at}].{rule}"))?;
                Ok::<_, String>(action)
            };
            Workload::List(list.iter().enumerate().map(action).collect::<Result<_, _>>()?)
        }
    };
    faults::model::within_model(&plan.faults, &exchange.terrain()).map_err(|rule| format!("field {rule}"))?;
    Ok((exchange, workload.actions(plan.seed)))
}

/// The same plan with its orders written out, so that a smaller one can be made of it.
pub fn written_out(plan: &Plan) -> Result<Plan, String> {
    let (_, actions) = read(plan)?;
    let list = actions.iter().map(|action| serde_json::to_value(action).expect("an action is plain values")).collect();
    Ok(Plan { workload: sim::Workload::List(list), ..plan.clone() })
}

/// Runs a plan and looks at everything.
pub fn judge(plan: &Plan) -> Result<Judged, String> {
    let (exchange, actions) = read(plan)?;
    let orders = actions.len() as u64;
    let settings = Settings { scheduler_seed: plan.scheduler_seed, ..Settings::of_seed(plan.seed) };
    let setup = Arc::new((exchange.clone(), actions, plan.faults.clone()));
    let outcome = sim::run(&settings, move |world| {
        let setup = setup.clone();
        Box::pin(async move { run(world, setup.0.clone(), setup.1.clone(), setup.2.clone()).await })
    });
    Ok(look(plan, &exchange, orders, outcome))
}

fn look(plan: &Plan, exchange: &Exchange, orders: u64, outcome: RunOutcome<Left>) -> Judged {
    let RunOutcome { ended, history, digest, reached, simulated_us, messages, .. } = outcome;
    let (mut scores, mut crash, mut lost, mut tally, mut acks) = (Vec::new(), None, false, Tally::default(), acknowledgements());
    let mut seen = None;
    match ended {
        Ended::Finished(left) => {
            let evidence = evidence(exchange, &history, &left);
            tally = Tally::of_history(&history, left.started_us);
            tally_orders(&evidence, &mut tally);
            acks = acknowledged(&evidence);
            let of_log = sim::invariants::check(&history, sim::invariants::all());
            scores.extend(of_log.into_iter().map(|(name, finding)| (name.to_owned(), finding)));
            scores.extend(invariants::check(&evidence));
            let anomalies = sim::checkers::check(&history, Law::Ours, left.settling.settled_ms.is_some());
            scores.extend(sim::checkers::summary(anomalies).into_iter().map(|(name, finding)| (name.to_owned(), finding)));
            seen = Some(evidence);
        }
        Ended::Crashed(panic) => crash = Some(panic),
        Ended::Stalled(panic) => (crash, lost) = (Some(panic), true),
        Ended::TimeLimit => {
            crash = Some(Crash { node: "world".to_owned(), place: String::new(), message: "the run did not end".to_owned(), at_us: simulated_us })
        }
    }
    let (class, violation) = verdict(&scores, crash.as_ref());
    let said = seen.zip(violation.as_ref()).map(|(evidence, (_, violation))| said::said(&evidence, violation)).unwrap_or_default();
    let (what, headline, facts) = match (&violation, &crash) {
        (_, Some(crash)) => ("crash".to_owned(), format!("{} {}: {}", crash.node, crash.place, crash.message), Vec::new()),
        (Some((name, violation)), _) => (name.clone(), violation.headline.clone(), violation.facts.clone()),
        (None, None) => Default::default(),
    };
    let checked = scores.iter().map(|(name, finding)| (name.clone(), (finding.checked, finding.remark.clone()))).collect();
    let broken = scores.iter().filter(|(_, finding)| finding.violation.is_some()).map(|(name, _)| name.clone()).collect();
    let (seed, scenario, simulated_ms) = (plan.seed, plan.scenario.clone(), simulated_us / 1_000);
    let report = SeedReport {
        seed,
        scenario,
        class,
        what,
        headline,
        facts,
        broken,
        checked,
        tally,
        reached,
        digest,
        simulated_ms,
        messages,
        ack_us: [50.0, 99.0, 99.9].map(|percentile| acks.value_at_percentile(percentile)),
        acks: acks.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect(),
        cpu_ms: 0,
        peak_kb: 0,
    };
    Judged { report, scores, violation, said, crash, thread_is_lost: lost, history, orders }
}

/// A broken property of safety counts before one of liveness; of several, the one that says most about the cause.
fn verdict(scores: &[(String, Finding)], crash: Option<&Crash>) -> (Class, Option<(String, Violation)>) {
    if crash.is_some() {
        return (Class::Crash, None);
    }
    let broken = |name: &str| scores.iter().find(|(scored, _)| scored == name).and_then(|(name, finding)| Some((name.clone(), finding.violation.clone()?)));
    let safety = CAUSES_FIRST
        .iter()
        .find_map(|name| broken(name))
        .or_else(|| scores.iter().filter(|(name, _)| name != invariants::LIVENESS).find_map(|(name, _)| broken(name)));
    if safety.is_some() {
        return (Class::Correctness, safety);
    }
    if let Some(stuck) = broken(invariants::LIVENESS) {
        return (Class::Liveness, Some(stuck));
    }
    match scores.iter().find(|(_, finding)| finding.checked == 0) {
        Some((name, _)) => {
            (Class::Correctness, Some((name.clone(), Violation { headline: "was never evaluated: the run has shown nothing".to_owned(), facts: Vec::new() })))
        }
        None => (Class::Pass, None),
    }
}

/// Where one fault of a service breaks several properties, the one nearest to it.
const CAUSES_FIRST: [&str; 8] = [
    "no_acknowledged_loss",
    "replicas_agree_below_high_watermark",
    "one_owner_per_generation",
    "single_writer",
    "no_duplicate_execution",
    "price_time_priority",
    "settled_once",
    "no_lost_order",
];

/// Puts together what the exchange's invariants look at.
fn evidence(exchange: &Exchange, history: &[Entry], left: &Left) -> Evidence {
    let mut evidence = Evidence {
        transactions: exchange.shape.transactions,
        specs: specs(exchange.shape.symbols),
        partitions_of: exchange.partitions_of(),
        tick_ms: exchange.timers.tick_ms,
        rows: left.rows.clone(),
        settling: left.settling.clone(),
        ..Evidence::default()
    };
    for (place, records) in &left.logs {
        evidence.take_log(*place, records.clone());
    }
    let by_id: BTreeMap<u64, Topic> = left.topics.iter().map(|(topic, id)| (*id, *topic)).collect();
    let mut senders: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for entry in history {
        match &entry.event {
            Event::Client { op, phase, body } => {
                let (node, operation) = (entry.node.to_string(), Operation::decode(body));
                evidence.clients.push(ClientStep { at_us: entry.at_us, node, op: *op, phase: *phase, operation });
            }
            Event::Send { phase: Phase::Invoke, crc, .. } => {
                senders.entry(*crc).or_default().insert(entry.node.to_string());
            }
            Event::StateHash { service, tp, next, hash } => {
                if let Some(topic) = by_id.get(&tp.topic.0) {
                    let (node, service, place) = (entry.node.to_string(), service.clone(), (*topic, tp.partition));
                    evidence.hashes.push(LiveHash { node, service, place, next: *next, hash: *hash });
                }
            }
            _ => {}
        }
    }
    evidence.senders = senders.into_iter().map(|(crc, nodes)| (crc, nodes.into_iter().collect())).collect();
    evidence
}

/// Counts what became of the orders.
fn tally_orders(evidence: &Evidence, tally: &mut Tally) {
    let (mut traded, mut by_order) = (BTreeSet::new(), BTreeMap::new());
    for (_, read) in evidence.topic(Topic::AccountEvents) {
        match &read.body {
            Body::AccountEvent(AccountEvent::Placed { account, order, duplicate: false }) => {
                tally.add("orders accepted", 1);
                by_order.insert(order.order_id, (account.0, order.client_order_id.0.clone()));
            }
            Body::AccountEvent(AccountEvent::Placed { duplicate: true, .. }) => tally.add("orders answered again", 1),
            _ => {}
        }
    }
    let healed_us = evidence.settling.healed_ms * 1_000;
    let asked: BTreeSet<(u64, String)> = evidence
        .clients
        .iter()
        .filter(|step| step.at_us < healed_us && matches!(step.operation.ask, Ask::Cancel { .. }))
        .filter_map(|step| Some((step.operation.account, step.operation.ask.client_order_id()?.to_owned())))
        .collect();
    for (_, read) in evidence.topic(Topic::OrderEvents) {
        match &read.body {
            Body::OrderEvent(OrderEvent::Rejected { .. }) => tally.add("orders rejected", 1),
            Body::OrderEvent(OrderEvent::Ended { order_id, reason: EndReason::Cancelled, .. })
                if by_order.get(order_id).is_some_and(|name| asked.contains(name)) =>
            {
                tally.add("orders cancelled while resting", 1);
            }
            _ => {}
        }
    }
    for (_, read) in evidence.topic(Topic::TradeExecuted) {
        let Body::Trades(list) = &read.body else { continue };
        tally.add("trades", list.trades.len() as u64);
        traded.extend(list.trades.iter().flat_map(|trade| [trade.maker_order_id, list.taker_order_id]));
    }
    tally.add("orders traded", traded.len() as u64);
    tally.add("records dropped by number", evidence.dropped.len() as u64);
    tally_unknowns(evidence, tally);
}

/// An unknown outcome is resolved when its client later hears a definite answer about the same order.
fn tally_unknowns(evidence: &Evidence, tally: &mut Tally) {
    let mut answered: BTreeSet<(u64, &str)> = BTreeSet::new();
    for step in evidence.clients.iter().rev() {
        let Some(id) = step.operation.ask.client_order_id() else { continue };
        let name = (step.operation.account, id);
        match step.phase {
            Phase::Ok | Phase::Fail => {
                answered.insert(name);
            }
            Phase::Unknown if answered.contains(&name) => tally.add("client unknowns resolved", 1),
            _ => {}
        }
    }
}

fn acknowledgements() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are sound")
}

/// From the first request of an order to its acknowledgement, simulated µs.
fn acknowledged(evidence: &Evidence) -> Histogram<u64> {
    let mut histogram = acknowledgements();
    let mut asked: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    for step in &evidence.clients {
        let Ask::Place { client_order_id, .. } = &step.operation.ask else { continue };
        let name = (step.operation.account, client_order_id.as_str());
        match (&step.phase, &step.operation.answer) {
            (Phase::Invoke, _) => {
                asked.entry(name).or_insert(step.at_us);
            }
            (Phase::Ok, Some(Answer::Order { .. })) => {
                if let Some(since_us) = asked.get(&name) {
                    histogram.saturating_record((step.at_us - since_us).max(1));
                }
            }
            _ => {}
        }
    }
    histogram
}
