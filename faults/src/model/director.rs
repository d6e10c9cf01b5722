//! Carries a plan's faults out: waits for each trigger, asks the model again, begins, and ends what it began.

use super::{Standing, Terrain};
use sim::log::Event;
use sim::log::history::FaultPhase;
use sim::plan::{AtMs, OnMark};
use sim::runtime::task::{JoinHandle, spawn};
use sim::runtime::time::sleep;
use sim::{PlannedFault, Trigger, World};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;

/// Carries a plan's faults out.
pub struct Director {
    shared: Shared,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    world: World,
    terrain: Arc<Terrain>,
    standing: Arc<Mutex<Standing>>,
    /// Set when healing begins: nothing begins after it.
    over: Arc<Mutex<bool>>,
}

impl Director {
    /// Arms every fault. Times count from now.
    pub fn start(world: &World, terrain: Terrain, faults: &[PlannedFault]) -> Self {
        let standing = Arc::new(Mutex::new(Standing::default()));
        let shared = Shared { world: world.clone(), terrain: Arc::new(terrain), standing, over: Arc::new(Mutex::new(false)) };
        let tasks = faults.iter().map(|planned| spawn(carry_out(shared.clone(), planned.clone()))).collect();
        Director { shared, tasks }
    }

    /// Nothing begins any more; whatever acts is ended; the network, disks, clocks and pauses are healed; and every node of the terrain that is down is
    /// started.
    pub async fn heal(self) {
        *self.shared.over.lock().expect(UNPOISONED) = true;
        for task in self.tasks {
            task.abort();
        }
        let world = &self.shared.world;
        world.heal_all();
        for node in self.shared.terrain.everybody() {
            if !world.state(&node).is_alive() {
                world.join(&node);
            }
        }
        for spare in self.shared.terrain.groups.iter().flat_map(|group| &group.spares) {
            world.kill(spare);
        }
    }
}

const UNPOISONED: &str = "no code panics while it holds this lock";

impl Shared {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect(UNPOISONED)
    }

    /// Begins a fault if it may be; in the middle of a node's step when a mark triggers it. `hit`: the node that hit the mark.
    fn begin(&self, planned: &PlannedFault, hit: Option<&str>) -> bool {
        let fault = crate::of_kind(&planned.kind).expect("a plan is checked before it is run");
        let planned = &aimed(planned, hit);
        let observe = |what: String, phase| self.world.observe(Event::Fault { id: planned.id, what, phase });
        if *self.over.lock().expect(UNPOISONED) {
            return false;
        }
        let effect = fault.effect(planned, &self.terrain);
        let permitted = {
            let mut standing = self.standing();
            let from = standing.seen();
            self.world.history().with_entries(from, |entries| standing.look(entries));
            let permitted = standing.permits(&effect).and_then(|()| fault.applies(&self.world, planned));
            if permitted.is_ok() {
                standing.begins(planned.id, effect);
            }
            permitted
        };
        match permitted {
            Ok(()) => {
                observe(fault.describe(planned), FaultPhase::Begin);
                fault.begin(&self.world, planned, &self.terrain);
                true
            }
            Err(why) => {
                observe(format!("{}: {why}", fault.describe(planned)), FaultPhase::Skipped);
                false
            }
        }
    }

    async fn end(&self, planned: &PlannedFault, hit: Option<&str>) {
        let fault = crate::of_kind(&planned.kind).expect("a plan is checked before it is run");
        let planned = &aimed(planned, hit);
        sleep(Duration::from_millis(fault.lasts_ms(planned).max(1))).await;
        fault.end(&self.world, planned, &self.terrain).await;
        self.standing().ends(planned.id);
        self.world.observe(Event::Fault { id: planned.id, what: fault.describe(planned), phase: FaultPhase::End });
    }
}

/// Target of a fault that hits whoever reaches the mark.
pub const WHOEVER: &str = "*";

/// A fault without a target of its own hits the node that hit the mark.
fn aimed(planned: &PlannedFault, hit: Option<&str>) -> PlannedFault {
    match hit {
        Some(node) if planned.target == WHOEVER => PlannedFault { target: node.to_owned(), ..planned.clone() },
        _ => planned.clone(),
    }
}

async fn carry_out(shared: Shared, planned: PlannedFault) {
    match &planned.trigger {
        Trigger::At(AtMs { at_ms }) => {
            sleep(Duration::from_millis((*at_ms).max(1))).await;
            if shared.begin(&planned, None) {
                shared.end(&planned, None).await;
            }
        }
        Trigger::On(OnMark { on, node, nth }) => {
            let (tell, told) = oneshot::channel();
            let (inner, fault) = (shared.clone(), planned.clone());
            shared.world.at_mark(on, node.as_deref(), *nth, move |_, hit| {
                let begun = inner.begin(&fault, Some(hit));
                // The run may be over.
                let _ = tell.send(begun.then(|| hit.to_owned()));
            });
            if let Ok(Some(hit)) = told.await {
                shared.end(&planned, Some(&hit)).await;
            }
        }
    }
}
