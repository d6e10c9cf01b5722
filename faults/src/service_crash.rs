//! A service is killed, or its machine loses power; later it starts again, sometimes to die again at once (F1).

use crate::model::{Effect, Terrain, outage_ms};
use crate::{Down, Drawn, Fault, checked_args, is_up, target_among_or_whoever};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::runtime::time::sleep;
use sim::{PlannedFault, World};
use std::time::Duration;

/// See the module.
pub struct ServiceCrash;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    how: Down,
    outage_ms: u64,
    /// So many more times, each half a second after it came back.
    again: u32,
}

/// Life between two crashes of a loop.
const AGAIN_AFTER_MS: u64 = 500;

impl Fault for ServiceCrash {
    fn kind(&self) -> &'static str {
        "service_crash"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["partitions_assigned", "position_committed"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        if terrain.services.is_empty() {
            return None;
        }
        let again = if rng.chance(1, 10) { 2 } else { 0 };
        Some(Drawn::new(rng.pick(&terrain.services), Args { how: Down::draw(rng, 20), outage_ms: outage_ms(rng), again }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        let args = crate::args::<Args>(planned)?;
        if args.again > 10 {
            return Err(format!("args.again: {} is more than 10", args.again));
        }
        target_among_or_whoever(planned, &terrain.services, "service")
    }

    fn effect(&self, _planned: &PlannedFault, _terrain: &Terrain) -> Effect {
        Effect::None
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).outage_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        format!("service_crash {} {}", checked_args::<Args>(planned).how.word(), planned.target)
    }

    fn applies(&self, world: &World, planned: &PlannedFault) -> Result<(), String> {
        is_up(world, &planned.target)
    }

    fn begin(&self, world: &World, planned: &PlannedFault, _terrain: &Terrain) {
        checked_args::<Args>(planned).how.bring(world, &planned.target);
    }

    fn end<'a>(&'a self, world: &'a World, planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let args: Args = checked_args(planned);
            world.join(&planned.target);
            for _ in 0..args.again {
                sleep(Duration::from_millis(AGAIN_AFTER_MS)).await;
                args.how.bring(world, &planned.target);
                sleep(Duration::from_millis(args.outage_ms.max(1))).await;
                world.join(&planned.target);
            }
        })
    }
}
