//! JoinGroup: who may join, under which id, and who waits at the barrier (A51, A55).

use super::state::{Group, Joiner, Member, State};
use super::{Step, Waiting, record};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, Response};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A JoinGroup. The first one of a name makes the group.
pub(super) fn join(groups: &mut BTreeMap<String, Group>, step: &mut Step<'_>, to: ReplyTo, name: String, joiner: Joiner) {
    let sessions = step.config().session_timeout_ms_min..=step.config().session_timeout_ms_max;
    if !sessions.contains(&joiner.session_timeout_ms) {
        return step.refuse(to, ErrorCode::InvalidSessionTimeout);
    }
    if joiner.protocols.is_empty() {
        return step.refuse(to, ErrorCode::InconsistentGroupProtocol);
    }
    if !joiner.member_id.is_empty() && !groups.contains_key(&name) {
        return step.refuse(to, ErrorCode::UnknownMemberId);
    }
    groups.entry(name.clone()).or_insert_with(|| Group::new(name)).join(step, to, joiner);
}

impl Group {
    fn join(&mut self, step: &mut Step<'_>, to: ReplyTo, joiner: Joiner) {
        if !self.supports(&joiner.protocols) || !self.consumer.members.is_empty() {
            return step.refuse(to, ErrorCode::InconsistentGroupProtocol);
        }
        match (joiner.member_id.is_empty(), &joiner.instance_id) {
            (true, None) => self.invite(step, to, joiner.session_timeout_ms),
            (true, Some(instance_id)) => {
                let new = step.fresh_member_id(instance_id);
                match self.instances.get(instance_id).cloned() {
                    Some(old) => self.replace(step, to, old, new, joiner),
                    None => self.admit(step, to, new, joiner),
                }
            }
            (false, None) if self.invited.remove(&joiner.member_id).is_some() => self.admit(step, to, joiner.member_id.clone(), joiner),
            (false, _) => match self.validate(&joiner.member_id, joiner.instance_id.as_deref()) {
                Ok(()) => self.rejoin(step, to, joiner),
                Err(error) => step.refuse(to, error),
            },
        }
    }

    /// A member that has no id yet gets one and joins again with it, so that a lost answer leaves no ghost among the members (KIP-394).
    fn invite(&mut self, step: &mut Step<'_>, to: ReplyTo, session_timeout_ms: u32) {
        let member_id = step.fresh_member_id(&self.name);
        let until_ms = step.after(u64::from(session_timeout_ms));
        self.invited.insert(member_id.clone(), until_ms);
        step.wake_by(until_ms);
        step.reply(to, Response::MemberIdRequired { member_id });
    }

    fn admit(&mut self, step: &mut Step<'_>, to: ReplyTo, member_id: String, joiner: Joiner) {
        if let Some(instance_id) = &joiner.instance_id {
            self.instances.insert(instance_id.clone(), member_id.clone());
        }
        self.members.insert(member_id.clone(), Member::waiting_to_join(to, joiner));
        self.leader.get_or_insert(member_id);
        self.extend_delay(step);
        self.rebalance(step);
    }

    fn rejoin(&mut self, step: &mut Step<'_>, to: ReplyTo, joiner: Joiner) {
        let leads = self.leader.as_deref() == Some(&joiner.member_id);
        let matches = self.members[&joiner.member_id].matches(&joiner);
        match self.state {
            // A member that asks again missed the answer; nothing changed.
            State::CompletingRebalance if matches => self.repeat_join(step, to, &joiner.member_id),
            // A leader that joins again wants a new assignment.
            State::Stable if matches && !leads => self.repeat_join(step, to, &joiner.member_id),
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                let member = self.members.get_mut(&joiner.member_id).expect("validated");
                let superseded = member.joining.take();
                *member = Member { assignment: std::mem::take(&mut member.assignment), syncing: member.syncing.take(), ..Member::waiting_to_join(to, joiner) };
                if let Some(superseded) = superseded {
                    step.refuse(superseded, ErrorCode::RebalanceInProgress);
                }
                self.rebalance(step);
            }
            State::Empty | State::Dead => step.refuse(to, ErrorCode::UnknownMemberId),
        }
    }

    fn repeat_join(&mut self, step: &mut Step<'_>, to: ReplyTo, member_id: &str) {
        self.renew_session(step, member_id);
        let joined = self.joined(member_id);
        step.reply(to, joined);
    }

    /// A static member is back under a new id: it takes the place of the old one, which is fenced from now on. In a Stable group with an unchanged
    /// assignor nobody else notices (KIP-345).
    fn replace(&mut self, step: &mut Step<'_>, to: ReplyTo, old: String, new: String, joiner: Joiner) {
        let instance_id = joiner.instance_id.clone().expect("only a static member is replaced");
        let mut member = self.members.remove(&old).expect("an instance has a member");
        for waiting in [member.joining.take(), member.syncing.take()].into_iter().flatten() {
            step.refuse(waiting, ErrorCode::FencedInstanceId);
        }
        let assignment = std::mem::take(&mut member.assignment);
        self.members.insert(new.clone(), Member { assignment, ..Member::waiting_to_join(to, joiner) });
        self.instances.insert(instance_id.clone(), new.clone());
        if self.leader.as_deref() == Some(&old) {
            self.leader = Some(new.clone());
        }
        if self.state != State::Stable || self.protocol.as_ref() != Some(&self.elect_protocol()) {
            return self.rebalance(step);
        }
        let member = self.members.get_mut(&new).expect("just inserted");
        member.joining = None;
        member.synced = true;
        self.renew_session(step, &new);
        let group = record::group(step.timestamp_ms(), self, None);
        step.append(vec![group], Waiting::Replaced { group: self.name.clone(), to, instance_id, old, new });
    }

    /// The new id of a static member is durable, or was refused: then the old one is back.
    pub(super) fn replaced(&mut self, step: &mut Step<'_>, to: ReplyTo, instance_id: String, old: String, new: String, result: Result<i64, ErrorCode>) {
        match result {
            Ok(_) => match self.validate(&new, Some(&instance_id)) {
                Ok(()) if self.state == State::Stable => {
                    let joined = self.joined_again(&new, &old);
                    step.reply(to, joined);
                }
                Ok(()) => step.refuse(to, ErrorCode::RebalanceInProgress),
                Err(error) => step.refuse(to, error),
            },
            Err(error) => {
                if let Some(member) = self.members.remove(&new) {
                    self.members.insert(old.clone(), member);
                    self.instances.insert(instance_id, old.clone());
                    if self.leader.as_deref() == Some(&new) {
                        self.leader = Some(old);
                    }
                }
                step.refuse(to, error);
            }
        }
    }

    /// To a static member that came back: where it led, the leader is said to be its old id, so that it takes its old assignment instead of making one.
    fn joined_again(&self, new: &str, old: &str) -> Response {
        match self.joined(new) {
            Response::JoinGroup { generation, protocol, leader, member_id, .. } => {
                let leader = if leader == new { old.to_owned() } else { leader };
                Response::JoinGroup { generation, protocol, leader, member_id, members: Vec::new() }
            }
            other => other,
        }
    }
}

impl Member {
    fn waiting_to_join(to: ReplyTo, joiner: Joiner) -> Member {
        Member {
            instance_id: joiner.instance_id,
            session_timeout_ms: joiner.session_timeout_ms,
            rebalance_timeout_ms: joiner.rebalance_timeout_ms,
            protocols: joiner.protocols,
            assignment: Bytes::new(),
            joining: Some(to),
            syncing: None,
            synced: false,
            session_ends_ms: 0,
        }
    }
}
