//! A request arrives late, over the connection that its sender has given up meanwhile (F6, A63): it acts on what has become of things since.

use crate::model::{Effect, Terrain};
use crate::{Drawn, Fault, checked_args, message_between};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::rng::Rng;
use sim::{PlannedFault, World};

/// See the module.
pub struct RequestDelayed;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    from: String,
    to: String,
    /// Kafka's api key.
    request: u16,
    /// The next of this kind, the one after it, …
    nth: u64,
    delay_ms: u64,
}

/// Requests that change something: Produce, EndTxn, TxnOffsetCommit, AddPartitionsToTxn.
const REQUESTS: [u16; 6] = [0, 0, 0, 26, 28, 24];

/// Of the time after which the sender gives an answer up, in thousandths: around it and well behind it.
const OF_TIMEOUT: [u64; 5] = [990, 1_010, 1_100, 1_500, 2_000];

/// Where no such time is configured: Kafka's clients scaled down (`kafka.md` B.2).
const REQUEST_TIMEOUT_MS: u64 = 3_000;

impl Fault for RequestDelayed {
    fn kind(&self) -> &'static str {
        "request_delayed"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["txn_prepared", "appended_locally", "partitions_assigned"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        if terrain.services.is_empty() {
            return None;
        }
        let (from, to) = (rng.pick(&terrain.services).clone(), rng.pick(&terrain.brokers).clone());
        let timeout_ms = terrain.timer_ms("request").unwrap_or(REQUEST_TIMEOUT_MS);
        let delay_ms = timeout_ms * *rng.pick(&OF_TIMEOUT) / 1_000;
        Some(Drawn::new(from.clone(), Args { from, to, request: *rng.pick(&REQUESTS), nth: 1 + rng.below(3), delay_ms }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        let args = crate::args::<Args>(planned)?;
        message_between(&args.from, &args.to, args.nth, terrain)
    }

    fn effect(&self, _planned: &PlannedFault, _terrain: &Terrain) -> Effect {
        Effect::None
    }

    fn lasts_ms(&self, planned: &PlannedFault) -> u64 {
        checked_args::<Args>(planned).delay_ms
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        let args: Args = checked_args(planned);
        format!("request_delayed {} -> {} (request {}, number {}) by {} ms", args.from, args.to, args.request, args.nth, args.delay_ms)
    }

    fn applies(&self, _world: &World, _planned: &PlannedFault) -> Result<(), String> {
        Ok(())
    }

    fn begin(&self, world: &World, planned: &PlannedFault, _terrain: &Terrain) {
        let args: Args = checked_args(planned);
        // It is found whenever it comes; healing the network forgets it.
        let _touched = world.delay(&args.from, &args.to, Some(args.request), args.nth, args.delay_ms);
    }

    fn end<'a>(&'a self, _world: &'a World, _planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
