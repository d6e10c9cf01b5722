//! A controller is killed, or its machine loses power. Where it is alone, no leader is elected and no ISR changes until it is back (F1, F4); in a quorum
//! the others elect one of them.

use crate::model::{Effect, Terrain, outage_ms};
use crate::{Down, Drawn, Fault, checked_args, is_up, target_among};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::{PlannedFault, World};

/// See the module.
pub struct ControllerCrash;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    how: Down,
    outage_ms: u64,
}

impl Fault for ControllerCrash {
    fn kind(&self) -> &'static str {
        "controller_crash"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["leader_elected"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        // On a single node the controller is the broker: `broker_crash` hits both.
        let target = match terrain.controllers.as_slice() {
            [only] if terrain.brokers.contains(only) => return None,
            [only] => only,
            voters => rng.pick(voters),
        };
        Some(Drawn::new(target, Args { how: Down::draw(rng, 40), outage_ms: outage_ms(rng) }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        crate::args::<Args>(planned)?;
        target_among(planned, &terrain.controllers, "controller")
    }

    /// Its log is synced: any power loss is within the model, and no broker notices but by its silence.
    fn effect(&self, _planned: &PlannedFault, _terrain: &Terrain) -> Effect {
        Effect::None
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).outage_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        format!("controller_crash {} {}", checked_args::<Args>(planned).how.word(), planned.target)
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
