//! What the world of a simulated run controls: lives of nodes, clocks, links, marks. For `sim::world` only; engine code never sees it.
//!
//! One run has one OS thread, so its [`Simulation`] is that thread's. A node is known by its name over all its lives; every life is a madsim node
//! of its own, so that what is left over of an earlier life (its `Drop` code runs late) can always be told from the present one.

use crate::net::{Down, Latency, Network, Touched};
use crate::rng::{Rng, key};
use ::madsim::task::NodeId;
use ::madsim::time::TimeHandle;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// What the simulated wall clock shows when a run starts: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: u64 = 1_767_225_600_000;

/// A node's number within a run, from 0 (the world itself) in order of appearance.
pub type NodeNumber = u16;

/// Called when a node hits a mark: mark, node, how often this node has hit it. Runs inside that node's step.
pub type MarkHook = Arc<dyn Fn(&'static str, &str, u64) + Send + Sync>;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Simulation>>> = const { RefCell::new(None) };
}

/// One run's state at the seam.
pub struct Simulation {
    weak: Weak<Simulation>,
    seed: u64,
    time: TimeHandle,
    lives: Mutex<Lives>,
    marks: Mutex<Marks>,
    pub(crate) network: Mutex<Network>,
    progress: Arc<Progress>,
}

/// What another thread may look at while a run goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Simulated microseconds at the last look at the clock.
    pub at_us: AtomicU64,
    /// Number of the node that did something last.
    pub node: AtomicU64,
}

#[derive(Default)]
struct Lives {
    names: Vec<String>,
    clocks: Vec<Clock>,
    of: BTreeMap<NodeId, Life>,
    rng_draws: BTreeMap<(NodeNumber, String), u64>,
}

/// One life of a node.
#[derive(Debug, Clone)]
pub struct Life {
    /// Which node.
    pub node: NodeNumber,
    /// Cleared at the moment of death, before any task is dropped: from then on nothing it does reaches disk, network or history.
    pub alive: Arc<AtomicBool>,
}

impl Life {
    /// Has it not been killed?
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    offset_ms: i64,
    drift_ppm: i64,
}

