//! Cluster metadata: the records of the controller's log, and the image that applying them in order gives. The controller and every broker hold an
//! image, each as far as it has come (A23).

use crate::protocol::{ErrorCode, NodeId, PartitionMetadata, ProducerId, TopicConfig, TopicId, TopicMetadata, TopicSpec, Tp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One fact. An entry of the metadata log is a list of these that take force together.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// A new life of a broker, fenced at first. Its broker epoch is the offset of this entry.
    BrokerRegistered {
        /// Which.
        broker: NodeId,
        /// Of its process.
        incarnation: u64,
        /// For clients.
        address: String,
    },
    /// Its session ended, or it left.
    BrokerFenced {
        /// Which.
        broker: NodeId,
    },
    /// It is caught up on metadata and may lead.
    BrokerUnfenced {
        /// Which.
        broker: NodeId,
    },
    /// It asked to leave: no leadership and no ISR for it any more.
    BrokerShuttingDown {
        /// Which.
        broker: NodeId,
    },
    /// A topic; its partitions follow in the same entry.
    TopicCreated {
        /// Its incarnation.
        topic: TopicId,
        /// As asked for.
        spec: TopicSpec,
    },
    /// All of one partition's state.
    PartitionChanged {
        /// Which.
        tp: Tp,
        /// What holds now.
        state: PartitionState,
    },
    /// Producer ids below `next` are given out.
    ProducerIdsAllocated {
        /// The first free one.
        next: ProducerId,
    },
    /// A topic's config as a whole.
    TopicConfigured {
        /// Which.
        topic: TopicId,
        /// What holds now.
        config: TopicConfig,
    },
    /// A topic and its partitions are no more (A25).
    TopicDeleted {
        /// Which incarnation.
        topic: TopicId,
    },
    /// The cluster's transactions are of this version from now on (Kafka's feature `transaction.version`).
    TransactionVersion {
        /// 1, or 2 (KIP-890).
        version: u8,
    },
    /// The first entry of an epoch of the controllers' quorum (KIP-595): what came before it counts when it does.
    ControllerElected {
        /// Of the quorum.
        epoch: u32,
        /// Who leads it.
        leader: NodeId,
    },
    /// Leaders are also sought outside of the ISR from now on (KIP-966; Kafka's feature `eligible.leader.replicas.version`).
    EligibleLeadersVersion {
        /// 0: not; 1.
        version: u8,
    },
    /// More of one partition's state; follows its `PartitionChanged`, which alone says that there is nothing of it.
    EligibleLeaders {
        /// Which.
        tp: Tp,
        /// What holds now.
        eligible: Vec<NodeId>,
        /// What holds now.
        last_known: Option<NodeId>,
    },
    /// More of one partition's state; follows its `PartitionChanged`, which alone says that it is not being reassigned (KIP-455).
    Reassigning {
        /// Which.
        tp: Tp,
        /// What holds now.
        adding: Vec<NodeId>,
        /// What holds now.
        removing: Vec<NodeId>,
    },
}

/// Who replicates a partition and who leads it.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// Assigned brokers; the first is preferred.
    pub replicas: Vec<NodeId>,
    /// In-sync replicas. Never empty, the last one stays though it is dead; but where leaders are sought outside of it (KIP-966) all are alive.
    pub isr: Vec<NodeId>,
    /// `None` while no member of the ISR is alive.
    pub leader: Option<NodeId>,
    /// Rises whenever `leader` changes.
    pub leader_epoch: u32,
    /// Rises with every change.
    pub partition_epoch: u32,
    /// Eligible leader replicas (KIP-966): they left the ISR while it was, or by leaving fell, below its minimum, and have not lost anything since. The
    /// high watermark stood still meanwhile, so that they have all that is committed.
    #[serde(skip)]
    pub eligible: Vec<NodeId>,
    /// Who led last, while nobody does.
    #[serde(skip)]
    pub last_known: Option<NodeId>,
    /// Those of the replicas that a reassignment under way brought (KIP-455): a cancel takes them away.
    #[serde(skip)]
    pub adding: Vec<NodeId>,
    /// Those of the replicas that go when the reassignment is complete. Who is in both came with a reassignment that another has taken the place of.
    #[serde(skip)]
    pub removing: Vec<NodeId>,
}

impl PartitionState {
    /// Of a new partition; nobody leads it.
    pub fn new(replicas: Vec<NodeId>, isr: Vec<NodeId>) -> Self {
        PartitionState {
            replicas,
            isr,
            leader: None,
            leader_epoch: 0,
            partition_epoch: 0,
            eligible: Vec::new(),
            last_known: None,
            adding: Vec::new(),
            removing: Vec::new(),
        }
    }

    /// Is it moving to other replicas?
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The replicas that it moves to; else those it has.
    pub fn target(&self) -> Vec<NodeId> {
        self.replicas.iter().copied().filter(|node| !self.removing.contains(node)).collect()
    }
}

/// A broker as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Offset of the registration.
    pub broker_epoch: u64,
    /// Of its process.
    pub incarnation: u64,
    /// For clients.
    pub address: String,
    /// May not lead.
    pub fenced: bool,
    /// On its way out.
    pub shutting_down: bool,
}

impl Registration {
    /// May lead and be in an ISR.
    pub fn eligible(&self) -> bool {
        !self.fenced && !self.shutting_down
    }
}

/// A topic and its partitions in order of number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// As asked for.
    pub spec: TopicSpec,
    /// What it is set to.
    pub config: TopicConfig,
    /// In order of number.
    pub partitions: Vec<PartitionState>,
}

