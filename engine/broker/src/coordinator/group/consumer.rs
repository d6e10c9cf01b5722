//! Groups that the coordinator divides (KIP-848, A56). There is no barrier: each member comes to the group's division by itself, at its heartbeats.
//!
//! * The *group epoch* rises when members, subscriptions or topics change; then the division is made anew, sticky.
//! * The *member epoch* is that of the last division a member has come to. It stays behind while the member has something to give up.
//! * A partition is given to its heir only when nobody has it or is to give it up: the former owner has said that it did, or was put out because it did not
//!   within its rebalance timeout, or fell silent.
//!
//! What a member is told is in the log before: one record holds the whole group, so that a later one makes up for one that was refused.

use super::state::{Group, State};
use super::{Step, Waiting, record};
use crate::assignment::sticky;
use crate::coordinator::{ReplyTo, View};
use crate::note::Note;
use crate::protocol::{ErrorCode, Response, TopicId, Tp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The member leaves.
const LEAVES: i32 = -1;
/// A static member leaves and will be back: what it has is kept for it until its session ends.
const LEAVES_FOR_NOW: i32 = -2;

/// What a heartbeat says.
pub(super) struct Beat {
    pub(super) member_id: String,
    pub(super) member_epoch: i32,
    pub(super) instance_id: Option<String>,
    pub(super) rebalance_timeout_ms: u32,
    pub(super) topics: Option<Vec<String>>,
    pub(super) owned: Option<Vec<Tp>>,
}

/// Such a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Of the last change, and of the division it led to.
    pub epoch: i32,
    /// By id.
    pub members: BTreeMap<String, ConsumerMember>,
    /// What the topics were when they were divided.
    pub sizes: BTreeMap<String, (TopicId, u32)>,
    /// Records of it that are on their way to the log.
    #[serde(skip)]
    pub(super) in_flight: u32,
    /// What is here is newer than any record.
    #[serde(skip)]
    pub(super) is_ahead: bool,
    /// Of the last division that was stated.
    #[serde(skip)]
    stated_epoch: i32,
}

/// A member of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerMember {
    /// Set: a static member.
    pub instance_id: Option<String>,
    /// So long it may take to give up what it is asked to.
    pub rebalance_timeout_ms: u32,
    /// Names of its topics.
    pub topics: BTreeSet<String>,
    /// Of the division it has come to.
    pub epoch: i32,
    /// The one before: an answer may have been lost.
    pub previous_epoch: i32,
    /// Its part of the division.
    pub target: BTreeSet<Tp>,
    /// What it may have of that now.
    pub assigned: BTreeSet<Tp>,
    /// What it is to give up and has not said that it did.
    pub revoking: BTreeSet<Tp>,
    /// A static member that will be back.
    pub is_away: bool,
    #[serde(skip)]
    session_ends_ms: u64,
    /// Until when it must have given up.
    #[serde(skip)]
    revokes_by_ms: Option<u64>,
}

/// A ConsumerGroupHeartbeat. The first one of a name makes the group.
pub(super) fn heartbeat(groups: &mut BTreeMap<String, Group>, step: &mut Step<'_>, view: &dyn View, to: ReplyTo, name: String, beat: Beat) {
    if beat.member_epoch != 0 && !groups.contains_key(&name) {
        return step.refuse(to, ErrorCode::UnknownMemberId);
    }
    let group = groups.entry(name.clone()).or_insert_with(|| Group::new(name));
    if !matches!(group.state, State::Empty | State::Dead) {
        return step.refuse(to, ErrorCode::InconsistentGroupProtocol);
    }
    match beat.member_epoch {
        LEAVES | LEAVES_FOR_NOW => group.leave_consumer(step, view, to, beat),
        _ => group.beat_consumer(step, view, to, beat),
    }
}