#[derive(Default)]
struct Marks {
    counts: BTreeMap<(&'static str, NodeNumber), u64>,
    hook: Option<MarkHook>,
}

/// The simulation of this thread, made at first use from the seed of the madsim runtime that runs on it.
pub fn current() -> Arc<Simulation> {
    try_current().expect("there is no madsim runtime on this thread")
}

/// As [`current`], `None` outside a simulation.
pub fn try_current() -> Option<Arc<Simulation>> {
    CURRENT.with(|slot| {
        if slot.borrow().is_none() {
            *slot.borrow_mut() = Some(Simulation::of_runtime(None)?);
        }
        slot.borrow().clone()
    })
}

/// Forgets this thread's simulation, at the end of a run.
pub fn clear() {
    let old = CURRENT.with(|slot| slot.borrow_mut().take());
    drop(old);
}

pub(crate) fn elapsed_ns() -> u64 {
    current().now_ns()
}

pub(crate) fn wall_ms() -> u64 {
    let simulation = current();
    let node = simulation.current_life().node;
    simulation.wall_ms(node)
}

pub(crate) fn rng_of_node(purpose: &str) -> Rng {
    // A checker that replays a machine after the run has no node: a stream of the purpose alone.
    let Some(simulation) = try_current() else { return Rng::keyed(0, &[purpose]) };
    let node = simulation.current_life().node;
    let mut lives = simulation.lives();
    let nth = lives.rng_draws.entry((node, purpose.to_string())).or_default();
    *nth += 1;
    let nth = nth.to_string();
    Rng::keyed(simulation.seed, &[&lives.names[node as usize], purpose, &nth])
}

pub(crate) fn mark_hit(mark: &'static str) {
    let Some(simulation) = try_current() else { return };
    let life = simulation.current_life();
    if !life.is_alive() {
        return;
    }
    let (nth, hook) = {
        let mut marks = simulation.marks.lock().expect(UNPOISONED);
        let nth = marks.counts.entry((mark, life.node)).or_default();
        *nth += 1;
        (*nth, marks.hook.clone())
    };
    if let Some(hook) = hook {
        let name = simulation.name_of(life.node);
        hook(mark, &name, nth);
    }
}

/// Locks here are held for a few lines that do not panic.
pub(crate) const UNPOISONED: &str = "a lock of the simulation is never held over a panic";

impl Simulation {
    fn of_runtime(seed: Option<u64>) -> Option<Arc<Simulation>> {
        let handle = ::madsim::runtime::Handle::try_current().ok()?;
        let seed = seed.unwrap_or_else(|| handle.seed());
        let lives = Lives { names: vec!["world".to_string()], clocks: vec![Clock::default()], ..Lives::default() };
        Some(Arc::new_cyclic(|weak| Simulation {
            weak: weak.clone(),
            seed,
            time: TimeHandle::current(),
            lives: Mutex::new(lives),
            marks: Mutex::default(),
            network: Mutex::new(Network::new(seed)),
            progress: Arc::default(),
        }))
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A fresh simulation for this thread whose network and random streams are keyed by `seed`; madsim's own seed, which orders the tasks, stays.
    pub fn reseeded(seed: u64) -> Arc<Simulation> {
        let made = Self::of_runtime(Some(seed)).expect("there is no madsim runtime on this thread");
        CURRENT.with(|slot| *slot.borrow_mut() = Some(made.clone()));
        made
    }

    /// What another thread may look at.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Nanoseconds since the start of the run.
    pub fn now_ns(&self) -> u64 {
        let now = self.time.elapsed().as_nanos() as u64;
        self.progress.at_us.store(now / 1_000, Ordering::Relaxed);
        now
    }

    pub(crate) fn time(&self) -> &TimeHandle {
        &self.time
    }

    pub(crate) fn weak(&self) -> Weak<Simulation> {
        self.weak.clone()
    }

    fn lives(&self) -> MutexGuard<'_, Lives> {
        self.lives.lock().expect(UNPOISONED)
    }

    /// Registers a life of the node `name`, run by the madsim node `id`.
    pub fn born(&self, name: &str, id: NodeId) -> Life {
        let mut lives = self.lives();
        let node = lives.number(name);
        let life = Life { node, alive: Arc::new(AtomicBool::new(true)) };
        lives.of.insert(id, life.clone());
        drop(lives);
        self.network.lock().expect(UNPOISONED).up(node);
        life
    }

    /// Cuts a life off from the network; its tasks are to be dropped after it. Whoever holds its [`Life`] sees `is_alive` false.
    pub fn dies(&self, life: &Life, how: Down) {
        life.alive.store(false, Ordering::Relaxed);
        let now = self.now_ns();
        self.network.lock().expect(UNPOISONED).down(self, life, how, now);
    }

    /// The life in whose task this is called.
    pub fn current_life(&self) -> Life {
        let id = ::madsim::plugin::node();
        let mut lives = self.lives();
        if let Some(life) = lives.of.get(&id) {
            let life = life.clone();
            self.progress.node.store(u64::from(life.node), Ordering::Relaxed);
            return life;
        }
        // Node 0 is the world; a madsim node that nobody registered (a test's own) gets a name from its number.
        let name = if id.to_string() == "0" { "world".to_string() } else { format!("node-{id}") };
        let node = lives.number(&name);
        let life = Life { node, alive: Arc::new(AtomicBool::new(true)) };
        lives.of.insert(id, life.clone());
        life
    }

    /// A node's name.
    pub fn name_of(&self, node: NodeNumber) -> String {
        self.lives().names[node as usize].clone()
    }

    /// A node's number, given at its first mention.
    pub fn number_of(&self, name: &str) -> NodeNumber {
        self.lives().number(name)
    }

