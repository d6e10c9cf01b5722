//! `exchange groups`: what the groups' own topic says of each: its generation, its members, what it has committed and how far behind it is.

use super::{Asker, LogAt, read_through, shown, tps_of};
use crate::terminal::say;
use anyhow::{Context, Result};
use broker::coordinator::group::record::{Key, StoredMember, Value};
use broker::protocol::{CONSUMER_OFFSETS, OffsetSpec, TopicMetadata, Tp};
use log::{Delivered, Isolation};
use std::collections::BTreeMap;

/// A group, as its records say.
#[derive(Default)]
struct Group {
    generation: i32,
    members: Vec<StoredMember>,
    committed: BTreeMap<Tp, i64>,
}

/// Prints every group.
pub async fn run(at: &LogAt) -> Result<()> {
    let asker = Asker::new(at);
    let topics = asker.topics().await?;
    let mut groups = BTreeMap::new();
    for tp in topics.iter().filter(|topic| topic.name == CONSUMER_OFFSETS).flat_map(tps_of) {
        read_through(&at.log, tp, |record| take(&mut groups, record)).await.with_context(|| format!("{CONSUMER_OFFSETS}-{}", tp.partition))?;
    }
    let tps: Vec<Tp> = topics.iter().flat_map(tps_of).collect();
    let ends = asker.offsets(&tps, Isolation::ReadCommitted, OffsetSpec::Latest).await?;
    if groups.is_empty() {
        say!("no group has joined or committed anything yet")?;
    }
    for (name, group) in &groups {
        print_group(name, group, &topics, &ends)?;
    }
    Ok(())
}

fn take(groups: &mut BTreeMap<String, Group>, record: &Delivered) {
    let key: Option<Key> = record.key.as_ref().and_then(|key| postcard::from_bytes(key).ok());
    let value: Option<Value> = record.value.as_ref().and_then(|value| postcard::from_bytes(value).ok());
    match (key, value) {
        (Some(Key::Offset { group, tp }), Some(Value::Offset { committed, .. })) => {
            groups.entry(group).or_default().committed.insert(tp, committed.offset);
        }
        (Some(Key::Offset { group, tp }), None) => {
            groups.entry(group).or_default().committed.remove(&tp);
        }
        (Some(Key::Group { group }), Some(Value::Group { generation, members, .. })) => {
            let group = groups.entry(group).or_default();
            (group.generation, group.members) = (generation, members);
        }
        (Some(Key::Group { group }), None) => {
            groups.remove(&group);
        }
        _ => {}
    }
}

fn print_group(name: &str, group: &Group, topics: &[TopicMetadata], ends: &BTreeMap<Tp, Option<i64>>) -> Result<()> {
    say!("{name}  generation {}  members {}", group.generation, group.members.len())?;
    for member in &group.members {
        let instance = member.instance_id.as_deref().map_or_else(String::new, |instance| format!("  instance {instance}"));
        say!("  member {}{instance}", member.member_id)?;
    }
    for (tp, committed) in &group.committed {
        let topic = topics.iter().find(|topic| topic.id == tp.topic).map_or_else(|| format!("topic {}", tp.topic.0), |topic| topic.name.clone());
        let end = ends.get(tp).copied().flatten();
        say!("  {topic}-{}  committed {committed}  end {}  lag {}", tp.partition, shown(end), shown(end.map(|end| (end - committed).max(0))))?;
    }
    Ok(())
}
