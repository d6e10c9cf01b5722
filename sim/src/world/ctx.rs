//! What a node is given when it starts.

use log::history::SharedObserver;
use runtime::BoxFuture;
use runtime::disk::Disk;
use runtime::task::Stop;
use std::sync::Arc;

/// What a node is given when it starts. Everything in it dies with this life of the node; the bytes behind `disk` do not.
#[derive(Clone)]
pub struct NodeCtx {
    /// The node's name, also its host name on the network.
    pub name: String,
    /// Its disk: what earlier lives left on it is there.
    pub disk: Arc<dyn Disk>,
    /// Takes facts down under this node's name.
    pub observer: SharedObserver,
    /// Asked when the node is to leave.
    pub stop: Stop,
    /// 1 for the first life.
    pub incarnation: u64,
    /// Takes facts down under the name of a part.
    pub(super) observer_of: Arc<dyn Fn(&str) -> SharedObserver + Send + Sync>,
}

impl NodeCtx {
    /// What a part of this node is given, where one process is several things: its facts stand under its own name, and all else is the node's.
    pub fn part(&self, name: &str) -> NodeCtx {
        NodeCtx { name: name.to_owned(), observer: (self.observer_of)(name), ..self.clone() }
    }
}

/// Starts one life of a node. The node ends when the future does.
pub type Start = Arc<dyn Fn(NodeCtx) -> BoxFuture<'static, ()> + Send + Sync>;

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// Never started, or ended by itself.
    Out,
    /// Running.
    Up,
    /// Running, but its tasks do not.
    Paused,
    /// Its process is dead.
    Killed,
    /// Its machine is off.
    PowerLost,
}

impl NodeState {
    /// Does it run, paused or not?
    pub fn is_alive(self) -> bool {
        matches!(self, NodeState::Up | NodeState::Paused)
    }
}

impl std::fmt::Debug for NodeCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeCtx").field("name", &self.name).field("incarnation", &self.incarnation).finish_non_exhaustive()
    }
}
