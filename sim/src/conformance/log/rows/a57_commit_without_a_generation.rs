//! A57: generation −1, as of somebody who reads without a group, is taken only while the group is empty. The last one to commit wins: a position may go
//! back.

use super::super::Bench;
use super::super::asked::{CommittedOffset, CoordinatorKind, ErrorCode, Request, Tp, committed, coordinator, topic, verdict};
use super::super::support::began;
use super::a53_zombie_commit::join;
use super::verdict_in_words;
use std::sync::Arc;

pub(super) async fn commit<B: Bench>(bench: &B, group: &str, generation: i32, member: &str, tp: Tp, offset: i64) -> Result<(), ErrorCode> {
    let offsets = vec![(tp, CommittedOffset { offset, leader_epoch: None })];
    let request = Request::OffsetCommit { group: group.to_owned(), generation, member_id: member.to_owned(), instance_id: None, offsets };
    verdict(&coordinator(bench, CoordinatorKind::Group, group, request).await)
}

pub async fn a_commit_without_a_generation_is_for_empty_groups_only<B: Bench>(bench: Arc<B>) {
    let (_, info) = began(&*bench, 1).await;
    let group = bench.fresh("group");
    let tp = Tp { topic: topic(&*bench, &info.name).await.id, partition: 0 };
    assert_eq!(commit(&*bench, &group, -1, "", tp, 7).await, Ok(()), "nobody is there");
    let back = commit(&*bench, &group, -1, "", tp, 2).await;
    bench.answered("A57", "a commit without a generation, back to a lower offset, while nobody is there", &verdict_in_words(&back));
    assert_eq!(back, Ok(()));
    assert_eq!(committed(&*bench, &group, tp, true).await, Ok(Some(2)), "back");
    let (member, generation) = join(&*bench, &group, "").await;
    let amid = commit(&*bench, &group, -1, "", tp, 8).await;
    bench.answered("A57", "a commit without a generation, while somebody is there", &verdict_in_words(&amid));
    assert_eq!(amid, Err(ErrorCode::UnknownMemberId), "somebody is there");
    assert_eq!(committed(&*bench, &group, tp, true).await, Ok(Some(2)));
    assert_eq!(commit(&*bench, &group, generation, &member, tp, 4).await, Ok(()));
    let leave = Request::LeaveGroup { group: group.clone(), member_id: member, instance_id: None };
    assert_eq!(verdict(&coordinator(&*bench, CoordinatorKind::Group, &group, leave).await), Ok(()));
    assert_eq!(commit(&*bench, &group, -1, "", tp, 6).await, Ok(()), "empty again");
    assert_eq!(committed(&*bench, &group, tp, true).await, Ok(Some(6)));
}
