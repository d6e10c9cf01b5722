//! Membership and rebalances, one test per row of `kafka.md` A.6.

mod coordinator_driver;

use broker::Note;
use broker::coordinator::{CoordinatorConfig, ReplyTo};
use broker::protocol::{ErrorCode, Request, Response};
use bytes::Bytes;
use coordinator_driver::Driver;

const SESSION_MS: u32 = 6_000;
const REBALANCE_MS: u32 = 10_000;

fn join_as(member_id: &str, instance_id: Option<&str>, subscription: &'static str) -> Request {
    Request::JoinGroup {
        group: "g".into(),
        member_id: member_id.into(),
        instance_id: instance_id.map(Into::into),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocols: vec![("range".into(), Bytes::from_static(subscription.as_bytes()))],
    }
}

fn join(member_id: &str) -> Request {
    join_as(member_id, None, "topics")
}

fn sync(member_id: &str, generation: i32, parts: &[(&str, &'static str)]) -> Request {
    let assignments = parts.iter().map(|&(id, part)| (id.into(), Bytes::from_static(part.as_bytes()))).collect();
    Request::SyncGroup { group: "g".into(), generation, member_id: member_id.into(), instance_id: None, assignments }
}

fn heartbeat(member_id: &str, generation: i32) -> Request {
    Request::Heartbeat { group: "g".into(), generation, member_id: member_id.into(), instance_id: None }
}

fn leave(member_id: &str) -> Request {
    Request::LeaveGroup { group: "g".into(), member_id: member_id.into(), instance_id: None }
}

/// A member id, by the round that gives one.
fn invite(driver: &mut Driver) -> String {
    match driver.call(join("")) {
        Response::MemberIdRequired { member_id } => member_id,
        other => panic!("{other:?}"),
    }
}

/// (generation, leader, members as the leader sees them)
fn joined(driver: &Driver, to: ReplyTo) -> (i32, String, Vec<String>) {
    match driver.reply(to) {
        Some(Response::JoinGroup { generation, leader, members, .. }) => (generation, leader, members.into_iter().map(|(id, _)| id).collect()),
        other => panic!("{other:?}"),
    }
}

fn part(driver: &Driver, to: ReplyTo) -> Bytes {
    match driver.reply(to) {
        Some(Response::SyncGroup { assignment }) => assignment,
        other => panic!("{other:?}"),
    }
}

/// A Stable group of two in generation 2; the first leads.
fn stable_pair(driver: &mut Driver) -> (String, String) {
    let first = invite(driver);
    driver.send(join(&first));
    let second = invite(driver);
    let second_joins = driver.send(join(&second));
    let first_joins = driver.send(join(&first));
    assert_eq!(joined(driver, first_joins), (2, first.clone(), vec![first.clone(), second.clone()]));
    assert_eq!(joined(driver, second_joins), (2, first.clone(), vec![]));
    let second_syncs = driver.send(sync(&second, 2, &[]));
    assert_eq!(driver.reply(second_syncs), None, "the leader has not assigned yet");
    let first_syncs = driver.send(sync(&first, 2, &[(&first, "p0"), (&second, "p1")]));
    assert_eq!((part(driver, first_syncs), part(driver, second_syncs)), (Bytes::from("p0"), Bytes::from("p1")));
    (first, second)
}

fn generations(driver: &Driver) -> Vec<(i32, usize)> {
    let of = |note: &Note| match note {
        Note::GenerationStarted { generation, members, .. } => Some((*generation, members.len())),
        _ => None,
    };
    driver.notes.iter().filter_map(of).collect()
}

#[test]
fn a51_join_waits_for_all_the_leader_assigns_and_every_member_gets_its_part() {
    let mut driver = Driver::groups();
    stable_pair(&mut driver);
    assert_eq!(generations(&driver), [(2, 2)], "generation 1 never had an assignment");
}

#[test]
fn a51_the_barrier_falls_at_the_rebalance_timeout_without_who_is_missing() {
    let mut driver = Driver::groups();
    let (first, second) = stable_pair(&mut driver);
    let third = invite(&mut driver);
    let third_joins = driver.send(join(&third));
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Error(ErrorCode::RebalanceInProgress));
    let first_joins = driver.send(join(&first));
    for _ in 0..3 {
        driver.advance(3_000);
        assert_eq!(driver.call(heartbeat(&second, 2)), Response::Error(ErrorCode::RebalanceInProgress), "alive, but it does not join");
        assert_eq!(driver.reply(third_joins), None);
    }
    driver.advance(1_000);
    assert_eq!(joined(&driver, first_joins).0, 3);
    assert_eq!(joined(&driver, third_joins).1, first);
    assert_eq!(driver.call(heartbeat(&second, 2)), Response::Error(ErrorCode::UnknownMemberId));
    assert_eq!(driver.noted(|note| matches!(note, Note::MemberExpired { member_id, .. } if *member_id == second)), 1);
}

#[test]
fn a51_a_member_id_is_required_and_an_unused_one_holds_the_barrier_only_for_its_session() {
    let mut driver = Driver::groups();
    let first = invite(&mut driver);
    invite(&mut driver);
    let first_joins = driver.send(join(&first));
    driver.advance(u64::from(SESSION_MS) - 1);
    assert_eq!(driver.reply(first_joins), None, "the second may still come");
    driver.advance(1);
    assert_eq!(joined(&driver, first_joins), (1, first.clone(), vec![first]));
    assert_eq!(driver.call(join("never-given")), Response::Error(ErrorCode::UnknownMemberId));
}

#[test]
fn a51_a_member_that_never_syncs_is_put_out_and_the_others_go_on() {
    let mut driver = Driver::groups();
    let first = invite(&mut driver);
    driver.send(join(&first));
    let second = invite(&mut driver);
    driver.send(join(&second));
    driver.send(join(&first));
    let second_syncs = driver.send(sync(&second, 2, &[]));
    for _ in 0..5 {
        driver.advance(2_000);
        driver.call(heartbeat(&first, 2));
    }
    assert_eq!(driver.reply(second_syncs), Some(Response::Error(ErrorCode::RebalanceInProgress)), "the leader beats and never assigns (KAFKA-12890)");
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Error(ErrorCode::UnknownMemberId));
    let again = driver.send(join(&second));
    assert_eq!(joined(&driver, again), (3, second.clone(), vec![second]));
}

