//! A process stands still where it is, its sockets open: a long collection, SIGSTOP, a machine that is moved (F3). The length is aligned to a timer.

use crate::model::{Effect, Terrain, aligned_ms};
use crate::{Drawn, Fault, checked_args, is_up, target_among_or_whoever};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::{PlannedFault, World};

/// See the module.
pub struct ProcessPause;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    pause_ms: u64,
}

/// Longest pause drawn.
const PAUSE_MS_MAX: u64 = 20_000;

impl Fault for ProcessPause {
    fn kind(&self) -> &'static str {
        "process_pause"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["appended_locally", "position_committed", "partitions_assigned", "txn_prepared"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        // Two in three hit a service: a paused broker is soon replaced, a paused service is a zombie.
        let target = if rng.chance(2, 3) && !terrain.services.is_empty() { rng.pick(&terrain.services).clone() } else { rng.pick(&terrain.servers()).clone() };
        Some(Drawn::new(target, Args { pause_ms: aligned_ms(rng, terrain, PAUSE_MS_MAX) }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        crate::args::<Args>(planned)?;
        target_among_or_whoever(planned, &terrain.everybody(), "server or service")
    }

    fn effect(&self, planned: &PlannedFault, terrain: &Terrain) -> Effect {
        if terrain.brokers.contains(&planned.target) { Effect::Disturbs(vec![planned.target.clone()]) } else { Effect::None }
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).pause_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        format!("process_pause {} {} ms", planned.target, checked_args::<Args>(planned).pause_ms)
    }

    fn applies(&self, world: &World, planned: &PlannedFault) -> Result<(), String> {
        is_up(world, &planned.target)
    }

    fn begin(&self, world: &World, planned: &PlannedFault, _terrain: &Terrain) {
        world.pause(&planned.target);
    }

    fn end<'a>(&'a self, world: &'a World, planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async move { world.resume(&planned.target) })
    }
}
