//! A node: its name, its disk, its lives.

use super::World;
use crate::History;
use crate::world::{NodeCtx, NodeState, SimulatedDisk, Start};
use log::history::{Event, Observer, SharedObserver};
use runtime::BoxFuture;
use runtime::net::Down;
use runtime::simulated::{Life, Simulation};
use runtime::task::{Stopper, stop_channel};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// A node over all its lives.
pub struct Node {
    pub(super) name: Arc<str>,
    start: Start,
    pub(super) disk: Arc<SimulatedDisk>,
    pub(super) incarnation: u64,
    pub(super) state: NodeState,
    pub(super) running: Option<Running>,
}

/// One life.
pub struct Running {
    pub(super) id: madsim::task::NodeId,
    pub(super) life: Life,
    pub(super) stopper: Stopper,
    /// Names under which facts of it stand besides its own.
    parts: Arc<Mutex<BTreeSet<Arc<str>>>>,
}

/// Takes facts down for one life, or for a part of it.
#[derive(Clone)]
struct LifeObserver {
    history: History,
    /// Where facts wait until they are sure to have happened: a journal keeps the node's files.
    withheld: Option<Arc<SimulatedDisk>>,
    simulation: Arc<Simulation>,
    name: Arc<str>,
    life: Life,
}

impl Observer for LifeObserver {
    fn is_on(&self) -> bool {
        self.life.is_alive()
    }

    fn observe(&self, event: Event) {
        if !self.life.is_alive() {
            return;
        }
        let Some(disk) = &self.withheld else { return self.history.push(self.simulation.now_ns() / 1_000, &self.name, event) };
        // The time of history never goes back: it is the time at which the fact is sure.
        let LifeObserver { history, simulation, name, .. } = self.clone();
        disk.once_durable(Box::new(move || history.push(simulation.now_ns() / 1_000, &name, event)));
    }
}

impl World {
    /// Adds a node and starts it. `start` is called once for each of its lives.
    pub fn node(&self, name: &str, start: impl Fn(NodeCtx) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        self.add(name, start);
        self.join(name);
    }

    /// Adds a node without starting it: it joins later.
    pub fn add(&self, name: &str, start: impl Fn(NodeCtx) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        assert!(name != "world" && !name.is_empty() && !name.contains(':'), "{name:?} is no name for a node");
        let disk = SimulatedDisk::new(self.seed(), name);
        let node = Node { name: name.into(), start: Arc::new(start), disk, incarnation: 0, state: NodeState::Out, running: None };
        let old = self.table().insert(name.to_string(), node);
        assert!(old.is_none(), "there is a node {name} already");
    }

    /// Starts a life of a node that is down.
    pub(super) fn begin_life(&self, name: &str, why: &str) {
        let handle = madsim::runtime::Handle::current();
        let built = handle.create_node().name(name).build();
        let life = self.inner.simulation.born(name, built.id());
        let (stopper, stop) = stop_channel();
        let (start, ctx) = {
            let mut table = self.table();
            let node = table.get_mut(name).expect("the caller found it");
            assert!(node.running.is_none(), "{name} runs already");
            node.incarnation += 1;
            node.state = NodeState::Up;
            let parts: Arc<Mutex<BTreeSet<Arc<str>>>> = Arc::default();
            node.running = Some(Running { id: built.id(), life: life.clone(), stopper, parts: parts.clone() });
            let observer = LifeObserver {
                history: self.history(),
                withheld: node.disk.keeps_order().then(|| node.disk.clone()),
                simulation: self.inner.simulation.clone(),
                name: node.name.clone(),
                life: life.clone(),
            };
            let of_node = observer.clone();
            let observer_of = move |part: &str| -> SharedObserver {
                let name: Arc<str> = part.into();
                parts.lock().expect("no code panics while it holds the names").insert(name.clone());
                Arc::new(LifeObserver { name, ..of_node.clone() })
            };
            let ctx = NodeCtx {
                name: name.to_string(),
                disk: node.disk.of_life(life.alive.clone()),
                observer: Arc::new(observer),
                stop,
                incarnation: node.incarnation,
                observer_of: Arc::new(observer_of),
            };
            (node.start.clone(), ctx)
        };
        self.observe(Event::Service { name: name.to_string(), up: true, why: why.to_string() });
        let world = self.clone();
        let (name, incarnation) = (ctx.name.clone(), ctx.incarnation);
        built.spawn(async move {
            start(ctx).await;
            world.returned(&name, incarnation);
        });
        self.inner.changed.notify_waiters();
    }

    /// The main task of a life has returned: the process ends.
    fn returned(&self, name: &str, incarnation: u64) {
        let is_current = self.table().get(name).is_some_and(|node| node.incarnation == incarnation && node.state.is_alive());
        if is_current {
            self.end_life(name, NodeState::Out, "it returned");
        }
    }

    /// Ends the present life: first off the network, the disk and the history, then its tasks are dropped; last it is told of its parts and of itself.
    pub(super) fn end_life(&self, name: &str, state: NodeState, why: &str) {
        let (running, disk) = {
            let mut table = self.table();
            let node = table.get_mut(name).expect("the caller found it");
            node.state = state;
            (node.running.take().expect("a node that is alive has its life"), node.disk.clone())
        };
        let how = if state == NodeState::PowerLost { Down::PowerLost } else { Down::Killed };
        self.inner.simulation.dies(&running.life, how);
        madsim::runtime::Handle::current().kill(running.id);
        if state == NodeState::PowerLost {
            disk.power_loss();
        } else {
            disk.process_ended();
        }
        for part in &*running.parts.lock().expect("no code panics while it holds the names") {
            self.observe(Event::Service { name: part.to_string(), up: false, why: why.to_string() });
        }
        self.observe(Event::Service { name: name.to_string(), up: false, why: why.to_string() });
        self.inner.changed.notify_waiters();
    }

    /// Waits until a node does not run.
    pub async fn ended(&self, node: &str) {
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            if !self.state(node).is_alive() {
                return;
            }
            changed.await;
        }
    }
}
