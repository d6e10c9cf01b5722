//! Nonmonotonic send: one that began after another of its partition was acknowledged stands before it, or at its place. In real time, between all
//! processes: the log has one order, and an acknowledged record has its place in it.

use super::{Anomaly, Observed, Verdict};
use crate::Violation;

/// See the module.
pub struct NonmonotonicSend;

impl Anomaly for NonmonotonicSend {
    fn name(&self) -> &'static str {
        "nonmonotonic_send"
    }

    fn find(&self, observed: &Observed<'_>) -> Verdict {
        let operations = &observed.operations;
        let mut verdict = Verdict::of(operations.sends.len() as u64);
        for send in operations.sends.iter().filter(|send| (0..=send.floor).contains(&send.offset)) {
            let place = operations.place(send.partition, send.offset);
            let headline = format!("a send begun after offset {} was acknowledged stands at or before it: {place}", send.floor);
            let before = operations.sends.iter().find(|other| other.partition == send.partition && other.offset == send.floor);
            verdict.illegal(|| Violation { headline, facts: before.into_iter().chain([send]).map(|send| operations.cite_send(send)).collect() });
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;
    use log::history::Phase;

    #[test]
    fn rejects_a_later_send_that_stands_before_an_acknowledged_one() {
        let mut story = Story::default();
        story.sent("a", P, 1, 7);
        story.sent("b", P, 2, 6);
        assert_eq!(story.rejected(&NonmonotonicSend), "a send begun after offset 7 was acknowledged stands at or before it: topic 1 partition 0 offset 6");
    }

    #[test]
    fn accepts_sends_that_were_on_their_way_together() {
        let mut story = Story::default();
        let slow = story.invoke("a", P, 1, false);
        story.sent("b", P, 2, 7);
        story.end(slow, Phase::Ok, Some(6));
        story.accepted(&NonmonotonicSend);
    }
}
