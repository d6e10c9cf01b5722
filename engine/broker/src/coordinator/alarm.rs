//! The one timer of a coordinator. Deadlines that only move later (a heartbeat's) cost nothing: the alarm rings at the earliest deadline known when it
//! was set, and whoever hears it looks at all of them and sets it anew.

use super::Effect;

/// When the coordinator wants to be woken next.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    set_for_ms: Option<u64>,
}

impl Alarm {
    /// Rings at `at_ms` or before.
    pub(super) fn set_by(&mut self, at_ms: u64, out: &mut Vec<Effect>) {
        if self.set_for_ms.is_none_or(|set_for_ms| at_ms < set_for_ms) {
            self.set_for_ms = Some(at_ms);
            out.push(Effect::Timer { at_ms });
        }
    }

    /// A tick came: whether it is the one waited for. Then nothing is set any more.
    pub(super) fn rings(&mut self, now_ms: u64) -> bool {
        let rings = self.set_for_ms.is_some_and(|set_for_ms| set_for_ms <= now_ms);
        if rings {
            self.set_for_ms = None;
        }
        rings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_deadline_sets_no_second_timer() {
        let (mut alarm, mut out) = (Alarm::default(), Vec::new());
        alarm.set_by(100, &mut out);
        alarm.set_by(150, &mut out);
        assert_eq!(out.len(), 1);
        alarm.set_by(90, &mut out);
        assert_eq!(out.len(), 2);
        assert!(!alarm.rings(89));
        assert!(alarm.rings(90));
        assert!(!alarm.rings(100), "the timer of an earlier wish does no harm");
    }
}
