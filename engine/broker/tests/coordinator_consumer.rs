//! A56: groups that the coordinator divides (KIP-848).

mod coordinator_driver;

use broker::Note;
use broker::coordinator::ReplyTo;
use broker::protocol::{CommittedOffset, ErrorCode, Request, Response, TopicId};
use bytes::Bytes;
use coordinator_driver::{Dice, Driver, tp};
use std::collections::{BTreeMap, BTreeSet};

const SESSION_MS: u64 = 6_000;
const REBALANCE_MS: u32 = 2_000;

struct Says<'a> {
    instance: Option<&'a str>,
    topics: Option<&'a [&'a str]>,
    owned: Option<&'a [u32]>,
}

const NOTHING_NEW: Says<'static> = Says { instance: None, topics: None, owned: None };

fn beat(member: &str, epoch: i32, says: &Says<'_>) -> Request {
    Request::ConsumerGroupHeartbeat {
        group: "g".into(),
        member_id: member.into(),
        member_epoch: epoch,
        instance_id: says.instance.map(Into::into),
        rebalance_timeout_ms: REBALANCE_MS,
        topics: says.topics.map(|topics| topics.iter().map(|&topic| topic.to_owned()).collect()),
        owned: says.owned.map(|owned| owned.iter().map(|&n| tp(n)).collect()),
    }
}

/// (member epoch, partitions it is told to have, if it is told)
type Told = (i32, Option<Vec<u32>>);

