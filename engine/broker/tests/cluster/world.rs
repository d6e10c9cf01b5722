//! A deterministic cluster: brokers, a controller and clients under one seed, which decides every delay. Connections are ordered; a cut direction
//! holds what is sent until it heals; a kill keeps the page cache, a power loss may not.

use crate::disk::Disk;
use crate::rng::Rng;
use broker::protocol::CONTROLLER;
use broker::{
    Broker, BrokerConfig, Controller, ControllerConfig, Core, DiskAnswer, Input, NodeId, Note, Now, Output, QuorumConfig, Request, RequestId, Response,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Clients are nodes too, without a core.
pub const CLIENT: NodeId = 1_000;
/// Controllers of a quorum.
pub const VOTERS: [NodeId; 3] = [901, 902, 903];

enum Event {
    Input { node: NodeId, life: u64, input: Input },
    Synced { node: NodeId, life: u64, op: u64, covered: Vec<(String, Vec<u8>)> },
    Deliver { from: NodeId, to: NodeId, message: Message },
}

enum Message {
    Request {
        lane: u8,
        id: RequestId,
        from_life: u64,
        request: Request,
    },
    /// To the sender of `id`, in its life.
    Response {
        id: RequestId,
        life: u64,
        response: Option<Response>,
    },
}

/// Replies of one connection wait for those before them.
#[derive(Default)]
struct Connection {
    from: NodeId,
    from_life: u64,
    lane: u8,
    order: VecDeque<(u32, RequestId, Option<Option<Response>>)>,
}

struct Node {
    core: Option<Box<dyn Core>>,
    disk: Disk,
    life: u64,
    started_at_note: usize,
    paused: bool,
    stash: Vec<Event>,
    connections: BTreeMap<u64, Connection>,
}

pub struct World {
    pub rng: Rng,
    pub now_us: u64,
    pub broker_config: BrokerConfig,
    pub controller_config: ControllerConfig,
    nodes: BTreeMap<NodeId, Node>,
    events: BTreeMap<(u64, u64), Event>,
    serial: u64,
    cuts: BTreeSet<(NodeId, NodeId)>,
    held: Vec<(NodeId, NodeId, Message)>,
    last_delivery: BTreeMap<(NodeId, NodeId, u8), u64>,
    outstanding: BTreeMap<(NodeId, RequestId), NodeId>,
    pub answers: BTreeMap<RequestId, Option<Response>>,
    next_ticket: RequestId,
    pub notes: Vec<(NodeId, Note)>,
    /// Who was to hear a client no more, and for how long.
    pub muted: Vec<(NodeId, u64)>,
    pub stopped: BTreeSet<NodeId>,
    /// How long it takes to replace a file.
    pub replace_us: u64,
    pub steps: u64,
    pub syncs: u64,
}

impl World {
    /// A controller and `brokers` brokers, started.
    pub fn new(seed: u64, brokers: u32) -> Self {
        let controller_config = if brokers < 3 { ControllerConfig::single_node() } else { ControllerConfig::default() };
        Self::with_configs(seed, brokers, BrokerConfig::new(1, "unset"), controller_config)
    }

    pub fn with_configs(seed: u64, brokers: u32, broker_config: BrokerConfig, controller_config: ControllerConfig) -> Self {
        let mut world = World {
            rng: Rng::new(seed),
            now_us: 1_000_000,
            broker_config,
            controller_config,
            nodes: BTreeMap::new(),
            events: BTreeMap::new(),
            serial: 0,
            cuts: BTreeSet::new(),
            held: Vec::new(),
            last_delivery: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            answers: BTreeMap::new(),
            next_ticket: 1 << 40,
            notes: Vec::new(),
            muted: Vec::new(),
            stopped: BTreeSet::new(),
            replace_us: 1_000,
            steps: 0,
            syncs: 0,
        };
        let controllers = world.broker_config.controllers.clone();
        for node in controllers.into_iter().chain(1..=brokers) {
            world.nodes.insert(
                node,
                Node { core: None, disk: Disk::default(), life: 0, started_at_note: 0, paused: false, stash: Vec::new(), connections: BTreeMap::new() },
            );
            world.start(node);
        }
        world
    }

    pub fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    fn now(&self) -> Now {
        Now { monotonic_ms: self.now_ms(), wall_ms: 1_700_000_000_000 + self.now_ms() }
    }

    pub fn disk(&mut self, node: NodeId) -> &mut Disk {
        &mut self.nodes.get_mut(&node).expect("exists").disk
    }

    /// The controller knows this life of the broker and counts it as alive. (An ISR alone does not say so: it may still count the life before.)
    pub fn is_unfenced(&self, node: NodeId) -> bool {
        let since = &self.notes[self.nodes[&node].started_at_note..];
        let heard = since.iter().position(|(of, note)| *of == node && matches!(note, Note::BecameLeader { .. } | Note::BecameFollower { .. }));
        // The controller may die between committing and saying so: an ISR that counts the new life says it too.
        let alive = |note: &Note| match note {
            Note::BrokerFenced { broker } if *broker == node => Some(false),
            Note::BrokerUnfenced { broker } if *broker == node => Some(true),
            Note::IsrChanged { isr, .. } | Note::LeaderElected { isr, .. } if isr.contains(&node) && isr.len() > 1 => Some(true),
            _ => None,
        };
        heard.is_some_and(|heard| since[heard..].iter().rev().find_map(|(_, note)| alive(note)) == Some(true))
            || since.iter().rev().find_map(|(_, note)| alive(note).filter(|_| matches!(note, Note::BrokerFenced { .. } | Note::BrokerUnfenced { .. })))
                == Some(true)
    }

    pub fn started_at_note(&self, node: NodeId) -> usize {
        self.nodes[&node].started_at_note
    }

    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes[&node].core.is_some()
    }

    // faults ------------------------------------------------------------------------------------

    pub fn start(&mut self, id: NodeId) {
        let core: Box<dyn Core> = if id == CONTROLLER {
            Box::new(Controller::new(self.controller_config))
        } else if VOTERS.contains(&id) {
            Box::new(Controller::new(ControllerConfig { quorum: Some(QuorumConfig::new(id, VOTERS)), ..self.controller_config }))
        } else {
            Box::new(Broker::new(BrokerConfig { node: id, address: format!("broker-{id}"), ..self.broker_config.clone() }))
        };
        let node = self.nodes.get_mut(&id).expect("exists");
        assert!(node.core.is_none(), "{id} runs");
        node.core = Some(core);
        node.life += 1;
        node.started_at_note = self.notes.len();
        self.stopped.remove(&id);
        let (life, listing) = (node.life, node.disk.listing());
        self.serial += 1;
        let incarnation = self.serial;
        self.schedule(100, Event::Input { node: id, life, input: Input::Start { listing, incarnation } });
    }

    pub fn kill(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("exists");
        node.core = None;
        node.life += 1;
        node.paused = false;
        node.connections.clear();
        let stash = std::mem::take(&mut node.stash);
        for event in stash {
            self.schedule(100, event);
        }
        let broken: Vec<(NodeId, RequestId)> = self.outstanding.iter().filter(|&(_, &to)| to == id).map(|(&key, _)| key).collect();
        broken.into_iter().for_each(|(from, request)| self.answer(id, from, request, None));
        self.outstanding.retain(|&(from, _), _| from != id);
    }

    pub fn power_loss(&mut self, id: NodeId) {
        self.kill(id);
        let node = self.nodes.get_mut(&id).expect("exists");
        node.disk.lose_power(&mut self.rng);
    }

    pub fn pause(&mut self, id: NodeId) {
        self.nodes.get_mut(&id).expect("exists").paused = true;
    }

    pub fn resume(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("exists");
        node.paused = false;
        for (nth, event) in (0..).zip(std::mem::take(&mut node.stash)) {
            self.schedule(nth, event);
        }
    }

    pub fn shut_down(&mut self, id: NodeId) {
        let life = self.nodes[&id].life;
        self.schedule(100, Event::Input { node: id, life, input: Input::ShutDown });
    }

    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cuts.insert((from, to));
    }

    /// Cuts a node off from every other node; not from clients.
    pub fn isolate(&mut self, id: NodeId) {
        let others: Vec<NodeId> = self.nodes.keys().copied().filter(|&other| other != id).collect();
        for other in others {
            self.cut(id, other);
            self.cut(other, id);
        }
    }

    pub fn heal(&mut self) {
        self.cuts.clear();
        for (from, to, message) in std::mem::take(&mut self.held) {
            self.send(from, to, message);
        }
    }

    /// The same between two nodes only.
    #[allow(dead_code)] // The tests of coordinators in a cluster use the rest.
    pub fn heal_between(&mut self, one: NodeId, other: NodeId) {
        let is_between = |from: NodeId, to: NodeId| (from, to) == (one, other) || (from, to) == (other, one);
        self.cuts.retain(|&(from, to)| !is_between(from, to));
        let (between, held) = std::mem::take(&mut self.held).into_iter().partition(|&(from, to, _)| is_between(from, to));
        self.held = held;
        let between: Vec<(NodeId, NodeId, Message)> = between;
        between.into_iter().for_each(|(from, to, message)| self.send(from, to, message));
    }

    /// Breaks every connection from one node to another: what is under way may arrive, its answers do not.
    pub fn break_connections(&mut self, from: NodeId, to: NodeId) {
        let broken: Vec<RequestId> = self.outstanding.iter().filter(|&(&(asker, _), &asked)| asker == from && asked == to).map(|(&(_, id), _)| id).collect();
        broken.into_iter().for_each(|id| self.answer(to, from, id, None));
    }

    // messages ----------------------------------------------------------------------------------

    /// A client's request; the answer appears in `answers` under the ticket.
    pub fn send_request(&mut self, to: NodeId, request: Request) -> RequestId {
        self.send_as(CLIENT, to, request)
    }

    pub fn send_as(&mut self, client: NodeId, to: NodeId, request: Request) -> RequestId {
        self.next_ticket += 1;
        let id = self.next_ticket;
        self.outstanding.insert((client, id), to);
        self.send(client, to, Message::Request { lane: 0, id, from_life: 0, request });
        id
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        let lane = match message {
            Message::Request { lane, .. } => lane,
            Message::Response { .. } => 9,
        };
        let last = self.last_delivery.get(&(from, to, lane)).copied().unwrap_or(0);
        let at = (self.now_us + 100 + self.rng.below(2_000)).max(last + 1);
        self.last_delivery.insert((from, to, lane), at);
        self.serial += 1;
        self.events.insert((at, self.serial), Event::Deliver { from, to, message });
    }

    fn answer(&mut self, from: NodeId, to: NodeId, id: RequestId, response: Option<Response>) {
        let life = self.nodes.get(&to).map_or(0, |node| node.life);
        self.send(from, to, Message::Response { id, life, response });
    }

    fn schedule(&mut self, delay_us: u64, event: Event) {
        self.serial += 1;
        self.events.insert((self.now_us + delay_us, self.serial), event);
    }

    // time --------------------------------------------------------------------------------------

    /// Runs until nothing is left to do before that time.
    pub fn run_ms(&mut self, ms: u64) {
        self.run_us(ms * 1_000);
    }

    pub fn run_us(&mut self, us: u64) {
        let until = self.now_us + us;
        while self.events.first_key_value().is_some_and(|(&(at, _), _)| at <= until) {
            self.one_event();
        }
        self.now_us = until;
    }

    /// Runs until the condition holds; panics after `ms_max`.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, ms_max: u64, mut holds: impl FnMut(&mut World) -> bool) {
        let until = self.now_us + ms_max * 1_000;
        while !holds(self) {
            if self.events.first_key_value().is_none_or(|(&(at, _), _)| at > until) {
                self.print_notes(40);
                panic!("not within {ms_max} ms: {what}");
            }
            self.one_event();
        }
    }

    pub fn print_notes(&self, last: usize) {
        let told: Vec<_> = self.notes.iter().filter(|(_, note)| !matches!(note, Note::Appended { .. } | Note::HighWatermark { .. })).collect();
        for (node, note) in &told[told.len().saturating_sub(last)..] {
            println!("{node}: {note:?}");
        }
    }

    fn one_event(&mut self) {
        let ((at, _), event) = self.events.pop_first().expect("there is one");
        self.now_us = at;
        let target = match &event {
            Event::Input { node, .. } | Event::Synced { node, .. } => *node,
            Event::Deliver { from, to, .. } => {
                if self.cuts.contains(&(*from, *to)) {
                    let Event::Deliver { from, to, message } = event else { unreachable!() };
                    return self.held.push((from, to, message));
                }
                *to
            }
        };
        if let Some(node) = self.nodes.get_mut(&target)
            && node.paused
        {
            return node.stash.push(event);
        }
        match event {
            Event::Input { node, life, input } => self.step(node, life, input),
            Event::Synced { node, life, op, covered } => {
                if self.nodes[&node].life == life {
                    self.disk(node).end_sync(covered);
                    self.step(node, life, Input::DiskDone { op, result: Ok(DiskAnswer::Done) });
                }
            }
            Event::Deliver { from, to, message: Message::Request { lane, id, from_life, request } } => {
                self.deliver_request(from, to, lane, id, from_life, request)
            }
            Event::Deliver { to, message: Message::Response { id, life, response }, .. } => {
                // An answer to an earlier life, or the second one.
                if self.nodes.get(&to).is_some_and(|node| node.life != life) || self.outstanding.remove(&(to, id)).is_none() {
                    return;
                }
                if to >= CLIENT {
                    self.answers.insert(id, response);
                } else {
                    self.step(to, life, Input::Response { id, response });
                }
            }
        }
    }

    fn deliver_request(&mut self, from: NodeId, to: NodeId, lane: u8, id: RequestId, from_life: u64, request: Request) {
        let node = self.nodes.get_mut(&to).expect("a node is asked");
        if node.core.is_none() || self.stopped.contains(&to) {
            return self.send(to, from, Message::Response { id, life: from_life, response: None });
        }
        let known = node.connections.iter().find(|(_, c)| c.from == from && c.from_life == from_life && c.lane == lane).map(|(&number, _)| number);
        let number = known.unwrap_or_else(|| {
            self.serial += 1;
            node.connections.insert(self.serial, Connection { from, from_life, lane, order: VecDeque::new() });
            self.serial
        });
        self.serial += 1;
        let correlation = self.serial as u32;
        node.connections.get_mut(&number).expect("just made").order.push_back((correlation, id, None));
        let life = node.life;
        self.step(to, life, Input::Request { connection: number, correlation, request });
    }

    fn step(&mut self, id: NodeId, life: u64, input: Input) {
        let now = self.now();
        let node = self.nodes.get_mut(&id).expect("a node steps");
        let (Some(core), true) = (node.core.as_mut(), node.life == life) else { return };
        self.steps += 1;
        let mut out = Vec::new();
        core.step(now, input, &mut out);
        for output in out {
            self.execute(id, life, output);
        }
    }

    fn execute(&mut self, id: NodeId, life: u64, output: Output) {
        let done = |op| Event::Input { node: id, life, input: Input::DiskDone { op, result: Ok(DiskAnswer::Done) } };
        let broken = self.disk(id).broken;
        match output {
            Output::Append { op, .. }
            | Output::Truncate { op, .. }
            | Output::Replace { op, .. }
            | Output::Remove { op, .. }
            | Output::Sync { op, .. }
            | Output::Read { op, .. }
                if broken =>
            {
                self.schedule(50, Event::Input { node: id, life, input: Input::DiskDone { op, result: Err(broker::DiskError) } });
            }
            Output::Append { op, file, bytes } => {
                self.disk(id).append(&file, &bytes);
                let delay = self.rng.below(300);
                self.schedule(delay, done(op));
            }
            Output::Truncate { op, file, len } => {
                self.disk(id).truncate(&file, len);
                self.schedule(10, done(op));
            }
            Output::Replace { op, file, bytes } => {
                self.disk(id).replace(&file, &bytes);
                let delay = self.replace_us;
                self.schedule(delay, done(op));
            }
            Output::Remove { op, file } => {
                self.disk(id).remove(&file);
                self.schedule(10, done(op));
            }
            Output::Sync { op, files } => {
                self.syncs += 1;
                let covered = self.disk(id).begin_sync(&files);
                let delay = 500 + self.rng.below(4_000);
                self.schedule(delay, Event::Synced { node: id, life, op, covered });
            }
            Output::Read { op, file, offset, len } => {
                let result = self.disk(id).read(&file, offset, len);
                self.schedule(50, Event::Input { node: id, life, input: Input::DiskDone { op, result } });
            }
            Output::Timer { at_ms } => {
                let delay = (at_ms * 1_000).saturating_sub(self.now_us);
                self.schedule(delay, Event::Input { node: id, life, input: Input::Tick });
            }
            Output::Note(note) => self.notes.push((id, note)),
            Output::Mute { mute_ms, .. } => self.muted.push((id, mute_ms)),
            Output::Stopped => drop(self.stopped.insert(id)),
            Output::Request { to, lane, id: request_id, request } => {
                self.outstanding.insert((id, request_id), to);
                self.send(id, to, Message::Request { lane, id: request_id, from_life: life, request });
            }
            Output::NoReply { connection, correlation } => self.finish(id, connection, correlation, None),
            Output::Reply { connection, correlation, mut response, reads } => {
                if let Response::Fetch { partitions } = &mut response {
                    for (at, file, position, len) in reads {
                        let Ok(DiskAnswer::Bytes(bytes)) = self.disk(id).read(&file, position, u64::from(len)) else { panic!("a read gives bytes") };
                        assert_eq!(bytes.len(), len as usize, "a fetch names bytes that are there");
                        partitions[at].records = bytes;
                    }
                } else {
                    assert!(reads.is_empty());
                }
                self.finish(id, connection, correlation, Some(response));
            }
        }
    }

    /// Replies of a connection leave in the order of its requests.
    fn finish(&mut self, id: NodeId, number: u64, correlation: u32, response: Option<Response>) {
        let Some(connection) = self.nodes.get_mut(&id).expect("exists").connections.get_mut(&number) else { return };
        let slot = connection.order.iter_mut().find(|slot| slot.0 == correlation).expect("a request is answered once");
        assert!(slot.2.is_none(), "a request is answered once");
        slot.2 = Some(response);
        let (from, from_life) = (connection.from, connection.from_life);
        let mut ready = Vec::new();
        while connection.order.front().is_some_and(|slot| slot.2.is_some()) {
            let (_, request, response) = connection.order.pop_front().expect("just seen");
            ready.push((request, response.expect("just seen")));
        }
        for (request, response) in ready {
            match response {
                Some(response) => self.send(id, from, Message::Response { id: request, life: from_life, response: Some(response) }),
                None => drop(self.outstanding.remove(&(from, request))),
            }
        }
    }
}