#[test]
fn a51_an_assignment_is_given_to_nobody_before_it_is_durable() {
    let mut driver = Driver::groups();
    let only = invite(&mut driver);
    driver.send(join(&only));
    driver.durable_at_once = false;
    let syncs = driver.send(sync(&only, 1, &[(&only, "p0")]));
    assert_eq!(driver.reply(syncs), None);
    assert_eq!(generations(&driver), []);
    driver.replicate(1);
    assert_eq!(part(&driver, syncs), Bytes::from("p0"));
    assert_eq!(generations(&driver), [(1, 1)]);
}

#[test]
fn a51_a_refused_assignment_starts_the_rebalance_again() {
    let mut driver = Driver::groups();
    let only = invite(&mut driver);
    driver.send(join(&only));
    driver.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(driver.call(sync(&only, 1, &[(&only, "p0")])), Response::Error(ErrorCode::CoordinatorNotAvailable));
    driver.refuse_appends = None;
    assert_eq!(driver.call(heartbeat(&only, 1)), Response::Error(ErrorCode::RebalanceInProgress));
    let again = driver.send(join(&only));
    assert_eq!(joined(&driver, again).0, 2);
}

#[test]
fn a51_the_initial_delay_gathers_members_into_one_generation() {
    let mut driver = Driver::groups_with(CoordinatorConfig { initial_rebalance_delay_ms: 3_000, ..CoordinatorConfig::default() });
    let first = invite(&mut driver);
    let first_joins = driver.send(join(&first));
    driver.advance(2_000);
    let second = invite(&mut driver);
    let second_joins = driver.send(join(&second));
    driver.advance(2_999);
    assert_eq!(driver.reply(first_joins), None, "the second began the delay anew");
    driver.advance(1);
    assert_eq!((joined(&driver, first_joins).0, joined(&driver, second_joins).0), (1, 1));
}