fn told(response: Option<Response>) -> Result<Told, ErrorCode> {
    match response {
        Some(Response::ConsumerGroupHeartbeat { member_epoch, assignment, .. }) => {
            Ok((member_epoch, assignment.map(|tps| tps.into_iter().map(|tp| tp.partition).collect())))
        }
        Some(Response::Error(error)) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn say(driver: &mut Driver, member: &str, epoch: i32, says: &Says<'_>) -> Result<Told, ErrorCode> {
    let response = driver.call(beat(member, epoch, says));
    told(Some(response))
}

fn join(driver: &mut Driver, member: &str) -> Told {
    say(driver, member, 0, &Says { topics: Some(&["t"]), ..NOTHING_NEW }).expect("let in")
}

fn owns(owned: &[u32]) -> Says<'_> {
    Says { owned: Some(owned), ..NOTHING_NEW }
}

fn commit(driver: &mut Driver, member: &str, epoch: i32) -> Response {
    driver.call(Request::OffsetCommit {
        group: "g".into(),
        generation: epoch,
        member_id: member.into(),
        instance_id: None,
        offsets: vec![(tp(0), CommittedOffset { offset: 5, leader_epoch: None })],
    })
}

fn committed() -> Response {
    Response::OffsetCommit { partitions: vec![(tp(0), Ok(()))] }
}

/// `a` has 0 and 1 in epoch 2, `b` has 2 and 3.
fn pair() -> Driver {
    let mut driver = Driver::groups();
    join(&mut driver, "a");
    assert_eq!(join(&mut driver, "b"), (2, Some(vec![])));
    say(&mut driver, "a", 1, &NOTHING_NEW).expect("known");
    assert_eq!(say(&mut driver, "a", 1, &owns(&[0, 1])), Ok((2, Some(vec![0, 1]))));
    assert_eq!(say(&mut driver, "b", 2, &NOTHING_NEW), Ok((2, Some(vec![2, 3]))));
    driver
}

#[test]
fn a56_a_partition_is_handed_over_only_when_its_owner_has_said_that_it_gave_it_up() {
    let mut driver = Driver::groups();
    assert_eq!(join(&mut driver, "a"), (1, Some(vec![0, 1, 2, 3])), "alone: everything at once, no barrier");
    assert_eq!(join(&mut driver, "b"), (2, Some(vec![])), "all is still taken");
    assert_eq!(say(&mut driver, "a", 1, &NOTHING_NEW), Ok((1, Some(vec![0, 1]))), "asked to give up; its epoch stays behind");
    assert_eq!(say(&mut driver, "b", 2, &NOTHING_NEW), Ok((2, None)));
    assert_eq!(say(&mut driver, "a", 1, &owns(&[0, 1, 2])), Ok((1, Some(vec![0, 1]))), "3 is given up, 2 is not");
    assert_eq!(say(&mut driver, "b", 2, &NOTHING_NEW), Ok((2, Some(vec![3]))));
    assert_eq!(say(&mut driver, "a", 1, &owns(&[0, 1])), Ok((2, Some(vec![0, 1]))), "now it has come to the new division");
    assert_eq!(say(&mut driver, "b", 2, &NOTHING_NEW), Ok((2, Some(vec![2, 3]))));
    assert_eq!(say(&mut driver, "b", 2, &NOTHING_NEW), Ok((2, None)), "told once");
}

#[test]
fn a56_who_does_not_give_up_within_its_rebalance_timeout_is_put_out() {
    let mut driver = Driver::groups();
    join(&mut driver, "a");
    join(&mut driver, "b");
    say(&mut driver, "a", 1, &NOTHING_NEW).expect("asked to give up");
    for _ in 0..5 {
        driver.advance(u64::from(REBALANCE_MS) / 4);
        say(&mut driver, "b", 2, &NOTHING_NEW).expect("known");
        let _ = say(&mut driver, "a", 1, &NOTHING_NEW);
    }
    assert_eq!(driver.noted(|note| matches!(note, Note::MemberExpired { member_id, .. } if member_id == "a")), 1, "it beats, and does nothing");
    assert_eq!(say(&mut driver, "a", 1, &owns(&[0, 1])), Err(ErrorCode::UnknownMemberId));
    let (epoch, assigned) = say(&mut driver, "b", 2, &owns(&[])).expect("known");
    assert_eq!((epoch, assigned), (3, Some(vec![0, 1, 2, 3])));
}

#[test]
fn a56_who_falls_silent_is_put_out_after_its_session_and_who_leaves_at_once() {
    let mut driver = pair();
    driver.advance(SESSION_MS / 2);
    say(&mut driver, "b", 2, &NOTHING_NEW).expect("known");
    driver.advance(SESSION_MS / 2 + 100);
    assert_eq!(say(&mut driver, "b", 2, &NOTHING_NEW), Ok((3, Some(vec![0, 1, 2, 3]))));
    assert_eq!(join(&mut driver, "c"), (4, Some(vec![])));
    assert_eq!(say(&mut driver, "b", -1, &NOTHING_NEW), Ok((-1, None)));
    assert_eq!(say(&mut driver, "c", 4, &NOTHING_NEW), Ok((5, Some(vec![0, 1, 2, 3]))));
}

#[test]
fn a56_a_member_epoch_is_a_fence_and_an_answer_that_was_lost_is_forgiven() {
    let mut driver = pair();
    assert_eq!(say(&mut driver, "a", 7, &NOTHING_NEW), Err(ErrorCode::FencedMemberEpoch), "from a future that never was");
    assert_eq!(say(&mut driver, "nobody", 2, &NOTHING_NEW), Err(ErrorCode::UnknownMemberId));
    assert_eq!(say(&mut driver, "a", 1, &owns(&[0, 1])), Ok((2, Some(vec![0, 1]))), "the one before, and it claims no more than it may");
    assert_eq!(say(&mut driver, "a", 1, &owns(&[0, 1, 2])), Err(ErrorCode::FencedMemberEpoch), "it claims what is another's");
    // It joins again from nothing.
    assert_eq!(say(&mut driver, "a", 0, &Says { topics: Some(&["t"]), ..NOTHING_NEW }), Ok((2, Some(vec![0, 1]))));
}

#[test]
fn a56_a_commit_of_another_member_epoch_is_stale_even_for_a_partition_that_is_still_owned() {
    let mut driver = pair();
    assert_eq!(commit(&mut driver, "a", 2), committed());
    assert_eq!(commit(&mut driver, "a", 1), Response::Error(ErrorCode::StaleMemberEpoch), "partition 0 was its own in both");
    assert_eq!(commit(&mut driver, "nobody", 2), Response::Error(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&mut driver, "", -1), Response::Error(ErrorCode::UnknownMemberId), "the group is not empty");
    let transactional = Request::TxnOffsetCommit {
        transactional_id: "x".into(),
        group: "g".into(),
        generation: 1,
        member_id: "a".into(),
        instance_id: None,
        producer_id: 7,
        producer_epoch: 0,
        offsets: vec![(tp(0), CommittedOffset { offset: 6, leader_epoch: None })],
    };
    assert_eq!(driver.call(transactional), Response::Error(ErrorCode::IllegalGeneration), "the older request's word for it");
    for member in ["a", "b"] {
        say(&mut driver, member, -1, &NOTHING_NEW).expect("left");
    }
    assert_eq!(commit(&mut driver, "", -1), committed(), "empty: anybody may");
}

#[test]
fn a56_nobody_is_told_of_what_is_not_in_the_log_and_a_failover_goes_on_from_there() {
    let mut driver = pair();
    driver.durable_at_once = false;
    let joins = driver.send(beat("c", 0, &Says { topics: Some(&["t"]), ..NOTHING_NEW }));
    assert_eq!(driver.reply(joins), None);
    let beats: Vec<ReplyTo> = (0..2).map(|_| driver.send(beat("b", 2, &NOTHING_NEW))).collect();
    assert!(beats.iter().all(|&to| driver.reply(to).is_none()), "what it would be told is not durable either");
    driver.replicate(1);
    assert_eq!(told(driver.reply(joins)), Ok((3, Some(vec![]))));
    // The rest is lost with the coordinator.
    driver.fail_over(0);
    driver.durable_at_once = true;
    assert!(beats.iter().all(|&to| driver.reply(to) == Some(Response::Error(ErrorCode::NotCoordinator))));
    let asked = say(&mut driver, "b", 2, &owns(&[2, 3])).expect("known").1.expect("told").len();
    assert_eq!(say(&mut driver, "a", 2, &owns(&[0, 1])).expect("known").1.expect("told").len() + asked, 3, "one of them gives one up for c");
    driver.advance(SESSION_MS - 1_000);
    assert!(say(&mut driver, "c", 3, &NOTHING_NEW).is_ok(), "sessions began in full");
}

#[test]
fn a56_a_record_that_was_refused_is_made_up_for_by_the_next() {
    let mut driver = pair();
    driver.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(say(&mut driver, "b", -1, &NOTHING_NEW), Err(ErrorCode::CoordinatorNotAvailable));
    driver.refuse_appends = None;
    assert_eq!(say(&mut driver, "a", 2, &NOTHING_NEW), Ok((3, Some(vec![0, 1, 2, 3]))));
    driver.fail_over(0);
    assert_eq!(say(&mut driver, "b", 2, &NOTHING_NEW), Err(ErrorCode::UnknownMemberId), "it had left");
    assert_eq!(say(&mut driver, "a", 3, &owns(&[0, 1, 2, 3])), Ok((3, Some(vec![0, 1, 2, 3]))));
}

#[test]
fn a56_topics_that_grow_and_subscriptions_that_change_are_divided_anew() {
    let mut driver = pair();
    driver.cluster.topics.insert("t".into(), (TopicId(9), 6));
    assert_eq!(say(&mut driver, "a", 2, &NOTHING_NEW), Ok((3, Some(vec![0, 1, 4]))));
    assert_eq!(say(&mut driver, "b", 2, &NOTHING_NEW), Ok((3, Some(vec![2, 3, 5]))));
    assert_eq!(say(&mut driver, "a", 3, &Says { topics: Some(&["other"]), ..NOTHING_NEW }), Ok((3, Some(vec![]))), "it wants none of them any more");
    assert_eq!(say(&mut driver, "a", 3, &owns(&[])), Ok((4, Some(vec![]))));
    assert_eq!(say(&mut driver, "b", 3, &NOTHING_NEW), Ok((4, Some(vec![0, 1, 2, 3, 4, 5]))));
}

#[test]
fn a55_a56_a_second_holder_of_an_instance_id_is_refused_and_one_that_comes_back_has_what_it_had() {
    let mut driver = Driver::groups();
    let of = |instance| Says { instance: Some(instance), topics: Some(&["t"]), owned: None };
    assert_eq!(say(&mut driver, "a", 0, &of("pod-1")), Ok((1, Some(vec![0, 1, 2, 3]))));
    assert_eq!(say(&mut driver, "b", 0, &of("pod-1")), Err(ErrorCode::UnreleasedInstanceId), "the elder goes on");
    assert_eq!(say(&mut driver, "a", -2, &Says { instance: Some("pod-1"), ..NOTHING_NEW }), Ok((-2, None)));
    assert_eq!(say(&mut driver, "b", 0, &of("pod-1")), Ok((1, Some(vec![0, 1, 2, 3]))), "no other division");
    assert_eq!(say(&mut driver, "a", 1, &of("pod-1")), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a56_a_group_is_of_one_kind_at_a_time() {
    let classic = |member: &str| Request::JoinGroup {
        group: "g".into(),
        member_id: member.into(),
        instance_id: None,
        session_timeout_ms: 6_000,
        rebalance_timeout_ms: 6_000,
        protocols: vec![("range".into(), Bytes::new())],
    };
    let mut driver = pair();
    assert_eq!(driver.call(classic("")), Response::Error(ErrorCode::InconsistentGroupProtocol));
    for member in ["a", "b"] {
        say(&mut driver, member, -1, &NOTHING_NEW).expect("left");
    }
    let Response::MemberIdRequired { member_id } = driver.call(classic("")) else { panic!("an empty group is anybody's") };
    driver.send(classic(&member_id));
    assert_eq!(say(&mut driver, "a", 0, &Says { topics: Some(&["t"]), ..NOTHING_NEW }), Err(ErrorCode::InconsistentGroupProtocol));
}

#[test]
fn a56_a60_an_empty_group_ends_with_its_offsets() {
    let mut driver = pair();
    assert_eq!(commit(&mut driver, "a", 2), committed());
    for member in ["a", "b"] {
        say(&mut driver, member, -1, &NOTHING_NEW).expect("left");
    }
    driver.advance(8 * 24 * 3_600_000);
    driver.fail_over(0);
    let fetched = driver.call(Request::OffsetFetch { group: "g".into(), partitions: vec![tp(0)], require_stable: false });
    assert_eq!(fetched, Response::OffsetFetch { partitions: vec![(tp(0), Ok(None))] });
    assert_eq!(say(&mut driver, "a", 5, &NOTHING_NEW), Err(ErrorCode::UnknownMemberId));
    assert_eq!(join(&mut driver, "a").0, 1, "another group of the same name");
}

/// A member as it sees itself.
#[derive(Default)]
struct Seen {
    epoch: i32,
    /// It holds these until it says otherwise.
    held: BTreeSet<u32>,
    /// What it was told last to have.
    may_have: BTreeSet<u32>,
}

#[test]
fn a56_under_any_order_of_joins_leaves_beats_and_failovers_no_partition_is_held_twice() {
    for seed in 0..300 {
        let (mut dice, mut driver) = (Dice(seed), Driver::groups());
        let mut members: BTreeMap<String, Seen> = BTreeMap::new();
        let mut handed_over = 0;
        for step in 0..80 {
            let name = format!("m{}", dice.roll(4));
            if dice.roll(25) == 0 {
                driver.fail_over(0);
            }
            let roll = dice.roll(12);
            let Some(seen) = members.get_mut(&name) else {
                let (epoch, assigned) = join(&mut driver, &name);
                let held: BTreeSet<u32> = assigned.expect("told").into_iter().collect();
                members.insert(name, Seen { epoch, may_have: held.clone(), held });
                continue;
            };
            if roll == 0 {
                say(&mut driver, &name, -1, &NOTHING_NEW).expect("a member leaves");
                members.remove(&name);
                continue;
            }
            // Now and then it finishes with what it is to give up; now and then it says what it holds, now and then its answer is lost.
            if roll < 6 {
                seen.held = seen.held.intersection(&seen.may_have).copied().collect();
            }
            let held: Vec<u32> = seen.held.iter().copied().collect();
            let says = if roll < 9 { owns(&held) } else { NOTHING_NEW };
            match say(&mut driver, &name, seen.epoch, &says) {
                Ok(_) if roll == 8 => {}
                Ok((epoch, assigned)) => {
                    seen.epoch = epoch;
                    if let Some(assigned) = assigned {
                        handed_over += assigned.iter().filter(|n| !seen.held.contains(n)).count();
                        seen.may_have = assigned.iter().copied().collect();
                        seen.held.extend(assigned);
                    }
                }
                Err(error) => {
                    assert_eq!(error, ErrorCode::FencedMemberEpoch, "seed {seed} step {step}");
                    // It drops everything and joins again.
                    let (epoch, assigned) = join(&mut driver, &name);
                    let held: BTreeSet<u32> = assigned.expect("told").into_iter().collect();
                    *seen = Seen { epoch, may_have: held.clone(), held };
                }
            }
            let all: Vec<u32> = members.values().flat_map(|seen| &seen.held).copied().collect();
            let distinct: BTreeSet<u32> = all.iter().copied().collect();
            assert_eq!(all.len(), distinct.len(), "seed {seed} step {step}: {:?}", members.iter().map(|(name, seen)| (name, &seen.held)).collect::<Vec<_>>());
        }
        assert!(handed_over > 0, "seed {seed}: nothing moved");
    }
}
