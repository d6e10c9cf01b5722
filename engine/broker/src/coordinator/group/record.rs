//! What the group coordinators store in `__consumer_offsets`. Keys and values are postcard; the first byte of each says what follows. The topic is
//! compacted: the last value of a key is all that counts, a missing value says that there is none any more.
//!
//! | key | value |
//! |---|---|
//! | 0, group, topic id, partition | 0, offset, leader epoch or none, wall clock of the commit: a committed offset; in a transactional batch it takes force with the commit marker |
//! | 1, group | 1, generation, assignor, leader, members with their subscriptions and assignments: the generation this group was last Stable in, or empty |
//! | 2, group | 2, group epoch, members with epoch, subscription, target, and what they have and are to give up: a group that the coordinator divides |

use super::consumer::Consumer;
use super::offsets::Stored;
use super::state::{Group, Member, State};
use crate::batch::Record;
use crate::protocol::{CommittedOffset, ProducerId, Tp};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a record is about.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Key {
    Offset { group: String, tp: Tp },
    Group { group: String },
    Consumer { group: String },
}

/// What a record says.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Value {
    Offset { committed: CommittedOffset, committed_ms: u64 },
    Group { generation: i32, protocol: Option<String>, leader: Option<String>, since_ms: u64, members: Vec<StoredMember> },
    Consumer { consumer: Consumer },
}

/// A member as it is stored: only what the generation's assignor needs survives a failover.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StoredMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub session_timeout_ms: u32,
    pub rebalance_timeout_ms: u32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

fn encode(part: &impl Serialize) -> Bytes {
    Bytes::from(postcard::to_stdvec(part).expect("a record has no unserialisable part"))
}

fn decode<T: DeserializeOwned>(part: &Bytes) -> T {
    postcard::from_bytes(part).expect("the partition holds only what its coordinators wrote")
}

fn record(timestamp_ms: i64, key: &Key, value: Option<&Value>) -> Record {
    Record { offset: 0, timestamp_ms, key: Some(encode(key)), value: value.map(encode) }
}

/// A committed offset.
pub(super) fn offset(timestamp_ms: i64, group: &str, tp: Tp, committed: CommittedOffset) -> Record {
    let value = Value::Offset { committed, committed_ms: timestamp_ms.unsigned_abs() };
    record(timestamp_ms, &Key::Offset { group: group.to_owned(), tp }, Some(&value))
}

/// No committed offset any more.
pub(super) fn offset_tombstone(timestamp_ms: i64, group: &str, tp: Tp) -> Record {
    record(timestamp_ms, &Key::Offset { group: group.to_owned(), tp }, None)
}

/// No group any more.
pub(super) fn group_tombstone(timestamp_ms: i64, group: &str) -> Record {
    record(timestamp_ms, &Key::Group { group: group.to_owned() }, None)
}

/// A group that the coordinator divides, as it is now.
pub(super) fn consumer(timestamp_ms: i64, group: &str, consumer: &Consumer) -> Record {
    record(timestamp_ms, &Key::Consumer { group: group.to_owned() }, Some(&Value::Consumer { consumer: consumer.clone() }))
}

/// No such group any more.
pub(super) fn consumer_tombstone(timestamp_ms: i64, group: &str) -> Record {
    record(timestamp_ms, &Key::Consumer { group: group.to_owned() }, None)
}

/// A group in its generation, with `assignments` where given and each member's present one where not.
pub(super) fn group(timestamp_ms: i64, group: &Group, assignments: Option<&BTreeMap<String, Bytes>>) -> Record {
    let protocol = group.protocol.as_deref().unwrap_or_default();
    let store = |(id, member): (&String, &Member)| StoredMember {
        member_id: id.clone(),
        instance_id: member.instance_id.clone(),
        session_timeout_ms: member.session_timeout_ms,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        subscription: member.subscription(protocol),
        assignment: assignments.map_or_else(|| member.assignment.clone(), |assignments| assignments.get(id).cloned().unwrap_or_default()),
    };
    let members = group.members.iter().map(store).collect();
    let since_ms = timestamp_ms.unsigned_abs();
    let value = Value::Group { generation: group.generation, protocol: group.protocol.clone(), leader: group.leader.clone(), since_ms, members };
    record(timestamp_ms, &Key::Group { group: group.name.clone() }, Some(&value))
}

/// Replays one record; `producer_id`: of the transactional batch it stands in.
pub(super) fn apply(groups: &mut BTreeMap<String, Group>, record: Record, producer_id: Option<ProducerId>) {
    let key: Key = decode(record.key.as_ref().expect("every record of a coordinator has a key"));
    let value: Option<Value> = record.value.as_ref().map(decode);
    let name = match &key {
        Key::Offset { group, .. } | Key::Group { group } | Key::Consumer { group } => group,
    };
    let group = groups.entry(name.clone()).or_insert_with(|| Group::new(name.clone()));
    match (key, value) {
        (Key::Offset { tp, .. }, Some(Value::Offset { committed, committed_ms })) => {
            let stored = Stored { committed, record_offset: record.offset };
            group.idle_since_ms = group.idle_since_ms.max(committed_ms);
            match producer_id {
                Some(producer_id) => group.offsets.put_pending(producer_id, tp, stored),
                None => group.offsets.put(tp, stored),
            }
        }
        (Key::Offset { tp, .. }, None) => group.offsets.remove(tp, record.offset),
        (Key::Group { .. }, Some(Value::Group { generation, protocol, leader, since_ms, members })) => {
            group.state = if members.is_empty() { State::Empty } else { State::Stable };
            (group.generation, group.leader) = (generation, leader);
            group.idle_since_ms = group.idle_since_ms.max(since_ms);
            group.instances = members.iter().filter_map(|member| Some((member.instance_id.clone()?, member.member_id.clone()))).collect();
            let name = protocol.clone().unwrap_or_default();
            group.members = members.into_iter().map(|member| (member.member_id.clone(), restore(member, &name))).collect();
            group.protocol = protocol;
        }
        (Key::Group { .. }, None) => {
            let (offsets, consumer) = (std::mem::take(&mut group.offsets), std::mem::take(&mut group.consumer));
            *group = Group { offsets, consumer, ..Group::new(group.name.clone()) };
        }
        (Key::Consumer { .. }, Some(Value::Consumer { consumer })) => group.consumer = consumer,
        (Key::Consumer { .. }, None) => group.consumer = Consumer::default(),
        (key, value) => panic!("{key:?} with {value:?}: no coordinator writes that"),
    }
}

fn restore(member: StoredMember, protocol: &str) -> Member {
    Member {
        instance_id: member.instance_id,
        session_timeout_ms: member.session_timeout_ms,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        protocols: vec![(protocol.to_owned(), member.subscription)],
        assignment: member.assignment,
        joining: None,
        syncing: None,
        synced: true,
        session_ends_ms: 0,
    }
}
