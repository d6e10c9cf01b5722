//! Faults: one per file. Each is a kind of plain plan entry that can be drawn, checked against the declared fault model, begun and healed. A fault can do
//! only what [`World`] offers and knows nothing of orders.
//!
//! | fault | does | a correct system only shows |
//! |---|---|---|
//! | `broker_crash` | kills a broker, or cuts its power | unknown outcomes, retries, a pause |
//! | `controller_crash` | the same to the controller | no election meanwhile |
//! | `partition` | cuts links: a node off, one direction, or users of the log only | unavailability |
//! | `process_pause` | stops a process where it stands (a long collection, a moved machine) | fenced, restarts from committed state |
//! | `reassignment` | moves a partition to other brokers, and back (a node of its own asks for it) | short stalls, another leader |
//! | `rebalance` | moves a group: join, leave, kill, pause past the session, resubscribe | ownership handed over |
//! | `request_delayed` | a request arrives after its sender has given it up | refused, or known again |
//! | `response_lost` | an answer is lost after the request was executed | an unknown outcome, resolved by reading |
//! | `service_crash` | kills a service, or cuts its power, once or in a loop | restarts from committed state |
//! | `slow_disk` | every sync of one broker takes long | the same later; transactions that time out are aborted |

mod broker_crash;
mod controller_crash;
pub mod model;
mod partition;
mod process_pause;
mod reassignment;
mod rebalance;
mod request_delayed;
mod response_lost;
mod service_crash;
mod slow_disk;

use model::{Effect, Terrain};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::{PlannedFault, World};

/// One kind of fault.
pub trait Fault: Sync {
    /// Its name: as its file.
    fn kind(&self) -> &'static str;
    /// Marks worth waiting for.
    fn marks(&self) -> &'static [&'static str];
    /// Draws target and arguments; `None` if the terrain has nothing to hit.
    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn>;
    /// Are target and arguments such that this can be done? The error names the field and the rule.
    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String>;
    /// What it does to brokers.
    fn effect(&self, planned: &PlannedFault, terrain: &Terrain) -> Effect;
    /// How long it acts before it is healed.
    fn lasts_ms(&self, planned: &PlannedFault) -> u64;
    /// For the history: the kind, how, whom.
    fn describe(&self, planned: &PlannedFault) -> String;
    /// Does it apply to how its target stands now?
    fn applies(&self, world: &World, planned: &PlannedFault) -> Result<(), String>;
    /// Begins it; may be in the middle of a node's step.
    fn begin(&self, world: &World, planned: &PlannedFault, terrain: &Terrain);
    /// Heals it.
    fn end<'a>(&'a self, world: &'a World, planned: &'a PlannedFault, terrain: &'a Terrain) -> BoxFuture<'a, ()>;
}

/// Every fault, in alphabetical order.
pub const ALL: &[&dyn Fault] = &[
    &broker_crash::BrokerCrash,
    &controller_crash::ControllerCrash,
    &partition::Partition,
    &process_pause::ProcessPause,
    &reassignment::PartitionReassignment,
    &rebalance::Rebalance,
    &request_delayed::RequestDelayed,
    &response_lost::ResponseLost,
    &service_crash::ServiceCrash,
    &slow_disk::SlowDisk,
];

/// The fault of a kind.
pub fn of_kind(kind: &str) -> Option<&'static dyn Fault> {
    ALL.iter().copied().find(|fault| fault.kind() == kind)
}

/// What a draw gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// A node or group.
    pub target: String,
    /// What else the kind takes.
    pub args: serde_json::Value,
}

impl Drawn {
    fn new(target: impl Into<String>, args: impl Serialize) -> Self {
        Drawn { target: target.into(), args: serde_json::to_value(args).expect("arguments are plain values") }
    }
}

/// The arguments of a planned fault; the error names the field.
fn args<T: DeserializeOwned>(planned: &PlannedFault) -> Result<T, String> {
    serde_json::from_value(planned.args.clone()).map_err(|error| format!("args: {error}"))
}

/// The arguments of a fault that was checked.
fn checked_args<T: DeserializeOwned>(planned: &PlannedFault) -> T {
    args(planned).expect("a plan is checked before it is run")
}

/// Is there such a message, the `nth` from one node to another?
fn message_between(from: &str, to: &str, nth: u64, terrain: &Terrain) -> Result<(), String> {
    let known: Vec<String> = terrain.everybody().into_iter().chain(terrain.clients.iter().cloned()).collect();
    match [("from", from), ("to", to)].into_iter().find(|(_, node)| !known.iter().any(|known| known == node)) {
        Some((field, node)) => Err(format!("args.{field}: there is no node `{node}`")),
        None if nth == 0 => Err("args.nth: the next is number 1".to_owned()),
        None => Ok(()),
    }
}

/// How a process goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Down {
    /// The page cache stays.
    Kill,
    /// Of its disk only the platter is sure to stay.
    PowerLoss,
}

impl Down {
    fn draw(rng: &mut Rng, power_loss_percent: u64) -> Self {
        if rng.below(100) < power_loss_percent { Down::PowerLoss } else { Down::Kill }
    }

    fn word(self) -> &'static str {
        match self {
            Down::Kill => "kill",
            Down::PowerLoss => "power_loss",
        }
    }

    fn bring(self, world: &World, node: &str) {
        match self {
            Down::Kill => world.kill(node),
            Down::PowerLoss => world.power_loss(node),
        }
    }
}

/// A node that is up, or why nothing can be done to it.
fn is_up(world: &World, node: &str) -> Result<(), String> {
    match world.state(node) {
        sim::NodeState::Up => Ok(()),
        state => Err(format!("{node} is {state:?}")),
    }
}

/// `target` must be one of these.
fn target_among(planned: &PlannedFault, nodes: &[String], what: &str) -> Result<(), String> {
    if nodes.contains(&planned.target) { Ok(()) } else { Err(format!("target: `{}` is no {what}", planned.target)) }
}

/// As [`target_among`]; or whoever hits the mark.
fn target_among_or_whoever(planned: &PlannedFault, nodes: &[String], what: &str) -> Result<(), String> {
    match (&planned.trigger, planned.target.as_str()) {
        (sim::Trigger::On(_), model::WHOEVER) => Ok(()),
        _ => target_among(planned, nodes, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_alphabetical_and_says_each_kind_once() {
        let kinds: Vec<&str> = ALL.iter().map(|fault| fault.kind()).collect();
        assert!(kinds.is_sorted_by(|a, b| a < b), "{kinds:?}");
        assert!(kinds.iter().all(|kind| of_kind(kind).is_some()));
    }
}
