//! Runs broker cores: decodes what comes in, executes what they ask for, in order.
//!
//! One task owns the cores; connections, links and the disk's sync rounds hand it their results. A step never waits. All of the embedded log is one
//! host with the controller's and one broker's core; a node of a cluster is a host with one core.
//!
//! A core's files are below `node-<id>/` of the disk.

mod connection;
mod execute;
mod files;
mod inside;
mod peers;
mod timers;

use crate::history::SharedObserver;
use crate::link::LinkConfig;
use broker::io::{Core, Input, Now, Output};
use broker::protocol::{CONTROLLER, NodeId, Request, Response};
use connection::{Arrival, Connections};
use files::{Files, Withheld};
use peers::Peers;
use runtime::disk::Disk;
use runtime::net::Listener;
use runtime::task::Stop;
use runtime::time;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use timers::Timers;
use tokio::sync::mpsc;

pub use inside::Inside;
pub(crate) use inside::Line;

/// Most arrivals taken in at a time before anything else is looked at.
const ARRIVALS_MAX: u32 = 64;

/// No accept for so long after one that failed.
const ACCEPT_PAUSE_MS: u64 = 50;

/// Where a host listens, and where the others do.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// `host:port`.
    pub listen: String,
    /// Address of every node, controllers included.
    pub nodes: BTreeMap<NodeId, String>,
    /// Most connections accepted at a time; the next waits.
    pub connections_max: usize,
    /// Most requests of one connection that are in work; the next is not read.
    pub requests_max: usize,
    /// Limits of the links to other nodes.
    pub link: LinkConfig,
    /// Longest a stop may take before the host leaves anyway.
    pub shut_down_timeout_ms: u64,
    /// Nothing leaves the process before everything written until then is on the platter, so that whoever is outside can tell no difference from a host
    /// that syncs every write at once ("external synchrony", Nightingale et al., OSDI 2006); to the cores, and to those who came by [`Host::inside`], what
    /// is written counts. After a power loss the log is a prefix of what was written, so what they did about a record is gone if the record is. Needs
    /// a disk that keeps the order ([`Disk::keeps_order`]), and cores that do not wait for syncs themselves.
    pub withholds: bool,
}

impl HostConfig {
    /// The defaults of every limit (`kafka.md` G.2, scaled).
    pub fn new(listen: impl Into<String>, nodes: BTreeMap<NodeId, String>) -> Self {
        HostConfig {
            listen: listen.into(),
            nodes,
            connections_max: 1024,
            requests_max: 64,
            link: LinkConfig { connect_timeout_ms: 1_000, request_timeout_ms: 3_000, backoff_ms_min: 20, backoff_ms_max: 500 },
            shut_down_timeout_ms: 5_000,
            withholds: false,
        }
    }
}

/// Runs `cores` until `stop` is asked for and they have left in good order.
///
/// # Errors
/// The address cannot be bound, the disk cannot be listed, or a core ended by itself: then it is the first error of the disk, if there was one.
pub async fn run(
    config: HostConfig,
    cores: Vec<(NodeId, Box<dyn Core>)>,
    disk: Arc<dyn Disk>,
    observer: SharedObserver,
    incarnation: u64,
    stop: Stop,
) -> io::Result<()> {
    let listener = Listener::bind(&config.listen).await?;
    serve(listener, config, cores, disk, observer, incarnation, stop).await
}

/// [`run`] on a socket that already listens (`config.listen` is not used).
///
/// # Errors
/// As [`run`].
pub async fn serve(
    listener: Listener,
    config: HostConfig,
    cores: Vec<(NodeId, Box<dyn Core>)>,
    disk: Arc<dyn Disk>,
    observer: SharedObserver,
    incarnation: u64,
    stop: Stop,
) -> io::Result<()> {
    Host::new(config, cores, disk, observer, incarnation)?.serve(listener, stop).await
}

struct Resident {
    core: Box<dyn Core>,
    stopped: bool,
}

