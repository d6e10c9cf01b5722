//! Committed offsets, plain and in transactions, one test per row of `kafka.md` A.5 and A.6.

mod coordinator_driver;

use broker::coordinator::CoordinatorConfig;
use broker::protocol::{CommittedOffset, ErrorCode, Request, Response, Tp};
use broker::{ControlKind, Note};
use bytes::Bytes;
use coordinator_driver::{Driver, tp};

const PRODUCER: i64 = 77;

fn at(offset: i64) -> CommittedOffset {
    CommittedOffset { offset, leader_epoch: Some(4) }
}

fn commit_as(member_id: &str, generation: i32, offsets: &[(Tp, i64)]) -> Request {
    let offsets = offsets.iter().map(|&(tp, offset)| (tp, at(offset))).collect();
    Request::OffsetCommit { group: "g".into(), generation, member_id: member_id.into(), instance_id: None, offsets }
}

fn commit(offsets: &[(Tp, i64)]) -> Request {
    commit_as("", -1, offsets)
}

fn txn_commit_as(producer_id: i64, member_id: &str, generation: i32, offsets: &[(Tp, i64)]) -> Request {
    let offsets = offsets.iter().map(|&(tp, offset)| (tp, at(offset))).collect();
    let (transactional_id, group, member_id) = ("t".into(), "g".into(), member_id.into());
    Request::TxnOffsetCommit { transactional_id, group, generation, member_id, instance_id: None, producer_id, producer_epoch: 0, offsets }
}

fn txn_commit(offsets: &[(Tp, i64)]) -> Request {
    txn_commit_as(PRODUCER, "", -1, offsets)
}

fn fetch(driver: &mut Driver, tp: Tp, require_stable: bool) -> Result<Option<i64>, ErrorCode> {
    match driver.call(Request::OffsetFetch { group: "g".into(), partitions: vec![tp], require_stable }) {
        Response::OffsetFetch { partitions } => partitions[0].1.map(|committed| committed.map(|committed| committed.offset)),
        other => panic!("{other:?}"),
    }
}

fn accepted(response: Response) -> bool {
    match response {
        Response::OffsetCommit { partitions } | Response::TxnOffsetCommit { partitions } => partitions.iter().all(|(_, result)| result.is_ok()),
        _ => false,
    }
}

fn join(member_id: &str) -> Request {
    Request::JoinGroup {
        group: "g".into(),
        member_id: member_id.into(),
        instance_id: None,
        session_timeout_ms: 6_000,
        rebalance_timeout_ms: 10_000,
        protocols: vec![("range".into(), Bytes::new())],
    }
}

/// The id of a member in a generation that is not synced yet.
fn join_alone(driver: &mut Driver) -> (String, i32) {
    let Response::MemberIdRequired { member_id } = driver.call(join("")) else { panic!("an id is required") };
    match driver.call(join(&member_id)) {
        Response::JoinGroup { generation, .. } => (member_id, generation),
        other => panic!("{other:?}"),
    }
}

fn sync(driver: &mut Driver, member_id: &str, generation: i32) {
    let request = Request::SyncGroup { group: "g".into(), generation, member_id: member_id.into(), instance_id: None, assignments: vec![] };
    assert!(matches!(driver.call(request), Response::SyncGroup { .. }));
}

fn live_member(driver: &mut Driver) -> (String, i32) {
    let (member, generation) = join_alone(driver);
    sync(driver, &member, generation);
    (member, generation)
}

fn refused(driver: &Driver) -> usize {
    driver.noted(|note| matches!(note, Note::CommitRefused { .. }))
}

#[test]
fn a46_a_transactional_commit_is_pending_until_its_marker() {
    let mut driver = Driver::groups();
    driver.call(commit(&[(tp(0), 10)]));
    assert!(accepted(driver.call(txn_commit(&[(tp(0), 20)]))));
    assert_eq!(fetch(&mut driver, tp(0), true), Err(ErrorCode::UnstableOffsetCommit));
    assert_eq!(fetch(&mut driver, tp(0), false), Ok(Some(10)), "the old offset");
    assert_eq!(fetch(&mut driver, tp(1), true), Ok(None), "another partition is not concerned");
    driver.marker(ControlKind::Commit, PRODUCER, 0);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(20)));
    assert_eq!(driver.noted(|note| matches!(note, Note::Committed { offset: 20, transactional: true, .. })), 1);
}

#[test]
fn a46_a_marker_counts_when_it_is_below_the_high_watermark() {
    let mut driver = Driver::groups();
    driver.call(txn_commit(&[(tp(0), 20)]));
    driver.durable_at_once = false;
    driver.marker(ControlKind::Commit, PRODUCER, 0);
    assert_eq!(fetch(&mut driver, tp(0), true), Err(ErrorCode::UnstableOffsetCommit));
    driver.replicate(1);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(20)));
}

