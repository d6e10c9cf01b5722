//! Heartbeat and LeaveGroup: how a member shows that it lives, and how it goes (A52).

use super::Step;
use super::state::{Group, State};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, Response};

impl Group {
    /// A Heartbeat. The commonest of all requests: it moves one deadline and sets no timer.
    pub(super) fn heartbeat(&mut self, step: &mut Step<'_>, to: ReplyTo, generation: i32, member_id: &str, instance_id: Option<&str>) {
        if let Err(error) = self.validate_in(generation, member_id, instance_id) {
            return step.refuse(to, error);
        }
        self.renew_session(step, member_id);
        match self.state {
            State::Stable | State::CompletingRebalance => step.reply(to, Response::Heartbeat),
            State::PreparingRebalance => step.refuse(to, ErrorCode::RebalanceInProgress),
            State::Empty | State::Dead => step.refuse(to, ErrorCode::UnknownMemberId),
        }
    }

    /// A sign of life: the session begins anew.
    pub(super) fn renew_session(&mut self, step: &mut Step<'_>, member_id: &str) {
        let member = self.members.get_mut(member_id).expect("only a member has a session");
        member.session_ends_ms = step.after(u64::from(member.session_timeout_ms));
        let session_ends_ms = member.session_ends_ms;
        step.wake_by(session_ends_ms);
    }

    /// A LeaveGroup: the member goes now instead of at its session's end. An instance id alone names a static member.
    pub(super) fn leave(&mut self, step: &mut Step<'_>, to: ReplyTo, member_id: String, instance_id: Option<&str>) {
        if self.invited.remove(&member_id).is_some() {
            step.reply(to, Response::LeaveGroup);
            return self.fall_if_complete(step);
        }
        let by_instance = instance_id.filter(|_| member_id.is_empty()).and_then(|instance_id| self.instances.get(instance_id).cloned());
        let member_id = by_instance.unwrap_or(member_id);
        if let Err(error) = self.validate(&member_id, instance_id) {
            return step.refuse(to, error);
        }
        step.reply(to, Response::LeaveGroup);
        self.remove(step, &member_id);
        self.shrink(step);
    }
}