    /// A node's wall clock.
    pub fn wall_ms(&self, node: NodeNumber) -> u64 {
        let elapsed_ms = (self.now_ns() / 1_000_000) as i64;
        let clock = self.lives().clocks[node as usize];
        let skew_ms = clock.offset_ms + elapsed_ms * clock.drift_ppm / 1_000_000;
        EPOCH_MS.saturating_add_signed(elapsed_ms + skew_ms)
    }

    /// Moves a node's wall clock by `jump_ms`, forwards or back.
    pub fn jump_clock(&self, node: NodeNumber, jump_ms: i64) {
        self.lives().clocks[node as usize].offset_ms += jump_ms;
    }

    /// Lets a node's wall clock gain (or lose) `drift_ppm` millionths from now on; what it shows does not jump.
    pub fn drift_clock(&self, node: NodeNumber, drift_ppm: i64) {
        let elapsed_ms = (self.now_ns() / 1_000_000) as i64;
        let clock = &mut self.lives().clocks[node as usize];
        clock.offset_ms += elapsed_ms * clock.drift_ppm / 1_000_000 - elapsed_ms * drift_ppm / 1_000_000;
        clock.drift_ppm = drift_ppm;
    }

    /// Sets every clock right and every drift to nothing.
    pub fn heal_clocks(&self) {
        self.lives().clocks.fill(Clock::default());
    }

    /// What is called at every mark.
    pub fn on_mark(&self, hook: MarkHook) {
        self.marks.lock().expect(UNPOISONED).hook = Some(hook);
    }

    /// Counts by (mark, node).
    pub fn marks(&self) -> BTreeMap<(&'static str, String), u64> {
        let marks = self.marks.lock().expect(UNPOISONED);
        marks.counts.iter().map(|((mark, node), count)| ((*mark, self.name_of(*node)), *count)).collect()
    }

    /// Holds everything from one node to another until it is healed. Cuts add up.
    pub fn cut(&self, from: NodeNumber, to: NodeNumber) {
        self.network.lock().expect(UNPOISONED).cut(from, to);
    }

    /// Takes one cut back. What was held arrives a latency later.
    pub fn heal(&self, from: NodeNumber, to: NodeNumber) {
        let now = self.now_ns();
        self.network.lock().expect(UNPOISONED).heal(from, to, now);
    }

    /// Takes every cut and every rule back.
    pub fn heal_all(&self) {
        let now = self.now_ns();
        self.network.lock().expect(UNPOISONED).heal_all(now);
    }

    /// Delays the `nth` frame (1: the next) of `kind` (`None`: any) on a link by `by_ms`; frames behind it wait too.
    pub fn delay(&self, from: NodeNumber, to: NodeNumber, kind: Option<u16>, nth: u64, by_ms: u64) -> Touched {
        self.network.lock().expect(UNPOISONED).rule(from, to, kind, nth, Some(by_ms))
    }

    /// Loses that frame, and with it its connection.
    pub fn lose(&self, from: NodeNumber, to: NodeNumber, kind: Option<u16>, nth: u64) -> Touched {
        self.network.lock().expect(UNPOISONED).rule(from, to, kind, nth, None)
    }

    /// How long messages take from now on.
    pub fn set_latency(&self, latency: Latency) {
        self.network.lock().expect(UNPOISONED).set_latency(latency);
    }

    /// Messages sent so far: frames and chunks of byte streams.
    pub fn messages(&self) -> u64 {
        self.network.lock().expect(UNPOISONED).messages()
    }

    /// A stream of the run, keyed by what it decides.
    pub fn key(&self, words: &[&str]) -> u64 {
        key(self.seed, words)
    }
}

impl Lives {
    fn number(&mut self, name: &str) -> NodeNumber {
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return at as NodeNumber;
        }
        self.names.push(name.to_string());
        self.clocks.push(Clock::default());
        (self.names.len() - 1) as NodeNumber
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation").field("seed", &self.seed).finish_non_exhaustive()
    }
}
