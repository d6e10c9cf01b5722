//! What a fault can do. A node that a verb names must exist; a verb that does not apply to its state does nothing (a plan that was shrunk may kill
//! what is already dead).

use super::World;
use crate::world::{DiskFault, NodeState};
use runtime::net::Touched;
use runtime::simulated::NodeNumber;

impl World {
    /// Every node, by name.
    pub fn nodes(&self) -> Vec<String> {
        self.table().keys().cloned().collect()
    }

    /// How a node stands.
    pub fn state(&self, node: &str) -> NodeState {
        self.table().get(node).unwrap_or_else(|| panic!("there is no node {node}")).state
    }

    /// Starts a node that is out, killed or without power.
    pub fn join(&self, node: &str) {
        if !self.state(node).is_alive() {
            self.begin_life(node, "started");
        }
    }

    /// Asks a node to stop; it leaves its groups and ends by itself (wait with [`World::ended`]).
    pub fn leave(&self, node: &str) {
        if let Some(running) = self.table().get(node).and_then(|node| node.running.as_ref()) {
            running.stopper.stop();
        }
    }

    /// Kills a node's process: nothing it does reaches network, disk or history from this moment on. Its page cache stays.
    pub fn kill(&self, node: &str) {
        if self.state(node).is_alive() {
            self.end_life(node, NodeState::Killed, "killed");
        }
    }

    /// Cuts a node's power: as a kill, and of its disk only what is on the platter is sure to stay; its peers hear nothing.
    pub fn power_loss(&self, node: &str) {
        if self.state(node).is_alive() {
            return self.end_life(node, NodeState::PowerLost, "lost its power");
        }
        let disk = self.table()[node].disk.clone();
        disk.power_loss();
    }

    /// Starts a node that is down, or kills it first.
    pub fn restart(&self, node: &str) {
        self.kill(node);
        self.begin_life(node, "restarted");
    }

    /// Stops a node's tasks where they stand; network and disk go on.
    pub fn pause(&self, node: &str) {
        if let Some((id, state)) = self.id_and_state(node).filter(|(_, state)| *state == NodeState::Up) {
            debug_assert_eq!(state, NodeState::Up);
            madsim::runtime::Handle::current().pause(id);
            self.set_state(node, NodeState::Paused);
        }
    }

    /// Lets them go on.
    pub fn resume(&self, node: &str) {
        if let Some((id, _)) = self.id_and_state(node).filter(|(_, state)| *state == NodeState::Paused) {
            madsim::runtime::Handle::current().resume(id);
            self.set_state(node, NodeState::Up);
        }
    }

    fn id_and_state(&self, node: &str) -> Option<(madsim::task::NodeId, NodeState)> {
        let table = self.table();
        let node = table.get(node).unwrap_or_else(|| panic!("there is no node {node}"));
        node.running.as_ref().map(|running| (running.id, node.state))
    }

    fn set_state(&self, node: &str, state: NodeState) {
        self.table().get_mut(node).expect("looked up by the caller").state = state;
    }

    fn number(&self, node: &str) -> NodeNumber {
        self.inner.simulation.number_of(node)
    }

    /// Holds everything from one node to another. Cuts add up: each needs its own heal.
    pub fn cut(&self, from: &str, to: &str) {
        self.inner.simulation.cut(self.number(from), self.number(to));
    }

    /// Takes one cut back; what was held arrives.
    pub fn heal(&self, from: &str, to: &str) {
        self.inner.simulation.heal(self.number(from), self.number(to));
    }

    /// Takes back every cut, delay, loss, disk fault, clock skew and pause. Nodes that are down stay down.
    pub fn heal_all(&self) {
        self.inner.simulation.heal_all();
        self.inner.simulation.heal_clocks();
        for node in self.nodes() {
            self.disk_heal(&node);
            self.resume(&node);
        }
    }

    /// Delays the `nth` frame (1: the next) of `kind` (`None`: any) on its way; frames behind it wait.
    pub fn delay(&self, from: &str, to: &str, kind: Option<u16>, nth: u64, by_ms: u64) -> Touched {
        self.inner.simulation.delay(self.number(from), self.number(to), kind, nth, by_ms)
    }

    /// Loses that frame, and its connection with it.
    pub fn lose(&self, from: &str, to: &str, kind: Option<u16>, nth: u64) -> Touched {
        self.inner.simulation.lose(self.number(from), self.number(to), kind, nth)
    }

    /// One journal keeps the order of what is done to a node's files below `prefix`; to be said before its first life. What such a node states is taken down
    /// when all that it wrote before is on the platter, and never if that is lost.
    pub fn keep_order(&self, node: &str, prefix: &str) {
        self.table()[node].disk.keep_order(prefix);
    }

    /// Makes something wrong with a node's disk.
    pub fn disk_fault(&self, node: &str, fault: DiskFault) {
        self.table()[node].disk.fault(fault);
    }

    /// Makes it right again.
    pub fn disk_heal(&self, node: &str) {
        self.table()[node].disk.heal();
    }

    /// Moves a node's wall clock.
    pub fn clock_jump(&self, node: &str, by_ms: i64) {
        self.inner.simulation.jump_clock(self.number(node), by_ms);
    }

    /// Lets it run fast or slow, in millionths.
    pub fn clock_drift(&self, node: &str, ppm: i64) {
        self.inner.simulation.drift_clock(self.number(node), ppm);
    }
}
