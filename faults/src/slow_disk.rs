//! Every sync of one broker's disk takes long: a neighbour on the same device, a drive that rewrites its flash (F12). What counts only when it is synced
//! waits; nothing else may change.

use crate::model::{Effect, Terrain};
use crate::{Drawn, Fault, checked_args, is_up, target_among};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::world::DiskFault;
use sim::{PlannedFault, World};

/// See the module.
pub struct SlowDisk;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    /// Of one sync.
    sync_ms: u64,
    /// How long the disk stays slow.
    lasts_ms: u64,
}

/// Two in three draws: an order takes a few times as long. The others: longer than a transaction may take.
const SLOW_MS: std::ops::Range<u64> = 5..300;
const HARDLY_MS: std::ops::Range<u64> = 1_000..6_000;
const LASTS_MS: std::ops::Range<u64> = 1_000..20_000;

impl Fault for SlowDisk {
    fn kind(&self) -> &'static str {
        "slow_disk"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["appended_locally", "txn_prepared"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        let target = rng.pick(&terrain.brokers).clone();
        let sync_ms = if rng.chance(2, 3) { SLOW_MS } else { HARDLY_MS };
        Some(Drawn::new(target, Args { sync_ms: rng.range(sync_ms), lasts_ms: rng.range(LASTS_MS) }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        let args = crate::args::<Args>(planned)?;
        if !(1..=60_000).contains(&args.sync_ms) {
            return Err(format!("args.sync_ms: {} is not 1 to 60,000", args.sync_ms));
        }
        target_among(planned, &terrain.brokers, "broker")
    }

    fn effect(&self, planned: &PlannedFault, _terrain: &Terrain) -> Effect {
        Effect::Disturbs(vec![planned.target.clone()])
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).lasts_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        let args = checked_args::<Args>(planned);
        format!("slow_disk {} {} ms a sync, for {} ms", planned.target, args.sync_ms, args.lasts_ms)
    }

    fn applies(&self, world: &World, planned: &PlannedFault) -> Result<(), String> {
        is_up(world, &planned.target)
    }

    fn begin(&self, world: &World, planned: &PlannedFault, _terrain: &Terrain) {
        world.disk_fault(&planned.target, DiskFault::SlowSync { ms: checked_args::<Args>(planned).sync_ms });
    }

    fn end<'a>(&'a self, world: &'a World, planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async move { world.disk_heal(&planned.target) })
    }
}
