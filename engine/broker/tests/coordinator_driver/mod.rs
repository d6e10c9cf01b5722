//! Plays broker and clock for one coordinator: a log whose appends become durable later and in order, or are refused; timers; a failover that keeps as much
//! of the log's tail as the test says.

#![allow(dead_code, reason = "each test file uses its part")]

use broker::coordinator::group::GroupCoordinator;
use broker::coordinator::transaction::TransactionCoordinator;
use broker::coordinator::{Coordinator, CoordinatorConfig, Effect, ReplyTo, View};
use broker::protocol::{CONSUMER_OFFSETS, ErrorCode, NodeId, Request, Response, TopicId, Tp};
use broker::{Batch, ControlKind, Note, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The partition of the coordinator under test.
pub const OWN: Tp = Tp { topic: TopicId(1), partition: 0 };
/// The partition that coordinates every group.
pub const OFFSETS: Tp = Tp { topic: TopicId(2), partition: 3 };

/// Partition `n` of a topic that users write.
pub fn tp(n: u32) -> Tp {
    Tp { topic: TopicId(9), partition: n }
}

/// What the coordinator may know of the cluster.
pub struct Cluster {
    /// Leaders of all partitions there are.
    pub leaders: BTreeMap<Tp, Option<NodeId>>,
    /// Partitions of deleted topics.
    pub deleted: BTreeSet<Tp>,
    pub producer_ids: VecDeque<i64>,
    pub transaction_version: u8,
    /// By name, with their number of partitions.
    pub topics: BTreeMap<String, (TopicId, u32)>,
}

impl View for Cluster {
    fn exists(&self, tp: Tp) -> bool {
        self.leaders.contains_key(&tp)
    }
    fn is_deleted(&self, tp: Tp) -> bool {
        self.deleted.contains(&tp)
    }
    fn leader(&self, tp: Tp) -> Option<NodeId> {
        self.leaders.get(&tp).copied().flatten()
    }
    fn coordinator_partition(&self, topic: &str, _key: &str) -> Option<Tp> {
        (topic == CONSUMER_OFFSETS).then_some(OFFSETS)
    }
    fn next_producer_id(&mut self) -> Option<i64> {
        self.producer_ids.pop_front()
    }
    fn topic(&self, name: &str) -> Option<(TopicId, u32)> {
        self.topics.get(name).copied()
    }
    fn transaction_version(&self) -> u8 {
        self.transaction_version
    }
}

/// An append that is in the leader's log and not below the high watermark; a marker has no token.
struct InFlight {
    token: Option<u64>,
    batch: Batch,
}

type Make = fn(u32, CoordinatorConfig) -> Box<dyn Coordinator>;

pub struct Driver {
    make: Make,
    config: CoordinatorConfig,
    coordinator: Box<dyn Coordinator>,
    pub leader_epoch: u32,
    pub now: Now,
    pub cluster: Cluster,
    /// Below the high watermark.
    pub durable: Vec<Batch>,
    in_flight: VecDeque<InFlight>,
    /// Appends are refused with this, and nothing of them is in the log.
    pub refuse_appends: Option<ErrorCode>,
    /// Every append is durable at once.
    pub durable_at_once: bool,
    timers: BTreeSet<u64>,
    pub timers_set: usize,
    replies: BTreeMap<ReplyTo, Response>,
    requests: u32,
    pub notes: Vec<Note>,
    /// Requests of the coordinator to other nodes, unanswered.
    pub asks: Vec<(u64, NodeId, Request)>,
}

impl Driver {
    pub fn groups() -> Driver {
        Driver::new(|epoch, config| Box::new(GroupCoordinator::new(OWN, epoch, config)), CoordinatorConfig::default())
    }

    pub fn groups_with(config: CoordinatorConfig) -> Driver {
        Driver::new(|epoch, config| Box::new(GroupCoordinator::new(OWN, epoch, config)), config)
    }

    pub fn transactions() -> Driver {
        Driver::new(|epoch, config| Box::new(TransactionCoordinator::new(OWN, epoch, config)), CoordinatorConfig::default())
    }

    fn new(make: Make, config: CoordinatorConfig) -> Driver {
        let leaders = (0..8).map(|n| (tp(n), Some(1 + n % 3))).chain([(OFFSETS, Some(2))]).collect();
        let mut driver = Driver {
            make,
            config,
            coordinator: make(1, config),
            leader_epoch: 1,
            now: Now { monotonic_ms: 1_000, wall_ms: 1_700_000_000_000 },
            cluster: Cluster {
                leaders,
                deleted: BTreeSet::new(),
                producer_ids: (1_000..2_000).collect(),
                transaction_version: 1,
                topics: BTreeMap::from([("t".to_owned(), (TopicId(9), 4))]),
            },
            durable: Vec::new(),
            in_flight: VecDeque::new(),
            refuse_appends: None,
            durable_at_once: true,
            timers: BTreeSet::new(),
            timers_set: 0,
            replies: BTreeMap::new(),
            requests: 0,
            notes: Vec::new(),
            asks: Vec::new(),
        };
        driver.act(|coordinator, now, view, out| coordinator.start(now, view, out));
        driver
    }

    /// Calls the coordinator and does what it asks for.
    fn act(&mut self, call: impl FnOnce(&mut dyn Coordinator, Now, &mut dyn View, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        call(self.coordinator.as_mut(), self.now, &mut self.cluster, &mut out);
        self.execute(out);
    }

    fn execute(&mut self, effects: Vec<Effect>) {
        let mut refused = Vec::new();
        for effect in effects {
            match effect {
                Effect::Reply { to, response } => {
                    let before = self.replies.insert(to, response);
                    assert_eq!(before, None, "a request is answered once");
                }
                Effect::Append { token, records, producer, transactional_id } => match self.refuse_appends {
                    Some(error) => refused.push((token, error)),
                    None => {
                        let batch = Batch::build(&records, producer, transactional_id.is_some()).assign(self.end(), self.leader_epoch);
                        self.in_flight.push_back(InFlight { token: Some(token), batch });
                    }
                },
                Effect::Ask { token, to, request } => self.asks.push((token, to, request)),
                Effect::Timer { at_ms } => {
                    self.timers_set += 1;
                    self.timers.insert(at_ms);
                }
                Effect::Note(note) => self.notes.push(note),
            }
        }
        for (token, error) in refused {
            let mut out = Vec::new();
            self.coordinator.appended(self.now, token, Err(error), &mut self.cluster, &mut out);
            self.execute(out);
        }
        if self.durable_at_once {
            self.replicate(usize::MAX);
        }
    }

    /// One past the last offset of the leader's log.
    pub fn end(&self) -> i64 {
        let last = self.in_flight.back().map(|in_flight| &in_flight.batch).or(self.durable.last());
        last.map_or(0, |batch| batch.header().next_offset())
    }

    /// The high watermark passes up to `batches` more.
    pub fn replicate(&mut self, batches: usize) {
        for _ in 0..batches {
            let Some(InFlight { token, batch }) = self.in_flight.pop_front() else { return };
            self.durable.push(batch.clone());
            let mut out = Vec::new();
            match token {
                Some(token) => self.coordinator.appended(self.now, token, Ok(batch.header().base_offset), &mut self.cluster, &mut out),
                None => self.coordinator.marker(self.now, &batch, &mut out),
            }
            self.execute(out);
        }
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// A transaction coordinator ends a producer's transaction in this partition.
    pub fn marker(&mut self, kind: ControlKind, producer_id: i64, producer_epoch: i16) {
        let batch = Batch::control(kind, producer_id, producer_epoch, 0, 0).assign(self.end(), self.leader_epoch);
        self.in_flight.push_back(InFlight { token: None, batch });
        if self.durable_at_once {
            self.replicate(usize::MAX);
        }
    }

    /// Another broker leads: of what was not durable, the first `kept` batches are in its log.
    pub fn fail_over(&mut self, kept: usize) {
        self.act_without_log(|coordinator, out| coordinator.resign(out));
        let tail = std::mem::take(&mut self.in_flight);
        self.durable.extend(tail.into_iter().take(kept).map(|in_flight| in_flight.batch));
        self.timers.clear();
        self.asks.clear();
        self.leader_epoch += 1;
        self.coordinator = (self.make)(self.leader_epoch, self.config);
        for batch in &self.durable {
            self.coordinator.load(batch);
        }
        self.act(|coordinator, now, view, out| coordinator.start(now, view, out));
    }

    fn act_without_log(&mut self, call: impl FnOnce(&mut dyn Coordinator, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        call(self.coordinator.as_mut(), &mut out);
        for effect in out {
            let Effect::Reply { to, response } = effect else { panic!("{effect:?}: who resigns only answers") };
            assert_eq!(self.replies.insert(to, response), None, "a request is answered once");
        }
    }

    /// Sends a request.
    pub fn send(&mut self, request: Request) -> ReplyTo {
        self.requests += 1;
        let to = ReplyTo { connection: 1, correlation: self.requests };
        self.act(|coordinator, now, view, out| coordinator.handle(now, to, request, view, out));
        to
    }

    /// The answer, if there is one so far.
    pub fn reply(&self, to: ReplyTo) -> Option<Response> {
        self.replies.get(&to).cloned()
    }

    /// Every request so far has an answer.
    pub fn unanswered(&self) -> usize {
        self.requests as usize - self.replies.len()
    }

    /// Sends a request that is answered at once.
    pub fn call(&mut self, request: Request) -> Response {
        let to = self.send(request);
        self.reply(to).expect("answered at once")
    }

    /// Time passes; timers ring on the way.
    pub fn advance(&mut self, pause_ms: u64) {
        let until_ms = self.now.monotonic_ms + pause_ms;
        while let Some(at_ms) = self.timers.first().copied().filter(|&at_ms| at_ms <= until_ms) {
            self.timers.remove(&at_ms);
            self.pass(at_ms.max(self.now.monotonic_ms));
            self.act(|coordinator, now, view, out| coordinator.tick(now, view, out));
        }
        self.pass(until_ms);
    }

    fn pass(&mut self, until_ms: u64) {
        let passed_ms = until_ms - self.now.monotonic_ms;
        self.now = Now { monotonic_ms: until_ms, wall_ms: self.now.wall_ms + passed_ms };
    }

    /// Answers the oldest request of the coordinator; returns who was asked what.
    pub fn answer(&mut self, response: Option<Response>) -> (NodeId, Request) {
        let (token, node, request) = self.asks.remove(0);
        self.act(|coordinator, now, view, out| coordinator.answered(now, token, response, view, out));
        (node, request)
    }

    /// Answers the oldest request for markers: written.
    pub fn write_markers(&mut self) -> (NodeId, Request) {
        let Some((_, _, Request::WriteTxnMarkers { partitions, .. })) = self.asks.first() else { panic!("no marker is asked for") };
        let partitions = partitions.iter().map(|&tp| (tp, Ok(()))).collect();
        self.answer(Some(Response::WriteTxnMarkers { partitions }))
    }

    /// How many facts so far `is` picks.
    pub fn noted(&self, is: impl Fn(&Note) -> bool) -> usize {
        self.notes.iter().filter(|note| is(note)).count()
    }
}

/// SplitMix64: a stream of its own for each seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