impl Consumer {
    /// Whether the sender is the member it says it is, of the member epoch it says.
    fn validate(&self, beat: &Beat) -> Result<(), ErrorCode> {
        let member = self.members.get(&beat.member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if member.instance_id != beat.instance_id {
            return Err(ErrorCode::FencedInstanceId);
        }
        // The answer that told the present epoch may have been lost.
        let is_previous = || beat.member_epoch == member.previous_epoch && beat.owned.iter().flatten().all(|tp| member.assigned.contains(tp));
        let known = matches!(beat.member_epoch, LEAVES | LEAVES_FOR_NOW) || beat.member_epoch == member.epoch || is_previous();
        if known { Ok(()) } else { Err(ErrorCode::FencedMemberEpoch) }
    }

    /// A commit must be of the member's present epoch.
    pub(super) fn may_commit(&self, member_epoch: i32, member_id: &str, transactional: bool) -> Result<(), ErrorCode> {
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        match member_epoch == member.epoch {
            true => Ok(()),
            // TxnOffsetCommit does not know the newer word.
            false if transactional => Err(ErrorCode::IllegalGeneration),
            false => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    /// Takes a member in, or what is new about it; whether that changes the division.
    fn update(&mut self, beat: &Beat) -> bool {
        let topics = beat.topics.as_ref().map(|topics| topics.iter().cloned().collect::<BTreeSet<String>>());
        let is_new = !self.members.contains_key(&beat.member_id);
        let member = self.members.entry(beat.member_id.clone()).or_default();
        (member.instance_id, member.rebalance_timeout_ms, member.is_away) = (beat.instance_id.clone(), beat.rebalance_timeout_ms, false);
        match topics {
            Some(topics) if topics != member.topics => {
                member.topics = topics;
                true
            }
            _ => is_new,
        }
    }

    /// A static member is back under another id: it has what it had.
    fn replace(&mut self, instance_id: &str, member_id: &str) {
        let old = self.members.iter().find(|(_, member)| member.instance_id.as_deref() == Some(instance_id)).map(|(id, _)| id.clone());
        if let Some(member) = old.and_then(|old| self.members.remove(&old)) {
            self.members.insert(member_id.to_owned(), ConsumerMember { epoch: 0, previous_epoch: 0, ..member });
        }
    }

    /// States a division that is durable, once.
    fn state_division(&mut self, step: &mut Step<'_>, group: &str) {
        if self.epoch > self.stated_epoch {
            self.stated_epoch = self.epoch;
            let owner = |(id, member): (&String, &ConsumerMember)| member.instance_id.clone().unwrap_or_else(|| id.clone());
            step.note(Note::GroupDivided { group: group.to_owned(), epoch: self.epoch, members: self.members.iter().map(owner).collect() });
        }
    }

    fn sizes_now(&self, view: &dyn View) -> BTreeMap<String, (TopicId, u32)> {
        let names: BTreeSet<&String> = self.members.values().flat_map(|member| &member.topics).collect();
        names.into_iter().filter_map(|name| Some((name.clone(), view.topic(name)?))).collect()
    }

    /// The group changed: another epoch, another division.
    fn divide(&mut self, view: &dyn View) {
        self.epoch += 1;
        self.sizes = self.sizes_now(view);
        let mut wanting: BTreeMap<Tp, BTreeSet<&str>> = BTreeMap::new();
        let mut held: BTreeMap<Tp, &str> = BTreeMap::new();
        for (id, member) in &self.members {
            for (topic, partitions) in member.topics.iter().filter_map(|name| self.sizes.get(name)) {
                for partition in 0..*partitions {
                    wanting.entry(Tp { topic: *topic, partition }).or_default().insert(id);
                }
            }
            held.extend(member.target.iter().map(|tp| (*tp, id.as_str())));
        }
        let given = sticky(self.members.keys().map(String::as_str), &wanting, &held);
        let given: Vec<(String, BTreeSet<Tp>)> = given.into_iter().map(|(id, tps)| (id.to_owned(), tps)).collect();
        for (id, tps) in given {
            self.members.get_mut(&id).expect("it was given something").target = tps;
        }
    }

    /// Takes a member as far towards the division as may be now.
    fn reconcile(&mut self, id: &str, owned: Option<&[Tp]>, now_ms: u64) {
        let taken: BTreeSet<Tp> =
            self.members.iter().filter(|(other, _)| *other != id).flat_map(|(_, member)| member.assigned.iter().chain(&member.revoking)).copied().collect();
        let epoch = self.epoch;
        let member = self.members.get_mut(id).expect("a member that was heard");
        if let Some(owned) = owned {
            member.revoking.retain(|tp| owned.contains(tp));
        }
        let to_revoke: BTreeSet<Tp> = member.assigned.difference(&member.target).copied().collect();
        if !to_revoke.is_empty() {
            member.assigned.retain(|tp| !to_revoke.contains(tp));
            member.revoking.extend(to_revoke);
            member.revokes_by_ms = Some(now_ms + u64::from(member.rebalance_timeout_ms));
        }
        if !member.revoking.is_empty() {
            return;
        }
        member.revokes_by_ms = None;
        let free = member.target.difference(&taken).copied().collect::<Vec<_>>();
        member.assigned.extend(free);
        if member.epoch != epoch {
            (member.previous_epoch, member.epoch) = (member.epoch, epoch);
        }
    }

    /// When time alone changes it.
    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        self.members.values().flat_map(|member| [Some(member.session_ends_ms), member.revokes_by_ms]).flatten().min()
    }

    /// After a failover sessions, and times to give up, begin in full.
    pub(super) fn resume(&mut self, step: &mut Step<'_>, group: &str) {
        self.state_division(step, group);
        for member in self.members.values_mut() {
            member.session_ends_ms = step.after(u64::from(step.config().consumer_session_ms));
            member.revokes_by_ms = (!member.revoking.is_empty()).then(|| step.after(u64::from(member.rebalance_timeout_ms)));
        }
        if let Some(at_ms) = self.next_deadline_ms() {
            step.wake_by(at_ms);
        }
    }
}

impl Group {
    fn beat_consumer(&mut self, step: &mut Step<'_>, view: &dyn View, to: ReplyTo, mut beat: Beat) {
        if beat.member_epoch == 0 {
            if let Err(error) = self.admit_consumer(step, &mut beat) {
                return step.refuse(to, error);
            }
        } else if let Err(error) = self.consumer.validate(&beat) {
            return step.refuse(to, error);
        }
        let before = self.consumer.clone();
        let changed = self.consumer.update(&beat);
        if changed || self.consumer.sizes_now(view) != self.consumer.sizes {
            self.consumer.divide(view);
        }
        self.consumer.reconcile(&beat.member_id, beat.owned.as_deref(), step.now.monotonic_ms);
        let member = self.consumer.members.get_mut(&beat.member_id).expect("it was heard");
        member.session_ends_ms = step.after(u64::from(step.config().consumer_session_ms));
        let had = before.members.get(&beat.member_id).map(|member| &member.assigned);
        let is_news = beat.member_epoch == 0 || beat.owned.is_some() || had != Some(&member.assigned);
        let told = Response::ConsumerGroupHeartbeat {
            member_id: beat.member_id.clone(),
            member_epoch: member.epoch,
            heartbeat_ms: step.config().consumer_heartbeat_ms,
            assignment: is_news.then(|| member.assigned.iter().copied().collect()),
        };
        if let Some(at_ms) = self.consumer.next_deadline_ms() {
            step.wake_by(at_ms);
        }
        self.tell_divided(step, to, told, &before);
    }

    /// A member joins: under its own id or a new one; a static one takes the place of its former life, if that has left.
    fn admit_consumer(&mut self, step: &mut Step<'_>, beat: &mut Beat) -> Result<(), ErrorCode> {
        if beat.member_id.is_empty() {
            beat.member_id = step.fresh_member_id(&self.name);
        }
        beat.owned.get_or_insert_default();
        let holder = self.consumer.members.iter().find(|(_, member)| beat.instance_id.is_some() && member.instance_id == beat.instance_id);
        match holder.map(|(id, member)| (*id == beat.member_id, member.is_away)) {
            None | Some((true, _)) => {}
            // The elder goes on; whoever comes second is refused (KIP-848; a classic group fences the elder, A55).
            Some((false, false)) => return Err(ErrorCode::UnreleasedInstanceId),
            Some((false, true)) => self.consumer.replace(beat.instance_id.as_deref().expect("just matched"), &beat.member_id),
        }
        Ok(())
    }

    fn leave_consumer(&mut self, step: &mut Step<'_>, view: &dyn View, to: ReplyTo, beat: Beat) {
        if let Err(error) = self.consumer.validate(&beat) {
            return step.refuse(to, error);
        }
        let before = self.consumer.clone();
        if beat.member_epoch == LEAVES_FOR_NOW && beat.instance_id.is_some() {
            self.consumer.members.get_mut(&beat.member_id).expect("validated").is_away = true;
        } else {
            self.consumer.members.remove(&beat.member_id);
            self.consumer.divide(view);
        }
        let told = Response::ConsumerGroupHeartbeat { member_id: beat.member_id, member_epoch: beat.member_epoch, heartbeat_ms: 0, assignment: None };
        self.tell_divided(step, to, told, &before);
        self.note_emptied(step);
    }

    /// Who fell silent, or did not give up in time, is put out. The division waits for the next heartbeat: only then are the topics known.
    pub(super) fn expire_consumers(&mut self, step: &mut Step<'_>) {
        let now_ms = step.now.monotonic_ms;
        let is_late = |member: &ConsumerMember| member.session_ends_ms <= now_ms || member.revokes_by_ms.is_some_and(|by_ms| by_ms <= now_ms);
        let late: Vec<String> = self.consumer.members.iter().filter(|(_, member)| is_late(member)).map(|(id, _)| id.clone()).collect();
        if late.is_empty() {
            return;
        }
        for member_id in late {
            self.consumer.members.remove(&member_id);
            step.note(Note::MemberExpired { group: self.name.clone(), member_id });
        }
        // No topic has these sizes: the next heartbeat divides anew.
        self.consumer.sizes.clear();
        self.store_divided(step, None);
        self.note_emptied(step);
    }

    fn note_emptied(&mut self, step: &mut Step<'_>) {
        if self.is_empty() {
            self.idle_since_ms = step.now.wall_ms;
            self.await_expiry(step);
        }
    }

    /// What changed is in the log before anybody hears of it; what did not, but may not be there yet, too.
    fn tell_divided(&mut self, step: &mut Step<'_>, to: ReplyTo, told: Response, before: &Consumer) {
        let stored = |consumer: &Consumer| record::consumer(0, "", consumer).value;
        if stored(before) != stored(&self.consumer) || self.consumer.in_flight > 0 || self.consumer.is_ahead {
            self.store_divided(step, Some((to, told)));
        } else {
            step.reply(to, told);
        }
    }

    fn store_divided(&mut self, step: &mut Step<'_>, told: Option<(ReplyTo, Response)>) {
        self.consumer.in_flight += 1;
        let record = record::consumer(step.timestamp_ms(), &self.name, &self.consumer);
        step.append(vec![record], Waiting::Divided { group: self.name.clone(), told });
    }

    /// The group is durable as it was, or was refused.
    pub(super) fn divided(&mut self, step: &mut Step<'_>, told: Option<(ReplyTo, Response)>, result: Result<(), ErrorCode>) {
        self.consumer.in_flight = self.consumer.in_flight.saturating_sub(1);
        self.consumer.is_ahead = result.is_err();
        if result.is_ok() {
            self.consumer.state_division(step, &self.name);
        }
        if let Some((to, told)) = told {
            match result {
                Ok(()) => step.reply(to, told),
                Err(error) => step.refuse(to, error),
            }
        }
    }
}
