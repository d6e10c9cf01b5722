//! Links are cut: one node from all others, one direction only, or only between the log and one of its users (F4). A cut holds what is sent; it arrives
//! after the heal.

use crate::model::{Effect, Terrain, aligned_ms};
use crate::{Drawn, Fault, checked_args};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::{PlannedFault, World};

/// See the module.
pub struct Partition;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    how: How,
    /// From whom to whom nothing comes through.
    links: Vec<(String, String)>,
    outage_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    /// A node and all others, both ways.
    Symmetric,
    /// A node and all others, or one other, one way.
    OneWay,
    /// Some brokers and one of the log's users, both ways.
    ClientOnly,
}

/// Longest cut drawn.
const OUTAGE_MS_MAX: u64 = 30_000;

impl How {
    fn word(self) -> &'static str {
        match self {
            How::Symmetric => "symmetric",
            How::OneWay => "one_way",
            How::ClientOnly => "client_only",
        }
    }
}

fn both_ways(node: &str, others: &[String]) -> Vec<(String, String)> {
    others.iter().flat_map(|other| [(node.to_owned(), other.clone()), (other.clone(), node.to_owned())]).collect()
}

fn one_way(rng: &mut Rng, node: &str, others: &[String]) -> Vec<(String, String)> {
    let others = if rng.chance(1, 2) { others.to_vec() } else { vec![rng.pick(others).clone()] };
    let outward = rng.chance(1, 2);
    others.into_iter().map(|other| if outward { (node.to_owned(), other) } else { (other, node.to_owned()) }).collect()
}

impl Fault for Partition {
    fn kind(&self) -> &'static str {
        "partition"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["appended_locally", "leader_elected", "txn_prepared", "partitions_assigned"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        let others = |node: &str| terrain.everybody().into_iter().filter(|other| other != node).collect::<Vec<_>>();
        let how = match rng.below(6) {
            0..2 => How::OneWay,
            2..4 => How::Symmetric,
            _ if terrain.services.is_empty() => How::Symmetric,
            _ => How::ClientOnly,
        };
        let node = match how {
            How::ClientOnly => rng.pick(&terrain.services).clone(),
            // With one server there is nobody to cut it off from but its users.
            _ => rng.pick(&terrain.servers()).clone(),
        };
        let links = match how {
            How::Symmetric => both_ways(&node, &others(&node)),
            How::OneWay => one_way(rng, &node, &others(&node)),
            How::ClientOnly => {
                let some = if rng.chance(1, 2) { terrain.servers() } else { vec![rng.pick(&terrain.brokers).clone()] };
                both_ways(&node, &some)
            }
        };
        Some(Drawn::new(node, Args { how, links, outage_ms: aligned_ms(rng, terrain, OUTAGE_MS_MAX).max(200) }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        let args = crate::args::<Args>(planned)?;
        let known: Vec<String> = terrain.everybody().into_iter().chain(terrain.clients.iter().cloned()).collect();
        let unknown = args.links.iter().flat_map(|(from, to)| [from, to]).find(|node| !known.contains(node));
        match unknown {
            Some(node) => Err(format!("args.links: there is no node `{node}`")),
            None if args.links.is_empty() => Err("args.links: a partition cuts at least one link".to_owned()),
            None => Ok(()),
        }
    }

    fn effect(&self, planned: &PlannedFault, terrain: &Terrain) -> Effect {
        let servers = terrain.servers();
        let args: Args = checked_args(planned);
        let between: Vec<String> = args.links.into_iter().filter(|(from, to)| servers.contains(from) && servers.contains(to)).map(|(from, _)| from).collect();
        if between.is_empty() { Effect::None } else { Effect::Disturbs(between) }
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).outage_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        let args: Args = checked_args(planned);
        format!("partition {} {} ({} links)", args.how.word(), planned.target, args.links.len())
    }

    fn applies(&self, _world: &World, _planned: &PlannedFault) -> Result<(), String> {
        Ok(())
    }

    fn begin(&self, world: &World, planned: &PlannedFault, _terrain: &Terrain) {
        for (from, to) in checked_args::<Args>(planned).links {
            world.cut(&from, &to);
        }
    }

    fn end<'a>(&'a self, world: &'a World, planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for (from, to) in checked_args::<Args>(planned).links {
                world.heal(&from, &to);
            }
        })
    }
}
