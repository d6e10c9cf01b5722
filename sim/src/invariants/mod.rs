//! Properties of the log. Each looks at the history once, in order, and needs nothing else; each is shown to reject one hand-made history and to
//! accept one that only looks wrong.

mod cleaned;
mod leader_log;
mod no_aborted_read;
mod no_acknowledged_loss;
mod one_metadata_log;
mod one_owner_per_generation;
mod partition_order;
mod replicas_agree_below_high_watermark;
mod runs;

#[cfg(test)]
mod hand_made;

use crate::Entry;

/// A property of a history.
pub trait Invariant: Send {
    /// As the field names it; also its file.
    fn name(&self) -> &'static str;
    /// Looks at the next entry.
    fn observe(&mut self, entry: &Entry);
    /// The history is over: what was found.
    fn finish(&mut self) -> Finding;
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// How often the property was evaluated; zero in a whole run is a failure.
    pub checked: u64,
    /// The first violation.
    pub violation: Option<Violation>,
    /// Put behind `ok` on the screen.
    pub remark: String,
}

/// A broken property: one line, and the facts needed to argue about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What happened, in domain words.
    pub headline: String,
    /// The facts, each with its ordinal in the history.
    pub facts: Vec<String>,
}

/// Every invariant of the log, by name.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(no_aborted_read::NoAbortedRead::default()),
        Box::new(no_acknowledged_loss::NoAcknowledgedLoss::default()),
        Box::new(one_metadata_log::OneMetadataLog::default()),
        Box::new(one_owner_per_generation::OneOwnerPerGeneration::default()),
        Box::new(partition_order::PartitionOrder::default()),
        Box::new(replicas_agree_below_high_watermark::ReplicasAgreeBelowHighWatermark::default()),
    ]
}

/// Checks a history in one pass.
pub fn check(history: &[Entry], mut invariants: Vec<Box<dyn Invariant>>) -> Vec<(&'static str, Finding)> {
    for entry in history {
        for invariant in &mut invariants {
            invariant.observe(entry);
        }
    }
    invariants.iter_mut().map(|invariant| (invariant.name(), invariant.finish())).collect()
}

impl Finding {
    /// Keeps the first violation.
    fn violated(&mut self, headline: impl FnOnce() -> String, facts: impl FnOnce() -> Vec<String>) {
        if self.violation.is_none() {
            self.violation = Some(Violation { headline: headline(), facts: facts() });
        }
    }
}

/// A fact as violations cite it: `#184201 3m 12.480s broker-1  what`.
pub(crate) fn cite(entry: &Entry, what: impl std::fmt::Display) -> String {
    format!("#{} {} {}  {what}", entry.ordinal, crate::report::time(entry.at_us), entry.node)
}

/// A place in the log, in words.
pub(crate) fn at(tp: log::Tp, offset: i64) -> String {
    format!("topic {} partition {} offset {offset}", tp.topic.0, tp.partition)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_alphabetical() {
        let names: Vec<_> = super::all().iter().map(|invariant| invariant.name()).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
}
