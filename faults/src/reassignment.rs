//! An operator moves a partition to other replicas, or to another order of those it has, and later to a second such set (F9, A22). A node of its own asks
//! the brokers for it, as his tool would: it looks the partition up, asks, perhaps cancels, waits until nothing moves any more, and lets the first replica
//! lead. Never fewer replicas than two, which is min ISR: what is acknowledged stays acknowledged.

use crate::model::{Effect, Terrain};
use crate::{Drawn, Fault, checked_args, target_among};
use serde::{Deserialize, Serialize};
use sim::log::native::{ClientConfig, Native};
use sim::log::{Outcome, Tp};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::runtime::time::{monotonic_ms, sleep, timeout};
use sim::{NodeCtx, PlannedFault, World};
use std::time::Duration;

/// See the module.
pub struct PartitionReassignment;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    /// Which, in order of topic and number; modulo how many there are.
    partition: u64,
    /// Its replicas meanwhile, after the target, which is preferred.
    others: Vec<String>,
    /// Its replicas afterwards, the preferred one first.
    then: Vec<String>,
    /// Takes the first back so long after it was taken up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel_ms: Option<u64>,
    /// Until the second.
    lasts_ms: u64,
}

const LASTS_MS: std::ops::Range<u64> = 200..15_000;
/// Those who come need a few round trips.
const CANCEL_MS: std::ops::Range<u64> = 0..30;
/// Least and usual replicas.
const REPLICAS: std::ops::RangeInclusive<usize> = 2..=3;
/// Where brokers listen.
const PORT: u16 = 9092;
/// A single request, and the whole of a move; a move that takes longer goes on without anybody who waits.
const REQUEST_MS_MAX: u64 = 5_000;
const MOVE_MS_MAX: u64 = 20_000;
const POLL_MS: u64 = 20;

impl Fault for PartitionReassignment {
    fn kind(&self) -> &'static str {
        "reassignment"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["appended_locally", "became_follower", "leader_elected", "txn_prepared"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        if terrain.brokers.len() < *REPLICAS.end() {
            return None;
        }
        let fewer = rng.chance(1, 4);
        let mut meanwhile = some_of(rng, &terrain.brokers, if fewer { *REPLICAS.start() } else { *REPLICAS.end() });
        let target = meanwhile.remove(0);
        let then = some_of(rng, &terrain.brokers, *REPLICAS.end());
        let cancel_ms = rng.chance(1, 4).then(|| rng.range(CANCEL_MS));
        Some(Drawn::new(target, Args { partition: rng.below(1_000), others: meanwhile, then, cancel_ms, lasts_ms: rng.range(LASTS_MS) }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        let args = crate::args::<Args>(planned)?;
        target_among(planned, &terrain.brokers, "broker")?;
        for (field, replicas) in [("others", meanwhile(planned, &args)), ("then", args.then)] {
            if let Some(unknown) = replicas.iter().find(|node| !terrain.brokers.contains(node)) {
                return Err(format!("args.{field}: `{unknown}` is no broker"));
            }
            let is_twice = |node: &String| replicas.iter().filter(|other| *other == node).count() > 1;
            if replicas.iter().any(is_twice) || !REPLICAS.contains(&replicas.len()) {
                return Err(format!("args.{field}: a partition has two or three replicas, each on a broker of its own"));
            }
        }
        Ok(())
    }

    /// Replicas without fsync come and go: no power may be lost meanwhile.
    fn effect(&self, _planned: &PlannedFault, terrain: &Terrain) -> Effect {
        Effect::Disturbs(terrain.brokers.clone())
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).lasts_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        let args: Args = checked_args(planned);
        let cancelled = if args.cancel_ms.is_some() { ", cancelled" } else { "" };
        format!("reassignment partition {} to {}, then to {}{cancelled}", args.partition, meanwhile(planned, &args).join(" "), args.then.join(" "))
    }

    fn applies(&self, _world: &World, _planned: &PlannedFault) -> Result<(), String> {
        Ok(())
    }

    fn begin(&self, world: &World, planned: &PlannedFault, terrain: &Terrain) {
        let (planned, brokers) = (planned.clone(), terrain.brokers.clone());
        world.node(&operator(&planned), move |ctx| {
            let (planned, brokers) = (planned.clone(), brokers.clone());
            Box::pin(async move {
                // Whoever waits for the end sees that it has come to none.
                let _ = timeout(Duration::from_millis(MOVE_MS_MAX), operate(ctx, planned, brokers)).await;
            })
        });
    }

    fn end<'a>(&'a self, world: &'a World, planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let operator = operator(planned);
            world.kill(&operator);
            world.join(&operator);
            world.ended(&operator).await;
        })
    }
}

/// The node of the operator.
fn operator(planned: &PlannedFault) -> String {
    format!("reassignment-{}", planned.id)
}

fn meanwhile(planned: &PlannedFault, args: &Args) -> Vec<String> {
    [&planned.target].into_iter().chain(&args.others).cloned().collect()
}

/// So many of them in any order.
fn some_of(rng: &mut Rng, brokers: &[String], count: usize) -> Vec<String> {
    let mut left = brokers.to_vec();
    (0..count).map(|_| left.remove(rng.below(left.len() as u64) as usize)).collect()
}

/// In its first life to the one set of replicas, in its second to the other.
async fn operate(ctx: NodeCtx, planned: PlannedFault, brokers: Vec<String>) {
    let args: Args = checked_args(&planned);
    let log = Native::new(ClientConfig::new(ctx.name.clone(), brokers.iter().map(|node| format!("{node}:{PORT}"))), ctx.observer.clone());
    let (wanted, cancel_ms) = if ctx.incarnation == 1 { (meanwhile(&planned, &args), args.cancel_ms) } else { (args.then, None) };
    let id_of = |node: &String| 1 + brokers.iter().position(|broker| broker == node).expect("checked") as u32;
    let target: Vec<u32> = wanted.iter().map(id_of).collect();
    let tp = partition(&log, args.partition).await;
    while !matches!(log.reassign(vec![(tp, Some(target.clone()))], soon()).await, Outcome::Done(())) {
        sleep(Duration::from_millis(POLL_MS)).await;
    }
    if let Some(cancel_ms) = cancel_ms {
        sleep(Duration::from_millis(cancel_ms)).await;
        // It may be complete already.
        let _ = log.reassign(vec![(tp, None)], soon()).await;
    }
    while !matches!(log.reassignments(soon()).await, Outcome::Done(moving) if moving.iter().all(|one| one.tp != tp)) {
        sleep(Duration::from_millis(POLL_MS)).await;
    }
    // It may have left the ISR again.
    let _ = log.elect_preferred(vec![tp], soon()).await;
}

fn soon() -> u64 {
    monotonic_ms() + REQUEST_MS_MAX
}

/// The partition of that number among all, those of the internal topics included.
async fn partition(log: &Native, number: u64) -> Tp {
    loop {
        if let Outcome::Done(topics) = log.describe(soon()).await {
            let of = |topic: &sim::broker::protocol::TopicMetadata| {
                let topic_id = topic.id;
                topic.partitions.iter().map(move |one| Tp { topic: topic_id, partition: one.partition }).collect::<Vec<_>>()
            };
            let mut all: Vec<Tp> = topics.iter().flat_map(of).collect();
            all.sort();
            if !all.is_empty() {
                return all[(number % all.len() as u64) as usize];
            }
        }
        sleep(Duration::from_millis(POLL_MS)).await;
    }
}