#[test]
fn a46_a_commit_on_its_way_to_the_log_is_unstable_already() {
    let mut driver = Driver::groups();
    driver.durable_at_once = false;
    let commits = driver.send(txn_commit(&[(tp(0), 20)]));
    assert_eq!(driver.reply(commits), None, "not durable, not answered");
    assert_eq!(fetch(&mut driver, tp(0), true), Err(ErrorCode::UnstableOffsetCommit));
    driver.replicate(1);
    assert!(accepted(driver.reply(commits).expect("durable now")));
}

#[test]
fn a46_pending_commits_survive_a_failover_and_still_wait() {
    let mut driver = Driver::groups();
    driver.call(commit(&[(tp(0), 10)]));
    driver.call(txn_commit(&[(tp(0), 20)]));
    driver.fail_over(0);
    assert_eq!(fetch(&mut driver, tp(0), true), Err(ErrorCode::UnstableOffsetCommit));
    driver.marker(ControlKind::Commit, PRODUCER, 0);
    driver.fail_over(0);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(20)));
}

#[test]
fn a46_a_refused_transactional_commit_leaves_nothing_pending() {
    let mut driver = Driver::groups();
    driver.refuse_appends = Some(ErrorCode::InvalidProducerEpoch);
    assert_eq!(driver.call(txn_commit(&[(tp(0), 20)])), Response::Error(ErrorCode::InvalidProducerEpoch));
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(None));
}

#[test]
fn a47_a_transactional_commit_is_fenced_by_what_it_names() {
    let mut driver = Driver::groups();
    let (member, generation) = live_member(&mut driver);
    assert_eq!(driver.call(txn_commit_as(PRODUCER, &member, generation - 1, &[(tp(0), 5)])), Response::Error(ErrorCode::IllegalGeneration));
    assert_eq!(driver.call(txn_commit_as(PRODUCER, "evicted", generation, &[(tp(0), 5)])), Response::Error(ErrorCode::UnknownMemberId));
    assert_eq!(driver.noted(|note| matches!(note, Note::CommitRefused { transactional: true, .. })), 2);
    assert!(accepted(driver.call(txn_commit_as(PRODUCER, &member, generation, &[(tp(0), 5)]))));
    assert!(accepted(driver.call(txn_commit(&[(tp(1), 6)]))), "who names nobody is not fenced, though a member lives");
}

#[test]
fn a47_the_state_of_the_group_does_not_hold_a_transaction_up() {
    let mut driver = Driver::groups();
    let (member, generation) = join_alone(&mut driver);
    assert_eq!(driver.call(commit_as(&member, generation, &[(tp(0), 5)])), Response::Error(ErrorCode::RebalanceInProgress), "a plain commit waits");
    assert!(accepted(driver.call(txn_commit_as(PRODUCER, &member, generation, &[(tp(0), 5)]))));
}

#[test]
fn a49_interleaved_transactions_and_their_markers_decide_each_its_own() {
    let mut driver = Driver::groups();
    driver.call(txn_commit_as(1, "", -1, &[(tp(0), 10), (tp(1), 11)]));
    driver.call(txn_commit_as(2, "", -1, &[(tp(2), 20)]));
    driver.call(commit(&[(tp(1), 100)]));
    driver.marker(ControlKind::Abort, 2, 0);
    driver.marker(ControlKind::Commit, 1, 0);
    for _ in 0..2 {
        assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(10)));
        assert_eq!(fetch(&mut driver, tp(1), true), Ok(Some(100)), "the later record wins, however late the marker of the earlier");
        assert_eq!(fetch(&mut driver, tp(2), true), Ok(None));
        driver.fail_over(0);
    }
}

#[test]
fn a50_an_abort_leaves_the_position_where_it_was() {
    let mut driver = Driver::groups();
    driver.call(commit(&[(tp(0), 10)]));
    driver.call(txn_commit(&[(tp(0), 20)]));
    driver.marker(ControlKind::Abort, PRODUCER, 1);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(10)));
    driver.call(txn_commit(&[(tp(0), 20)]));
    driver.marker(ControlKind::Commit, PRODUCER, 1);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(20)), "the next transaction is not tainted by the aborted one");
}

#[test]
fn a53_a_zombies_commit_is_refused_by_generation_or_membership() {
    let mut driver = Driver::groups();
    let (zombie, old) = live_member(&mut driver);
    assert!(accepted(driver.call(commit_as(&zombie, old, &[(tp(0), 5)]))));
    driver.advance(6_000);
    assert_eq!(driver.call(commit_as(&zombie, old, &[(tp(0), 9)])), Response::Error(ErrorCode::UnknownMemberId), "evicted");
    let (owner, new) = live_member(&mut driver);
    assert_eq!(driver.call(commit_as(&owner, old, &[(tp(0), 9)])), Response::Error(ErrorCode::IllegalGeneration), "stale generation, live member");
    assert_eq!(refused(&driver), 2);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(5)));
    assert!(accepted(driver.call(commit_as(&owner, new, &[(tp(7), 1)]))), "the fence is per group, not per partition");
}