/// A host that was made and does not serve yet.
pub struct Host {
    residents: BTreeMap<NodeId, Resident>,
    files: Files,
    connections: Connections,
    peers: Peers,
    timers: Timers,
    /// Inputs that need nothing from outside: finished page-cache operations, calls between cores of this host.
    ready: VecDeque<(NodeId, Input)>,
    outputs: Vec<Output>,
    observer: SharedObserver,
    /// The first error of the disk: a core hears only that there was one, and ends.
    disk_error: Option<io::Error>,
    accepts_from_ms: u64,
    stop_by_ms: Option<u64>,
    shut_down_timeout_ms: u64,
    withholds: bool,
    arrived: mpsc::UnboundedReceiver<Arrival>,
    inside: Inside,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("residents", &self.residents.keys()).finish_non_exhaustive()
    }
}

impl Host {
    /// Its files are on `disk`.
    ///
    /// # Errors
    /// The disk cannot be listed.
    pub fn new(config: HostConfig, cores: Vec<(NodeId, Box<dyn Core>)>, disk: Arc<dyn Disk>, observer: SharedObserver, incarnation: u64) -> io::Result<Host> {
        assert!(!cores.is_empty(), "a host without a core serves nobody");
        assert!(!config.withholds || disk.keeps_order(), "where order is not kept, what is written does not survive whatever was written before it");
        let (arrivals, arrived) = mpsc::unbounded_channel();
        let residents: BTreeMap<NodeId, Resident> = cores.into_iter().map(|(node, core)| (node, Resident { core, stopped: false })).collect();
        let mut host = Host {
            files: Files::open(disk, residents.keys().copied())?,
            connections: Connections::new(config.connections_max, config.requests_max, arrivals.clone()),
            peers: Peers::new(config.nodes, config.link, residents.keys().copied(), arrivals.clone()),
            timers: Timers::default(),
            ready: VecDeque::new(),
            outputs: Vec::new(),
            residents,
            observer,
            disk_error: None,
            accepts_from_ms: 0,
            stop_by_ms: None,
            shut_down_timeout_ms: config.shut_down_timeout_ms,
            withholds: config.withholds,
            arrived,
            inside: Inside::new(arrivals),
        };
        for node in host.residents.keys().copied().collect::<Vec<_>>() {
            let listing = host.files.listing(node)?;
            host.ready.push_back((node, Input::Start { listing, incarnation }));
        }
        Ok(host)
    }

    /// The way in for the parts of this process.
    pub fn inside(&self) -> Inside {
        self.inside.clone()
    }

    /// Serves until `stop` is asked for and the cores have left in good order.
    ///
    /// # Errors
    /// A core ended by itself: then it is the first error of the disk, if there was one.
    pub async fn serve(mut self, mut listener: Listener, mut stop: Stop) -> io::Result<()> {
        loop {
            self.step_ready().await;
            if self.is_finished()? {
                return Ok(());
            }
            self.files.begin_round();
            runtime::select! {
                () = stop.requested(), if self.stop_by_ms.is_none() => self.begin_shut_down(),
                round = self.files.round_finished() => self.finish_round(round),
                connection = listener.accept(), if self.may_accept() => match connection {
                    Ok((stream, _peer)) => self.connections.open(stream),
                    // It broke while it was accepted, or this process has no room for it: others may fare better a little later.
                    Err(_) => self.pause_accepting(),
                },
                due = self.timers.due() => self.ready.extend(due.into_iter().map(|node| (node, Input::Tick))),
                arrival = self.arrived.recv() => {
                    self.arrive(arrival.expect("the host keeps a sender"));
                    // What came together is synced together.
                    for _ in 1..ARRIVALS_MAX {
                        let Ok(arrival) = self.arrived.try_recv() else { break };
                        self.arrive(arrival);
                    }
                }
            }
        }
    }

    fn may_accept(&self) -> bool {
        self.connections.has_room() && self.accepts_from_ms <= time::monotonic_ms()
    }

    fn pause_accepting(&mut self) {
        self.accepts_from_ms = time::monotonic_ms() + ACCEPT_PAUSE_MS;
        // One tick too many does no harm, and wakes the loop.
        let node = *self.residents.keys().next().expect("a host has a core");
        self.timers.set(node, self.accepts_from_ms);
    }

