//! A group moves its partitions: a member joins, leaves in good order, is killed, stands still past its session, or subscribes anew (F10). Never by a
//! call into a coordinator.

use crate::model::{Effect, Terrain, outage_ms};
use crate::{Drawn, Fault, checked_args, is_up};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::runtime::time::{sleep, timeout};
use sim::{PlannedFault, World};
use std::time::Duration;

/// See the module.
pub struct Rebalance;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    how: How,
    member: String,
    outage_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Join,
    Leave,
    Kill,
    Pause,
    Resubscribe,
}

/// A member that was asked to leave and does not is killed after so long.
const LEAVE_MS_MAX: u64 = 10_000;

impl Fault for Rebalance {
    fn kind(&self) -> &'static str {
        "rebalance"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["partitions_assigned", "position_committed", "txn_prepared", "appended_locally"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        let groups = terrain.movable_groups();
        if groups.is_empty() {
            return None;
        }
        let group = *rng.pick(&groups);
        let how = match rng.below(10) {
            0..2 if !group.spares.is_empty() => How::Join,
            0..4 => How::Leave,
            4..6 => How::Kill,
            6..8 => How::Pause,
            _ => How::Resubscribe,
        };
        let member = rng.pick(if how == How::Join { &group.spares } else { &group.members }).clone();
        let outage_ms = match how {
            // A little past the session, so that the others take over while the member still believes.
            How::Pause => terrain.timer_ms("session").unwrap_or(6_000) * rng.range(101..180) / 100,
            How::Resubscribe => 1,
            _ => outage_ms(rng).min(15_000),
        };
        Some(Drawn::new(&group.name, Args { how, member, outage_ms }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        let args = crate::args::<Args>(planned)?;
        let group = terrain.groups.iter().find(|group| group.name == planned.target).ok_or_else(|| format!("target: `{}` is no group", planned.target))?;
        let among = if args.how == How::Join { &group.spares } else { &group.members };
        if among.contains(&args.member) { Ok(()) } else { Err(format!("args.member: `{}` cannot {:?} group {}", args.member, args.how, group.name)) }
    }

    fn effect(&self, _planned: &PlannedFault, _terrain: &Terrain) -> Effect {
        Effect::None
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).outage_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        let args: Args = checked_args(planned);
        format!("rebalance {:?} {} of {}", args.how, args.member, planned.target).to_lowercase()
    }

    fn applies(&self, world: &World, planned: &PlannedFault) -> Result<(), String> {
        let args: Args = checked_args(planned);
        match (args.how, world.state(&args.member).is_alive()) {
            (How::Join, true) => Err(format!("{} is there already", args.member)),
            (How::Join, false) => Ok(()),
            _ => is_up(world, &args.member),
        }
    }

    fn begin(&self, world: &World, planned: &PlannedFault, _terrain: &Terrain) {
        let Args { how, member, .. } = checked_args(planned);
        match how {
            How::Join => world.join(&member),
            How::Leave | How::Resubscribe => world.leave(&member),
            How::Kill => world.kill(&member),
            How::Pause => world.pause(&member),
        }
    }

    fn end<'a>(&'a self, world: &'a World, planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Args { how, member, .. } = checked_args(planned);
            match how {
                How::Join => leave(world, &member).await,
                How::Leave | How::Resubscribe => {
                    leave(world, &member).await;
                    world.join(&member);
                }
                How::Kill => world.join(&member),
                How::Pause => world.resume(&member),
            }
        })
    }
}

async fn leave(world: &World, member: &str) {
    world.leave(member);
    if timeout(Duration::from_millis(LEAVE_MS_MAX), world.ended(member)).await.is_err() {
        world.kill(member);
        sleep(Duration::from_millis(1)).await;
    }
}
