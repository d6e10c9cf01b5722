//! Marks: states worth reaching. `reached!("leader_elected")` is a call of [`hit`].

/// Called by `reached!`. In production nothing. In simulation: counted for the current node, and given to the hook of the world (a fault may wait for it).
pub fn hit(_mark: &'static str) {}
