//! Positions that become committed with a transaction: added to it, then handed to the group's coordinator with generation and member (A47).

use super::Core;
use crate::link::Broken;
use crate::native::cluster::Links;
use crate::native::lookup::{Coordinator, Failure, before, refused};
use crate::native::producer::{Failed, add_to_transaction, is_fenced};
use crate::native::verdict;
use crate::port::{Lease, Position, Reason};
use broker::protocol::{CommittedOffset, CoordinatorKind, ErrorCode, Request, Response, Tp};
use runtime::time;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Who commits: group, generation, member, instance.
type Owner = (String, i32, String, Option<String>);

/// What a transaction consumed.
#[derive(Debug, Default)]
pub struct Offsets(BTreeMap<Owner, BTreeMap<Tp, CommittedOffset>>);

impl Offsets {
    /// Adds positions; the last of a partition counts.
    pub fn add(&mut self, lease: &Lease, at: &[(Tp, Position)]) {
        let owner = (lease.group.clone(), lease.generation, lease.member_id.clone(), lease.instance_id.clone());
        let offset = |position: &Position| CommittedOffset { offset: position.next.0, leader_epoch: position.epoch };
        self.0.entry(owner).or_default().extend(at.iter().map(|(tp, position)| (*tp, offset(position))));
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Does the group no longer know this member, or this generation of it?
pub fn is_put_out(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId)
}

impl Core {
    /// Makes the positions part of the transaction.
    pub(super) async fn commit_offsets(&self, offsets: &Offsets, deadline_ms: u64) -> Result<(), Failed> {
        for (owner, offsets) in &offsets.0 {
            // Under version 2 the group's coordinator does it.
            if !self.is_tv2 {
                let add = Request::AddOffsetsToTxn {
                    transactional_id: self.id.to_string(),
                    producer_id: self.identity.id,
                    producer_epoch: self.identity.epoch,
                    group: owner.0.clone(),
                };
                add_to_transaction(&self.shared, &self.coordinator, &add, deadline_ms).await?;
            }
            self.hand_over(owner, offsets, deadline_ms).await?;
        }
        Ok(())
    }

    async fn hand_over(
        &self,
        (group, generation, member_id, instance_id): &Owner,
        offsets: &BTreeMap<Tp, CommittedOffset>,
        deadline_ms: u64,
    ) -> Result<(), Failed> {
        let request = Request::TxnOffsetCommit {
            transactional_id: self.id.to_string(),
            group: group.clone(),
            generation: *generation,
            member_id: member_id.clone(),
            instance_id: instance_id.clone(),
            producer_id: self.identity.id,
            producer_epoch: self.identity.epoch,
            offsets: offsets.iter().map(|(tp, offset)| (*tp, *offset)).collect(),
        };
        let request = self.in_version(request);
        let config = self.shared.config.clone();
        let mut groups = self.groups.lock().await;
        let coordinator = groups.entry(group.clone()).or_insert_with(|| Coordinator::new(CoordinatorKind::Group, group.clone(), Links::new(&config)));
        let mut last = Reason::Deadline;
        for attempt in 1.. {
            // Cancelled or unanswered, it may arrive in the middle of the next transaction and be committed with that.
            let was_stale = self.stale.swap(true, Ordering::Relaxed);
            let answer = before(deadline_ms, coordinator.ask(&self.shared.cluster, &request, 0)).await;
            if !matches!(answer, None | Some(Err(Failure::Broken(Broken::Unanswered)))) {
                self.stale.store(was_stale, Ordering::Relaxed);
            }
            match answer.map(|answer| answer.and_then(handed_over)) {
                Some(Ok(())) => return Ok(()),
                Some(Err(Failure::Refused(code))) if is_fenced(code) => return Err(Failed::Fenced(Reason::Answered(code))),
                Some(Err(Failure::Refused(code))) if !verdict::is_passing(code) => return Err(Failed::Abortable(Reason::Answered(code))),
                Some(Err(failure)) => {
                    coordinator.note(failure);
                    last = failure.reason();
                }
                None => {}
            }
            if self.shared.back_off(attempt, deadline_ms).await {
                break;
            }
        }
        debug_assert!(time::monotonic_ms() >= deadline_ms, "given up only at the deadline");
        Err(Failed::Abortable(last))
    }
}

fn handed_over(response: Response) -> Result<(), Failure> {
    let Response::TxnOffsetCommit { partitions } = response else { return Err(refused(&response)) };
    let code = partitions.iter().filter_map(|(_, result)| result.err()).max_by_key(|code| (is_fenced(*code) || is_put_out(*code), !verdict::is_passing(*code)));
    code.map_or(Ok(()), |code| Err(Failure::Refused(code)))
}
