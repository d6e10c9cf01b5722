//! A40: an end is answered when it is durable; its markers come later. A46: until then a position committed with it is pending: asked for a stable one,
//! the coordinator refuses; otherwise it tells the old one. A47: a position with a group's name alone is taken, whoever lives in the group.

use super::super::Bench;
use super::super::asked::{
    CommittedOffset, CoordinatorKind, ErrorCode, Request, Session, Tp, batch, committed, coordinator, once_free, produce, session, topic, verdict,
};
use super::super::support::{PATIENCE_MS, began, end, settled, soon};
use super::verdict_in_words;
use ::log::{Isolation, Next};
use runtime::time::{monotonic_ms, sleep};
use std::sync::Arc;
use std::time::Duration;

/// Writes one record and position `offset` in a transaction, and leaves it open.
async fn open<B: Bench>(bench: &B, id: &str, group: &str, (name, tp): (&str, Tp), session: Session, (sequence, offset): (i32, i64)) {
    let (producer_id, producer_epoch) = session;
    let add = Request::AddPartitionsToTxn { transactional_id: id.to_owned(), producer_id, producer_epoch, partitions: vec![tp], verify_only: false };
    once_free(bench, id, add).await.expect("the partition is added");
    produce(bench, name, tp, &batch(&[&format!("value {sequence}")], session, sequence, true), Some(id)).await.expect("it is written");
    let add = Request::AddOffsetsToTxn { transactional_id: id.to_owned(), producer_id, producer_epoch, group: group.to_owned() };
    once_free(bench, id, add).await.expect("the group is added");
    let commit = Request::TxnOffsetCommit {
        transactional_id: id.to_owned(),
        group: group.to_owned(),
        generation: -1,
        member_id: String::new(),
        instance_id: None,
        producer_id,
        producer_epoch,
        offsets: vec![(tp, CommittedOffset { offset, leader_epoch: None })],
    };
    let taken = coordinator(bench, CoordinatorKind::Group, group, commit).await;
    bench.answered("A47", "a transaction's position, with the group's name alone", &verdict_in_words(&verdict(&taken)));
    assert_eq!(verdict(&taken), Ok(()), "the group's name is enough");
}

pub async fn a_position_is_pending_until_its_marker_and_is_never_the_old_one_after_the_end<B: Bench>(bench: Arc<B>) {
    let (log, info) = began(&*bench, 1).await;
    let (id, group) = (bench.fresh("id"), bench.fresh("group"));
    let tp = Tp { topic: topic(&*bench, &info.name).await.id, partition: 0 };
    let session = session(&*bench, &id).await;
    let mut old = None;
    for (sequence, commits) in (0..).zip([true, false, true]) {
        let offset = i64::from(sequence) + 1;
        settled(&log, info.tp(0)).await;
        let stable = end(&log, info.tp(0), Isolation::ReadCommitted).await;
        open(&*bench, &id, &group, (&info.name, tp), session, (sequence, offset)).await;
        assert_eq!(end(&log, info.tp(0), Isolation::ReadCommitted).await, stable, "what is open is not stable");
        let stable = committed(&*bench, &group, tp, true).await;
        bench.answered("A46", "the stable position, while a transaction is open", &verdict_in_words(&stable));
        assert_eq!(stable, Err(ErrorCode::UnstableOffsetCommit));
        let any = committed(&*bench, &group, tp, false).await;
        bench.answered("A46", "the position, stable or not, while a transaction is open", if any == Ok(old) { "the old one" } else { "something else" });
        assert_eq!(any, Ok(old), "the old one");
        let (producer_id, producer_epoch) = session;
        let finish = Request::EndTxn { transactional_id: id.clone(), producer_id, producer_epoch, commit: commits };
        assert_eq!(verdict(&coordinator(&*bench, CoordinatorKind::Transaction, &id, finish).await), Ok(()));
        let wanted = if commits { Some(offset) } else { old };
        let by_ms = soon(PATIENCE_MS);
        loop {
            match committed(&*bench, &group, tp, true).await {
                Err(ErrorCode::UnstableOffsetCommit) => assert!(monotonic_ms() < by_ms, "a marker comes"),
                found => {
                    let new = if found == Ok(wanted) { "never the old one" } else { "something else" };
                    bench.answered("A40", "the stable position, once the end was answered and it is told", new);
                    break assert_eq!(found, Ok(wanted), "once it is stable it is the new one");
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
        old = wanted;
    }
    assert_eq!(settled(&log, info.tp(0)).await, ["value 0", "value 2"]);
    // Three records and three markers.
    assert_eq!(end(&log, info.tp(0), Isolation::ReadUncommitted).await, Next(6));
}
