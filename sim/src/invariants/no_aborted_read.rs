//! No reader of committed records is given one of a transaction that was aborted, that is still open, or that no leader has (Jepsen's G1a and
//! precommitted-read; `kafka.md` C.1, I14).

use super::leader_log::LeaderLogs;
use super::{Finding, Invariant, cite};
use crate::Entry;
use broker::batch::ControlKind;
use log::{Event, Isolation, Tp};

/// See the module.
#[derive(Debug, Default)]
pub struct NoAbortedRead {
    logs: LeaderLogs,
    finding: Finding,
}

impl Invariant for NoAbortedRead {
    fn name(&self) -> &'static str {
        "no_aborted_read"
    }

    fn observe(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Broker(note) => self.logs.observe(note),
            Event::Delivered { tp, isolation: Isolation::ReadCommitted, records, .. } if self.logs.knows(*tp) => {
                for (offset, _) in records {
                    self.delivered(entry, *tp, *offset);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self) -> Finding {
        std::mem::take(&mut self.finding)
    }
}

impl NoAbortedRead {
    fn delivered(&mut self, entry: &Entry, tp: Tp, offset: i64) {
        self.finding.checked += 1;
        let here = || cite(entry, format_args!("was given {}", super::at(tp, offset)));
        let Some(batch) = self.logs.batch_at(tp, offset) else {
            let headline = || format!("{} was given a record that no leader has: {}", entry.node, super::at(tp, offset));
            return self.finding.violated(headline, || vec![here()]);
        };
        if !batch.transactional {
            return;
        }
        let (wrong, marker) = match self.logs.end_of(tp, batch) {
            Some((_, ControlKind::Commit)) => return,
            Some((marker, ControlKind::Abort)) => ("an aborted", format!("abort marker of producer {} at offset {marker}", batch.producer_id)),
            None => ("an open", format!("no marker of producer {} behind it yet", batch.producer_id)),
        };
        let headline = || format!("{} was given a record of {wrong} transaction: {}", entry.node, super::at(tp, offset));
        self.finding.violated(headline, || vec![here(), format!("batch {}..={} of producer {}", batch.first, batch.last, batch.producer_id), marker.clone()]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    #[test]
    fn rejects_a_record_of_an_aborted_transaction() {
        let facts = vec![
            ("broker-1", transactional(0, 0, 1, None)),
            ("broker-1", transactional(0, 2, 2, Some(ControlKind::Abort))),
            ("wallet-1", delivered(1, true, &[(1, 1)])),
        ];
        assert_eq!(rejects(NoAbortedRead::default(), facts), "wallet-1 was given a record of an aborted transaction: topic 1 partition 0 offset 1");
    }

    #[test]
    fn rejects_a_record_of_an_open_transaction_and_a_phantom() {
        let open = vec![("broker-1", transactional(0, 0, 1, None)), ("wallet-1", delivered(1, true, &[(0, 0)]))];
        assert!(rejects(NoAbortedRead::default(), open).contains("an open transaction"));
        let phantom = vec![("broker-1", appended(0, 0, 0, 1, true)), ("wallet-1", delivered(1, true, &[(0, 1), (1, 1)]))];
        assert!(rejects(NoAbortedRead::default(), phantom).contains("no leader has"));
    }

    #[test]
    fn accepts_gaps_where_aborted_records_were_and_what_a_deposed_leader_appended() {
        let facts = vec![
            ("broker-1", transactional(0, 0, 1, None)),
            ("broker-1", transactional(0, 2, 2, Some(ControlKind::Abort))),
            ("broker-1", transactional(0, 3, 4, None)),
            // broker-1 is deposed and does not know: its abort of the second transaction is not in the log that counts.
            ("broker-2", became_leader(1, 5)),
            ("broker-1", transactional(0, 5, 5, Some(ControlKind::Abort))),
            ("broker-2", transactional(1, 5, 5, Some(ControlKind::Commit))),
            ("wallet-1", delivered(1, true, &[(3, 3), (4, 4)])),
        ];
        accepts(NoAbortedRead::default(), facts);
    }
}
