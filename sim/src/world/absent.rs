//! The builds without a simulated world: the same names, and no way to make a [`World`].

use super::{DiskFault, NodeCtx, NodeState, RunOutcome, Settings};
use crate::{History, Reached};
use runtime::BoxFuture;
use std::convert::Infallible;

/// How long messages take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Shortest.
    pub base_us: u64,
    /// Uniform on top of it.
    pub spread_us: u64,
    /// Scale of the tail.
    pub tail_us: u64,
    /// End of the tail.
    pub tail_us_max: u64,
}

/// Tells whether a rule has found its message.
#[derive(Debug, Clone)]
pub struct Touched(Infallible);

impl Touched {
    /// Has it?
    pub fn yet(&self) -> bool {
        match self.0 {}
    }
}

/// There is none in this build.
#[derive(Debug, Clone)]
pub struct World(Infallible);

/// Panics: check [`super::NAME`] first.
pub fn run<T, B>(_settings: &Settings, _body: B) -> RunOutcome<T>
where
    T: Send + 'static,
    B: Fn(World) -> BoxFuture<'static, T> + Send + Sync + 'static,
{
    panic!("this build has no simulated world: run cargo xtask sim");
}

macro_rules! absent {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)?;)*) => {
        impl World {
            $($(#[$doc])* pub fn $name(&self $(, $arg: $type)*) $(-> $out)? {
                $(let _ = $arg;)*
                match self.0 {}
            })*
        }
    };
}

absent! {
    /// As in the simulated world.
    seed() -> u64;
    /// As in the simulated world.
    now_us() -> u64;
    /// As in the simulated world.
    history() -> History;
    /// As in the simulated world.
    observe(event: log::Event);
    /// As in the simulated world.
    nodes() -> Vec<String>;
    /// As in the simulated world.
    state(node: &str) -> NodeState;
    /// As in the simulated world.
    join(node: &str);
    /// As in the simulated world.
    leave(node: &str);
    /// As in the simulated world.
    kill(node: &str);
    /// As in the simulated world.
    power_loss(node: &str);
    /// As in the simulated world.
    restart(node: &str);
    /// As in the simulated world.
    pause(node: &str);
    /// As in the simulated world.
    resume(node: &str);
    /// As in the simulated world.
    cut(from: &str, to: &str);
    /// As in the simulated world.
    heal(from: &str, to: &str);
    /// As in the simulated world.
    heal_all();
    /// As in the simulated world.
    delay(from: &str, to: &str, kind: Option<u16>, nth: u64, by_ms: u64) -> Touched;
    /// As in the simulated world.
    lose(from: &str, to: &str, kind: Option<u16>, nth: u64) -> Touched;
    /// As in the simulated world.
    set_latency(latency: Latency);
    /// As in the simulated world.
    keep_order(node: &str, prefix: &str);
    /// As in the simulated world.
    disk_fault(node: &str, fault: DiskFault);
    /// As in the simulated world.
    disk_heal(node: &str);
    /// As in the simulated world.
    clock_jump(node: &str, by_ms: i64);
    /// As in the simulated world.
    clock_drift(node: &str, ppm: i64);
    /// As in the simulated world.
    reached() -> Reached;
}

impl World {
    /// As in the simulated world.
    pub fn node(&self, _name: &str, _start: impl Fn(NodeCtx) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        match self.0 {}
    }

    /// As in the simulated world.
    pub fn add(&self, _name: &str, _start: impl Fn(NodeCtx) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        match self.0 {}
    }

    /// As in the simulated world.
    pub fn at_mark(&self, _mark: &str, _node: Option<&str>, _nth: u64, _action: impl FnOnce(&World, &str) + Send + 'static) {
        match self.0 {}
    }

    /// As in the simulated world.
    pub async fn marked(&self, _mark: &str, _node: Option<&str>, _nth: u64) -> String {
        match self.0 {}
    }

    /// As in the simulated world.
    pub async fn ended(&self, _node: &str) {
        match self.0 {}
    }
}
