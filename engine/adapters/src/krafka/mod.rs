//! Apache Kafka behind the log port, through krafka 0.28.1 (pure Rust).
//!
//! [`connect`] is what is not the user's to choose; [`errors`] says what krafka's errors mean; what does not depend on the library
//! ([`crate::kafka`]) it shares with librdkafka's adapter. `cargo xtask conformance --log krafka` holds it to the same contract as the embedded log.
//!
//! # How a promise of the port is kept
//!
//! | port | here |
//! |---|---|
//! | partition chosen by the caller | given with every record; no partitioner is asked |
//! | a send's deadline | ours: at the deadline the verdict is `Unknown` (`NotDone` of what krafka had not been given), and the producer is terminated |
//! | `Behind` after a failure | the producer goes with everything in it: krafka would go on with later records and leave a hole |
//! | `NotDone` of a send | it was not given to krafka; or krafka says that it never left; or a code about the record itself |
//! | `Full` | counted here, in bytes of keys and values: krafka would wait |
//! | `Lease` | generation and member read at the rebalance; a commit with a lease of another generation is refused before krafka dresses it up as today's, and a transaction's positions carry the lease's own |
//! | nothing before a `seek` | an assigned partition is paused and put at offset 0 from within the rebalance listener, before krafka looks for a position |
//! | `Progress` | krafka's position, compared after every poll |
//! | `OutOfRange`, `Truncated` | an error below the log's start; above its end, and after a truncation, krafka sets its position back and only logs it: that is seen in the position, and told |
//! | `max.poll.interval` | `next` alone polls: an application that stalls loses its partitions |
//! | commit in doubt | krafka's `CommitUnknown`, and any commit that did not come to an end in time; the producer goes with it |
//! | commit of positions refused | only by what is answered before krafka would try again: it tells its last answer, and an earlier one may have been lost |
//! | topic incarnation | DescribeTopics; its 128-bit id is folded into 64 bits, as by the other adapter |
//! | durability | `min.insync.replicas` and the replica count of every topic are read back before it is used |
//!
//! # What remains different from the embedded log
//!
//! | here | there | why |
//! |---|---|---|
//! | a failure of one partition ends the tickets of all partitions of that producer as `Unknown` | only that partition's | a producer can be terminated only as a whole |
//! | a broker that does not answer holds back the other brokers' partitions of a reader, up to `request_timeout_ms` | it does not | krafka joins the fetches of a round |
//! | the epoch of a position that is sought is not asked about: what was truncated before the seek is not noticed | it is (KIP-320) | krafka's `seek` takes no epoch |
//! | a position committed with a transaction has no epoch | it has | krafka's `TopicPartitionOffset` has no place for one |
//! | a deleted and recreated topic is noticed at the next look-up only | every request names the incarnation | the data path is asked by name |
//! | a static member that leaves stays in its group until its session ends | it is removed | KIP-345; so does librdkafka |
//!
//! No thread is krafka's own: it lives on the runtime that it is called from.
//!
//! # Where krafka 0.28.1 misbehaves
//!
//! Found in its source and by the contract; none of it is hidden by the adapter, and where the adapter acts, it says so.
//!
//! | krafka | smallest reproduction | here |
//! |---|---|---|
//! | a consumer goes on fetching from a dead leader: a fetch that cannot connect backs off and asks nobody who leads now (`consumer/fetcher/mod.rs`, `fetch_round`) | three brokers, `assign`, `kill -9` of the leader, `poll`: for 21 s nothing of what a producer wrote at the new leader, and all of it 62 ms after the old one came back (4.3.1) | a task of each reader asks for the metadata every second |
//! | under TV1 a transaction in which nothing was written cannot be aborted: EndTxn is sent all the same, answered INVALID_TXN_STATE, and the producer is `Fatal` | `begin`, `send`, `commit`, `begin`, `abort` on 3.9.1 | krafka's `begin` is called with the first record or position |
//! | a coordinator that moves costs a classic member its id (`find_coordinator`): it joins as another, and its former self holds its partitions until the session ends; a static member is told FENCED_INSTANCE_ID, by its own heartbeat | kill the coordinator's broker under a group (seen under a running exchange) | its leases are `Lost`, or `Fatal` is told; nothing can be done about the wait |
//! | the leader of a classic group that does not know a topic, or all of its partitions, assigns what it knows, and never again when it learns more (`compute_assignments`; nothing compares later) | subscribe while the topic is being created: a member with no partitions, for ever. Seen once in some hundred runs, on a busy machine | a reader of a group is opened when its topics are known; partitions that are added wait for the next rebalance |
//! | `committed` leaves out a partition whose answer is an error (but UNSTABLE_OFFSET_COMMIT), as if nothing had been committed (`fetch_committed_offsets_once`) | read from the source | the admin client is asked instead |
//! | a seek above the end is set back to the end, and a truncation to where the logs part, with a line in the log (`validate_positions`, `apply_fetched`) | `seek(1000)` in a log of ten, `poll`, `position()` is 10 | seen in the position |

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
        let shared = Shared { config, observer, topics: Topics::default(), checked: Mutex::default(), asking: OnceCell::new(), numbers: AtomicU64::new(first) };
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
