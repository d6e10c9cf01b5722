//! What a client knows of the cluster: brokers, topics, leaders. A cache (A24): refreshed when an answer contradicts it, or when it is old.

use super::config::ClientConfig;
use crate::host::Inside;
use crate::link::{Broken, Link, LinkConfig};
use broker::protocol::{NodeId, Request, Response, TopicId, TopicMetadata, Tp};
use runtime::time;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Links of one purpose, by address. A purpose of its own keeps a long wait from delaying others (A63). A clone shares them.
#[derive(Debug, Clone)]
pub struct Links {
    config: LinkConfig,
    inside: Option<Inside>,
    // Bounded by the number of addresses brokers ever had.
    open: Arc<Mutex<BTreeMap<String, Link>>>,
}

impl Links {
    /// None yet.
    pub fn new(config: &ClientConfig) -> Self {
        Links { config: config.link(), inside: config.inside.clone(), open: Arc::default() }
    }

    /// The link to an address.
    pub fn to(&self, address: &str) -> Link {
        let mut open = self.open.lock().expect("no panic under the lock");
        let way = || self.inside.as_ref().map_or_else(|| Link::open(address.to_owned(), self.config), Link::inside);
        open.entry(address.to_owned()).or_insert_with(way).clone()
    }
}

/// Who leads a partition, as far as this client knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The broker.
    pub node: NodeId,
    /// Where it listens.
    pub address: String,
    /// Its epoch.
    pub epoch: u32,
}

#[derive(Debug, Default)]
struct View {
    version: u64,
    taken_ms: u64,
    brokers: BTreeMap<NodeId, String>,
    topics: BTreeMap<TopicId, TopicMetadata>,
}

/// The cache.
#[derive(Debug)]
pub struct Cluster {
    config: Arc<ClientConfig>,
    links: Links,
    view: Mutex<View>,
    /// Counts what should go to another broker the next time: one that lags or does not answer is not asked for ever.
    turn: AtomicUsize,
    /// Addresses that did not answer lately, until when they are passed over.
    silent: Mutex<BTreeMap<String, u64>>,
    /// One refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
}

impl Cluster {
    /// Knows nothing but where to ask.
    pub fn new(config: Arc<ClientConfig>) -> Self {
        Cluster {
            links: Links::new(&config),
            config,
            view: Mutex::default(),
            turn: AtomicUsize::new(0),
            silent: Mutex::default(),
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    fn view(&self) -> std::sync::MutexGuard<'_, View> {
        self.view.lock().expect("no panic under the lock")
    }

    /// Rises with each refresh; 0: never.
    pub fn version(&self) -> u64 {
        self.view().version
    }

    /// Is it time to ask again?
    pub fn is_old(&self) -> bool {
        let view = self.view();
        view.version == 0 || time::monotonic_ms() >= view.taken_ms + self.config.metadata_age_ms_max
    }

    /// Who leads it.
    pub fn leader(&self, tp: Tp) -> Option<Leader> {
        let view = self.view();
        let partition = view.topics.get(&tp.topic)?.partitions.get(tp.partition as usize)?;
        let node = partition.leader?;
        Some(Leader { node, address: view.brokers.get(&node)?.clone(), epoch: partition.leader_epoch })
    }

    /// The newest topic of that name.
    pub fn topic(&self, name: &str) -> Option<TopicMetadata> {
        self.view().topics.values().rev().find(|topic| topic.name == name).cloned()
    }

    /// Addresses to ask anything of: the brokers known, else those to start from.
    fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> = self.view().brokers.values().cloned().collect();
        addresses.extend(self.config.bootstrap.iter().filter(|known| !addresses.contains(known)).cloned().collect::<Vec<_>>());
        addresses
    }

    /// Asks one broker, another one than the last time if that failed.
    pub async fn ask_any(&self, request: &Request) -> Result<Response, Broken> {
        let address = self.whose_turn();
        let answer = self.links.to(&address).call(request, 0).await;
        if answer.is_err() {
            let until_ms = time::monotonic_ms() + self.config.request_timeout_ms;
            self.silent().insert(address, until_ms);
            self.ask_another();
        }
        answer
    }

    /// The next address in turn, if there is a choice one that was not silent lately: a hanging broker would cost a request timeout each time.
    fn whose_turn(&self) -> String {
        let addresses = self.addresses();
        let turn = self.turn.load(Ordering::Relaxed);
        let now_ms = time::monotonic_ms();
        let mut silent = self.silent();
        silent.retain(|_, until_ms| *until_ms > now_ms);
        let mut in_turn = (0..addresses.len()).map(|at| &addresses[(turn + at) % addresses.len()]);
        in_turn.find(|address| !silent.contains_key(*address)).unwrap_or(&addresses[turn % addresses.len()]).clone()
    }

    fn silent(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.silent.lock().expect("no panic under the lock")
    }

    /// The next question goes to another broker.
    pub fn ask_another(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// The links for short requests.
    pub fn links(&self) -> Links {
        self.links.clone()
    }

    /// Asks a certain address, on the links for short requests.
    pub async fn ask_at(&self, address: &str, request: &Request) -> Result<Response, Broken> {
        self.links.to(address).call(request, 0).await
    }

    /// Asks for metadata unless somebody else got it since the caller saw version `seen`; gives up after each broker failed once. Cancel-safe.
    pub async fn refresh(&self, seen: u64) {
        let _one_at_a_time = self.refreshing.lock().await;
        for _ in 0..self.addresses().len() {
            if self.version() > seen {
                return;
            }
            let not_before_ms = if seen == 0 { 0 } else { self.view().taken_ms + self.config.retry_backoff_ms };
            time::sleep_until_ms(not_before_ms).await;
            let answer = self.ask_any(&Request::Metadata { topics: None }).await;
            self.ask_another();
            if let Ok(Response::Metadata { brokers, topics, .. }) = answer {
                return self.take(brokers, topics);
            }
        }
    }

    /// A leader with an older epoch than one already known comes from a broker that lags (KIP-320): the known one stays.
    fn take(&self, brokers: Vec<(NodeId, String)>, topics: Vec<TopicMetadata>) {
        let mut view = self.view();
        let mut newer: BTreeMap<TopicId, TopicMetadata> = topics.into_iter().map(|topic| (topic.id, topic)).collect();
        for (id, topic) in &mut newer {
            let known = view.topics.get(id);
            for partition in &mut topic.partitions {
                if let Some(known) = known.and_then(|topic| topic.partitions.get(partition.partition as usize))
                    && known.leader_epoch > partition.leader_epoch
                {
                    *partition = known.clone();
                }
            }
        }
        // A broker that just came up may not know the others yet; what was once known of an address stays worth a try.
        view.brokers.extend(brokers);
        view.topics = newer;
        view.taken_ms = time::monotonic_ms();
        view.version += 1;
    }
}
