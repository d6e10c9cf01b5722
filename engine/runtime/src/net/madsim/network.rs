//! The simulated network: every connection of a run as two directed queues of parcels, each with the time at which it is due.
//!
//! Faults obey TCP: a direction delivers in order, each byte once, and ends with a close or a reset. A cut link delivers nothing, neither bytes nor
//! ends; it acts where parcels are taken out, so that one rule serves everything.

use super::link::{CONNECT, END, Fate, Latency, Link, STREAM, Touched};
use crate::net::Frame;
use crate::rng::key;
use crate::simulated::{Life, NodeNumber, Simulation, UNPOISONED};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// A writer waits while its direction holds this much.
const SEND_BUFFER_BYTES: usize = 1 << 20;
/// First port given to a connecting side, or to a listener that asked for port 0.
const EPHEMERAL_PORT: u16 = 49_152;

/// How a node went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// The process is dead, the machine runs: its kernel ends connections and refuses new ones.
    Killed,
    /// The machine is off: silence, until it is on again.
    PowerLost,
}

/// A piece of a direction.
#[derive(Debug)]
pub enum Parcel {
    Bytes(Bytes),
    Frame(Frame),
    /// The sender closed. The last of its direction.
    Fin,
    /// The connection broke. The last of its direction.
    Reset,
}

/// One side of one connection: 0 connected, 1 accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideId {
    pub slot: usize,
    pub side: usize,
}

#[derive(Debug)]
struct Side {
    life: Life,
    address: String,
    /// A stream, or the backlog of a listener, holds this side; both gone frees the slot.
    held: bool,
    /// Closed by its holder, or dead.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// What this side sends.
    queue: VecDeque<(u64, Parcel)>,
    queued_bytes: usize,
    last_due_ns: u64,
    ended: bool,
    /// An alarm of this side, as reader, is set.
    alarmed: bool,
}

#[derive(Debug)]
struct Connection {
    id: u64,
    sides: [Side; 2],
}

#[derive(Debug)]
struct Port {
    life: Life,
    backlog: VecDeque<SideId>,
    waker: Option<Waker>,
}

