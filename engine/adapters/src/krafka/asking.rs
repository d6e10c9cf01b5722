//! Questions and orders that go to the cluster as a whole: topics, offsets, committed positions.

use super::Kafka;
use super::connect::connect;
use super::errors::reason;
use crate::kafka::config::{IN_SYNC_REPLICAS, settings};
use crate::kafka::patience::{TRY_MS, persist};
use crate::kafka::topics::{id, made, make};
use ::krafka::KrafkaError;
use ::krafka::admin::{
    AdminClient, ConfigResource, CreateTopicsOptions, DescribeConfigsOptions, DescribeTopicsOptions, GroupOffset, ListConsumerGroupOffsetsOptions,
    ListOffsetsOptions, NewTopic, OffsetSpec, TopicDescription, TopicPartition,
};
use log::{Anchor, ErrorCode, Isolation, Next, Outcome, Position, Reason, TopicInfo, TopicSpec, Tp};
use runtime::time;
use std::time::Duration;

/// The answer to a question that has so long, which krafka is told as well.
async fn within<T>(until_ms: u64, ask: impl AsyncFnOnce(Duration) -> Result<T, KrafkaError>) -> Result<T, Reason> {
    let wait_ms = until_ms.saturating_sub(time::monotonic_ms()).clamp(1, TRY_MS);
    // A little more for the way.
    match time::timeout(Duration::from_millis(wait_ms + 500), ask(Duration::from_millis(wait_ms))).await {
        Ok(answer) => answer.map_err(|error| reason(&error)),
        Err(_) => Err(Reason::Deadline),
    }
}

impl Kafka {
    async fn asking(&self) -> Result<&AdminClient, Reason> {
        let config = &self.shared.config;
        self.shared
            .asking
            .get_or_try_init(|| async { connect(config, config.request_timeout_ms).await.map(|kafka| kafka.admin()).map_err(|error| reason(&error)) })
            .await
    }

    pub(super) async fn look_up(&self, names: &[&str], deadline_ms: u64) -> Outcome<Vec<TopicInfo>> {
        match persist(deadline_ms, || self.describe(names, deadline_ms)).await {
            Ok(found) => {
                found.iter().for_each(|info| self.shared.topics.learn(info.clone()));
                Outcome::Done(found)
            }
            Err(why) => Outcome::NotDone(why),
        }
    }

