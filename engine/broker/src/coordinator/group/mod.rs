//! The group coordinator: consumer groups, classic ones and those that it divides itself, and committed offsets (A46, A47, A51–A60).
//!
//! Membership and rebalances live in memory: a failover loses the one in flight, and sessions restart in full (A59). Assignments and offsets are records
//! of the coordinator's partition ([`record`]); nobody is told of one before it is below the high watermark.
//!
//! | file | concern |
//! |---|---|
//! | `state` | a group and its members; what can be asked of them without changing anything |
//! | `join` | JoinGroup: member ids, static members, who waits at the barrier |
//! | `rebalance` | the barrier: when it is raised, when it falls, who is put out |
//! | `sync` | SyncGroup: the leader's assignment becomes durable, the group Stable |
//! | `heartbeat` | Heartbeat and LeaveGroup |
//! | `consumer` | groups that the coordinator divides (KIP-848) |
//! | `commit` | OffsetCommit, TxnOffsetCommit, OffsetFetch |
//! | `offsets` | committed offsets and those that wait for a marker |
//! | `expire` | sessions, barriers and offsets that ended with time |
//! | `record` | what is stored, and how |

mod commit;
mod consumer;
mod expire;
mod heartbeat;
mod join;
mod offsets;
mod rebalance;
pub mod record;
mod state;
mod sync;

use super::alarm::Alarm;
use super::{Coordinator, CoordinatorConfig, Effect, ReplyTo, View};
use crate::batch::{Batch, Producer, Record};
use crate::io::Now;
use crate::note::Note;
use crate::protocol::{CommittedOffset, ErrorCode, ProducerId, Request, Response, Tp};
use bytes::Bytes;
use consumer::Beat;
use state::{Group, Joiner, State};
use std::collections::BTreeMap;

/// Coordinates the groups of one partition of `__consumer_offsets`.
pub struct GroupCoordinator {
    groups: BTreeMap<String, Group>,
    desk: Desk,
}

/// What all groups of a coordinator share.
struct Desk {
    tp: Tp,
    leader_epoch: u32,
    config: CoordinatorConfig,
    alarm: Alarm,
    /// Appends under way.
    waiting: BTreeMap<u64, Waiting>,
    tokens: u64,
    members: u64,
}

/// What happens when an append is below the high watermark, or was refused.
enum Waiting {
    /// The assignment of a generation.
    Assigned { group: String, generation: i32, assignments: BTreeMap<String, Bytes> },
    /// A static member came back under a new id.
    Replaced { group: String, to: ReplyTo, instance_id: String, old: String, new: String },
    /// Offsets of a plain commit.
    Committed { group: String, to: ReplyTo, offsets: Vec<(Tp, CommittedOffset)> },
    /// Offsets of a transaction, in force with its marker.
    Pending { group: String, to: ReplyTo, producer_id: ProducerId, offsets: Vec<(Tp, CommittedOffset)> },
    /// Tombstones of offsets that ended with time, and of the group if none is left.
    Expired { group: String, offsets: Vec<Tp> },
    /// A group that the coordinator divides, as a member is told of it; or as time left it.
    Divided { group: String, told: Option<(ReplyTo, Response)> },
    /// The group is empty; nobody waits.
    Emptied { group: String },
}

impl Waiting {
    fn group(&self) -> &str {
        match self {
            Waiting::Assigned { group, .. }
            | Waiting::Replaced { group, .. }
            | Waiting::Committed { group, .. }
            | Waiting::Pending { group, .. }
            | Waiting::Expired { group, .. }
            | Waiting::Divided { group, .. }
            | Waiting::Emptied { group } => group,
        }
    }

    /// Who gets the answer, where the request does not wait in a member.
    fn to(&self) -> Option<ReplyTo> {
        match self {
            Waiting::Replaced { to, .. } | Waiting::Committed { to, .. } | Waiting::Pending { to, .. } => Some(*to),
            Waiting::Divided { told, .. } => told.as_ref().map(|(to, _)| *to),
            Waiting::Assigned { .. } | Waiting::Expired { .. } | Waiting::Emptied { .. } => None,
        }
    }
}