/// All of it.
#[derive(Debug)]
pub struct Network {
    seed: u64,
    latency: Latency,
    links: BTreeMap<(NodeNumber, NodeNumber), Link>,
    ports: BTreeMap<(NodeNumber, u16), Port>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    next_id: u64,
    next_port: BTreeMap<NodeNumber, u16>,
    dark: BTreeSet<NodeNumber>,
    messages: u64,
    /// A link opened, or a node came up or went down.
    changed: Arc<Notify>,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Network {
            seed,
            latency: Latency::LAN,
            links: BTreeMap::new(),
            ports: BTreeMap::new(),
            connections: Vec::new(),
            free: Vec::new(),
            next_id: 0,
            next_port: BTreeMap::new(),
            dark: BTreeSet::new(),
            messages: 0,
            changed: Arc::default(),
        }
    }

    pub fn set_latency(&mut self, latency: Latency) {
        self.latency = latency;
    }

    pub fn messages(&self) -> u64 {
        self.messages
    }

    pub fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    fn latency_between(&self, from: NodeNumber, to: NodeNumber) -> Latency {
        if from == to { Latency::LOOPBACK } else { self.latency }
    }

    /// The link between two nodes.
    fn link(&mut self, from: NodeNumber, to: NodeNumber) -> &mut Link {
        let seed = self.seed;
        self.links.entry((from, to)).or_insert_with(|| Link::new(key(seed, &["link", &from.to_string(), &to.to_string()])))
    }

    pub fn cut(&mut self, from: NodeNumber, to: NodeNumber) {
        self.link(from, to).cut();
    }

    pub fn heal(&mut self, from: NodeNumber, to: NodeNumber, now_ns: u64) {
        let latency = self.latency;
        if self.link(from, to).heal(false, now_ns, &latency) {
            self.opened(|a, b| (a, b) == (from, to));
        }
    }

    pub fn heal_all(&mut self, now_ns: u64) {
        let latency = self.latency;
        for link in self.links.values_mut() {
            link.heal(true, now_ns, &latency);
            link.clear_rules();
        }
        self.opened(|_, _| true);
    }

    pub fn rule(&mut self, from: NodeNumber, to: NodeNumber, kind: Option<u16>, nth: u64, delay_ms: Option<u64>) -> Touched {
        self.link(from, to).add_rule(kind, nth, delay_ms)
    }

    /// Readers behind a link that opened look again.
    fn opened(&mut self, link: impl Fn(NodeNumber, NodeNumber) -> bool) {
        for connection in self.connections.iter_mut().flatten() {
            for side in 0..2 {
                if link(connection.sides[1 - side].life.node, connection.sides[side].life.node) {
                    wake(&mut connection.sides[side].reader);
                    wake(&mut connection.sides[side].writer);
                }
            }
        }
        self.changed.notify_waiters();
    }

    pub fn up(&mut self, node: NodeNumber) {
        self.dark.remove(&node);
        self.changed.notify_waiters();
    }

    /// Ends everything that `life` has, as its machine would.
    pub fn down(&mut self, simulation: &Simulation, life: &Life, how: Down, now_ns: u64) {
        if how == Down::PowerLost {
            self.dark.insert(life.node);
        }
        let mut unaccepted = Vec::new();
        self.ports.retain(|_, port| {
            let owned = port.owned_by(life);
            if owned {
                unaccepted.extend(port.backlog.drain(..));
            }
            !owned
        });
        for slot in 0..self.connections.len() {
            for side in 0..2 {
                let Some(connection) = &mut self.connections[slot] else { continue };
                let own = &mut connection.sides[side];
                if !Arc::ptr_eq(&own.life.alive, &life.alive) || own.closed {
                    continue;
                }
                own.closed = true;
                (own.reader, own.writer) = (None, None);
                match how {
                    Down::Killed => self.end(simulation, SideId { slot, side }, now_ns),
                    // What had left the machine arrives; nothing else does.
                    Down::PowerLost => own.queue.retain(|(due_ns, _)| *due_ns <= now_ns + 1_000_000),
                }
            }
        }
        for at in unaccepted {
            self.let_go(at);
        }
        self.changed.notify_waiters();
    }

    /// A kernel ends the connection of a side that is closed: a reset if bytes for it were not read.
    fn end(&mut self, simulation: &Simulation, at: SideId, now_ns: u64) {
        let connection = self.connections[at.slot].as_mut().expect("a side that is held has its connection");
        let unread = connection.sides[1 - at.side].queue.iter().any(|(_, parcel)| matches!(parcel, Parcel::Bytes(_) | Parcel::Frame(_)));
        let parcel = if unread { Parcel::Reset } else { Parcel::Fin };
        self.push(simulation, at, END, parcel, now_ns);
    }

    /// A free port of a node.
    fn take_port(&mut self, node: NodeNumber) -> u16 {
        let next = self.next_port.entry(node).or_insert(EPHEMERAL_PORT);
        let port = *next;
        *next = next.checked_add(1).unwrap_or(EPHEMERAL_PORT);
        port
    }

    pub fn bind(&mut self, life: &Life, port: u16) -> io::Result<u16> {
        let port = if port == 0 { self.take_port(life.node) } else { port };
        if self.ports.contains_key(&(life.node, port)) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("port {port} is in use")));
        }
        self.ports.insert((life.node, port), Port { life: life.clone(), backlog: VecDeque::new(), waker: None });
        Ok(port)
    }

    /// Closes a listener; connections that nobody accepted are reset.
    pub fn unbind(&mut self, simulation: &Simulation, life: &Life, port: u16, now_ns: u64) {
        if !self.ports.get(&(life.node, port)).is_some_and(|port| port.owned_by(life)) {
            return;
        }
        let port = self.ports.remove(&(life.node, port)).expect("looked at above");
        for side in port.backlog {
            self.release(simulation, side, now_ns);
        }
    }

    pub fn poll_accept(&mut self, life: &Life, port: u16, cx: &mut Context<'_>) -> Poll<SideId> {
        let Some(port) = self.ports.get_mut(&(life.node, port)).filter(|_| life.is_alive()) else { return Poll::Pending };
        if let Some(side) = port.backlog.pop_front() {
            return Poll::Ready(side);
        }
        port.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// How long the round trip of a connect takes; `None`: nothing can pass now.
    pub fn reach(&mut self, from: NodeNumber, to: NodeNumber) -> Option<Duration> {
        if self.dark.contains(&to) || self.link(from, to).is_cut() || self.link(to, from).is_cut() {
            return None;
        }
        let latency = self.latency_between(from, to);
        let there_ns = self.link(from, to).latency_ns(CONNECT, &latency);
        let back_ns = self.link(to, from).latency_ns(CONNECT, &latency);
        Some(Duration::from_nanos(there_ns + back_ns))
    }

    /// The end of a connect whose round trip is over.
    pub fn establish(&mut self, simulation: &Simulation, life: &Life, to: NodeNumber, port: u16) -> io::Result<SideId> {
        let from_port = self.take_port(life.node);
        // Both links exist from here on: reading looks them up without making them.
        self.link(life.node, to);
        self.link(to, life.node);
        let Some(peer) = self.ports.get(&(to, port)).map(|port| port.life.clone()) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let from_address = format!("{}:{from_port}", simulation.name_of(life.node));
        let to_address = format!("{}:{port}", simulation.name_of(to));
        let connection = Connection { id: self.next_id, sides: [Side::new(life.clone(), from_address), Side::new(peer, to_address)] };
        self.next_id += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.connections[slot] = Some(connection);
        let listener = self.ports.get_mut(&(to, port)).expect("looked at above");
        listener.backlog.push_back(SideId { slot, side: 1 });
        wake(&mut listener.waker);
        Ok(SideId { slot, side: 0 })
    }

    /// The address of the other side.
    pub fn peer_address(&self, at: SideId) -> String {
        self.connection(at).sides[1 - at.side].address.clone()
    }

    fn connection(&self, at: SideId) -> &Connection {
        self.connections[at.slot].as_ref().expect("a side that is held has its connection")
    }

    /// The next parcel for this side. `Fin` and `Reset` come again at every later call.
    pub fn poll_take(&mut self, simulation: &Simulation, at: SideId, cx: &mut Context<'_>) -> Poll<Parcel> {
        let now_ns = simulation.now_ns();
        let connection = self.connections[at.slot].as_mut().expect("a side that is held has its connection");
        let (own, peer) = two(&mut connection.sides, at.side);
        if !own.life.is_alive() {
            return Poll::Pending;
        }
        let link = &self.links[&(peer.life.node, own.life.node)];
        match peer.queue.front() {
            Some((due_ns, _)) if link.passes(*due_ns, now_ns) => Poll::Ready(take(peer)),
            head => {
                if !own.reader.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    own.reader = Some(cx.waker().clone());
                }
                if let Some((due_ns, _)) = head.filter(|_| !link.is_cut() && !own.alarmed) {
                    own.alarmed = true;
                    set_alarm(simulation, connection.id, at, link.seen_ns(*due_ns).saturating_sub(now_ns));
                }
                Poll::Pending
            }
        }
    }

    /// Puts back the rest of a parcel that was read in part.
    pub fn put_back(&mut self, at: SideId, rest: Bytes) {
        let connection = self.connections[at.slot].as_mut().expect("a side that is held has its connection");
        let peer = &mut connection.sides[1 - at.side];
        peer.queued_bytes += rest.len();
        peer.queue.push_front((0, Parcel::Bytes(rest)));
    }

    /// Sends; waits while the send buffer is full.
    pub fn poll_put(&mut self, simulation: &Simulation, at: SideId, cx: &mut Context<'_>, parcel: impl FnOnce() -> Parcel) -> Poll<io::Result<()>> {
        let now_ns = simulation.now_ns();
        let connection = self.connections[at.slot].as_mut().expect("a side that is held has its connection");
        let (own, peer) = two(&mut connection.sides, at.side);
        if !own.life.is_alive() {
            return Poll::Pending;
        }
        let reset = matches!(peer.queue.front(), Some((due_ns, Parcel::Reset)) if self.links[&(peer.life.node, own.life.node)].passes(*due_ns, now_ns));
        if own.ended || reset {
            let kind = if reset { io::ErrorKind::ConnectionReset } else { io::ErrorKind::BrokenPipe };
            return Poll::Ready(Err(kind.into()));
        }
        if own.queued_bytes >= SEND_BUFFER_BYTES {
            own.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if peer.closed {
            self.answer_with_reset(simulation, at, now_ns);
            return Poll::Ready(Ok(()));
        }
        match parcel() {
            Parcel::Frame(frame) => self.send_frame(simulation, at, frame, now_ns),
            other => self.push(simulation, at, STREAM, other, now_ns),
        }
        Poll::Ready(Ok(()))
    }

    fn send_frame(&mut self, simulation: &Simulation, at: SideId, frame: Frame, now_ns: u64) {
        let (from, to) = self.ends(at);
        let latency = self.latency_between(from, to);
        let kind = frame.kind;
        match self.link(from, to).fate(kind, &latency) {
            Fate::Arrives(in_ns) => self.enqueue(simulation, at, Parcel::Frame(frame), now_ns, in_ns),
            Fate::Lost => {
                // TCP loses nothing silently: both ends see the connection break.
                self.push(simulation, at, END, Parcel::Reset, now_ns);
                self.push(simulation, SideId { side: 1 - at.side, ..at }, END, Parcel::Reset, now_ns);
            }
        }
    }

    /// A side wrote to one that is not there any more: its machine answers with a reset, if it is on.
    fn answer_with_reset(&mut self, simulation: &Simulation, at: SideId, now_ns: u64) {
        let (from, to) = self.ends(at);
        if self.dark.contains(&to) || self.link(from, to).is_cut() {
            return;
        }
        let peer = SideId { side: 1 - at.side, ..at };
        let queue = &mut self.connections[at.slot].as_mut().expect("a side that is held has its connection").sides[peer.side];
        if matches!(queue.queue.back(), Some((_, Parcel::Reset))) {
            return;
        }
        queue.queue.retain(|(_, parcel)| !matches!(parcel, Parcel::Fin));
        queue.ended = false;
        self.push(simulation, peer, END, Parcel::Reset, now_ns);
    }

    fn ends(&self, at: SideId) -> (NodeNumber, NodeNumber) {
        let sides = &self.connection(at).sides;
        (sides[at.side].life.node, sides[1 - at.side].life.node)
    }

    /// Sends a parcel that no rule touches.
    fn push(&mut self, simulation: &Simulation, at: SideId, kind: u16, parcel: Parcel, now_ns: u64) {
        let (from, to) = self.ends(at);
        let latency = self.latency_between(from, to);
        let in_ns = self.link(from, to).latency_ns(kind, &latency);
        self.enqueue(simulation, at, parcel, now_ns, in_ns);
    }

    fn enqueue(&mut self, simulation: &Simulation, at: SideId, parcel: Parcel, now_ns: u64, in_ns: u64) {
        self.messages += 1;
        let connection = self.connections[at.slot].as_mut().expect("a side that is held has its connection");
        let (own, peer) = two(&mut connection.sides, at.side);
        if own.ended {
            return;
        }
        own.ended = matches!(parcel, Parcel::Fin | Parcel::Reset);
        own.queued_bytes += bytes_of(&parcel);
        own.last_due_ns = own.last_due_ns.max(now_ns + in_ns);
        own.queue.push_back((own.last_due_ns, parcel));
        let link = &self.links[&(own.life.node, peer.life.node)];
        if peer.reader.is_some() && !peer.alarmed && !link.is_cut() {
            peer.alarmed = true;
            let due_ns = own.queue.front().expect("pushed above").0;
            set_alarm(simulation, connection.id, SideId { side: 1 - at.side, ..at }, link.seen_ns(due_ns).saturating_sub(now_ns));
        }
    }

    /// The holder closes the sending direction.
    pub fn shut_down(&mut self, simulation: &Simulation, at: SideId, now_ns: u64) {
        let own = &self.connection(at).sides[at.side];
        if own.life.is_alive() && !own.ended {
            self.push(simulation, at, END, Parcel::Fin, now_ns);
        }
    }

    /// The holder of a side is gone.
    pub fn release(&mut self, simulation: &Simulation, at: SideId, now_ns: u64) {
        let connection = self.connections[at.slot].as_mut().expect("a side that is held has its connection");
        let own = &mut connection.sides[at.side];
        (own.reader, own.writer) = (None, None);
        if !own.closed {
            own.closed = true;
            self.end(simulation, at, now_ns);
        }
        self.let_go(at);
    }

    /// A side has no holder any more; a connection without holders is forgotten.
    fn let_go(&mut self, at: SideId) {
        let connection = self.connections[at.slot].as_mut().expect("a side that is held has its connection");
        assert!(connection.sides[at.side].held, "a side is let go once");
        connection.sides[at.side].held = false;
        if connection.sides.iter().all(|side| !side.held) {
            self.connections[at.slot] = None;
            self.free.push(at.slot);
        }
    }

    fn ring(&mut self, id: u64, at: SideId) {
        let Some(connection) = self.connections[at.slot].as_mut().filter(|connection| connection.id == id) else { return };
        connection.sides[at.side].alarmed = false;
        wake(&mut connection.sides[at.side].reader);
        // A reset behind the head frees a writer that waits for room.
        wake(&mut connection.sides[at.side].writer);
    }
}

