//! Which core a thread runs on.

use core_affinity::CoreId;
use std::sync::OnceLock;

/// Asked once, before anybody is bound: a bound thread, and every thread that it starts, sees its own core only.
fn cores() -> &'static [CoreId] {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

/// Binds the calling thread to the n-th core that this process may use. `false`: there is no such core, or the system refused; the figure then
/// has a scheduler in it.
pub fn pin(core: usize) -> bool {
    cores().get(core).is_some_and(|id| core_affinity::set_for_current(*id))
}

/// How many cores this process may use.
pub fn count() -> usize {
    cores().len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_thread_still_finds_every_core() {
        let before = count();
        std::thread::spawn(move || {
            assert!(pin(0));
            assert_eq!(count(), before);
            assert!(pin(before - 1), "the last core is still there");
            assert!(!pin(before), "there is none behind it");
        })
        .join()
        .expect("the thread does not panic");
    }
}