/// All metadata up to an offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Entries applied: the offset of the next.
    pub end: u64,
    /// Every broker that ever registered.
    pub brokers: BTreeMap<NodeId, Registration>,
    /// Every topic.
    pub topics: BTreeMap<TopicId, Topic>,
    /// Names to incarnations.
    pub names: BTreeMap<String, TopicId>,
    /// The last incarnation made; none is used twice.
    pub last_topic: u64,
    /// First producer id not given out.
    pub next_producer_id: ProducerId,
    /// At which `transaction.version` is finalised; below 2: 1.
    pub transaction_version: u8,
    /// At which `eligible.leader.replicas.version` is finalised.
    pub eligible_leaders_version: u8,
}

impl Image {
    /// Applies the entry at [`Image::end`].
    pub fn apply(&mut self, entry: &[MetadataRecord]) {
        for record in entry {
            self.apply_record(record);
        }
        self.end += 1;
    }

    fn apply_record(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::BrokerRegistered { broker, incarnation, address } => {
                let registration =
                    Registration { broker_epoch: self.end, incarnation: *incarnation, address: address.clone(), fenced: true, shutting_down: false };
                self.brokers.insert(*broker, registration);
            }
            MetadataRecord::BrokerFenced { broker } => self.registered(*broker).fenced = true,
            MetadataRecord::BrokerUnfenced { broker } => self.registered(*broker).fenced = false,
            MetadataRecord::BrokerShuttingDown { broker } => self.registered(*broker).shutting_down = true,
            MetadataRecord::TopicCreated { topic, spec } => {
                self.last_topic = self.last_topic.max(topic.0);
                self.names.insert(spec.name.clone(), *topic);
                self.topics.insert(*topic, Topic { spec: spec.clone(), config: TopicConfig::default(), partitions: Vec::new() });
            }
            MetadataRecord::PartitionChanged { tp, state } => self.change_partition(*tp, state),
            MetadataRecord::ProducerIdsAllocated { next } => self.next_producer_id = *next,
            MetadataRecord::TopicConfigured { topic, config } => {
                self.topics.get_mut(topic).expect("a topic comes before its config").config = *config;
            }
            MetadataRecord::TopicDeleted { topic } => {
                let deleted = self.topics.remove(topic).expect("a topic is deleted once");
                self.names.remove(&deleted.spec.name);
            }
            MetadataRecord::TransactionVersion { version } => self.transaction_version = *version,
            MetadataRecord::ControllerElected { .. } => {}
            MetadataRecord::EligibleLeadersVersion { version } => self.eligible_leaders_version = *version,
            MetadataRecord::EligibleLeaders { tp, eligible, last_known } => {
                let state = self.changed(*tp);
                (state.eligible, state.last_known) = (eligible.clone(), *last_known);
            }
            MetadataRecord::Reassigning { tp, adding, removing } => {
                let state = self.changed(*tp);
                (state.adding, state.removing) = (adding.clone(), removing.clone());
            }
        }
    }

    fn registered(&mut self, broker: NodeId) -> &mut Registration {
        self.brokers.get_mut(&broker).expect("a record about a broker comes after its registration")
    }

    fn changed(&mut self, tp: Tp) -> &mut PartitionState {
        let partitions = &mut self.topics.get_mut(&tp.topic).expect("a topic comes before its partitions").partitions;
        &mut partitions[tp.partition as usize]
    }

    fn change_partition(&mut self, tp: Tp, state: &PartitionState) {
        assert!(!state.isr.is_empty() || self.eligible_leaders_version > 0, "an ISR is never empty");
        let partitions = &mut self.topics.get_mut(&tp.topic).expect("a topic comes before its partitions").partitions;
        let at = tp.partition as usize;
        if at == partitions.len() {
            partitions.push(state.clone());
            return;
        }
        let old = &mut partitions[at];
        assert!(state.partition_epoch > old.partition_epoch, "every change of {tp:?} raises its partition epoch");
        assert!(state.leader_epoch >= old.leader_epoch, "the leader epoch of {tp:?} never falls");
        *old = state.clone();
    }

    /// One partition's state.
    pub fn partition(&self, tp: Tp) -> Option<&PartitionState> {
        self.topics.get(&tp.topic)?.partitions.get(tp.partition as usize)
    }

    /// Fewest in-sync replicas of a partition, at most as many as it has.
    pub fn min_isr(&self, tp: Tp) -> usize {
        self.partition(tp).map_or(1, |state| self.min_isr_of(tp.topic, state))
    }

    /// The same of a state that it has, or may come to have.
    pub fn min_isr_of(&self, topic: TopicId, state: &PartitionState) -> usize {
        self.topics.get(&topic).map_or(1, |topic| topic.spec.min_isr as usize).min(state.replicas.len())
    }

    /// Whether a broker may lead and be in an ISR.
    pub fn eligible(&self, broker: NodeId) -> bool {
        self.brokers.get(&broker).is_some_and(Registration::eligible)
    }

    /// A topic as clients see it.
    pub fn describe(&self, id: TopicId) -> Option<TopicMetadata> {
        let topic = self.topics.get(&id)?;
        let partitions = (0..).zip(&topic.partitions).map(|(partition, state)| PartitionMetadata {
            partition,
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            replicas: state.replicas.clone(),
            isr: state.isr.clone(),
        });
        Some(TopicMetadata { name: topic.spec.name.clone(), id, partitions: partitions.collect() })
    }
}

/// An entry as bytes: what the log frames and `FetchMetadata` carries.
pub fn encode_entry(entry: &[MetadataRecord]) -> Bytes {
    Bytes::from(postcard::to_stdvec(entry).expect("a metadata record has no unserialisable part"))
}

/// An entry from bytes.
pub fn decode_entry(bytes: &[u8]) -> Result<Vec<MetadataRecord>, ErrorCode> {
    postcard::from_bytes(bytes).map_err(|_| ErrorCode::CorruptMessage)
}