#[test]
fn a57_generation_minus_one_is_accepted_only_while_the_group_is_empty() {
    let mut driver = Driver::groups();
    assert!(accepted(driver.call(commit(&[(tp(0), 5)]))));
    let (member, _) = live_member(&mut driver);
    assert_eq!(driver.call(commit(&[(tp(0), 6)])), Response::Error(ErrorCode::UnknownMemberId));
    driver.call(Request::LeaveGroup { group: "g".into(), member_id: member, instance_id: None });
    assert!(accepted(driver.call(commit(&[(tp(0), 7)]))));
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(7)));
    let unheard_of = Request::OffsetCommit { group: "other".into(), generation: 3, member_id: "m".into(), instance_id: None, offsets: vec![] };
    assert_eq!(driver.call(unheard_of), Response::Error(ErrorCode::IllegalGeneration));
}

#[test]
fn a57_the_last_writer_wins_also_backwards() {
    let mut driver = Driver::groups();
    driver.call(commit(&[(tp(0), 50)]));
    driver.call(commit(&[(tp(0), 40)]));
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(40)));
}

#[test]
fn a57_a_member_may_commit_while_the_barrier_is_up() {
    let mut driver = Driver::groups();
    let (member, generation) = live_member(&mut driver);
    driver.call(join(""));
    let Response::MemberIdRequired { member_id: second } = driver.call(join("")) else { panic!("an id is required") };
    driver.send(join(&second));
    let beat = Request::Heartbeat { group: "g".into(), generation, member_id: member.clone(), instance_id: None };
    assert_eq!(driver.call(beat), Response::Error(ErrorCode::RebalanceInProgress));
    assert!(accepted(driver.call(commit_as(&member, generation, &[(tp(0), 5)]))), "what it did before it gives its part back");
}

#[test]
fn a58_what_was_committed_is_what_is_read_next_with_its_epoch() {
    let mut driver = Driver::groups();
    driver.call(commit(&[(tp(0), 42)]));
    let request = Request::OffsetFetch { group: "g".into(), partitions: vec![tp(0), tp(1)], require_stable: true };
    let committed = CommittedOffset { offset: 42, leader_epoch: Some(4) };
    assert_eq!(driver.call(request), Response::OffsetFetch { partitions: vec![(tp(0), Ok(Some(committed))), (tp(1), Ok(None))] });
}

#[test]
fn a59_a_commit_is_answered_and_visible_only_below_the_high_watermark() {
    let mut driver = Driver::groups();
    driver.call(commit(&[(tp(0), 1)]));
    driver.durable_at_once = false;
    let commits = driver.send(commit(&[(tp(0), 2)]));
    assert_eq!(driver.reply(commits), None);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(1)), "what may yet be cut off is shown to nobody");
    driver.replicate(1);
    assert!(accepted(driver.reply(commits).expect("durable now")));
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(2)));
}

#[test]
fn a59_a_commit_in_flight_at_a_failover_is_unknown_and_the_log_says_which() {
    for (kept, expected) in [(0, 1), (1, 2)] {
        let mut driver = Driver::groups();
        driver.call(commit(&[(tp(0), 1)]));
        driver.durable_at_once = false;
        let commits = driver.send(commit(&[(tp(0), 2)]));
        driver.fail_over(kept);
        assert_eq!(driver.reply(commits), Some(Response::Error(ErrorCode::NotCoordinator)));
        assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(expected)));
    }
}

#[test]
fn a60_offsets_end_after_their_retention_and_not_while_somebody_uses_them() {
    let mut driver = Driver::groups_with(CoordinatorConfig { offsets_retention_ms: 600_000, ..CoordinatorConfig::default() });
    driver.call(commit(&[(tp(0), 5)]));
    driver.advance(500_000);
    driver.call(commit(&[(tp(1), 6)]));
    driver.advance(500_000);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(5)), "the group was in use");
    driver.advance(200_000);
    for _ in 0..2 {
        assert_eq!((fetch(&mut driver, tp(0), true), fetch(&mut driver, tp(1), true)), (Ok(None), Ok(None)));
        driver.fail_over(0);
    }
    assert!(accepted(driver.call(commit(&[(tp(0), 7)]))), "and it may begin anew");
}

/// The tombstones would come behind it.
#[test]
fn a60_a_commit_that_is_on_its_way_when_the_time_is_up_is_not_lost() {
    let mut driver = Driver::groups_with(CoordinatorConfig { offsets_retention_ms: 600_000, ..CoordinatorConfig::default() });
    driver.call(commit(&[(tp(0), 5)]));
    driver.advance(599_999);
    driver.durable_at_once = false;
    let commits = driver.send(commit(&[(tp(0), 7)]));
    driver.advance(1_000);
    driver.replicate(usize::MAX);
    assert!(accepted(driver.reply(commits).expect("durable")));
    driver.durable_at_once = true;
    for _ in 0..2 {
        assert_eq!(fetch(&mut driver, tp(0), true), Ok(Some(7)));
        driver.fail_over(0);
    }
    driver.advance(700_000);
    assert_eq!(fetch(&mut driver, tp(0), true), Ok(None), "it ends after its own time");
}
