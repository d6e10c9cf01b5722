//! Topics. The internal ones come into being with the first `CreateTopics`, which may ask for nothing else.

use super::Controller;
use crate::coordinator::ReplyTo;
use crate::metadata::{MetadataRecord, PartitionState};
use crate::note::Note;
use crate::protocol::{ErrorCode, INTERNAL_TOPICS, NodeId, Response, TopicConfig, TopicId, TopicSpec, Tp};
use std::ops::Range;

impl Controller {
    /// Topics that exist already are told with `TopicAlreadyExists`. `NotEnoughReplicas`: fewer brokers are registered than replicas were asked for, or
    /// none of them is alive; nothing was made, ask again.
    pub(super) fn create_topics(&mut self, to: ReplyTo, topics: Vec<TopicSpec>) {
        for internal in self.missing_internal_topics(&topics) {
            if let Err(error) = self.create_topic(&internal) {
                let results = topics.into_iter().map(|spec| (spec.name, Err(error))).collect();
                return self.reply(to, Response::CreateTopics { results });
            }
        }
        let mut results = Vec::with_capacity(topics.len());
        for spec in topics {
            let result = self.create_topic(&spec);
            results.push((spec.name, result));
        }
        self.reply_committed(to, Response::CreateTopics { results });
    }

    /// Sets topics to something else, each by itself.
    pub(super) fn alter_configs(&mut self, to: ReplyTo, topics: Vec<(String, TopicConfig)>) {
        let mut results = Vec::with_capacity(topics.len());
        for (name, config) in topics {
            let topic = self.image.names.get(&name).copied().ok_or(ErrorCode::UnknownTopicOrPartition);
            let set = topic.map(|topic| self.decide(vec![MetadataRecord::TopicConfigured { topic, config }], Vec::new()));
            results.push((name, set));
        }
        self.reply_committed(to, Response::AlterConfigs { results });
    }

    fn missing_internal_topics(&self, asked: &[TopicSpec]) -> Vec<TopicSpec> {
        let missing = |name: &&str| !self.image.names.contains_key(*name) && !asked.iter().any(|spec| spec.name == **name);
        let shape = self.config.internal_topics;
        let spec = |name: &str| TopicSpec {
            name: name.to_owned(),
            partitions: shape.partitions,
            replication: shape.replication,
            min_isr: shape.min_isr,
            compacted: true,
        };
        INTERNAL_TOPICS.into_iter().filter(missing).map(spec).collect()
    }

    fn create_topic(&mut self, spec: &TopicSpec) -> Result<TopicId, ErrorCode> {
        if self.image.names.contains_key(&spec.name) {
            return Err(ErrorCode::TopicAlreadyExists);
        }
        if spec.name.is_empty() || spec.partitions == 0 || spec.replication == 0 || spec.min_isr == 0 || spec.min_isr > spec.replication {
            return Err(ErrorCode::InvalidTopic);
        }
        let topic = TopicId(self.image.last_topic + 1);
        let mut entry = vec![MetadataRecord::TopicCreated { topic, spec: spec.clone() }];
        let mut notes =
            vec![Note::TopicCreated { topic, name: spec.name.clone(), partitions: spec.partitions, replication: spec.replication, min_isr: spec.min_isr }];
        self.place_all(topic, 0..spec.partitions, spec.replication as usize, &mut entry, &mut notes)?;
        self.decide(entry, notes);
        Ok(topic)
    }

    fn place_all(
        &self,
        topic: TopicId,
        partitions: Range<u32>,
        replication: usize,
        entry: &mut Vec<MetadataRecord>,
        notes: &mut Vec<Note>,
    ) -> Result<(), ErrorCode> {
        for partition in partitions {
            let tp = Tp { topic, partition };
            let state = self.place(tp, replication)?;
            let leader = state.leader.expect("placed with one");
            notes.push(Note::LeaderElected { tp, leader, leader_epoch: 0, isr: state.isr.clone(), unclean: false });
            entry.push(MetadataRecord::PartitionChanged { tp, state });
        }
        Ok(())
    }

    /// Each topic by itself; the internal ones stay (`InvalidTopic`).
    pub(super) fn delete_topics(&mut self, to: ReplyTo, topics: Vec<String>) {
        let mut results = Vec::with_capacity(topics.len());
        for name in topics {
            let result = match self.image.names.get(&name).copied() {
                None => Err(ErrorCode::UnknownTopicOrPartition),
                Some(_) if INTERNAL_TOPICS.contains(&name.as_str()) => Err(ErrorCode::InvalidTopic),
                Some(topic) => {
                    self.decide(vec![MetadataRecord::TopicDeleted { topic }], Vec::new());
                    Ok(())
                }
            };
            results.push((name, result));
        }
        self.reply_committed(to, Response::DeleteTopics { results });
    }

    /// Each topic by itself. A count that is not above the present one is `InvalidRecord` (Kafka: INVALID_PARTITIONS); keys go elsewhere from then on.
    pub(super) fn create_partitions(&mut self, to: ReplyTo, topics: Vec<(String, u32)>) {
        let grown = |(name, count): (String, u32)| {
            let result = self.grow(&name, count);
            (name, result)
        };
        let results = topics.into_iter().map(grown).collect();
        self.reply_committed(to, Response::CreatePartitions { results });
    }

    fn grow(&mut self, name: &str, count: u32) -> Result<(), ErrorCode> {
        let topic = *self.image.names.get(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        // Who coordinates what follows from their number.
        if INTERNAL_TOPICS.contains(&name) {
            return Err(ErrorCode::InvalidTopic);
        }
        let held = &self.image.topics[&topic];
        let present = u32::try_from(held.partitions.len()).expect("partitions are numbered in u32");
        if count <= present {
            return Err(ErrorCode::InvalidRecord);
        }
        let (mut entry, mut notes) = (Vec::new(), Vec::new());
        self.place_all(topic, present..count, held.spec.replication as usize, &mut entry, &mut notes)?;
        self.decide(entry, notes);
        Ok(())
    }

    /// Replicas in stripes over all registered brokers; those alive are in sync from the start.
    fn place(&self, tp: Tp, replication: usize) -> Result<PartitionState, ErrorCode> {
        let nodes: Vec<NodeId> = self.image.brokers.keys().copied().collect();
        if nodes.len() < replication {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let first = (tp.topic.0 as usize + tp.partition as usize) % nodes.len();
        let replicas: Vec<NodeId> = (0..replication).map(|nth| nodes[(first + nth) % nodes.len()]).collect();
        let isr: Vec<NodeId> = replicas.iter().copied().filter(|&node| self.image.eligible(node)).collect();
        let leader = Some(*isr.first().ok_or(ErrorCode::NotEnoughReplicas)?);
        Ok(PartitionState { leader, ..PartitionState::new(replicas, isr) })
    }
}