    async fn describe(&self, names: &[&str], until_ms: u64) -> Result<Vec<TopicInfo>, Reason> {
        let admin = self.asking().await?;
        let options = |wait| DescribeTopicsOptions::default().timeout(wait);
        let mut found = within(until_ms, async |wait| admin.describe_topics(names, options(wait)).await).await?;
        let mut all = Vec::new();
        for name in names {
            let described = found.remove(*name).ok_or(Reason::Answered(ErrorCode::UnknownTopicOrPartition))?.map_err(|error| reason(&error))?;
            let fewest = described.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0);
            self.shared.config.check_replicas(name, fewest)?;
            all.push(info(&described));
        }
        self.check_in_sync(names, until_ms).await?;
        Ok(all)
    }

    /// Reads `min.insync.replicas` back. A topic that was seen good is not asked again.
    async fn check_in_sync(&self, names: &[&str], until_ms: u64) -> Result<(), Reason> {
        let left: Vec<&str> = {
            let checked = self.shared.checked.lock().expect("no panic under the lock");
            names.iter().copied().filter(|name| !checked.contains(*name)).collect()
        };
        if left.is_empty() {
            return Ok(());
        }
        let admin = self.asking().await?;
        let resources = left.iter().map(|name| ConfigResource::topic(*name));
        let options = |wait| DescribeConfigsOptions::default().config_names(vec![IN_SYNC_REPLICAS.to_owned()]).timeout(wait);
        let mut found = within(until_ms, async |wait| admin.describe_configs(resources, options(wait)).await).await?;
        for name in left {
            let entries = found.remove(&ConfigResource::topic(name)).ok_or(Reason::Answered(ErrorCode::UnknownTopicOrPartition))?;
            let entries = entries.map_err(|error| reason(&error))?;
            let value = entries.iter().find(|entry| entry.name == IN_SYNC_REPLICAS).and_then(|entry| entry.value.as_ref()?.parse().ok());
            self.shared.config.check_in_sync(name, value.unwrap_or(0))?;
            self.shared.checked.lock().expect("no panic under the lock").insert(name.to_owned());
        }
        Ok(())
    }

    pub(super) async fn create(&self, specs: Vec<TopicSpec>, deadline_ms: u64) -> Outcome<()> {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        make(deadline_ms, || self.try_create(&specs, deadline_ms), || self.look_up(&names, deadline_ms)).await
    }

    async fn try_create(&self, specs: &[TopicSpec], deadline_ms: u64) -> Outcome<()> {
        let admin = match self.asking().await {
            Ok(admin) => admin,
            // Nothing was said; the next try may do it.
            Err(why) => return Outcome::Unknown(why),
        };
        let topics: Vec<NewTopic> = specs.iter().map(new_topic).collect();
        let created = within(deadline_ms, async |wait| admin.create_topics(topics, CreateTopicsOptions::default().timeout(wait)).await).await;
        let mut created = match created {
            Ok(created) => created,
            // It may have been heard.
            Err(why) => return Outcome::Unknown(why),
        };
        made(specs.iter().map(|spec| created.remove(&spec.name).map_or(Ok(()), |result| result.map_err(|error| reason(&error)))))
    }

    pub(super) async fn position(&self, tp: Tp, anchor: Anchor, deadline_ms: u64) -> Outcome<Option<Position>> {
        let found = match &anchor {
            Anchor::Start => persist(deadline_ms, || self.edge(tp, OffsetSpec::Earliest, Isolation::ReadUncommitted, deadline_ms)).await.map(Some),
            Anchor::End(isolation) => persist(deadline_ms, || self.edge(tp, OffsetSpec::Latest, *isolation, deadline_ms)).await.map(Some),
            Anchor::Committed(group) => {
                persist(deadline_ms, || async {
                    let found = self.committed(group, &[tp], deadline_ms).await?;
                    found.into_iter().next().map_or(Ok(None), |(_, position)| position)
                })
                .await
            }
        };
        found.map_or_else(Outcome::NotDone, Outcome::Done)
    }

    async fn edge(&self, tp: Tp, spec: OffsetSpec, isolation: Isolation, until_ms: u64) -> Result<Position, Reason> {
        let admin = self.asking().await?;
        let (topic, partition) = self.shared.named(tp);
        let partition = TopicPartition::new(topic, partition);
        let options = |wait| ListOffsetsOptions::default().read_committed(isolation == Isolation::ReadCommitted).timeout(wait);
        let mut found = within(until_ms, async |wait| admin.list_offsets([(partition.clone(), spec)], options(wait)).await).await?;
        let edge = found.remove(&partition).ok_or(Reason::Answered(ErrorCode::UnknownTopicOrPartition))?.map_err(|error| reason(&error))?;
        Ok(Position { next: Next(edge.offset), epoch: edge.leader_epoch.and_then(|epoch| u32::try_from(epoch).ok()) })
    }

    /// Committed positions of a group (require stable), in the order asked for. While a transaction's commit is pending in one of them the answer is an
    /// error for all. Not by way of the consumer, whose `committed` leaves out what has an error: as if nothing had been committed.
    pub(super) async fn committed(&self, group: &str, tps: &[Tp], until_ms: u64) -> Result<Vec<(Tp, Result<Option<Position>, Reason>)>, Reason> {
        let admin = self.asking().await?;
        let named = |tp: Tp| {
            let (topic, partition) = self.shared.named(tp);
            TopicPartition::new(topic, partition)
        };
        let partitions: Vec<TopicPartition> = tps.iter().map(|tp| named(*tp)).collect();
        let options = |wait| ListConsumerGroupOffsetsOptions::default().require_stable(true).partitions(partitions).timeout(wait);
        let mut found = within(until_ms, async |wait| admin.list_consumer_group_offsets(group, options(wait)).await).await?;
        let one = |tp: Tp| {
            let answer = found.remove(&named(tp)).ok_or(Reason::Answered(ErrorCode::UnknownTopicOrPartition));
            (tp, answer.and_then(|answer| answer.map(|offset| position_of(&offset)).map_err(|error| reason(&error))))
        };
        Ok(tps.iter().copied().map(one).collect())
    }
}

/// A committed position; `None`: nothing was committed.
fn position_of(committed: &GroupOffset) -> Option<Position> {
    let epoch = committed.leader_epoch.and_then(|epoch| u32::try_from(epoch).ok());
    committed.offset.map(|offset| Position { next: Next(offset), epoch })
}

fn info(described: &TopicDescription) -> TopicInfo {
    let half = |at: usize| i64::from_be_bytes(described.topic_id[at..at + 8].try_into().expect("eight of sixteen"));
    TopicInfo { id: id(half(0), half(8)), name: described.name.clone(), partitions: u32::try_from(described.partitions.len()).expect("partitions are few") }
}

fn new_topic(spec: &TopicSpec) -> NewTopic {
    let (partitions, replicas) = (i32::try_from(spec.partitions).expect("counts are small"), i16::try_from(spec.replication).expect("counts are small"));
    let topic = NewTopic::new(spec.name.clone(), partitions, replicas);
    let topic = topic.unwrap_or_else(|why| panic!("topic {} cannot be created: {why}", spec.name));
    settings(spec).into_iter().fold(topic, |topic, (name, value)| topic.with_config(name, value))
}
