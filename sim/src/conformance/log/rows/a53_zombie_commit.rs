//! A53: nobody takes a partition from a member by force; its commit is what is refused. An elder generation is refused, and a member that was put out.
//! The fence is the group's, not the partition's: a live member may commit what it does not own.

use super::super::Bench;
use super::super::asked::{CoordinatorKind, ErrorCode, Request, Response, Tp, committed, coordinator, topic, verdict};
use super::super::support::began;
use super::a57_commit_without_a_generation::commit;
use super::verdict_in_words;
use std::sync::Arc;

const PROTOCOL: &str = "range";

/// Joins, or joins again; member and generation. It is alone, and so the group's leader.
pub(super) async fn join<B: Bench>(bench: &B, group: &str, member: &str) -> (String, i32) {
    let mut member_id = member.to_owned();
    loop {
        let request = Request::JoinGroup {
            group: group.to_owned(),
            member_id: member_id.clone(),
            instance_id: None,
            session_timeout_ms: 300_000,
            rebalance_timeout_ms: 300_000,
            protocols: vec![(PROTOCOL.to_owned(), bytes::Bytes::from(format!("metadata of {member_id}")))],
        };
        match coordinator(bench, CoordinatorKind::Group, group, request).await {
            Response::MemberIdRequired { member_id: given } => member_id = given,
            Response::JoinGroup { generation, member_id, .. } => {
                let assignments = vec![(member_id.clone(), bytes::Bytes::from_static(b"nothing"))];
                let sync = Request::SyncGroup { group: group.to_owned(), generation, member_id: member_id.clone(), instance_id: None, assignments };
                assert_eq!(verdict(&coordinator(bench, CoordinatorKind::Group, group, sync).await), Ok(()));
                return (member_id, generation);
            }
            other => panic!("{other:?}"),
        }
    }
}

pub async fn a_commit_of_an_elder_generation_or_a_former_member_is_refused<B: Bench>(bench: Arc<B>) {
    let (_, info) = began(&*bench, 2).await;
    let group = bench.fresh("group");
    let topic = topic(&*bench, &info.name).await.id;
    let [owned, not_owned] = [0, 1].map(|partition| Tp { topic, partition });
    let (member, elder) = join(&*bench, &group, "").await;
    assert_eq!(commit(&*bench, &group, elder, &member, owned, 3).await, Ok(()));
    let (same, younger) = join(&*bench, &group, &member).await;
    assert_eq!((&same, younger), (&member, elder + 1));
    let elder_s = commit(&*bench, &group, elder, &member, owned, 4).await;
    bench.answered("A53", "a member's commit with the generation before", &verdict_in_words(&elder_s));
    assert_eq!(elder_s, Err(ErrorCode::IllegalGeneration));
    let stranger_s = commit(&*bench, &group, younger, "a stranger", owned, 4).await;
    bench.answered("A53", "a stranger's commit", &verdict_in_words(&stranger_s));
    assert_eq!(stranger_s, Err(ErrorCode::UnknownMemberId));
    let not_owner_s = commit(&*bench, &group, younger, &member, not_owned, 9).await;
    bench.answered("A53", "a member's commit of a partition that it does not own", &verdict_in_words(&not_owner_s));
    assert_eq!(not_owner_s, Ok(()), "the fence is the group's");
    let leave = Request::LeaveGroup { group: group.clone(), member_id: member.clone(), instance_id: None };
    assert_eq!(verdict(&coordinator(&*bench, CoordinatorKind::Group, &group, leave).await), Ok(()));
    let former_s = commit(&*bench, &group, younger, &member, owned, 5).await;
    bench.answered("A53", "a former member's commit", &verdict_in_words(&former_s));
    assert_eq!(former_s, Err(ErrorCode::UnknownMemberId));
    assert_eq!(committed(&*bench, &group, owned, true).await, Ok(Some(3)));
    assert_eq!(committed(&*bench, &group, not_owned, true).await, Ok(Some(9)));
}
