//! Apache Kafka behind the log port, through krafka (pure Rust).

mod asking;
mod connect;
mod errors;
mod outbox;
mod reader;
mod session;

pub use crate::kafka::KafkaConfig;
pub use outbox::KafkaProducer;
pub use reader::KafkaReader;
pub use session::{KafkaSession, KafkaTx};

use crate::kafka::topics::Topics;
use ::krafka::admin::AdminClient;
use log::history::SharedObserver;
use log::{Anchor, Caps, Durability, Isolation, LogPort, Outcome, Position, Reason, Subscription, TopicInfo, TopicSpec, Tp};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;

/// A client of a Kafka cluster. Cheap to clone; producers, readers and sessions made from it have connections of their own.
#[derive(Clone)]
pub struct Kafka {
    shared: Arc<Shared>,
}

/// What a client's parts share.
struct Shared {
    config: KafkaConfig,
    observer: SharedObserver,
    topics: Topics,
    /// Topics whose `min.insync.replicas` was seen to be enough.
    checked: Mutex<BTreeSet<String>>,
    /// Asks what changes nothing, and creates topics; connects at the first question.
    asking: OnceCell<AdminClient>,
    /// Numbers operations and readers; begins at a random place, so that two clients, or two lives, do not meet.
    numbers: AtomicU64,
}

impl Kafka {
    /// A client; it connects when it is first used.
    pub fn new(config: KafkaConfig, observer: SharedObserver) -> Kafka {
        let first = runtime::rng::Rng::of_node("log client").next_u64() >> 1 & !0xffff_ffff;
        let shared = Shared {
            config,
            observer,
            topics: Topics::default(),
            checked: Mutex::default(),
            asking: OnceCell::new(),
            numbers: AtomicU64::new(first),
        };
        Kafka { shared: Arc::new(shared) }
    }
}

impl Shared {
    fn number(&self) -> u64 {
        // Written and read by every part of this client; only uniqueness matters.
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Topic and partition, as krafka names them.
    fn named(&self, tp: Tp) -> (String, i32) {
        let name = self.topics.name(tp).to_str().expect("topic names are ASCII").to_owned();
        (name, i32::try_from(tp.partition).expect("partitions are few"))
    }

    /// The way back. `None`: of a topic that nobody looked up.
    fn find(&self, topic: &str, partition: i32) -> Option<Tp> {
        self.topics.find(topic, u32::try_from(partition).ok()?)
    }
}

impl LogPort for Kafka {
    type Producer = KafkaProducer;
    type Reader = KafkaReader;
    type Session = KafkaSession;

    fn caps(&self) -> Caps {
        // Kafka acknowledges before it syncs; `min.insync.replicas` was read back.
        Caps { transactions: true, durable: Durability::Replicated(self.shared.config.in_sync_replicas_min) }
    }

    async fn topics(&self, names: &[&str], deadline_ms: u64) -> Outcome<Vec<TopicInfo>> {
        self.look_up(names, deadline_ms).await
    }

    async fn create_topics(&self, specs: Vec<TopicSpec>, deadline_ms: u64) -> Outcome<()> {
        self.create(specs, deadline_ms).await
    }

    async fn producer(&self) -> Result<KafkaProducer, Reason> {
        KafkaProducer::new(self.shared.clone()).await
    }

    async fn read(&self, subscription: Subscription, isolation: Isolation) -> Result<KafkaReader, Reason> {
        self.open_reader(subscription, isolation).await
    }

    async fn tx_session(&self, transactional_id: &str, transaction_timeout_ms: u32, deadline_ms: u64) -> Result<KafkaSession, Reason> {
        self.open_session(transactional_id, transaction_timeout_ms, deadline_ms).await
    }

    async fn offset_at(&self, tp: Tp, anchor: Anchor, deadline_ms: u64) -> Outcome<Option<Position>> {
        self.position(tp, anchor, deadline_ms).await
    }
}
