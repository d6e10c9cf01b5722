//! Who gets which partitions, sticky and cooperative (KIP-429, A54): everybody keeps what it has as far as that is fair, and what is to change hands is
//! given to nobody in the first round. Who had it gives it up and joins again; in the second round it is nobody's and goes to its heir.

use super::assign::encode_assignment;
use broker::assignment::sticky;
use broker::protocol::{TopicId, Tp};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// The protocol's name in JoinGroup.
pub const COOPERATIVE_STICKY: &str = "cooperative-sticky";

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Claim {
    /// Its topics' names.
    pub topics: Vec<String>,
    /// What it holds,
    pub owned: Vec<Tp>,
    /// and the generation that gave it (KIP-792); −1: none.
    pub generation: i32,
}

impl Claim {
    /// As JoinGroup carries it.
    pub fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_stdvec(self).expect("a claim can be written"))
    }
}

/// Divides the partitions of each topic among the members that want it. A topic unknown yet is left out; a member whose words cannot be read gets nothing.
pub fn cooperative_sticky(members: &[(String, Bytes)], topics: impl Fn(&str) -> Option<(TopicId, u32)>) -> Vec<(String, Bytes)> {
    let claims: BTreeMap<&str, Claim> = members.iter().map(|(member, said)| (member.as_str(), postcard::from_bytes(said).unwrap_or_default())).collect();
    let mut wanting: BTreeMap<Tp, BTreeSet<&str>> = BTreeMap::new();
    for (&member, claim) in &claims {
        for (topic, partitions) in claim.topics.iter().filter_map(|name| topics(name)) {
            for partition in 0..partitions {
                wanting.entry(Tp { topic, partition }).or_default().insert(member);
            }
        }
    }
    let mut given = sticky(claims.keys().copied(), &wanting, &newest_claims(&claims));
    withhold(&mut given, &claims);
    given.into_iter().map(|(member, tps)| (member.to_owned(), encode_assignment(&tps.into_iter().collect::<Vec<_>>()))).collect()
}

/// Who holds what: of several claims the one of the newest generation counts; of several of that one, none (KAFKA-12984, -14639).
fn newest_claims<'a>(claims: &BTreeMap<&'a str, Claim>) -> BTreeMap<Tp, &'a str> {
    let mut newest: BTreeMap<Tp, (i32, Option<&str>)> = BTreeMap::new();
    for (&member, claim) in claims {
        for &tp in &claim.owned {
            let held = newest.entry(tp).or_insert((claim.generation, Some(member)));
            if held.0 < claim.generation {
                *held = (claim.generation, Some(member));
            } else if held.0 == claim.generation && held.1 != Some(member) {
                held.1 = None;
            }
        }
    }
    newest.into_iter().filter_map(|(tp, (_, member))| Some((tp, member?))).collect()
}