/// One call into the coordinator.
struct Step<'a> {
    now: Now,
    desk: &'a mut Desk,
    out: &'a mut Vec<Effect>,
}

impl Step<'_> {
    fn config(&self) -> &CoordinatorConfig {
        &self.desk.config
    }

    fn reply(&mut self, to: ReplyTo, response: Response) {
        self.out.push(Effect::Reply { to, response });
    }

    fn refuse(&mut self, to: ReplyTo, error: ErrorCode) {
        self.reply(to, Response::Error(error));
    }

    fn note(&mut self, note: Note) {
        self.out.push(Effect::Note(note));
    }

    /// A deadline: the coordinator looks at all of them at `at_ms` or before.
    fn wake_by(&mut self, at_ms: u64) {
        self.desk.alarm.set_by(at_ms, self.out);
    }

    fn after(&self, pause_ms: u64) -> u64 {
        self.now.monotonic_ms + pause_ms
    }

    fn timestamp_ms(&self) -> i64 {
        i64::try_from(self.now.wall_ms).expect("the year is below 292 million")
    }

    fn append(&mut self, records: Vec<Record>, waiting: Waiting) {
        self.append_as(records, Producer::NONE, None, waiting);
    }

    fn append_as(&mut self, records: Vec<Record>, producer: Producer, transactional_id: Option<String>, waiting: Waiting) {
        let token = self.desk.tokens;
        self.desk.tokens += 1;
        self.desk.waiting.insert(token, waiting);
        self.out.push(Effect::Append { token, records, producer, transactional_id });
    }

    /// Never given before, by no coordinator of this partition: a leader epoch has one.
    fn fresh_member_id(&mut self, stem: &str) -> String {
        self.desk.members += 1;
        format!("{stem}-{}-{}", self.desk.leader_epoch, self.desk.members)
    }
}

impl GroupCoordinator {
    /// The coordinator that the leader of `tp` runs in `leader_epoch`.
    pub fn new(tp: Tp, leader_epoch: u32, config: CoordinatorConfig) -> Self {
        let desk = Desk { tp, leader_epoch, config, alarm: Alarm::default(), waiting: BTreeMap::new(), tokens: 0, members: 0 };
        GroupCoordinator { groups: BTreeMap::new(), desk }
    }
}

impl Coordinator for GroupCoordinator {
    fn load(&mut self, batch: &Batch) {
        let header = batch.header();
        if let Some(kind) = header.control {
            for group in self.groups.values_mut() {
                group.offsets.end(header.producer_id, kind);
            }
            return;
        }
        let producer_id = header.transactional.then_some(header.producer_id);
        for record in batch.records().expect("a batch below the high watermark is whole") {
            record::apply(&mut self.groups, record, producer_id);
        }
    }

    fn start(&mut self, now: Now, _view: &mut dyn View, out: &mut Vec<Effect>) {
        let Desk { tp, leader_epoch, .. } = self.desk;
        out.push(Effect::Note(Note::CoordinatorLoaded { tp, leader_epoch }));
        let mut step = Step { now, desk: &mut self.desk, out };
        for group in self.groups.values_mut() {
            group.resume(&mut step);
        }
    }

