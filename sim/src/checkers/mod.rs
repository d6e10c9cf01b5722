//! Jepsen's Kafka anomalies (`jepsen/src/jepsen/tests/kafka.clj`; `kafka.md` B.2) over the history of a log's clients. They look at what clients were
//! told and given, not at what brokers say, so that they judge a real Kafka as they judge the simulated one.
//!
//! An operation is a plain send, a transaction, or a delivery to a reader. Its outcome is *ok*, *fail* or *unknown*; one that never ended is unknown, and
//! so is a send whose transaction cannot be told. A value is the CRC-32C of a record's value; it may be sent more than once (a rebuilt machine sends the
//! same bytes again), so values are counted against sends. The *version order* of a partition is its known offsets in dense indices: what readers were
//! given, and sends that are ok. Gaps are no anomalies.
//!
//! | Anomaly | What it is | Verdict |
//! | --- | --- | --- |
//! | `aborted_read` (G1a) | a reader of committed records is given a value whose sends all failed | illegal |
//! | `duplicate` | a value stands at more offsets than sends may have put it | illegal |
//! | `g0` | a cycle of writes between transactions | legal; illegal for us between transactions of one transactional id |
//! | `g1c` | a cycle of committed reads between transactions; of reads and writes | illegal; legal, illegal for us within one transactional id |
//! | `inconsistent_offsets` | one offset holds two values | illegal |
//! | `int_nonmonotonic_poll` | one delivery goes backwards | illegal |
//! | `int_nonmonotonic_send` | of two sends of one transaction to a partition the later stands first | illegal |
//! | `int_poll_skip` | one delivery leaves a record out | illegal |
//! | `int_send_skip` | a stranger's record between two sends of a transaction | legal; illegal for us where one transactional id is the only writer |
//! | `lost_write` | acknowledged, and a reader went past it without it | illegal |
//! | `nonmonotonic_poll` | a reader goes backwards without being set there | illegal |
//! | `nonmonotonic_send` | a send begun after another was acknowledged stands before it | illegal |
//! | `poll_skip` | a reader leaves a record out between two deliveries | illegal |
//! | `precommitted_read` | a committed read of a transaction's record before its last send began | illegal |
//! | `torn_transaction` | some of a transaction's records were given out, others passed over | illegal |
//! | `unseen` | acknowledged, and not given out by the end of the final read | illegal after a final read, else legal |
//!
//! *Illegal*: no Kafka with acks = all, idempotence and clean elections does it. *Illegal for us*: Kafka may, a service that is alone in writing a
//! partition must not let it come to that. *Legal*: counted. Not looked for: rw edges, `realtime-lag`, `consume-counts`; and a partition that is
//! compacted while it is read is outside.

mod aborted_read;
mod cycles;
mod duplicate;
mod g0;
mod g1c;
mod inconsistent_offsets;
mod int_nonmonotonic_poll;
mod int_nonmonotonic_send;
mod int_poll_skip;
mod int_send_skip;
mod lost_write;
mod nonmonotonic_poll;
mod nonmonotonic_send;
pub mod operations;
mod poll_skip;
mod precommitted_read;
mod steps;
mod torn_transaction;
mod unseen;
mod values;
mod verdict;
pub mod versions;

#[cfg(test)]
mod hand_made;

use crate::{Entry, Finding};
use operations::Operations;
use values::Values;
pub use verdict::{Law, Verdict};
use versions::Versions;

/// What the anomalies are looked for in.
pub struct Observed<'a> {
    /// Who did what, with which outcome.
    pub operations: Operations<'a>,
    /// What stands where.
    pub versions: Versions,
    values: Values,
    /// Does the history end with a read of everything, up to the end?
    pub final_read: bool,
}

/// One kind of anomaly.
pub trait Anomaly: Sync {
    /// Jepsen's name; also its file.
    fn name(&self) -> &'static str;
    /// Looks for it.
    fn find(&self, observed: &Observed<'_>) -> Verdict;
}

/// Every anomaly, by name.
pub const ALL: &[&dyn Anomaly] = &[
    &aborted_read::AbortedRead,
    &duplicate::Duplicate,
    &g0::G0,
    &g1c::G1c,
    &inconsistent_offsets::InconsistentOffsets,
    &int_nonmonotonic_poll::IntNonmonotonicPoll,
    &int_nonmonotonic_send::IntNonmonotonicSend,
    &int_poll_skip::IntPollSkip,
    &int_send_skip::IntSendSkip,
    &lost_write::LostWrite,
    &nonmonotonic_poll::NonmonotonicPoll,
    &nonmonotonic_send::NonmonotonicSend,
    &poll_skip::PollSkip,
    &precommitted_read::PrecommittedRead,
    &torn_transaction::TornTransaction,
    &unseen::Unseen,
];

impl<'a> Observed<'a> {
    /// Orders a history's facts. `final_read`: it ends with a read of everything, up to the end.
    pub fn new(history: &'a [Entry], final_read: bool) -> Self {
        let operations = Operations::of(history);
        let versions = Versions::of(&operations);
        let values = Values::of(&operations, &versions);
        Observed { operations, versions, values, final_read }
    }
}

/// Looks for every anomaly, under this law.
pub fn check(history: &[Entry], law: Law, final_read: bool) -> Vec<(&'static str, Finding)> {
    let observed = Observed::new(history, final_read);
    ALL.iter().map(|anomaly| (anomaly.name(), anomaly.find(&observed).under(law))).collect()
}

/// The row that stands for every anomaly that was looked for and not found.
pub const ABSENT: &str = "kafka_anomalies";

/// What was found, for a screen: each anomaly that was found, or that there was nothing to look for in, by its name; all others in one row.
pub fn summary(found: Vec<(&'static str, Finding)>) -> Vec<(&'static str, Finding)> {
    let (absent, mut rows): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, finding)| finding.violation.is_none() && finding.checked > 0);
    let remarks = absent.iter().filter(|(_, finding)| !finding.remark.is_empty()).map(|(name, finding)| format!("{name}: {}", finding.remark));
    let remark = [format!("{} kinds absent", absent.len())].into_iter().chain(remarks).collect::<Vec<_>>().join(" · ");
    rows.push((ABSENT, Finding { checked: absent.iter().map(|(_, finding)| finding.checked).sum(), violation: None, remark }));
    rows
}

#[cfg(test)]
mod tests {
    use super::hand_made::*;
    use super::*;

    #[test]
    fn a_screen_names_what_was_found_and_counts_the_rest() {
        let mut story = Story::default();
        story.sent("a", P, 1, 4);
        story.polled("r", P, &[(3, 7), (5, 8)]);
        let rows = summary(check(story.entries(), Law::Ours, true));
        let names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["int_poll_skip", "lost_write", ABSENT]);
        assert_eq!(rows[2].1.remark, "14 kinds absent");
        let rows = summary(check(&[], Law::Ours, true));
        assert!(rows.len() > 1, "an empty history shows nothing: {rows:?}");
    }

    #[test]
    fn the_list_is_alphabetical() {
        assert!(super::ALL.is_sorted_by(|a, b| a.name() < b.name()));
    }
}