/// The first round: what another still holds is given to nobody.
fn withhold(given: &mut BTreeMap<&str, BTreeSet<Tp>>, claims: &BTreeMap<&str, Claim>) {
    let mut newest: BTreeMap<Tp, i32> = BTreeMap::new();
    for claim in claims.values() {
        for tp in &claim.owned {
            let generation = newest.entry(*tp).or_insert(claim.generation);
            *generation = claim.generation.max(*generation);
        }
    }
    for (&member, claim) in claims {
        for tp in claim.owned.iter().filter(|tp| newest[tp] == claim.generation) {
            for (_, given) in given.iter_mut().filter(|(other, _)| **other != member) {
                given.remove(tp);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::assign::decode_assignment;
    use super::*;

    fn claim(topics: &[&str], owned: &[u32], generation: i32) -> Claim {
        let owned = owned.iter().map(|&partition| Tp { topic: TopicId(1), partition }).collect();
        Claim { topics: topics.iter().map(|topic| (*topic).to_owned()).collect(), owned, generation }
    }

    /// Partitions of each member; topic `t` has the number 1, `uu` 2, and so on.
    fn divide(claims: &[(&str, Claim)], partitions: u32) -> BTreeMap<String, Vec<(u64, u32)>> {
        let members: Vec<(String, Bytes)> = claims.iter().map(|(member, claim)| ((*member).to_owned(), claim.encode())).collect();
        let topics = |name: &str| (name != "unknown").then_some((TopicId(name.len() as u64), partitions));
        let plain = |bytes: Bytes| decode_assignment(&bytes).expect("ours").into_iter().map(|tp| (tp.topic.0, tp.partition)).collect();
        cooperative_sticky(&members, topics).into_iter().map(|(member, bytes)| (member, plain(bytes))).collect()
    }

    fn of(given: &BTreeMap<String, Vec<(u64, u32)>>, member: &str) -> Vec<u32> {
        given[member].iter().map(|(_, partition)| *partition).collect()
    }

    #[test]
    fn a54_what_changes_hands_is_nobodys_for_one_round() {
        let first = divide(&[("a", claim(&["t"], &[0, 1, 2, 3], 1)), ("b", claim(&["t"], &[], -1))], 4);
        assert_eq!((of(&first, "a"), of(&first, "b")), (vec![0, 1], vec![]), "what a still holds is not given to b");
        let second = divide(&[("a", claim(&["t"], &[0, 1], 2)), ("b", claim(&["t"], &[], 2))], 4);
        assert_eq!((of(&second, "a"), of(&second, "b")), (vec![0, 1], vec![2, 3]));
    }

    #[test]
    fn a54_who_is_gone_is_inherited_from_in_one_round_and_nobody_else_moves() {
        let given = divide(&[("a", claim(&["t"], &[0, 3], 5)), ("c", claim(&["t"], &[2, 5], 5))], 6);
        assert_eq!((of(&given, "a"), of(&given, "c")), (vec![0, 1, 3], vec![2, 4, 5]));
    }

    #[test]
    fn a54_a_claim_of_an_older_generation_yields_to_a_newer_one() {
        let given = divide(&[("stale", claim(&["t"], &[0, 1], 3)), ("b", claim(&["t"], &[0], 4))], 2);
        assert_eq!((of(&given, "stale"), of(&given, "b")), (vec![1], vec![0]), "partition 0 stays with who was given it last");
    }

    #[test]
    fn a54_a_partition_claimed_twice_in_one_generation_is_given_to_neither_before_both_gave_it_up() {
        let given = divide(&[("a", claim(&["t"], &[0], 4)), ("b", claim(&["t"], &[0, 1], 4))], 2);
        assert!(!given.values().flatten().any(|&(_, partition)| partition == 0), "{given:?}");
    }

    #[test]
    fn a54_nobody_is_given_what_it_does_not_want_and_unknown_topics_are_left_out() {
        let given = divide(&[("a", claim(&["t", "unknown"], &[], -1)), ("b", claim(&["uu"], &[0], 1))], 2);
        assert_eq!(given["a"], [(1, 1)], "partition 0 of t is still held by b, which does not want it any more");
        assert_eq!(given["b"], [(2, 0), (2, 1)]);
    }

    #[test]
    fn a54_every_history_of_claims_ends_fair_and_stays_so_in_two_rounds() {
        for partitions in 1..10 {
            for members in 1..6_usize {
                let mut owned: Vec<Vec<u32>> = vec![Vec::new(); members];
                owned[0] = (0..partitions).collect();
                for _ in 0..2 {
                    let names: Vec<String> = (0..members).map(|nth| format!("m{nth}")).collect();
                    let claims: Vec<(&str, Claim)> = names.iter().zip(&owned).map(|(name, owned)| (name.as_str(), claim(&["t"], owned, 1))).collect();
                    let given = divide(&claims, partitions);
                    owned = names.iter().map(|name| of(&given, name)).collect();
                }
                let mut all: Vec<u32> = owned.iter().flatten().copied().collect();
                all.sort_unstable();
                assert_eq!(all, (0..partitions).collect::<Vec<_>>());
                let loads = owned.iter().map(Vec::len);
                assert!(loads.clone().max().expect("some") - loads.min().expect("some") <= 1, "{owned:?}");
            }
        }
    }
}
