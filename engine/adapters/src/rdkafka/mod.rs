//! Apache Kafka behind the log port, through librdkafka.
//!
//! [`native`] is the one file that calls the library; [`errors`] says what its codes mean; [`config`] is what is not the user's to choose, and reads it
//! back from every handle that starts. `cargo xtask conformance --log rdkafka` holds it to the same contract as the embedded log.
//!
//! # How a promise of the port is kept
//!
//! | port | here |
//! |---|---|
//! | partition chosen by the caller | given with every message; no partitioner is asked |
//! | a send's deadline | ours: at the deadline the verdict is `Unknown`, and the handle is purged and destroyed, so that nothing is tried after it |
//! | `Behind` after a failure | the handle goes with everything in it: librdkafka would go on with later messages and leave a hole |
//! | `NotDone` of a send | refused before it was queued, or a code about the message itself; librdkafka hides its attempts, so all else is `Unknown` |
//! | `Lease` | generation and member read from the handle at the rebalance; a commit with a lease of another generation is refused before librdkafka dresses it up as today's, and a transaction's positions carry the lease's own |
//! | nothing before a `seek` | partitions are assigned to nowhere and paused; each has a queue of its own, polled from its seek on |
//! | `pause` keeps what came | its queue is not polled; librdkafka's own pause throws the prefetched records away |
//! | `Progress` | end-of-partition events, which carry the position behind markers and aborted records; they come up to `fetch_wait_ms_max` late |
//! | `OutOfRange` | `auto.offset.reset=error`; log start and end are asked for, and the seek that follows assigns the partition anew |
//! | `max.poll.interval` | `next` alone polls: an application that stalls loses its partitions |
//! | commit in doubt | any EndTxn without a definite answer is `InDoubt` and takes the handle with it, also where librdkafka says "abortable" |
//! | topic incarnation | DescribeTopics; its 128-bit id is folded into 64 bits |
//! | nothing expires | topics are created with `retention.ms=-1`: found when a machine's first records, stamped 1970, were deleted after seconds |
//! | questions for a coordinator | never time out in librdkafka, which frees one whose time is up and answers it all the same; left open, they take their handle with them |
//! | durability | `min.insync.replicas` and the replica count of every topic are read back before it is used |
//!
//! # What remains different from the embedded log
//!
//! | here | there | why |
//! |---|---|---|
//! | a failure of one partition ends the tickets of all partitions of that producer as `Unknown` | only that partition's | a handle can be purged only as a whole |
//! | a send's code is almost never definite | definite on the first attempt | librdkafka does not show attempts |
//! | `Aborted` comes only from failures before EndTxn | also from its answer | librdkafka calls a commit that may have been executed abortable |
//! | a deleted and recreated topic is noticed at the next look-up only | every request names the incarnation | librdkafka's data path knows names only |
//! | a static member that leaves stays in its group until its session ends | it is removed | librdkafka sends no LeaveGroup for it (KIP-345) |
//! | timestamp 0 becomes 1 | kept | 0 means "now" to librdkafka |
//! | `Event::Transaction` names no producer id | it does | librdkafka does not tell it |
//! | coordinators are there from the first question for one | from the first topic on | our controller makes the internal topics with the first `CreateTopics` |
//! | seven threads for each transactional id | none | librdkafka: a thread for each broker and then some |
//!
//! What the clusters themselves answer differently, asked request by request (`sim::conformance::log`, rows A11 to A57), stands in the docs of crate `log`.
//! A42 is not among them: librdkafka does not speak the second transaction protocol.
//!
//! TV1 only (`kafka.md` A41): a delayed EndTxn can decide a later transaction of the same incarnation. That is why an incarnation never outlives a doubt,
//! and why exactly-once does not rest on transactions alone.

mod asking;
mod config;
mod errors;
mod native;
mod outbox;
mod producer;
mod reader;
mod session;

pub use crate::kafka::KafkaConfig;
pub use producer::KafkaProducer;
pub use reader::KafkaReader;
pub use session::{KafkaSession, KafkaTx};

use crate::kafka::topics::Topics;
use log::history::SharedObserver;
use log::{Anchor, Caps, Durability, Isolation, LogPort, Outcome, Position, Reason, Subscription, TopicInfo, TopicSpec, Tp};
use native::{Handle, Kind};
use outbox::Outbox;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

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
    /// Asks what changes nothing, and creates topics. Replaced after a question that was left open.
    asking: Mutex<Arc<Handle>>,
    /// Numbers operations and readers; begins at a random place, so that two clients, or two lives, do not meet.
    numbers: AtomicU64,
}

impl Kafka {
    /// A client; it connects in the background. `Err`: a setting that librdkafka does not take, in its words.
    pub fn new(config: KafkaConfig, observer: SharedObserver) -> Result<Kafka, String> {
        let asking = Mutex::new(Handle::new(Kind::Consumer, &config.asking())?);
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
