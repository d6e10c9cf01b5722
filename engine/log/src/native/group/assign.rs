//! Who gets which partitions: the group's leader decides (range assignor: partitions of the same number of different topics come together).

use broker::protocol::{TopicId, Tp};
use bytes::Bytes;
use std::collections::BTreeMap;

/// The protocol's name in JoinGroup.
pub const RANGE: &str = "range";

/// What a member says of itself: its topics' names.
pub fn encode_topics(topics: &[String]) -> Bytes {
    Bytes::from(postcard::to_stdvec(topics).expect("names can be written"))
}

/// What a member is given.
pub fn encode_assignment(tps: &[Tp]) -> Bytes {
    Bytes::from(postcard::to_stdvec(tps).expect("partitions can be written"))
}

/// The same; an empty answer is an empty assignment.
pub fn decode_assignment(bytes: &[u8]) -> Option<Vec<Tp>> {
    if bytes.is_empty() { Some(Vec::new()) } else { postcard::from_bytes(bytes).ok() }
}

/// Divides the partitions of each topic, in ranges, among the members that want it, in order of member id. A topic unknown yet is left out.
pub fn range(members: &[(String, Bytes)], topics: impl Fn(&str) -> Option<(TopicId, u32)>) -> Vec<(String, Bytes)> {
    let mut given: BTreeMap<&str, Vec<Tp>> = members.iter().map(|(member, _)| (member.as_str(), Vec::new())).collect();
    let mut wanting: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (member, metadata) in members {
        // A member whose words cannot be read gets nothing; it is not one of ours.
        for topic in postcard::from_bytes::<Vec<String>>(metadata).unwrap_or_default() {
            wanting.entry(topic).or_default().push(member);
        }
    }
    for (topic, mut wanting) in wanting {
        let Some((id, partitions)) = topics(&topic) else { continue };
        wanting.sort_unstable();
        wanting.dedup();
        let members = u32::try_from(wanting.len()).expect("members are few");
        for (at, member) in (0..).zip(&wanting) {
            let from = at * (partitions / members) + at.min(partitions % members);
            let count = partitions / members + u32::from(at < partitions % members);
            let range = (from..from + count).map(|partition| Tp { topic: id, partition });
            given.get_mut(member).expect("every member is listed").extend(range);
        }
    }
    given.into_iter().map(|(member, tps)| (member.to_owned(), encode_assignment(&tps))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(wants: &[(&str, &[&str])]) -> Vec<(String, Bytes)> {
        let topics = |topics: &[&str]| encode_topics(&topics.iter().map(|topic| (*topic).to_owned()).collect::<Vec<_>>());
        wants.iter().map(|(member, wanted)| ((*member).to_owned(), topics(wanted))).collect()
    }

    fn given(wants: &[(&str, &[&str])], partitions: u32) -> Vec<(String, Vec<(u64, u32)>)> {
        let topics = |name: &str| (name != "unknown").then_some((TopicId(name.len() as u64), partitions));
        let plain = |tps: Vec<Tp>| tps.into_iter().map(|tp| (tp.topic.0, tp.partition)).collect();
        range(&members(wants), topics).into_iter().map(|(member, bytes)| (member, plain(decode_assignment(&bytes).expect("ours")))).collect()
    }

    #[test]
    fn every_partition_goes_to_exactly_one_member() {
        for partitions in 1..8 {
            for count in 1..6 {
                let names: Vec<String> = (0..count).map(|n| format!("m{n}")).collect();
                let wants: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &["t"][..])).collect();
                let mut all: Vec<(u64, u32)> = given(&wants, partitions).into_iter().flat_map(|(_, tps)| tps).collect();
                all.sort_unstable();
                assert_eq!(all, (0..partitions).map(|partition| (1, partition)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn equal_numbers_of_different_topics_come_together() {
        let both: &[&str] = &["t", "uu"];
        assert_eq!(given(&[("a", both), ("b", both)], 2), [("a".to_owned(), vec![(1, 0), (2, 0)]), ("b".to_owned(), vec![(1, 1), (2, 1)])]);
    }

    #[test]
    fn a_member_gets_only_what_it_wants_and_an_unknown_topic_is_left_out() {
        let given = given(&[("a", &["t"]), ("b", &["uu", "unknown"])], 2);
        assert_eq!(given, [("a".to_owned(), vec![(1, 0), (1, 1)]), ("b".to_owned(), vec![(2, 0), (2, 1)])]);
    }
}
