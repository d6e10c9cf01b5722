//! Apache Kafka behind the log port, through librdkafka.
//!
//! [`native`] is the one file that calls the library; [`errors`] says what its codes mean; [`config`] is what is not the user's to choose.

mod asking;
mod config;
mod errors;
mod native;
mod outbox;
mod producer;
mod reader;
mod session;
mod topics;

pub use config::KafkaConfig;
pub use producer::KafkaProducer;
pub use reader::KafkaReader;
pub use session::{KafkaSession, KafkaTx};

use log::history::{Event, SharedObserver};
use log::{Anchor, Caps, Durability, Isolation, LogPort, Outcome, Position, Reason, Subscription, TopicInfo, TopicSpec, Tp};
use native::{Handle, Kind};
use outbox::Outbox;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use topics::Topics;

/// A client of a Kafka cluster. Cheap to clone; producers, readers and sessions made from it have handles (connections and threads) of their own.
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
    /// Asks what changes nothing, and creates topics.
    asking: Arc<Handle>,
    /// Numbers operations and readers; begins at a random place, so that two clients, or two lives, do not meet.
    numbers: AtomicU64,
}

impl Kafka {
    /// A client; it connects in the background. `Err`: a setting that librdkafka does not take, in its words.
    pub fn new(config: KafkaConfig, observer: SharedObserver) -> Result<Kafka, String> {
        let asking = Handle::new(Kind::Producer, &config.asking())?;
        let first = runtime::rng::Rng::of_node("log client").next_u64() >> 1 & !0xffff_ffff;
        let shared = Shared { config, observer, topics: Topics::default(), checked: Mutex::default(), asking, numbers: AtomicU64::new(first) };
        Ok(Kafka { shared: Arc::new(shared) })
    }
}

impl Shared {
    fn number(&self) -> u64 {
        // Written and read by every part of this client; only uniqueness matters.
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes an event down, if anybody listens.
    fn observe(&self, event: impl FnOnce() -> Event) {
        if self.observer.is_on() {
            self.observer.observe(event());
        }
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
        Ok(KafkaProducer { outbox: Outbox::plain(self.shared.clone())? })
    }

    async fn read(&self, subscription: Subscription, isolation: Isolation) -> Result<KafkaReader, Reason> {
        self.open_reader(subscription, isolation)
    }

    async fn tx_session(&self, transactional_id: &str, transaction_timeout_ms: u32, deadline_ms: u64) -> Result<KafkaSession, Reason> {
        self.open_session(transactional_id, transaction_timeout_ms, deadline_ms).await
    }

    async fn offset_at(&self, tp: Tp, anchor: Anchor, deadline_ms: u64) -> Outcome<Option<Position>> {
        self.position(tp, anchor, deadline_ms).await
    }
}