#[test]
fn a51_bad_input_is_refused_by_name() {
    let mut driver = Driver::groups();
    let with = |session_timeout_ms, protocols| Request::JoinGroup {
        group: "g".into(),
        member_id: "".into(),
        instance_id: None,
        session_timeout_ms,
        rebalance_timeout_ms: REBALANCE_MS,
        protocols,
    };
    let range = vec![("range".to_owned(), Bytes::new())];
    assert_eq!(driver.call(with(1, range.clone())), Response::Error(ErrorCode::InvalidSessionTimeout));
    assert_eq!(driver.call(with(u32::MAX, range)), Response::Error(ErrorCode::InvalidSessionTimeout));
    assert_eq!(driver.call(with(SESSION_MS, vec![])), Response::Error(ErrorCode::InconsistentGroupProtocol));
    let first = invite(&mut driver);
    driver.send(join(&first));
    assert_eq!(driver.call(with(SESSION_MS, vec![("sticky".to_owned(), Bytes::new())])), Response::Error(ErrorCode::InconsistentGroupProtocol));
    assert_eq!(driver.call(sync(&first, 7, &[])), Response::Error(ErrorCode::IllegalGeneration));
    assert_eq!(driver.call(leave("nobody")), Response::Error(ErrorCode::UnknownMemberId));
}

#[test]
fn a51_a_leave_shares_anew_at_once_and_the_last_one_leaves_an_empty_group() {
    let mut driver = Driver::groups();
    let (first, second) = stable_pair(&mut driver);
    assert_eq!(driver.call(leave(&first)), Response::LeaveGroup);
    assert_eq!(driver.call(heartbeat(&second, 2)), Response::Error(ErrorCode::RebalanceInProgress));
    let second_joins = driver.send(join(&second));
    assert_eq!(joined(&driver, second_joins), (3, second.clone(), vec![second.clone()]), "the leader is gone, another leads");
    driver.call(sync(&second, 3, &[(&second, "all")]));
    assert_eq!(driver.call(leave(&second)), Response::LeaveGroup);
    assert_eq!(driver.call(heartbeat(&second, 3)), Response::Error(ErrorCode::UnknownMemberId));
    let next = invite(&mut driver);
    let next_joins = driver.send(join(&next));
    assert_eq!(joined(&driver, next_joins).0, 5, "4 was the empty one");
}

#[test]
fn a51_a_repeated_join_changes_nothing_and_a_changed_one_shares_anew() {
    let mut driver = Driver::groups();
    let (first, second) = stable_pair(&mut driver);
    let repeated = driver.send(join(&second));
    assert_eq!(joined(&driver, repeated), (2, first.clone(), vec![]));
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Heartbeat);
    let changed = driver.send(join_as(&second, None, "other topics"));
    assert_eq!(driver.reply(changed), None);
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Error(ErrorCode::RebalanceInProgress));
}

#[test]
fn a52_heartbeats_keep_a_session_and_silence_ends_it() {
    let mut driver = Driver::groups();
    let (first, second) = stable_pair(&mut driver);
    for _ in 0..10 {
        driver.advance(1_000);
        assert_eq!(driver.call(heartbeat(&first, 2)), Response::Heartbeat);
        driver.call(heartbeat(&second, 2));
    }
    for _ in 0..5 {
        driver.advance(1_000);
        assert_eq!(driver.call(heartbeat(&first, 2)), Response::Heartbeat);
    }
    driver.advance(1_000);
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Error(ErrorCode::RebalanceInProgress));
    assert_eq!(driver.noted(|note| matches!(note, Note::MemberExpired { member_id, .. } if *member_id == second)), 1);
    assert_eq!(driver.call(heartbeat(&second, 2)), Response::Error(ErrorCode::UnknownMemberId), "the paused process finds out when it wakes");
}

#[test]
fn a52_a_million_heartbeats_set_no_timer_of_their_own() {
    let mut driver = Driver::groups();
    let (first, second) = stable_pair(&mut driver);
    let before = driver.timers_set;
    for _ in 0..10_000 {
        driver.advance(300);
        driver.call(heartbeat(&first, 2));
        driver.call(heartbeat(&second, 2));
    }
    let sessions = 10_000 * 300 / (SESSION_MS as usize - 300) + 1;
    assert!(driver.timers_set - before <= sessions, "{} timers for 20,000 heartbeats", driver.timers_set - before);
}

