//! A fresh machine that is fed the final log has, at every position at which a hash was recorded live, that hash (I9, I-L1, I-L12): nothing of a
//! machine's state comes from anywhere but its input partition.

use super::{Finding, Invariant, Notes};
use crate::evidence::{Evidence, LiveHash, Place};
use services::account::AccountService;
use services::matching_engine::MatchingService;
use services::runner::Service;
use std::collections::BTreeMap;

/// See the module.
pub struct ReplayEqualsLive;

/// Room of the books, live (fast) and in the replay (naive).
pub const BOOK_ORDERS_MAX: usize = 65_536;
/// Price levels of the books, live and in the replay.
pub const BOOK_LEVELS_MAX: usize = 65_536;

impl Invariant for ReplayEqualsLive {
    fn name(&self) -> &'static str {
        "replay_equals_live"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        let mut by_place: BTreeMap<(&str, Place), Vec<&LiveHash>> = BTreeMap::new();
        for hash in &evidence.hashes {
            by_place.entry((&hash.service, hash.place)).or_default().push(hash);
        }
        for ((service, place), mut live) in by_place {
            live.sort_by_key(|hash| hash.next);
            let positions: Vec<i64> = live.iter().map(|hash| hash.next).collect();
            match replay(evidence, service, place, &positions) {
                Ok(hashes) => compare(&live, &hashes, &mut finding),
                Err(stopped) => finding.violated(format!("a fresh {service} cannot replay {}-{}: {stopped}", place.0.name(), place.1), Vec::new()),
            }
        }
        finding
    }
}

fn compare(live: &[&LiveHash], hashes: &[u64], finding: &mut Finding) {
    assert_eq!(live.len(), hashes.len(), "one replayed hash per position");
    for (live, hash) in live.iter().zip(hashes) {
        finding.expect(live.hash == *hash, || {
            let (topic, partition) = live.place;
            format!(
                "{} on {}-{partition} had state {:016x} before @{} on {}, replay gives {hash:016x}",
                live.service,
                topic.name(),
                live.hash,
                live.next,
                live.node
            )
        });
        finding.remark = format!("state hash {:04x}…", hash >> 48);
    }
}

/// State hashes of a fresh machine at each of the positions (rising).
fn replay(evidence: &Evidence, service: &str, place: Place, positions: &[i64]) -> Result<Vec<u64>, String> {
    match service {
        "account" => replay_of(&AccountService, evidence, place, positions),
        "matching_engine" => replay_of(&MatchingService::naive(BOOK_ORDERS_MAX, BOOK_LEVELS_MAX), evidence, place, positions),
        other => Err(format!("no machine is called {other}")),
    }
}

fn replay_of<S: Service>(service: &S, evidence: &Evidence, place: Place, positions: &[i64]) -> Result<Vec<u64>, String> {
    let mut tenure = evidence.replayer(service, place);
    let mut records = evidence.raw.get(&place).map_or(&[][..], Vec::as_slice);
    let mut hashes = Vec::with_capacity(positions.len());
    for next in positions {
        let (now, later) = records.split_at(records.partition_point(|record| record.offset < *next));
        tenure.apply(now).map_err(|gap| gap.to_string())?;
        hashes.push(tenure.state_hash());
        records = later;
    }
    Ok(hashes)
}

/// What an honest machine would have recorded at a position.
#[cfg(test)]
pub(crate) fn replayed(evidence: &Evidence, service: &str, partition: u32, next: i64) -> LiveHash {
    use wire::Topic;
    let topic = if service == "account" { Topic::AccountCommands } else { Topic::OrderCommands };
    let hash = replay(evidence, service, (topic, partition), &[next]).expect("the hand-made log can be replayed")[0];
    LiveHash { node: format!("{service}-1"), service: service.to_owned(), place: (topic, partition), next, hash }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::a_day;

    #[test]
    fn state_that_does_not_come_from_the_log_is_found() {
        let mut day = a_day();
        day.evidence.hashes[0].hash ^= 1;
        let violation = ReplayEqualsLive.check(&day.evidence).violation.expect("one bit differs");
        assert!(violation.headline.starts_with("matching_engine on order_commands-0 had state"), "{}", violation.headline);
    }

    #[test]
    fn two_owners_may_have_recorded_the_same_position() {
        let mut day = a_day();
        let again = LiveHash { node: "matching_engine-2".to_owned(), ..day.evidence.hashes[0].clone() };
        day.evidence.hashes.push(again);
        let finding = ReplayEqualsLive.check(&day.evidence);
        assert_eq!((finding.violation, finding.checked), (None, 2));
    }
}
