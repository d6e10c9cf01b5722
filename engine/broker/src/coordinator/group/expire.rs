//! What ends with time: invitations, sessions, barriers, and at last the offsets of a group that nobody uses (A51, A52, A59, A60).

use super::state::{Group, State};
use super::{Step, Waiting, record};
use crate::coordinator::ReplyTo;
use crate::note::Note;
use crate::protocol::{ErrorCode, Tp};

/// A wall clock may jump; offsets are looked at no oftener than this.
const EXPIRY_CHECK_MS_MIN: u64 = 60_000;

impl Group {
    /// After a failover: sessions begin in full, since heartbeats to the former coordinator are not known here (A59).
    pub(super) fn resume(&mut self, step: &mut Step<'_>) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in &ids {
            self.renew_session(step, id);
        }
        if self.state == State::Stable {
            // The former coordinator may have ended between the record and the fact.
            step.note(Note::GenerationStarted { group: self.name.clone(), generation: self.generation, members: self.roster() });
        }
        self.consumer.resume(step, &self.name);
        for (tp, committed) in self.offsets.in_force() {
            step.note(Note::Committed { group: self.name.clone(), tp, offset: committed.offset, transactional: false });
        }
        self.await_expiry(step);
    }

    /// Everything that is due by now.
    pub(super) fn expire(&mut self, step: &mut Step<'_>) {
        let now_ms = step.now.monotonic_ms;
        let invited = self.invited.len();
        self.invited.retain(|_, until_ms| *until_ms > now_ms);
        self.expire_consumers(step);
        let late = self.late_members(now_ms);
        for member_id in &late {
            self.remove(step, member_id);
            step.note(Note::MemberExpired { group: self.name.clone(), member_id: member_id.clone() });
        }
        if !late.is_empty() || self.invited.len() < invited {
            self.shrink_after_expiry(step, !late.is_empty());
        }
        if self.barrier.is_some_and(|barrier| barrier.falls_ms <= now_ms) {
            self.fall(step);
        }
        if self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            self.expire_offsets(step);
        }
    }

    fn shrink_after_expiry(&mut self, step: &mut Step<'_>, lost_members: bool) {
        if lost_members { self.shrink(step) } else { self.fall_if_complete(step) }
    }

    /// Members whose session ended, and members that never asked for their assignment.
    fn late_members(&self, now_ms: u64) -> Vec<String> {
        let syncs_ended = self.awaits_syncs() && self.sync_ends_ms <= now_ms;
        let is_late = |member: &super::state::Member| !member.waits() && (member.session_ends_ms <= now_ms || (syncs_ended && !member.synced));
        self.members.iter().filter(|(_, member)| is_late(member)).map(|(id, _)| id.clone()).collect()
    }

    /// Sets the time at which the offsets of an empty group end.
    pub(super) fn await_expiry(&mut self, step: &mut Step<'_>) {
        self.expires_ms = None;
        if !self.is_empty() {
            return;
        }
        let ends_wall_ms = self.idle_since_ms.saturating_add(step.config().offsets_retention_ms);
        let expires_ms = step.after(ends_wall_ms.saturating_sub(step.now.wall_ms).max(EXPIRY_CHECK_MS_MIN));
        self.expires_ms = Some(expires_ms);
        step.wake_by(expires_ms);
    }

    fn expire_offsets(&mut self, step: &mut Step<'_>) {
        let idle_ms = step.now.wall_ms.saturating_sub(self.idle_since_ms);
        // The tombstone would come behind a commit that is on its way to the log, and take what is then acknowledged.
        let is_committing = step.desk.waiting.values().any(|waiting| matches!(waiting, Waiting::Committed { group, .. } if *group == self.name));
        let in_use = !self.is_empty() || !self.invited.is_empty() || !self.offsets.is_settled() || is_committing;
        if in_use || idle_ms < step.config().offsets_retention_ms {
            return self.await_expiry(step);
        }
        self.expires_ms = None;
        let offsets: Vec<Tp> = self.offsets.in_force().map(|(tp, _)| tp).collect();
        let timestamp_ms = step.timestamp_ms();
        let mut records: Vec<_> = offsets.iter().map(|&tp| record::offset_tombstone(timestamp_ms, &self.name, tp)).collect();
        records.push(record::group_tombstone(timestamp_ms, &self.name));
        if self.consumer.epoch > 0 {
            records.push(record::consumer_tombstone(timestamp_ms, &self.name));
        }
        step.append(records, Waiting::Expired { group: self.name.clone(), offsets });
    }

    /// The tombstones are durable: what nobody took up again meanwhile is gone.
    pub(super) fn expired(&mut self, step: &mut Step<'_>, offsets: Vec<Tp>, result: Result<i64, ErrorCode>) {
        let Ok(base_offset) = result else { return self.await_expiry(step) };
        for (record_offset, tp) in (base_offset..).zip(offsets) {
            self.offsets.remove(tp, record_offset);
        }
        if self.is_empty() && self.invited.is_empty() && self.offsets.is_empty() {
            self.state = State::Dead;
        } else {
            self.await_expiry(step);
        }
    }

    /// The coordinator ends: requests that wait in members.
    pub(super) fn resign(&mut self) -> Vec<ReplyTo> {
        self.state = State::Dead;
        self.members.values_mut().flat_map(|member| [member.joining.take(), member.syncing.take()]).flatten().collect()
    }
}