#[test]
fn a54_a_cooperative_handover_takes_two_rounds_in_which_what_is_kept_stays_owned() {
    let mut driver = Driver::groups();
    let first = invite(&mut driver);
    let joins = driver.send(join(&first));
    assert_eq!(joined(&driver, joins).0, 1);
    let alone = driver.send(sync(&first, 1, &[(&first, "p0 p1")]));
    assert_eq!(part(&driver, alone), Bytes::from("p0 p1"));
    // Round one: the second gets nothing that the first has not given up; the first keeps p0 through the barrier.
    let second = invite(&mut driver);
    let second_joins = driver.send(join(&second));
    assert_eq!(driver.call(heartbeat(&first, 1)), Response::Error(ErrorCode::RebalanceInProgress));
    let first_joins = driver.send(join_as(&first, None, "topics, owns p0 p1"));
    assert_eq!((joined(&driver, first_joins).0, joined(&driver, second_joins).0), (2, 2));
    let second_syncs = driver.send(sync(&second, 2, &[]));
    driver.send(sync(&first, 2, &[(&first, "p0"), (&second, "")]));
    assert_eq!(part(&driver, second_syncs), Bytes::from(""));
    // Round two begins because the first says that it owns less: the leader shares from what members say, not from what it gave.
    let first_joins = driver.send(join_as(&first, None, "topics, owns p0"));
    assert_eq!(driver.call(heartbeat(&second, 2)), Response::Error(ErrorCode::RebalanceInProgress));
    let second_joins = driver.send(join(&second));
    let Some(Response::JoinGroup { generation: 3, members, .. }) = driver.reply(first_joins) else { panic!("the first leads generation 3") };
    assert!(members.contains(&(first.clone(), Bytes::from("topics, owns p0"))), "{members:?}");
    assert_eq!(joined(&driver, second_joins).0, 3);
    let second_syncs = driver.send(sync(&second, 3, &[]));
    driver.send(sync(&first, 3, &[(&first, "p0"), (&second, "p1")]));
    assert_eq!(part(&driver, second_syncs), Bytes::from("p1"));
    assert_eq!(driver.call(heartbeat(&second, 2)), Response::Error(ErrorCode::IllegalGeneration), "ownership built on the round before");
    assert_eq!(generations(&driver), [(1, 1), (2, 2), (3, 2)]);
}

#[test]
fn a55_a_static_member_comes_back_to_its_part_and_the_older_duplicate_is_fenced() {
    let mut driver = Driver::groups();
    let first_joins = driver.send(join_as("", Some("pod-0"), "topics"));
    let (_, old, _) = joined(&driver, first_joins);
    let sync_as = |member_id: &str, parts: Vec<(String, Bytes)>| Request::SyncGroup {
        group: "g".into(),
        generation: 1,
        member_id: member_id.into(),
        instance_id: Some("pod-0".into()),
        assignments: parts,
    };
    driver.call(sync_as(&old, vec![(old.clone(), Bytes::from("p0"))]));

    driver.durable_at_once = false;
    let returns = driver.send(join_as("", Some("pod-0"), "topics"));
    assert_eq!(driver.reply(returns), None, "the new id is not durable yet");
    driver.durable_at_once = true;
    driver.replicate(1);
    let Some(Response::JoinGroup { generation: 1, leader, member_id: new, members, .. }) = driver.reply(returns) else { panic!("same generation") };
    assert_eq!((leader, members), (old.clone(), vec![]), "it is not asked to assign");
    let assignment = driver.call(sync_as(&new, vec![]));
    assert_eq!(assignment, Response::SyncGroup { assignment: Bytes::from("p0") });

    let beat = |member_id: &str| Request::Heartbeat { group: "g".into(), generation: 1, member_id: member_id.into(), instance_id: Some("pod-0".into()) };
    assert_eq!(driver.call(beat(&old)), Response::Error(ErrorCode::FencedInstanceId));
    assert_eq!(driver.call(beat(&new)), Response::Heartbeat);
    driver.fail_over(0);
    assert_eq!(driver.call(beat(&new)), Response::Heartbeat, "the exchange survived the failover");
    assert_eq!(driver.call(beat(&old)), Response::Error(ErrorCode::FencedInstanceId));
}

