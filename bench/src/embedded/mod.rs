//! The embedded log in this process, as `exchange log` composes it: one broker and its controller on a journal, clients over loopback TCP. Its disk
//! counts the syncs that it is asked for.

mod counted;

use anyhow::{Context, Result, bail};
use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, FsyncPolicy};
use counted::Counted;
use log::host::{self, HostConfig};
use log::native::{ClientConfig, Native};
use log::{Durability, LogPort, Outcome, TopicInfo, TopicSpec, history::Silent};
use runtime::disk::{JournalConfig, JournalDisk};
use runtime::net::Listener;
use runtime::task::{JoinHandle, Stopper, spawn, stop_channel};
use runtime::time::monotonic_ms;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const NODE: broker::NodeId = 1;

/// Longest wait for anything.
pub const PATIENCE_MS: u64 = 30_000;

/// A running log.
pub struct Embedded {
    /// A client of it.
    pub client: Native,
    disk: Arc<Counted<JournalDisk>>,
    stopper: Stopper,
    host: JoinHandle<std::io::Result<()>>,
}

impl Embedded {
    /// Starts it on an empty folder; every append is on the platter before it is acknowledged.
    pub async fn start(folder: &Path) -> Result<Self> {
        let disk = Arc::new(Counted::new(JournalDisk::open(folder, JournalConfig::default()).with_context(|| folder.display().to_string())?));
        let listener = Listener::bind("127.0.0.1:0").await.context("a free port of loopback")?;
        let address = listener.local_address();
        let broker = Broker::new(BrokerConfig { fsync: FsyncPolicy::Never, ..BrokerConfig::new(NODE, &address) });
        let controller = Controller::new(ControllerConfig::beside(NODE));
        let cores: Vec<(broker::NodeId, Box<dyn Core>)> = vec![(broker::protocol::CONTROLLER, Box::new(controller)), (NODE, Box::new(broker))];
        let nodes = BTreeMap::from([(broker::protocol::CONTROLLER, address.clone()), (NODE, address.clone())]);
        let (stopper, stop) = stop_channel();
        let config = HostConfig { withholds: true, ..HostConfig::new(address.clone(), nodes) };
        let host = spawn(host::serve(listener, config, cores, Arc::clone(&disk) as Arc<_>, Arc::new(Silent), 1, stop));
        let client = Native::new(ClientConfig { durable: Durability::Fsync, ..ClientConfig::new("bench", [address]) }, Arc::new(Silent));
        Ok(Embedded { client, disk, stopper, host })
    }

    /// A new topic.
    pub async fn topic(&self, name: &str, partitions: u32) -> Result<TopicInfo> {
        let spec = TopicSpec { name: name.to_owned(), partitions, replication: 1, min_isr: 1, compacted: false };
        let deadline_ms = monotonic_ms() + PATIENCE_MS;
        let created = self.client.create_topics(vec![spec], deadline_ms).await;
        match self.client.topics(&[name], deadline_ms).await {
            Outcome::Done(mut topics) => Ok(topics.remove(0)),
            Outcome::NotDone(reason) | Outcome::Unknown(reason) => bail!("topic {name}: {reason} ({created:?})"),
        }
    }

    /// Syncs that the log asked its disk for until now.
    pub fn syncs(&self) -> u64 {
        self.disk.syncs()
    }

    /// Ends it in good order.
    pub async fn stop(self) -> Result<()> {
        self.stopper.stop();
        self.host.await.context("the log's task")?.context("the log")
    }
}
