//! A broker's process is killed, or its machine loses power; later it starts again (F1, F2).

use crate::model::{Effect, Terrain, outage_ms};
use crate::{Down, Drawn, Fault, checked_args, is_up, target_among_or_whoever};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::{PlannedFault, World};

/// See the module.
pub struct BrokerCrash;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    how: Down,
    outage_ms: u64,
}

impl Fault for BrokerCrash {
    fn kind(&self) -> &'static str {
        "broker_crash"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["appended_locally", "became_follower", "txn_prepared", "first_marker_written"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        // One in four: a power loss is often refused by the model when it is due.
        let how = Down::draw(rng, if terrain.fsync_always { 50 } else { 25 });
        Some(Drawn::new(rng.pick(&terrain.brokers), Args { how, outage_ms: outage_ms(rng) }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        crate::args::<Args>(planned)?;
        target_among_or_whoever(planned, &terrain.brokers, "broker")
    }

    fn effect(&self, planned: &PlannedFault, terrain: &Terrain) -> Effect {
        match checked_args::<Args>(planned).how {
            Down::PowerLoss if !terrain.fsync_always => Effect::LosesPower(planned.target.clone()),
            _ => Effect::Disturbs(vec![planned.target.clone()]),
        }
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).outage_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        format!("broker_crash {} {}", checked_args::<Args>(planned).how.word(), planned.target)
    }

    fn applies(&self, world: &World, planned: &PlannedFault) -> Result<(), String> {
        is_up(world, &planned.target)
    }

    fn begin(&self, world: &World, planned: &PlannedFault, _terrain: &Terrain) {
        checked_args::<Args>(planned).how.bring(world, &planned.target);
    }

    fn end<'a>(&'a self, world: &'a World, planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async move { world.join(&planned.target) })
    }
}
