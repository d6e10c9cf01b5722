//! An answer is lost after the request was executed, and its connection with it (F5): the asker does not know.

use crate::model::{Effect, Terrain};
use crate::{Drawn, Fault, checked_args, message_between};
use serde::{Deserialize, Serialize};
use sim::runtime::BoxFuture;
use sim::runtime::net::RESPONSE;
use sim::runtime::rng::Rng;
use sim::{PlannedFault, World};

/// See the module.
pub struct ResponseLost;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    from: String,
    to: String,
    /// Of the request; absent: any message, on byte streams too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<u16>,
    /// The next of this kind, the one after it, …
    nth: u64,
}

/// Requests whose lost answer leaves somebody in doubt: Kafka's api keys of Produce, OffsetCommit, JoinGroup, SyncGroup, InitProducerId,
/// AddPartitionsToTxn, EndTxn, TxnOffsetCommit.
const REQUESTS: [u16; 10] = [0, 0, 26, 26, 28, 24, 22, 8, 11, 14];

impl Fault for ResponseLost {
    fn kind(&self) -> &'static str {
        "response_lost"
    }

    fn marks(&self) -> &'static [&'static str] {
        &["txn_prepared", "appended_locally", "first_marker_written"]
    }

    fn draw(&self, rng: &mut Rng, terrain: &Terrain) -> Option<Drawn> {
        let nth = 1 + rng.below(3);
        if rng.chance(1, 3) && !terrain.edges.is_empty() && !terrain.clients.is_empty() {
            let (from, to) = (rng.pick(&terrain.edges).clone(), rng.pick(&terrain.clients).clone());
            return Some(Drawn::new(from.clone(), Args { from, to, request: None, nth }));
        }
        if terrain.services.is_empty() {
            return None;
        }
        let (from, to) = (rng.pick(&terrain.brokers).clone(), rng.pick(&terrain.services).clone());
        Some(Drawn::new(from.clone(), Args { from, to, request: Some(*rng.pick(&REQUESTS)), nth }))
    }

    fn check(&self, planned: &PlannedFault, terrain: &Terrain) -> Result<(), String> {
        let args = crate::args::<Args>(planned)?;
        message_between(&args.from, &args.to, args.nth, terrain)
    }

    fn effect(&self, _planned: &PlannedFault, _terrain: &Terrain) -> Effect {
        Effect::None
    }

    fn lasts_ms(&self, _planned: &PlannedFault) -> u64 {
        1
    }

    fn describe(&self, planned: &PlannedFault) -> String {
        let args: Args = checked_args(planned);
        let what = args.request.map_or("any message".to_owned(), |kind| format!("answer of request {kind}"));
        format!("response_lost {} -> {} ({what}, number {})", args.from, args.to, args.nth)
    }

    fn applies(&self, _world: &World, _planned: &PlannedFault) -> Result<(), String> {
        Ok(())
    }

    fn begin(&self, world: &World, planned: &PlannedFault, _terrain: &Terrain) {
        let args: Args = checked_args(planned);
        // It is found whenever it comes; healing the network forgets it.
        let _touched = world.lose(&args.from, &args.to, args.request.map(|kind| kind | RESPONSE), args.nth);
    }

    fn end<'a>(&'a self, _world: &'a World, _planned: &'a PlannedFault, _terrain: &'a Terrain) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
