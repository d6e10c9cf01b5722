//! The tail of the controller's log, applied at this broker's own pace (A23).
//!
//! A broker acts on partition states only once its own registration is in its image: the registration fenced the life before, so that every
//! leadership found from there on was given to this life.

use super::{Broker, Phase, Purpose, Timer};
use crate::metadata::{MetadataRecord, decode_entry};
use crate::protocol::{Request, Response, TopicId, Tp};
use std::collections::BTreeSet;

/// Where the tail stands.
#[derive(Default)]
pub(super) struct Tail {
    fetching: bool,
    /// Partition states are acted on.
    pub acting: bool,
    /// The controller is asked for them.
    pub making_internal_topics: bool,
}

impl Broker {
    pub(super) fn fetch_metadata(&mut self) {
        if self.metadata.fetching || matches!(self.phase, Phase::Syncing | Phase::Stopped) {
            return;
        }
        self.metadata.fetching = true;
        let request = Request::FetchMetadata { broker: self.config.node, from: self.image.end, wait_ms_max: self.config.metadata_fetch_wait_ms };
        self.ask_controller(1, request, Purpose::Metadata);
    }

    pub(super) fn metadata_fetched(&mut self, response: Option<Response>) {
        self.metadata.fetching = false;
        let Some(Response::FetchMetadata { from, records, .. }) = response else {
            return self.io.set_timer_in(self.config.controller_retry_ms, Timer::Metadata);
        };
        if from == self.image.end && !matches!(self.phase, Phase::Syncing | Phase::Stopped) {
            let mut changes = Changes::default();
            for entry in records {
                let entry = decode_entry(&entry).expect("the controller wrote it");
                entry.iter().for_each(|record| changes.note(record));
                self.image.apply(&entry);
            }
            self.remove_replicas(|tp| changes.deleted.contains(&tp.topic));
            self.act_on(changes.partitions, changes.brokers);
            changes.configured.into_iter().for_each(|topic| self.take_config(topic));
        }
        self.fetch_metadata();
    }

    /// A topic is set to something else.
    fn take_config(&mut self, topic: TopicId) {
        let Some(config) = self.image.topics.get(&topic).map(|topic| topic.config) else { return };
        for replica in self.replicas.values_mut().filter(|replica| replica.tp.topic == topic) {
            replica.config = config;
        }
        self.watch_retention();
    }

    fn act_on(&mut self, mut changed: BTreeSet<Tp>, brokers_changed: bool) {
        if !self.metadata.acting {
            if self.broker_epoch.is_none_or(|epoch| self.image.end <= epoch) {
                return;
            }
            self.metadata.acting = true;
            // Deleted while this broker was away. What the controller never made (its log was lost, or is another's) stays.
            let (alive, last) = (self.image.topics.keys().copied().collect::<BTreeSet<TopicId>>(), self.image.last_topic);
            self.remove_replicas(|tp| tp.topic.0 <= last && !alive.contains(&tp.topic));
            changed =
                self.image.topics.iter().flat_map(|(&topic, held)| (0..held.partitions.len() as u32).map(move |partition| Tp { topic, partition })).collect();
            // Caught up: the controller may unfence this broker at once.
            self.heartbeat();
        }
        for tp in changed {
            self.take_partition_state(tp);
            self.watch_cleaner(tp);
        }
        self.watch_retention();
        if brokers_changed {
            // Who may join an ISR has changed, and with it who counts for the high watermark.
            self.reconsider_followers();
        }
    }
}

/// What records change.
#[derive(Default)]
struct Changes {
    partitions: BTreeSet<Tp>,
    brokers: bool,
    configured: BTreeSet<TopicId>,
    deleted: BTreeSet<TopicId>,
}

impl Changes {
    fn note(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::PartitionChanged { tp, .. } => drop(self.partitions.insert(*tp)),
            MetadataRecord::TopicConfigured { topic, .. } => drop(self.configured.insert(*topic)),
            MetadataRecord::TopicDeleted { topic } => drop(self.deleted.insert(*topic)),
            MetadataRecord::TopicCreated { .. }
            | MetadataRecord::ControllerElected { .. }
            | MetadataRecord::EligibleLeaders { .. }
            | MetadataRecord::EligibleLeadersVersion { .. }
            | MetadataRecord::Reassigning { .. }
            | MetadataRecord::TransactionVersion { .. }
            | MetadataRecord::ProducerIdsAllocated { .. } => {}
            _ => self.brokers = true,
        }
    }
}
