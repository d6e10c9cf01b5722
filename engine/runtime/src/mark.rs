//! Marks: states worth reaching. `reached!("leader_elected")` is a call of [`hit`].

/// Called by `reached!`. In production nothing. In simulation: counted for the current node, and given to the hook of the world (a fault may wait for it).
#[inline]
pub fn hit(mark: &'static str) {
    #[cfg(madsim)]
    crate::simulated::mark_hit(mark);
    #[cfg(not(madsim))]
    let _ = mark;
}
