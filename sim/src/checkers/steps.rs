//! From one delivered record to the next, counted in the version order that the reader is given.

use super::Observed;
use super::operations::{NONE, Poll};
use crate::Violation;

impl Observed<'_> {
    /// Places between two records of a partition that a reader of this delivery's isolation was given: 1 for neighbours.
    pub(super) fn places(&self, poll: &Poll, from: i64, to: i64) -> i64 {
        let index = |offset: i64| {
            let version = self.versions.of_partition(poll.partition).at(offset).expect("a delivered record has its version");
            i64::from(if poll.committed { version.committed_index } else { version.index })
        };
        index(to) - index(from)
    }

    /// Each delivery that follows one of the same reader: its number, the last offset before it and its first.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u32, &Poll, i64, i64)> {
        let followed = self.operations.polls.iter().zip(0..).filter(|(poll, _)| poll.before != NONE);
        followed.map(|(poll, number)| {
            let before = self.operations.records(&self.operations.polls[poll.before as usize]);
            let last = before.last().expect("a poll is not empty").0;
            (number, poll, last, self.operations.records(poll)[0].0)
        })
    }

    /// Somebody was given one record after the other.
    pub(super) fn wrong_step(&self, what: &str, number: u32, poll: &Poll, from: i64, to: i64) -> Violation {
        let node = &self.operations.history[poll.at as usize].node;
        let mut facts = vec![format!("{} after offset {from}", self.operations.cite_poll(number, to))];
        if to > from {
            let between = self
                .versions
                .of_partition(poll.partition)
                .iter()
                .filter(|(offset, version)| from < *offset && *offset < to && (!poll.committed || version.is_committed(&self.operations)));
            facts.extend(between.take(3).map(|(offset, version)| match version.first_poll {
                NONE => self.operations.cite_send(&self.operations.sends[version.writer as usize]),
                other => self.operations.cite_poll(other, offset),
            }));
        }
        Violation { headline: format!("a reader of {node} {what}: {} after offset {from}", self.operations.place(poll.partition, to)), facts }
    }
}