    fn handle(&mut self, now: Now, to: ReplyTo, request: Request, view: &mut dyn View, out: &mut Vec<Effect>) {
        let mut step = Step { now, desk: &mut self.desk, out };
        // The broker sees to what is different: who adds this partition to the transaction.
        let request = if let Request::Tv2(request) = request { *request } else { request };
        match request {
            Request::JoinGroup { group, member_id, instance_id, session_timeout_ms, rebalance_timeout_ms, protocols } => {
                let joiner = Joiner { member_id, instance_id, session_timeout_ms, rebalance_timeout_ms, protocols };
                join::join(&mut self.groups, &mut step, to, group, joiner);
            }
            Request::SyncGroup { group, generation, member_id, instance_id, assignments } => match self.groups.get_mut(&group) {
                Some(group) => group.sync(&mut step, to, generation, &member_id, instance_id.as_deref(), assignments),
                None => step.refuse(to, ErrorCode::UnknownMemberId),
            },
            Request::Heartbeat { group, generation, member_id, instance_id } => match self.groups.get_mut(&group) {
                Some(group) => group.heartbeat(&mut step, to, generation, &member_id, instance_id.as_deref()),
                None => step.refuse(to, ErrorCode::UnknownMemberId),
            },
            Request::LeaveGroup { group, member_id, instance_id } => match self.groups.get_mut(&group) {
                Some(group) => group.leave(&mut step, to, member_id, instance_id.as_deref()),
                None => step.refuse(to, ErrorCode::UnknownMemberId),
            },
            Request::ConsumerGroupHeartbeat { group, member_id, member_epoch, instance_id, rebalance_timeout_ms, topics, owned } => {
                let beat = Beat { member_id, member_epoch, instance_id, rebalance_timeout_ms, topics, owned };
                consumer::heartbeat(&mut self.groups, &mut step, &*view, to, group, beat);
            }
            commit @ (Request::OffsetCommit { .. } | Request::TxnOffsetCommit { .. }) => commit::commit(&mut self.groups, &mut step, to, commit),
            Request::OffsetFetch { group, partitions, require_stable } => {
                let response = commit::fetch(self.groups.get(&group), partitions, require_stable);
                step.reply(to, response);
            }
            _ => step.refuse(to, ErrorCode::UnsupportedVersion),
        }
    }

    fn appended(&mut self, now: Now, token: u64, result: Result<i64, ErrorCode>, _view: &mut dyn View, out: &mut Vec<Effect>) {
        let waiting = self.desk.waiting.remove(&token).expect("an append is answered once");
        let mut step = Step { now, desk: &mut self.desk, out };
        let result = result.map_err(super::refusal);
        // A group may have ended with its offsets while another commit was on its way.
        let group = self.groups.entry(waiting.group().to_owned()).or_insert_with_key(|name| Group::new(name.clone()));
        match waiting {
            Waiting::Assigned { generation, assignments, .. } => group.assigned(&mut step, generation, assignments, result),
            Waiting::Replaced { to, instance_id, old, new, .. } => group.replaced(&mut step, to, instance_id, old, new, result),
            Waiting::Committed { to, offsets, .. } => group.committed(&mut step, to, offsets, result),
            Waiting::Pending { to, producer_id, offsets, .. } => group.pending(&mut step, to, producer_id, offsets, result),
            Waiting::Expired { offsets, .. } => group.expired(&mut step, offsets, result),
            Waiting::Divided { told, .. } => group.divided(&mut step, told, result.map(drop)),
            Waiting::Emptied { .. } => {}
        }
        if group.state == State::Dead {
            let name = group.name.clone();
            self.groups.remove(&name);
        }
    }

    fn marker(&mut self, _now: Now, batch: &Batch, out: &mut Vec<Effect>) {
        let header = batch.header();
        let Some(kind) = header.control else { return };
        for group in self.groups.values_mut() {
            for (tp, offset) in group.offsets.end(header.producer_id, kind) {
                out.push(Effect::Note(Note::Committed { group: group.name.clone(), tp, offset, transactional: true }));
            }
        }
    }

    fn answered(&mut self, _now: Now, _token: u64, _response: Option<Response>, _view: &mut dyn View, _out: &mut Vec<Effect>) {
        unreachable!("a group coordinator asks nobody");
    }

    fn tick(&mut self, now: Now, _view: &mut dyn View, out: &mut Vec<Effect>) {
        if !self.desk.alarm.rings(now.monotonic_ms) {
            return;
        }
        let mut step = Step { now, desk: &mut self.desk, out };
        for group in self.groups.values_mut() {
            group.expire(&mut step);
            if let Some(at_ms) = group.next_deadline_ms() {
                step.wake_by(at_ms);
            }
        }
        self.groups.retain(|_, group| group.state != State::Dead);
    }

    fn resign(&mut self, out: &mut Vec<Effect>) {
        let waiting = std::mem::take(&mut self.desk.waiting);
        let mut unanswered: Vec<ReplyTo> = waiting.values().filter_map(Waiting::to).collect();
        for group in self.groups.values_mut() {
            unanswered.extend(group.resign());
        }
        self.groups.clear();
        out.extend(unanswered.into_iter().map(|to| Effect::Reply { to, response: Response::Error(ErrorCode::NotCoordinator) }));
    }
}
