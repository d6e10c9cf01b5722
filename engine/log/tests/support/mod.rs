//! A cluster in one process: real cores, real hosts, loopback connections, disks that outlive their hosts.

#![allow(dead_code)] // each test file uses a part

pub mod fake;

use broker::{Broker, BrokerConfig, Controller, ControllerConfig, FsyncPolicy, io::Core, protocol::NodeId};
use bytes::Bytes;
use log::history::{Event, Observer, SharedObserver};
use log::host::{self, HostConfig};
use log::native::{ClientConfig, Native};
use log::{LogPort, Outcome, Position, Reader, Record, StartPoint, TopicInfo, TopicSpec, Tp};
use runtime::BoxFuture;
use runtime::disk::{Disk, Entry};
use runtime::net::Listener;
use runtime::task::{JoinHandle, Stopper, stop_channel};
use runtime::time;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

/// A node's files, in memory; a kill keeps them.
#[derive(Default)]
pub struct MemoryDisk(Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryDisk {
    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().expect("no panic under the lock")
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for MemoryDisk {
    fn append(&self, file: &str, bytes: &[u8]) -> io::Result<u64> {
        let mut files = self.files();
        let file = files.entry(file.to_owned()).or_default();
        let at = file.len() as u64;
        file.extend_from_slice(bytes);
        Ok(at)
    }

    fn read(&self, file: &str, offset: u64, len: usize) -> io::Result<Bytes> {
        let files = self.files();
        let file = files.get(file).ok_or_else(missing)?;
        let from = (offset as usize).min(file.len());
        Ok(Bytes::copy_from_slice(&file[from..(from + len).min(file.len())]))
    }

    fn truncate(&self, file: &str, len: u64) -> io::Result<()> {
        self.files().get_mut(file).ok_or_else(missing)?.truncate(len as usize);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let bytes = files.remove(from).ok_or_else(missing)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        self.files().remove(file).map(drop).ok_or_else(missing)
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Entry>> {
        Ok(self.files().iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect())
    }

    fn sync<'a>(&'a self, _files: &'a [String]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn sync_dir<'a>(&'a self, _dir: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Keeps what it is told.
#[derive(Default)]
pub struct Notebook(Mutex<Vec<Event>>);

impl Observer for Notebook {
    fn is_on(&self) -> bool {
        true
    }

    fn observe(&self, event: Event) {
        self.0.lock().expect("no panic under the lock").push(event);
    }
}

impl Notebook {
    /// Everything so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().expect("no panic under the lock").clone()
    }
}

/// One process: a host, and what it needs to come back.
struct Process {
    listen: String,
    nodes: Vec<NodeId>,
    disk: Arc<dyn Disk>,
    life: u64,
    running: Option<(JoinHandle<io::Result<()>>, Stopper)>,
}

/// A cluster.
pub struct Cluster {
    processes: Vec<Process>,
    addresses: BTreeMap<NodeId, String>,
    embedded: bool,
    transaction_version: u8,
    pub notebook: Arc<Notebook>,
}

async fn free_address() -> String {
    Listener::bind("127.0.0.1:0").await.expect("a free port").local_address()
}

impl Cluster {
    /// Controller and one broker in one process, every append synced.
    pub async fn embedded(disk: Arc<dyn Disk>) -> Cluster {
        let address = free_address().await;
        Cluster::start(vec![(address, vec![0, 1], disk)], true, 1).await
    }

    /// The same, with transactions of version 2 (A42).
    pub async fn embedded_v2(disk: Arc<dyn Disk>) -> Cluster {
        let address = free_address().await;
        Cluster::start(vec![(address, vec![0, 1], disk)], true, 2).await
    }

    /// A controller and three brokers, each a process.
    pub async fn three_brokers() -> Cluster {
        let mut processes = Vec::new();
        for node in 0..4 {
            processes.push((free_address().await, vec![node], Arc::new(MemoryDisk::default()) as Arc<dyn Disk>));
        }
        Cluster::start(processes, false, 1).await
    }

    async fn start(processes: Vec<(String, Vec<NodeId>, Arc<dyn Disk>)>, embedded: bool, transaction_version: u8) -> Cluster {
        let addresses = processes.iter().flat_map(|(address, nodes, _)| nodes.iter().map(|node| (*node, address.clone()))).collect();
        let processes = processes.into_iter().map(|(listen, nodes, disk)| Process { listen, nodes, disk, life: 0, running: None }).collect();
        let mut cluster = Cluster { processes, addresses, embedded, transaction_version, notebook: Arc::default() };
        for process in 0..cluster.processes.len() {
            cluster.restart(process);
        }
        cluster
    }

    /// Starts a process that does not run.
    pub fn restart(&mut self, process: usize) {
        let (embedded, version, notebook, addresses) = (self.embedded, self.transaction_version, self.notebook.clone(), self.addresses.clone());
        let process = &mut self.processes[process];
        assert!(process.running.is_none(), "it runs already");
        process.life += 1;
        let cores = process.nodes.iter().map(|node| (*node, core(*node, &addresses[node], embedded, version))).collect();
        let (stopper, stop) = stop_channel();
        let config = HostConfig::new(process.listen.clone(), addresses);
        let host = host::run(config, cores, process.disk.clone(), notebook, process.life, stop);
        process.running = Some((runtime::task::spawn(host), stopper));
    }

    /// Ends a process without a word.
    pub async fn kill(&mut self, process: usize) {
        let (task, _stopper) = self.processes[process].running.take().expect("it runs");
        task.abort();
        // The error says that it was aborted.
        let _ = task.await;
    }

    /// Gives a process that does not run another disk.
    pub fn replace_disk(&mut self, process: usize, disk: Arc<dyn Disk>) {
        assert!(self.processes[process].running.is_none(), "it has its disk open");
        self.processes[process].disk = disk;
    }

    /// Ends a process in good order.
    pub async fn stop(&mut self, process: usize) {
        let (task, stopper) = self.processes[process].running.take().expect("it runs");
        stopper.stop();
        task.await.expect("no panic").expect("left in good order");
    }

    /// A client of its own.
    pub fn client(&self) -> Native {
        self.client_with(|_| ())
    }

    /// A client set differently.
    pub fn client_with(&self, set: impl FnOnce(&mut ClientConfig)) -> Native {
        let brokers = self.addresses.iter().filter(|(node, _)| **node != 0).map(|(_, address)| address.clone());
        let mut config = ClientConfig::new("test", brokers);
        set(&mut config);
        Native::new(config, self.notebook.clone() as SharedObserver)
    }

    /// Makes a topic.
    pub async fn topic(&self, log: &Native, name: &str, partitions: u32) -> TopicInfo {
        let (replication, min_isr) = if self.embedded { (1, 1) } else { (3, 2) };
        let spec = TopicSpec { name: name.to_owned(), partitions, replication, min_isr, compacted: false };
        assert_eq!(log.create_topics(vec![spec], soon(20_000)).await, Outcome::Done(()));
        match log.topics(&[name], soon(20_000)).await {
            Outcome::Done(topics) => topics[0].clone(),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn core(node: NodeId, address: &str, embedded: bool, transaction_version: u8) -> Box<dyn Core> {
    match (node, embedded) {
        (0, true) => Box::new(Controller::new(ControllerConfig { transaction_version, ..ControllerConfig::beside(1) })),
        (0, false) => Box::new(Controller::new(ControllerConfig::default())),
        (_, true) => {
            // The cleaner looks often: only a topic that is compacted notices.
            let config = BrokerConfig { fsync: FsyncPolicy::Always, cleaner_backoff_ms: 200, ..BrokerConfig::new(node, address) };
            Box::new(Broker::new(config))
        }
        (_, false) => Box::new(Broker::new(BrokerConfig::new(node, address))),
    }
}

/// A deadline.
pub fn soon(ms: u64) -> u64 {
    time::monotonic_ms() + ms
}

/// An application that commits without transactions begins where it is told.
pub fn seek_starts(reader: &mut impl Reader, from: Vec<(Tp, StartPoint)>) {
    for (tp, start) in from {
        match start {
            StartPoint::Committed(position) => reader.seek(tp, position),
            StartPoint::Nothing => reader.seek(tp, Position::START),
            StartPoint::Pending => unreachable!("this group commits without transactions"),
        }
    }
}

/// A record.
pub fn record(value: &str) -> Record {
    Record { key: None, value: Some(Bytes::copy_from_slice(value.as_bytes())), timestamp_ms: 1 }
}

/// A value as text.
pub fn text(value: &Option<Bytes>) -> String {
    String::from_utf8(value.as_ref().expect("no tombstone").to_vec()).expect("text")
}