    async fn step_ready(&mut self) {
        // Cores of one host can keep each other busy without end: let the network in from time to time.
        for turn in 1u32.. {
            let Some((node, input)) = self.ready.pop_front() else { return };
            self.step(node, input);
            if turn % 64 == 0 {
                runtime::task::yield_now().await;
            }
        }
    }

    fn step(&mut self, node: NodeId, input: Input) {
        let resident = self.residents.get_mut(&node).expect("inputs go to residents");
        if resident.stopped {
            return;
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        resident.core.step(Now { monotonic_ms: time::monotonic_ms(), wall_ms: time::now_ms() }, input, &mut outputs);
        for output in outputs.drain(..) {
            self.execute(node, output);
        }
        self.outputs = outputs;
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Request { connection, correlation, kind, request } => {
                self.connections.asked(connection, correlation, kind);
                match request {
                    Ok(request) => self.ready.push_back((self.resident_for(&request), Input::Request { connection, correlation, request })),
                    Err(code) => self.connections.reply(connection, correlation, Some(Response::Error(code))),
                }
            }
            Arrival::Call { connection, correlation, request, answer } => {
                self.connections.called(connection, correlation, request.kind(), answer);
                self.ready.push_back((self.resident_for(&request), Input::Request { connection, correlation, request }));
            }
            Arrival::Settle { tell } => self.release(Withheld::Word(tell)),
            Arrival::Closed { connection } => {
                self.connections.closed(connection);
                self.ready.extend(self.residents.keys().map(|node| (*node, Input::Closed { connection })));
            }
            Arrival::Answer { node, id, response } => self.ready.push_back((node, Input::Response { id, response })),
        }
    }

    /// Which core a request from outside is for: requests of brokers to the controller have kinds of their own.
    fn resident_for(&self, request: &Request) -> NodeId {
        let (first, _) = self.residents.first_key_value().expect("a host has a core");
        let (last, _) = self.residents.last_key_value().expect("a host has a core");
        let to_controller = matches!(
            request,
            Request::RegisterBroker { .. }
                | Request::BrokerHeartbeat { .. }
                | Request::AlterPartition { .. }
                | Request::FetchMetadata { .. }
                | Request::AllocateProducerIds { .. }
        ) || request.is_of_quorum();
        if to_controller && *first == CONTROLLER { CONTROLLER } else { *last }
    }

    fn finish_round(&mut self, round: files::Round) {
        for (node, op, result) in round.done {
            self.done(node, op, result);
        }
        for (node, output) in round.freed {
            self.execute(node, output);
        }
        match round.released {
            Ok(withheld) => withheld.into_iter().for_each(|what| self.let_out(what)),
            // No core need have been part of the round: nobody else would end for it.
            Err(error) if self.withholds => drop(self.disk_error.get_or_insert(error)),
            Err(_) => {}
        }
    }

    /// Brokers leave first: they hand their leaderships over through the controller.
    fn begin_shut_down(&mut self) {
        self.stop_by_ms = Some(time::monotonic_ms() + self.shut_down_timeout_ms);
        let controller_only = self.residents.len() == 1;
        for node in self.residents.keys() {
            self.timers.set(*node, time::monotonic_ms() + self.shut_down_timeout_ms);
            if *node != CONTROLLER || controller_only {
                self.ready.push_back((*node, Input::ShutDown));
            }
        }
    }

    fn stopped(&mut self, node: NodeId) {
        self.residents.get_mut(&node).expect("only residents stop").stopped = true;
        let mut living = self.residents.iter().filter(|(_, resident)| !resident.stopped);
        if let (Some((&CONTROLLER, _)), None, Some(_)) = (living.next(), living.next(), self.stop_by_ms) {
            self.ready.push_back((CONTROLLER, Input::ShutDown));
        }
    }

    fn is_finished(&mut self) -> io::Result<bool> {
        let stopped = self.residents.values().filter(|resident| resident.stopped).count();
        match self.stop_by_ms {
            Some(by_ms) => Ok(stopped == self.residents.len() || by_ms <= time::monotonic_ms()),
            None if stopped > 0 || self.withholds && self.disk_error.is_some() => {
                Err(self.disk_error.take().unwrap_or_else(|| io::Error::other("a core ended by itself")))
            }
            None => Ok(false),
        }
    }
}
