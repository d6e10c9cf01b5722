//! Which core a thread runs on.

/// Binds the calling thread to the n-th core that this process may use. `false`: there is no such core, or the system refused; the figure then
/// has a scheduler in it.
pub fn pin(core: usize) -> bool {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.get(core).is_some_and(|id| core_affinity::set_for_current(*id))
}

/// How many cores this process may use.
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
