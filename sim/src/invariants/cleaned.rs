//! What cleaners made of one partition's batches (A65), and whether they may.

use super::leader_log::LeaderLogs;
use broker::Content;
use broker::batch::ControlKind;
use log::Tp;
use std::collections::{BTreeMap, BTreeSet};

/// Where a batch begins, and the CRC of one of its forms.
type Form = (i64, u32);

/// See the module.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// The CRC that a batch was appended with, by each form that a cleaner gave it.
    originals: BTreeMap<Form, u32>,
    contents: BTreeMap<Form, Content>,
    /// By the CRC of a key: its last record that counts, as far as cleaners have read.
    latest: BTreeMap<u32, i64>,
    /// Batches of which a replica has nothing left.
    gone: BTreeSet<Form>,
}

impl Cleaned {
    /// The CRC of a batch before any cleaning.
    pub fn original(&self, first: i64, crc: u32) -> u32 {
        self.originals.get(&(first, crc)).copied().unwrap_or(crc)
    }

    /// Whether some replica may have nothing of a batch any more.
    pub fn is_gone(&self, first: i64, original: u32) -> bool {
        self.gone.contains(&(first, original))
    }

    /// A cleaner read a batch.
    pub fn read(&mut self, first: i64, content: &Content, logs: &LeaderLogs, tp: Tp) {
        self.contents.insert((first, content.crc), content.clone());
        if counts(first, logs, tp) {
            for (offset, key, _) in &content.records {
                let latest = self.latest.entry(*key).or_insert(*offset);
                *latest = (*latest).max(*offset);
            }
        }
    }

    /// A cleaner took something out of a batch. The error says what was wrong with that.
    pub fn take_out(&mut self, first: i64, crc: u32, left: Option<&Content>, logs: &LeaderLogs, tp: Tp) -> Result<(), String> {
        let before = self.contents.get(&(first, crc)).cloned().ok_or("cleaned what it has not read")?;
        let kept = left.map(|left| left.records.as_slice()).unwrap_or_default();
        if let Some((offset, ..)) = kept.iter().find(|record| !before.records.contains(record)) {
            return Err(format!("changed the record of offset {offset}"));
        }
        let is_control = logs.batch_at(tp, first).is_some_and(|batch| batch.control.is_some());
        for (offset, key, value) in before.records.iter().filter(|record| !kept.contains(record)) {
            let has_heir = !is_control && self.latest.get(key).is_some_and(|latest| latest > offset);
            let had_its_time = before.has_horizon && (is_control || value.is_none());
            if !has_heir && !had_its_time && (is_control || counts(first, logs, tp)) {
                return Err(format!("took out the last record of a key, of offset {offset},"));
            }
        }
        let original = self.original(first, crc);
        match left {
            Some(left) => {
                self.originals.insert((first, left.crc), original);
                self.contents.insert((first, left.crc), left.clone());
            }
            None => drop(self.gone.insert((first, original))),
        }
        Ok(())
    }
}

