//! SyncGroup: the leader's assignment becomes durable, then the group is Stable and every member may have its part (A51).

use super::state::{Group, State};
use super::{Step, Waiting, record};
use crate::coordinator::ReplyTo;
use crate::note::Note;
use crate::protocol::{ErrorCode, Response};
use bytes::Bytes;
use std::collections::BTreeMap;

impl Group {
    /// A SyncGroup; `assignments` counts only from the leader.
    pub(super) fn sync(
        &mut self,
        step: &mut Step<'_>,
        to: ReplyTo,
        generation: i32,
        member_id: &str,
        instance_id: Option<&str>,
        assignments: Vec<(String, Bytes)>,
    ) {
        if let Err(error) = self.validate_in(generation, member_id, instance_id) {
            return step.refuse(to, error);
        }
        match self.state {
            State::Empty | State::Dead => step.refuse(to, ErrorCode::UnknownMemberId),
            State::PreparingRebalance => step.refuse(to, ErrorCode::RebalanceInProgress),
            State::CompletingRebalance => self.await_assignment(step, to, member_id, assignments),
            State::Stable => {
                self.renew_session(step, member_id);
                let member = self.members.get_mut(member_id).expect("validated");
                member.synced = true;
                step.reply(to, Response::SyncGroup { assignment: member.assignment.clone() });
            }
        }
    }

    fn await_assignment(&mut self, step: &mut Step<'_>, to: ReplyTo, member_id: &str, assignments: Vec<(String, Bytes)>) {
        let member = self.members.get_mut(member_id).expect("validated");
        member.synced = true;
        if let Some(superseded) = member.syncing.replace(to) {
            step.refuse(superseded, ErrorCode::RebalanceInProgress);
        }
        if self.leader.as_deref() == Some(member_id) && !self.storing {
            self.storing = true;
            let assignments: BTreeMap<String, Bytes> = assignments.into_iter().collect();
            let group = record::group(step.timestamp_ms(), self, Some(&assignments));
            step.append(vec![group], Waiting::Assigned { group: self.name.clone(), generation: self.generation, assignments });
        }
    }

    /// The assignment is durable, or was refused. If the group moved on meanwhile it concerns nobody.
    pub(super) fn assigned(&mut self, step: &mut Step<'_>, generation: i32, mut assignments: BTreeMap<String, Bytes>, result: Result<i64, ErrorCode>) {
        if self.state != State::CompletingRebalance || self.generation != generation {
            return;
        }
        if let Err(error) = result {
            self.drop_assignment(step, error);
            return self.rebalance(step);
        }
        self.storing = false;
        self.state = State::Stable;
        step.note(Note::GenerationStarted { group: self.name.clone(), generation, members: self.roster() });
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let member = self.members.get_mut(&id).expect("listed");
            member.assignment = assignments.remove(&id).unwrap_or_default();
            let Some(to) = member.syncing.take() else { continue };
            let assignment = member.assignment.clone();
            self.renew_session(step, &id);
            step.reply(to, Response::SyncGroup { assignment });
        }
    }
}
