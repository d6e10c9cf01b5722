//! The world on madsim: [`World`], its nodes and its verbs.

mod node;
mod run;
mod triggers;
mod verbs;

pub use run::run;
pub use runtime::net::{Latency, Touched};

use crate::{History, Reached};
use log::Event;
use node::Node;
use runtime::simulated::Simulation;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use triggers::Triggers;

/// A simulated world; clones are the same world. Only its body and its faults hold one, never a node.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    simulation: Arc<Simulation>,
    history: History,
    name: Arc<str>,
    nodes: Mutex<BTreeMap<String, Node>>,
    triggers: Triggers,
    /// A node came up or went down.
    changed: Notify,
}

impl World {
    fn new(simulation: Arc<Simulation>) -> Self {
        let inner = Inner {
            simulation: simulation.clone(),
            history: History::default(),
            name: "world".into(),
            nodes: Mutex::default(),
            triggers: Triggers::default(),
            changed: Notify::new(),
        };
        let world = World { inner: Arc::new(inner) };
        let weak = Arc::downgrade(&world.inner);
        simulation.on_mark(Arc::new(move |mark, node, nth| {
            if let Some(inner) = weak.upgrade() {
                World { inner }.hit(mark, node, nth);
            }
        }));
        world
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.inner.simulation.seed()
    }

    /// Simulated microseconds since the start.
    pub fn now_us(&self) -> u64 {
        self.inner.simulation.now_ns() / 1_000
    }

    /// The history, as far as it has come.
    pub fn history(&self) -> History {
        self.inner.history.clone()
    }

    /// Takes a fact of the world itself down: a fault that begins or ends.
    pub fn observe(&self, event: Event) {
        self.inner.history.push(self.now_us(), &self.inner.name, event);
    }

    /// Marks hit so far.
    pub fn reached(&self) -> Reached {
        let mut reached = Reached::default();
        for ((mark, node), hits) in self.inner.simulation.marks() {
            reached.add(mark, &node, hits);
        }
        reached
    }

    /// How long messages take from now on.
    pub fn set_latency(&self, latency: Latency) {
        self.inner.simulation.set_latency(latency);
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.inner.nodes.lock().expect("no code panics while it holds the table of nodes")
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("seed", &self.seed()).finish_non_exhaustive()
    }
}
