//! The barrier between two generations: raised when a member comes, goes or changes; fallen when all members stand at it or its time is up (A51).

use super::state::{Barrier, Group, State};
use super::{Step, Waiting, record};
use crate::note::Note;
use crate::protocol::ErrorCode;
use bytes::Bytes;

impl Group {
    /// Raises the barrier unless it is up, and lets it fall if nobody is missing.
    pub(super) fn rebalance(&mut self, step: &mut Step<'_>) {
        if self.state != State::PreparingRebalance {
            self.raise(step);
        }
        self.fall_if_complete(step);
    }

    fn raise(&mut self, step: &mut Step<'_>) {
        self.drop_assignment(step, ErrorCode::RebalanceInProgress);
        let rebalance_ms = self.rebalance_timeout_ms();
        let delay_ms = step.config().initial_rebalance_delay_ms;
        let barrier = match self.state == State::Empty && delay_ms > 0 {
            true => Barrier { falls_ms: step.after(delay_ms), delayed_until_ms: Some(step.after(delay_ms.max(rebalance_ms))) },
            false => Barrier { falls_ms: step.after(rebalance_ms), delayed_until_ms: None },
        };
        self.state = State::PreparingRebalance;
        self.barrier = Some(barrier);
        step.wake_by(barrier.falls_ms);
    }

    /// Another member came during the initial delay: it begins anew, up to the rebalance timeout.
    pub(super) fn extend_delay(&mut self, step: &mut Step<'_>) {
        let delay_ms = step.after(step.config().initial_rebalance_delay_ms);
        if let Some(Barrier { falls_ms, delayed_until_ms: Some(until_ms) }) = &mut self.barrier {
            *falls_ms = delay_ms.min(*until_ms);
        }
    }

    /// A member is gone: the others share anew.
    pub(super) fn shrink(&mut self, step: &mut Step<'_>) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.rebalance(step),
            State::PreparingRebalance => self.fall_if_complete(step),
            State::Empty | State::Dead => {}
        }
    }

    /// An invitation was used up or ended, a member came or went: perhaps nobody is missing now.
    pub(super) fn fall_if_complete(&mut self, step: &mut Step<'_>) {
        let delayed = self.barrier.is_none_or(|barrier| barrier.delayed_until_ms.is_some());
        if self.state == State::PreparingRebalance && !delayed && self.all_joined() {
            self.fall(step);
        }
    }

    /// The barrier falls: who is missing is put out, unless it is a static member, and the generation rises.
    pub(super) fn fall(&mut self, step: &mut Step<'_>) {
        assert_eq!(self.state, State::PreparingRebalance, "only a barrier that is up falls");
        let missing: Vec<String> =
            self.members.iter().filter(|(_, member)| member.joining.is_none() && member.instance_id.is_none()).map(|(id, _)| id.clone()).collect();
        for member_id in missing {
            self.remove(step, &member_id);
            step.note(Note::MemberExpired { group: self.name.clone(), member_id });
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members are left and none has come back: wait until they do or their sessions end.
            let falls_ms = step.after(self.rebalance_timeout_ms());
            self.barrier = Some(Barrier { falls_ms, delayed_until_ms: None });
            return step.wake_by(falls_ms);
        }
        self.barrier = None;
        self.generation += 1;
        match self.members.is_empty() {
            true => self.empty(step),
            false => self.complete(step),
        }
    }

    /// Somebody who is here leads: the leader so far, else the first by id.
    fn elect_leader(&mut self) -> bool {
        let is_here = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if !self.leader.as_ref().is_some_and(is_here) {
            self.leader = self.members.iter().find(|(_, member)| member.joining.is_some()).map(|(id, _)| id.clone()).or(self.leader.take());
        }
        self.leader.as_ref().is_some_and(|id| self.members.get(id).is_some_and(|member| member.joining.is_some()))
    }

    fn empty(&mut self, step: &mut Step<'_>) {
        (self.state, self.protocol, self.leader) = (State::Empty, None, None);
        self.idle_since_ms = step.now.wall_ms;
        let group = record::group(step.timestamp_ms(), self, None);
        step.append(vec![group], Waiting::Emptied { group: self.name.clone() });
        self.await_expiry(step);
    }

    fn complete(&mut self, step: &mut Step<'_>) {
        self.protocol = Some(self.elect_protocol());
        self.state = State::CompletingRebalance;
        self.sync_ends_ms = step.after(self.rebalance_timeout_ms());
        step.wake_by(self.sync_ends_ms);
        let members: Vec<String> = self.members.keys().cloned().collect();
        for id in members {
            let member = self.members.get_mut(&id).expect("listed");
            member.synced = false;
            let Some(to) = member.joining.take() else { continue };
            self.renew_session(step, &id);
            let joined = self.joined(&id);
            step.reply(to, joined);
        }
    }

    /// The assignment of the generation does not come to be: who waits for it hears why.
    pub(super) fn drop_assignment(&mut self, step: &mut Step<'_>, error: ErrorCode) {
        self.storing = false;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let member = self.members.get_mut(&id).expect("listed");
            member.assignment = Bytes::new();
            if let Some(to) = member.syncing.take() {
                self.renew_session(step, &id);
                step.refuse(to, error);
            }
        }
    }

    /// Takes a member out; its waiting requests are answered. The caller goes on with [`Group::shrink`].
    pub(super) fn remove(&mut self, step: &mut Step<'_>, member_id: &str) {
        let Some(member) = self.members.remove(member_id) else { return };
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        if self.leader.as_deref() == Some(member_id) {
            self.leader = None;
        }
        for to in [member.joining, member.syncing].into_iter().flatten() {
            step.refuse(to, ErrorCode::UnknownMemberId);
        }
    }
}
