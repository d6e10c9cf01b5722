//! The client of our own broker, embedded or simulated.
//!
//! A [`Native`] is cheap to clone and shares one metadata cache; producers, readers and sessions made from it have connections of their own, so that
//! none waits behind another's long poll. Their background tasks end when they are dropped.

mod admin;
mod alarm;
mod cluster;
mod config;
mod group;
mod lookup;
mod producer;
mod reader;
mod session;
mod verdict;

pub use config::{Assignor, ClientConfig};
pub use producer::NativeProducer;
pub use reader::NativeReader;
pub use session::{NativeSession, NativeTx};

use crate::history::SharedObserver;
use crate::port::{Anchor, Caps, LogPort, Outcome, Position, Reason, Subscription, TopicInfo};
use broker::protocol::{Isolation, TopicSpec, Tp};
use cluster::Cluster;
use runtime::rng::Rng;
use runtime::time;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A client.
#[derive(Clone)]
pub struct Native {
    shared: Arc<Shared>,
}

/// What a client's parts share.
struct Shared {
    config: Arc<ClientConfig>,
    cluster: Cluster,
    observer: SharedObserver,
    /// Numbers operations and readers; begins at a random place, so that two clients of a node, or two lives, do not meet.
    numbers: AtomicU64,
}

impl Native {
    /// A client; nothing is connected before it is used.
    ///
    /// # Panics
    /// On a setting that cannot work; the message names it.
    pub fn new(config: ClientConfig, observer: SharedObserver) -> Native {
        config.assert_valid();
        let config = Arc::new(config);
        let first = Rng::of_node("log client").next_u64() >> 1 & !0xffff_ffff;
        Native { shared: Arc::new(Shared { cluster: Cluster::new(config.clone()), config, observer, numbers: AtomicU64::new(first) }) }
    }
}

impl Shared {
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits before try number `attempt` (from 1), at most until `until_ms`; true if that time has come.
    async fn back_off(&self, attempt: u32, until_ms: u64) -> bool {
        self.back_off_from(self.config.retry_backoff_ms, attempt, until_ms).await
    }

    /// The same, from a first wait of its own: for what usually passes within a round trip.
    async fn back_off_from(&self, first_ms: u64, attempt: u32, until_ms: u64) -> bool {
        let backoff_ms = (first_ms << attempt.saturating_sub(1).min(6)).min(self.config.retry_backoff_ms * 8);
        time::sleep_until_ms((time::monotonic_ms() + backoff_ms).min(until_ms)).await;
        time::monotonic_ms() >= until_ms
    }
}

impl LogPort for Native {
    type Producer = NativeProducer;
    type Reader = NativeReader;
    type Session = NativeSession;

    fn caps(&self) -> Caps {
        Caps { transactions: true, durable: self.shared.config.durable }
    }

    async fn topics(&self, names: &[&str], deadline_ms: u64) -> Outcome<Vec<TopicInfo>> {
        self.shared.topics(names, deadline_ms).await
    }

    async fn create_topics(&self, specs: Vec<TopicSpec>, deadline_ms: u64) -> Outcome<()> {
        self.shared.create_topics(specs, deadline_ms).await
    }

    async fn producer(&self) -> Result<NativeProducer, Reason> {
        self.open_producer().await
    }

    async fn read(&self, subscription: Subscription, isolation: Isolation) -> Result<NativeReader, Reason> {
        Ok(self.open_reader(subscription, isolation))
    }

    async fn tx_session(&self, transactional_id: &str, transaction_timeout_ms: u32, deadline_ms: u64) -> Result<NativeSession, Reason> {
        self.open_session(transactional_id, transaction_timeout_ms, deadline_ms).await
    }

    async fn settled(&self) -> Result<(), Reason> {
        let Some(inside) = &self.shared.config.inside else { return Ok(()) };
        inside.settled().await.map_err(|_| Reason::Ended("the log of this process has ended".to_owned()))
    }

    async fn offset_at(&self, tp: Tp, anchor: Anchor, deadline_ms: u64) -> Outcome<Option<Position>> {
        self.shared.offset_at(tp, anchor, deadline_ms).await
    }
}