/// Whether the records of a batch count: not a marker, and not of an aborted transaction.
fn counts(first: i64, logs: &LeaderLogs, tp: Tp) -> bool {
    let Some(batch) = logs.batch_at(tp, first) else { return true };
    let is_aborted = || logs.end_of(tp, batch).is_some_and(|(_, kind)| kind == ControlKind::Abort);
    batch.control.is_none() && !(batch.transactional && is_aborted())
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::super::replicas_agree_below_high_watermark::ReplicasAgreeBelowHighWatermark;
    use super::*;
    use broker::Note;
    use log::Event;

    fn content(crc: u32, records: &[(i64, u32, Option<u32>)]) -> Content {
        Content { crc, has_horizon: false, records: records.to_vec() }
    }

    fn read(first: i64, content: Content) -> Event {
        Event::Broker(Note::CleanerRead { tp: TP, first, content })
    }

    fn cleaned(first: i64, crc: u32, left: Option<Content>) -> Event {
        Event::Broker(Note::BatchCleaned { tp: TP, first, crc, left })
    }

    /// Key 1 is written at 0 and 2, key 2 at 1; all of it is committed, and broker-1 has read it for cleaning.
    fn keyed() -> Vec<(&'static str, Event)> {
        let mut facts = two_that_led();
        for (first, last, crc) in [(0, 1, 0xa), (2, 2, 0xb)] {
            facts.push(("broker-1", appended(1, first, last, crc, true)));
            facts.push(("broker-2", appended(1, first, last, crc, false)));
        }
        facts.push(("broker-1", high_watermark(3)));
        facts.push(("broker-1", read(0, content(0xa, &[(0, 1, Some(10)), (1, 2, Some(20))]))));
        facts.push(("broker-1", read(2, content(0xb, &[(2, 1, Some(11))]))));
        facts
    }

    #[test]
    fn accepts_a_replica_that_was_compacted_and_one_that_copied_it_then() {
        let mut facts = keyed();
        facts.push(("broker-1", cleaned(0, 0xa, Some(content(0xa1, &[(1, 2, Some(20))])))));
        // Key 2 is written again, and of the first batch nothing is left.
        facts.extend([("broker-1", appended(1, 3, 3, 0xc, true)), ("broker-2", appended(1, 3, 3, 0xc, false)), ("broker-1", high_watermark(4))]);
        let third = |first, last, crc| ("broker-3", appended(1, first, last, crc, false));
        facts.extend([third(0, 1, 0xa1), third(2, 2, 0xb), third(3, 3, 0xc)]);
        facts.push(("broker-1", read(3, content(0xc, &[(3, 2, None)]))));
        facts.push(("broker-1", cleaned(0, 0xa1, None)));
        // Copied from there by one that had lost everything.
        facts.extend([("broker-2", truncated(0)), ("broker-2", appended(1, 2, 2, 0xb, false)), ("broker-2", appended(1, 3, 3, 0xc, false))]);
        for (epoch, leader) in [(2, 2), (3, 3), (4, 1)] {
            facts.push(("controller", elected(leader, epoch, &[1, 2, 3])));
            facts.push((["broker-1", "broker-2", "broker-3"][leader as usize - 1], became_leader(epoch, 4)));
        }
        accepts(ReplicasAgreeBelowHighWatermark::default(), facts);
    }

    #[test]
    fn rejects_a_compaction_that_takes_out_the_last_record_of_a_key_or_changes_one() {
        let of = |left: Option<Content>| {
            let mut facts = keyed();
            facts.push(("broker-1", cleaned(0, 0xa, left)));
            rejects(ReplicasAgreeBelowHighWatermark::default(), facts)
        };
        let lost = "broker-1 took out the last record of a key, of offset 1, at topic 1 partition 0 offset 0";
        assert_eq!(of(Some(content(0xa1, &[(0, 1, Some(10))]))), lost, "key 2 has no other record");
        assert_eq!(of(None), lost);
        assert_eq!(of(Some(content(0xa1, &[(1, 2, Some(99))]))), "broker-1 changed the record of offset 1 at topic 1 partition 0 offset 0");
    }

    #[test]
    fn rejects_a_tombstone_that_goes_before_its_time_and_a_batch_that_is_missing_without_a_word() {
        let mut facts = keyed();
        facts.extend([("broker-1", appended(1, 3, 3, 0xc, true)), ("broker-2", appended(1, 3, 3, 0xc, false)), ("broker-1", high_watermark(4))]);
        facts.push(("broker-1", read(3, content(0xc, &[(3, 2, None)]))));
        let mut missing = facts.clone();
        facts.push(("broker-1", cleaned(3, 0xc, None)));
        assert!(rejects(ReplicasAgreeBelowHighWatermark::default(), facts).contains("took out the last record of a key, of offset 3"));
        missing.extend([("broker-2", truncated(0)), ("broker-2", appended(1, 2, 2, 0xb, false)), ("broker-2", appended(1, 3, 3, 0xc, false))]);
        missing.extend([("controller", elected(2, 2, &[1, 2])), ("broker-2", became_leader(2, 4))]);
        assert!(rejects(ReplicasAgreeBelowHighWatermark::default(), missing).contains("the new leader broker-2 has not what was committed"));
    }
}
