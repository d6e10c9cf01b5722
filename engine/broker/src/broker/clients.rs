//! What any broker answers from its own, possibly late, metadata.

use super::{Broker, Purpose};
use crate::config::TopicShape;
use crate::coordinator::{ReplyTo, View};
use crate::metadata::{Image, Registration};
use crate::protocol::{CONSUMER_OFFSETS, CoordinatorKind, ErrorCode, NodeId, Request, Response, TRANSACTION_STATE, TopicId, TopicSpec, Tp};

/// This broker's view, for coordinators.
pub(super) struct ClusterView<'a> {
    pub image: &'a Image,
    pub producer_ids: &'a mut super::producer_ids::Block,
    /// A producer id was wanted and there was none.
    pub out_of_ids: bool,
}

impl View for ClusterView<'_> {
    fn exists(&self, tp: Tp) -> bool {
        self.image.partition(tp).is_some()
    }

    fn is_deleted(&self, tp: Tp) -> bool {
        tp.topic.0 <= self.image.last_topic && !self.image.topics.contains_key(&tp.topic)
    }

    fn leader(&self, tp: Tp) -> Option<NodeId> {
        self.image.partition(tp)?.leader
    }

    fn coordinator_partition(&self, topic: &str, key: &str) -> Option<Tp> {
        let topic = *self.image.names.get(topic)?;
        let partitions = u32::try_from(self.image.topics[&topic].partitions.len()).expect("few partitions");
        Some(Tp { topic, partition: crc32c::crc32c(key.as_bytes()) % partitions })
    }

    fn next_producer_id(&mut self) -> Option<i64> {
        let id = self.producer_ids.take();
        self.out_of_ids |= id.is_none();
        id
    }

    fn topic(&self, name: &str) -> Option<(TopicId, u32)> {
        let topic = *self.image.names.get(name)?;
        Some((topic, u32::try_from(self.image.topics[&topic].partitions.len()).expect("partitions are numbered in u32")))
    }

    fn transaction_version(&self) -> u8 {
        self.image.transaction_version
    }
}

impl Broker {
    pub(super) fn view(&mut self) -> ClusterView<'_> {
        ClusterView { image: &self.image, producer_ids: &mut self.producer_ids, out_of_ids: false }
    }

    pub(super) fn describe_topics(&mut self, to: ReplyTo, topics: Option<Vec<String>>) {
        let alive = |(&node, broker): (&NodeId, &Registration)| (!broker.fenced).then(|| (node, broker.address.clone()));
        let brokers = self.image.brokers.iter().filter_map(alive).collect();
        let mut unknown = Vec::new();
        let ids: Vec<TopicId> = match topics {
            None => self.image.topics.keys().copied().collect(),
            Some(names) => {
                let known = |name: String| self.image.names.get(&name).copied().or_else(|| (unknown.push(name), None).1);
                names.into_iter().filter_map(known).collect()
            }
        };
        if let Some(shape) = self.config.auto_create_topics
            && !unknown.is_empty()
        {
            // Told as unknown this time: who asks again finds it.
            let TopicShape { partitions, replication, min_isr } = shape;
            let spec = |name: &String| TopicSpec { name: name.clone(), partitions, replication, min_isr, compacted: false };
            let topics = unknown.iter().map(spec).collect();
            self.ask_controller(0, Request::CreateTopics { topics }, Purpose::AutoCreate);
        }
        let topics = ids.into_iter().filter_map(|id| self.image.describe(id)).collect();
        self.reply(to, Response::Metadata { brokers, topics, unknown });
    }

    /// The node that coordinates a key of one of the internal topics, as far as is known here.
    pub(super) fn coordinator(&mut self, topic: &str, key: &str) -> Option<NodeId> {
        let view = self.view();
        view.coordinator_partition(topic, key).and_then(|tp| view.leader(tp))
    }

    pub(super) fn find_coordinator(&mut self, to: ReplyTo, kind: CoordinatorKind, key: &str) {
        let topic = match kind {
            CoordinatorKind::Group => CONSUMER_OFFSETS,
            CoordinatorKind::Transaction => TRANSACTION_STATE,
        };
        if !self.image.names.contains_key(topic) {
            self.make_internal_topics();
        }
        let found = self.coordinator(topic, key).and_then(|node| Some((node, self.image.brokers.get(&node)?.address.clone())));
        let response = match found {
            Some((node, address)) => Response::FindCoordinator { node, address },
            None => Response::Error(ErrorCode::CoordinatorNotAvailable),
        };
        self.reply(to, response);
    }

    /// The first who looks for a coordinator has its topic made; he asks again. (Kafka makes them here only; our controller also with the first topic.)
    fn make_internal_topics(&mut self) {
        if !self.metadata.making_internal_topics {
            self.metadata.making_internal_topics = true;
            self.ask_controller(0, Request::CreateTopics { topics: Vec::new() }, Purpose::InternalTopics);
        }
    }

    /// Topics are the controller's business; its answer is the client's.
    pub(super) fn forward_to_controller(&mut self, to: ReplyTo, request: Request) {
        self.ask_controller(0, request, Purpose::Forward(to));
    }
}
