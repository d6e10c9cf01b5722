//! Liveness: after the last heal, within bounded simulated time, every submitted order has ended, nothing is held, no reader lags and no transaction is
//! stuck (I13, I-O12).

use super::{Finding, Invariant, Violation};
use crate::evidence::Evidence;
use crate::ledger::Ledger;
use wire::{Body, Topic};

/// See the module.
pub struct EventuallySettled;

impl Invariant for EventuallySettled {
    fn name(&self) -> &'static str {
        "eventually_settled"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let settling = &evidence.settling;
        let mut finding = Finding::default();
        let mut unsettled = Vec::new();
        for (_, log) in evidence.partitions(Topic::AccountEvents) {
            let mut ledger = Ledger::new(&evidence.specs);
            for read in log {
                if let Body::AccountEvent(event) = &read.body {
                    // A broken rule of money is told by the invariant of that name.
                    let _ = ledger.apply(event);
                }
            }
            finding.checked += ledger.orders.len() as u64;
            unsettled.extend(ledger.orders.values().filter(|held| !held.is_closed()).map(|held| {
                let (ordered, settled, released) = (held.order.quantity_lots, held.settled_lots, held.released_lots);
                format!("order {} of account {}: {settled} of {ordered} lots settled, {released} released", held.order.order_id.0, held.account.0)
            }));
        }
        let in_time = settling.settled_ms.is_some_and(|settled_ms| settled_ms <= settling.healed_ms + settling.bound_ms);
        if in_time && unsettled.is_empty() && settling.read_to_end {
            let seconds = |ms: u64| format!("{}.{} s", ms / 1000, ms % 1000 / 100);
            let took_ms = settling.settled_ms.unwrap_or_default() - settling.healed_ms;
            finding.remark = format!("healed at {}, settled in {}", seconds(settling.healed_ms), seconds(took_ms));
            return finding;
        }
        let bound_s = settling.bound_ms / 1_000;
        let headline = if settling.read_to_end {
            format!("{} of {} orders unsettled {bound_s} s (simulated) after the last fault was healed", unsettled.len(), finding.checked)
        } else {
            format!("the log could not be read to its end, {bound_s} s (simulated) and more after the last fault was healed")
        };
        let facts = settling.open.iter().cloned().chain(unsettled.into_iter().take(5)).collect();
        finding.violation = Some(Violation { headline, facts });
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::{a_day, remove};
    use wire::AccountEvent;

    #[test]
    fn a_hold_that_stays_is_found() {
        let mut day = a_day();
        remove(&mut day.evidence, Topic::AccountEvents, |body| matches!(body, Body::AccountEvent(AccountEvent::Released { .. })));
        let violation = EventuallySettled.check(&day.evidence).violation.expect("two lots are still held");
        assert_eq!(violation.headline, "1 of 2 orders unsettled 60 s (simulated) after the last fault was healed");
        assert_eq!(violation.facts, ["order 1 of account 2: 3 of 5 lots settled, 0 released"]);
    }

    #[test]
    fn settled_at_the_last_moment_is_settled() {
        let mut day = a_day();
        day.evidence.settling.settled_ms = Some(day.evidence.settling.healed_ms + day.evidence.settling.bound_ms);
        assert_eq!(EventuallySettled.check(&day.evidence).violation, None);
        day.evidence.settling.settled_ms = Some(day.evidence.settling.healed_ms + day.evidence.settling.bound_ms + 1);
        assert!(EventuallySettled.check(&day.evidence).violation.is_some());
    }
}
