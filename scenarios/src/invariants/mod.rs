//! Invariants of the exchange: one property per file, named as the field names it. Pure functions over the evidence of one run. Each is tested with a
//! hand-made story that it must reject and one with a legal oddity that it must accept.
//!
//! | property | says | source |
//! |---|---|---|
//! | `conservation` | money is neither made nor lost, per asset and per trade | I-M1, I-M5, I4 |
//! | `eventually_settled` | after the last heal everything ends within the bound | I13, I-O12 |
//! | `gapless_sequence` | numbers of a source and trade ids of a symbol have no gap | I7, I-O13 |
//! | `no_duplicate_execution` | no command and no fill takes effect twice | I2, I-O8 |
//! | `no_lost_order` | what was acknowledged is in the log, and has exactly one end | I1, I11, I-O12 |
//! | `no_negative_balance` | neither free nor locked money is ever below zero, no over-fill | I5, I-M2 |
//! | `price_time_priority` | the matcher did what the naive book does on the same commands | I3, I-O2, I-O3 |
//! | `recorder_equals_log` | the store's rows are the fold of the log | I6 |
//! | `replay_equals_live` | a fresh machine over the final log has the hashes recorded live | I9, I-L1, I-L12 |
//! | `settled_once` | each trade is settled once per side, each end is released once | I-M6, I-M7 |
//! | `single_writer` | one node's records take effect per partition and ownership epoch | I10, I-L3 |
//! | `unknown_resolved_truthfully` | who was left in doubt is told in the end what the log says | I12, I16 |
//!
//! Not here: what the log itself owes (order, no loss, no aborted read), which `sim` checks under every run.

mod conservation;
mod eventually_settled;
mod gapless_sequence;
mod no_duplicate_execution;
mod no_lost_order;
mod no_negative_balance;
mod price_time_priority;
mod recorder_equals_log;
mod replay_equals_live;
mod settled_once;
mod single_writer;
mod unknown_resolved_truthfully;

pub use replay_equals_live::{BOOK_LEVELS_MAX, BOOK_ORDERS_MAX};

use crate::evidence::Evidence;
use sim::invariants::{Finding, Violation};

/// One property of the exchange.
pub trait Invariant: Sync {
    /// As the field names it; also its file.
    fn name(&self) -> &'static str;
    /// Looks at all of a run.
    fn check(&self, evidence: &Evidence) -> Finding;
}

/// How checks take their findings down.
trait Notes {
    /// Counts one evaluation.
    fn count(&mut self);
    /// Notes a violation; the first one stays.
    fn violated(&mut self, headline: String, facts: Vec<String>);
    /// Counts one evaluation of a condition.
    fn expect(&mut self, holds: bool, headline: impl FnOnce() -> String);
}

impl Notes for Finding {
    fn count(&mut self) {
        self.checked += 1;
    }

    fn violated(&mut self, headline: String, facts: Vec<String>) {
        self.violation.get_or_insert(Violation { headline, facts });
    }

    fn expect(&mut self, holds: bool, headline: impl FnOnce() -> String) {
        self.count();
        if !holds {
            self.violated(headline(), Vec::new());
        }
    }
}

#[cfg(test)]
pub(crate) use replay_equals_live::replayed;

/// Every invariant of the exchange, in alphabetical order.
pub const ALL: &[&dyn Invariant] = &[
    &conservation::Conservation,
    &eventually_settled::EventuallySettled,
    &gapless_sequence::GaplessSequence,
    &no_duplicate_execution::NoDuplicateExecution,
    &no_lost_order::NoLostOrder,
    &no_negative_balance::NoNegativeBalance,
    &price_time_priority::PriceTimePriority,
    &recorder_equals_log::RecorderEqualsLog,
    &replay_equals_live::ReplayEqualsLive,
    &settled_once::SettledOnce,
    &single_writer::SingleWriter,
    &unknown_resolved_truthfully::UnknownResolvedTruthfully,
];

/// What each of them finds. A log that could not be read to its end shows a lack of liveness, and a record that nobody read looks like one that was lost:
/// then all that compares is left alone.
pub fn check(evidence: &Evidence) -> Vec<(String, Finding)> {
    let judged = |invariant: &&&dyn Invariant| evidence.settling.read_to_end || invariant.name() == LIVENESS;
    ALL.iter().filter(judged).map(|invariant| (invariant.name().to_owned(), invariant.check(evidence))).collect()
}

/// The one property that a run can break by standing still.
pub const LIVENESS: &str = "eventually_settled";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::{a_day, remove};
    use wire::Topic;

    #[test]
    fn what_could_not_be_read_is_stuck_and_not_lost() {
        let mut day = a_day();
        remove(&mut day.evidence, Topic::AccountEvents, |_| true);
        let broken = |evidence: &Evidence| -> Vec<String> {
            check(evidence).into_iter().filter(|(_, finding)| finding.violation.is_some()).map(|(name, _)| name).collect()
        };
        assert!(broken(&day.evidence).contains(&"no_lost_order".to_owned()));
        day.evidence.settling.read_to_end = false;
        assert_eq!(broken(&day.evidence), [LIVENESS]);
    }

    #[test]
    fn every_invariant_accepts_an_honest_day_and_looks_at_it() {
        let evidence = a_day().evidence;
        for invariant in ALL {
            let finding = invariant.check(&evidence);
            assert_eq!(finding.violation, None, "{}", invariant.name());
            assert!(finding.checked > 0, "{} looked at nothing", invariant.name());
        }
    }
}