#[test]
fn a55_a_static_member_that_stays_away_is_missed_only_at_its_sessions_end() {
    let mut driver = Driver::groups();
    let (first, _) = {
        let static_joins = driver.send(join_as("", Some("pod-0"), "topics"));
        let (_, pod, _) = joined(&driver, static_joins);
        (pod, ())
    };
    let dynamic = invite(&mut driver);
    let dynamic_joins = driver.send(join(&dynamic));
    assert_eq!(driver.reply(dynamic_joins), None);
    driver.advance(u64::from(SESSION_MS));
    assert_eq!(joined(&driver, dynamic_joins).2, [dynamic]);
    assert_eq!(driver.noted(|note| matches!(note, Note::MemberExpired { member_id, .. } if *member_id == first)), 1);
}

#[test]
fn a55_a_refused_exchange_leaves_the_old_member_in_place() {
    let mut driver = Driver::groups();
    let first_joins = driver.send(join_as("", Some("pod-0"), "topics"));
    let (_, old, _) = joined(&driver, first_joins);
    driver.call(sync(&old, 1, &[]));
    driver.refuse_appends = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(driver.call(join_as("", Some("pod-0"), "topics")), Response::Error(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(driver.call(heartbeat(&old, 1)), Response::Heartbeat);
}

#[test]
fn a55_of_two_that_come_back_at_once_the_older_is_fenced() {
    let mut driver = Driver::groups();
    let first_joins = driver.send(join_as("", Some("pod-0"), "topics"));
    let (_, first, _) = joined(&driver, first_joins);
    driver.call(sync(&first, 1, &[(&first, "p0")]));
    driver.durable_at_once = false;
    let older = driver.send(join_as("", Some("pod-0"), "topics"));
    let newer = driver.send(join_as("", Some("pod-0"), "topics"));
    driver.replicate(2);
    assert_eq!(driver.reply(older), Some(Response::Error(ErrorCode::FencedInstanceId)));
    assert_eq!(joined(&driver, newer).0, 1);
}

#[test]
fn a59_a_failover_keeps_the_generation_and_gives_sessions_in_full() {
    let mut driver = Driver::groups();
    let (first, second) = stable_pair(&mut driver);
    driver.advance(u64::from(SESSION_MS) - 1);
    driver.fail_over(0);
    driver.advance(u64::from(SESSION_MS) - 1);
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Heartbeat);
    let repeated = driver.send(sync(&second, 2, &[]));
    assert_eq!(part(&driver, repeated), Bytes::from("p1"), "the assignment was durable");
    driver.advance(1);
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Heartbeat, "a sync is a sign of life");
    driver.advance(u64::from(SESSION_MS) - 1);
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Error(ErrorCode::RebalanceInProgress), "the second is gone for a session");
}

#[test]
fn a59_a_failover_loses_the_rebalance_in_flight() {
    let mut driver = Driver::groups();
    let (first, _) = stable_pair(&mut driver);
    let third = invite(&mut driver);
    let third_joins = driver.send(join(&third));
    driver.fail_over(0);
    assert_eq!(driver.reply(third_joins), Some(Response::Error(ErrorCode::NotCoordinator)));
    assert_eq!(driver.call(heartbeat(&first, 2)), Response::Heartbeat, "generation 2 is still the last that was durable");
    assert_eq!(driver.call(join(&third)), Response::Error(ErrorCode::UnknownMemberId), "an id that joined nothing durable is not known");
}

#[test]
fn a59_an_assignment_that_reached_the_next_leader_is_in_force_there_and_one_that_did_not_is_not() {
    for kept in [0, 1] {
        let mut driver = Driver::groups();
        let only = invite(&mut driver);
        driver.send(join(&only));
        driver.durable_at_once = false;
        let syncs = driver.send(sync(&only, 1, &[(&only, "p0")]));
        driver.fail_over(kept);
        assert_eq!(driver.reply(syncs), Some(Response::Error(ErrorCode::NotCoordinator)), "the member does not know");
        match kept {
            1 => assert_eq!(driver.call(sync(&only, 1, &[])), Response::SyncGroup { assignment: Bytes::from("p0") }),
            _ => assert_eq!(driver.call(sync(&only, 1, &[])), Response::Error(ErrorCode::UnknownMemberId)),
        }
        assert_eq!(generations(&driver).len(), kept);
    }
}

#[test]
fn a59_member_ids_of_two_coordinators_differ() {
    let mut driver = Driver::groups();
    let before = invite(&mut driver);
    driver.fail_over(0);
    assert_ne!(before, invite(&mut driver));
}