impl Port {
    fn owned_by(&self, life: &Life) -> bool {
        Arc::ptr_eq(&self.life.alive, &life.alive)
    }
}

impl Side {
    fn new(life: Life, address: String) -> Self {
        Side {
            life,
            address,
            held: true,
            closed: false,
            reader: None,
            writer: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            last_due_ns: 0,
            ended: false,
            alarmed: false,
        }
    }
}

fn two(sides: &mut [Side; 2], own: usize) -> (&mut Side, &mut Side) {
    let [a, b] = sides;
    if own == 0 { (a, b) } else { (b, a) }
}

fn bytes_of(parcel: &Parcel) -> usize {
    match parcel {
        Parcel::Bytes(bytes) => bytes.len(),
        Parcel::Frame(frame) => frame.body.len(),
        Parcel::Fin | Parcel::Reset => 0,
    }
}

/// Takes the head off a queue; an end stays.
fn take(sender: &mut Side) -> Parcel {
    match sender.queue.front().expect("the caller looked at it") {
        (_, Parcel::Fin) => return Parcel::Fin,
        (_, Parcel::Reset) => return Parcel::Reset,
        _ => {}
    }
    let (_, parcel) = sender.queue.pop_front().expect("the caller looked at it");
    sender.queued_bytes -= bytes_of(&parcel);
    if sender.queued_bytes < SEND_BUFFER_BYTES {
        wake(&mut sender.writer);
    }
    parcel
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Rings in the middle of madsim's timer wheel, which it must not touch.
struct Alarm {
    simulation: Weak<Simulation>,
    id: u64,
    at: SideId,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if let Some(simulation) = self.simulation.upgrade() {
            simulation.network.lock().expect(UNPOISONED).ring(self.id, self.at);
        }
    }
}

/// At most one alarm per direction: the next is set by the reader that found nothing due.
fn set_alarm(simulation: &Simulation, id: u64, at: SideId, in_ns: u64) {
    let waker = Waker::from(Arc::new(Alarm { simulation: simulation.weak(), id, at }));
    let mut sleep = simulation.time().sleep(Duration::from_nanos(in_ns));
    // The first poll leaves the timer behind; the future itself is not needed.
    let pending = Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker));
    debug_assert!(pending.is_pending(), "madsim sleeps at least 1 ms");
}
