//! Groups under random requests, time, slow or refused appends, and failovers, judged against the log itself read naively.

mod coordinator_driver;

use broker::coordinator::ReplyTo;
use broker::coordinator::group::record::{Key, Value};
use broker::protocol::{CommittedOffset, ErrorCode, Request, Response, Tp};
use broker::{Batch, ControlKind, Note};
use bytes::Bytes;
use coordinator_driver::{Dice, Driver, tp};
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 300;
const STEPS: u64 = 400;
const PARTITIONS: u32 = 4;

/// What the log says of offsets: in force, and pending per producer.
#[derive(Default)]
struct Naive {
    in_force: BTreeMap<Tp, (i64, i64)>,
    pending: Vec<(i64, Tp, i64, i64)>,
}

fn read(durable: &[Batch]) -> Naive {
    let mut naive = Naive::default();
    for batch in durable {
        let header = batch.header();
        if let Some(kind) = header.control {
            let (ended, rest): (Vec<_>, Vec<_>) = naive.pending.drain(..).partition(|pending| pending.0 == header.producer_id);
            naive.pending = rest;
            for (_, tp, offset, place) in ended {
                let newer = naive.in_force.get(&tp).is_none_or(|(_, other)| *other < place);
                if kind == ControlKind::Commit && newer {
                    naive.in_force.insert(tp, (offset, place));
                }
            }
            continue;
        }
        for record in batch.records().expect("whole") {
            let key: Key = postcard::from_bytes(&record.key.expect("keyed")).expect("ours");
            let value: Value = postcard::from_bytes(&record.value.expect("nothing expires here")).expect("ours");
            let (Key::Offset { tp, .. }, Value::Offset { committed, .. }) = (key, value) else { continue };
            match header.transactional {
                true => naive.pending.push((header.producer_id, tp, committed.offset, record.offset)),
                false => drop(naive.in_force.insert(tp, (committed.offset, record.offset))),
            }
        }
    }
    naive
}

/// A consumer that plays by the rules, most of the time.
#[derive(Default)]
struct Consumer {
    member_id: String,
    generation: i32,
    leads: Vec<String>,
    joining: Option<ReplyTo>,
    syncing: Option<ReplyTo>,
}

struct World {
    dice: Dice,
    driver: Driver,
    consumers: Vec<Consumer>,
    next_offset: i64,
    /// Part of each member per generation, as it was told.
    parts: BTreeMap<(i32, String), Bytes>,
    /// Transactional commits sent and not answered.
    txn_commits: Vec<(ReplyTo, Tp)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let consumers = (0..4).map(|_| Consumer::default()).collect();
        let mut driver = Driver::groups();
        driver.durable_at_once = false;
        World { dice: Dice(seed), driver, consumers, next_offset: 0, parts: BTreeMap::new(), txn_commits: Vec::new() }
    }

    fn step(&mut self) {
        match self.dice.roll(100) {
            0..55 => {
                let n = self.dice.roll(4) as usize;
                self.consume(n);
            }
            55..65 => self.driver.replicate(1),
            65..72 => self.driver.replicate(usize::MAX),
            72..84 => {
                let pause_ms = [50, 300, 1_000, 3_000, 7_000][self.dice.roll(5) as usize];
                self.driver.advance(pause_ms);
            }
            84..88 => {
                let kind = if self.dice.roll(2) == 0 { ControlKind::Commit } else { ControlKind::Abort };
                let producer_id = self.dice.roll(3) as i64;
                self.driver.marker(kind, producer_id, 0);
            }
            88..91 => {
                let kept = self.dice.roll(1 + self.driver.in_flight() as u64) as usize;
                self.driver.fail_over(kept);
            }
            91..94 => {
                self.driver.refuse_appends = match self.driver.refuse_appends {
                    None if self.dice.roll(2) == 0 => Some(ErrorCode::NotEnoughReplicas),
                    _ => None,
                }
            }
            _ => self.fetch(),
        }
    }

    /// One request of a consumer, the one it is due to make or another.
    fn consume(&mut self, n: usize) {
        self.hear(n);
        if self.consumers[n].joining.is_some() || self.consumers[n].syncing.is_some() {
            return;
        }
        let member_id = self.consumers[n].member_id.clone();
        let generation = self.consumers[n].generation;
        match self.dice.roll(10) {
            _ if generation == 0 => self.join(n),
            0..4 => {
                let response = self.driver.call(Request::Heartbeat { group: "g".into(), generation, member_id, instance_id: None });
                self.obey(n, &response);
            }
            4..7 => self.commit(n, self.dice.0.is_multiple_of(2)),
            7 => self.sync(n),
            8 => self.join(n),
            _ => {
                if self.dice.roll(4) == 0 {
                    self.driver.call(Request::LeaveGroup { group: "g".into(), member_id, instance_id: None });
                    self.consumers[n] = Consumer::default();
                }
            }
        }
    }

    fn join(&mut self, n: usize) {
        let subscription = if self.dice.roll(4) == 0 { "other" } else { "topics" };
        let request = Request::JoinGroup {
            group: "g".into(),
            member_id: self.consumers[n].member_id.clone(),
            instance_id: None,
            session_timeout_ms: 3_000,
            rebalance_timeout_ms: 5_000,
            protocols: vec![("range".into(), Bytes::from_static(subscription.as_bytes()))],
        };
        self.consumers[n].joining = Some(self.driver.send(request));
        self.hear(n);
    }

    fn sync(&mut self, n: usize) {
        let consumer = &self.consumers[n];
        let assignments = consumer.leads.iter().map(|id| (id.clone(), Bytes::from(format!("{}/{id}", consumer.generation)))).collect();
        let (generation, member_id) = (consumer.generation, consumer.member_id.clone());
        let request = Request::SyncGroup { group: "g".into(), generation, member_id, instance_id: None, assignments };
        self.consumers[n].syncing = Some(self.driver.send(request));
        self.hear(n);
    }

    fn commit(&mut self, n: usize, transactional: bool) {
        let at = tp(self.dice.roll(u64::from(PARTITIONS)) as u32);
        self.next_offset += 1;
        let offsets = vec![(at, CommittedOffset { offset: self.next_offset, leader_epoch: None })];
        let (group, generation, member_id, instance_id) = ("g".into(), self.consumers[n].generation, self.consumers[n].member_id.clone(), None);
        let request = match transactional {
            true => {
                let (transactional_id, producer_id, producer_epoch) = ("t".into(), self.dice.roll(3) as i64, 0);
                Request::TxnOffsetCommit { transactional_id, group, generation, member_id, instance_id, producer_id, producer_epoch, offsets }
            }
            false => Request::OffsetCommit { group, generation, member_id, instance_id, offsets },
        };
        let to = self.driver.send(request);
        if transactional {
            self.txn_commits.push((to, at));
        }
    }

    /// Answers to what the consumer waits for.
    fn hear(&mut self, n: usize) {
        if let Some(response) = self.consumers[n].joining.and_then(|to| self.driver.reply(to)) {
            self.consumers[n].joining = None;
            match response {
                Response::MemberIdRequired { member_id } => self.consumers[n].member_id = member_id,
                Response::JoinGroup { generation, member_id, members, .. } => {
                    let leads = members.into_iter().map(|(id, _)| id).collect();
                    self.consumers[n] = Consumer { member_id, generation, leads, joining: None, syncing: None };
                    self.sync(n);
                }
                other => self.obey(n, &other),
            }
        }
        if let Some(response) = self.consumers[n].syncing.and_then(|to| self.driver.reply(to)) {
            self.consumers[n].syncing = None;
            match response {
                Response::SyncGroup { assignment } => {
                    let key = (self.consumers[n].generation, self.consumers[n].member_id.clone());
                    let before = self.parts.insert(key.clone(), assignment.clone());
                    assert!(before.is_none_or(|before| before == assignment), "{key:?} was told two parts");
                }
                other => self.obey(n, &other),
            }
        }
    }

    fn obey(&mut self, n: usize, response: &Response) {
        match response {
            Response::Error(ErrorCode::UnknownMemberId) => self.consumers[n] = Consumer::default(),
            Response::Error(ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress) => self.consumers[n].generation = 0,
            _ => {}
        }
    }

    /// What is visible is what was last committed below the high watermark.
    fn fetch(&mut self) {
        let naive = read(&self.driver.durable);
        let partitions: Vec<Tp> = (0..PARTITIONS).map(tp).collect();
        let on_the_way: BTreeSet<Tp> = self.txn_commits.iter().filter(|(to, _)| self.driver.reply(*to).is_none()).map(|(_, tp)| *tp).collect();
        for require_stable in [false, true] {
            let request = Request::OffsetFetch { group: "g".into(), partitions: partitions.clone(), require_stable };
            let Response::OffsetFetch { partitions } = self.driver.call(request) else { panic!("offsets") };
            for (tp, result) in partitions {
                let undecided = on_the_way.contains(&tp) || naive.pending.iter().any(|pending| pending.1 == tp);
                let expected = match require_stable && undecided {
                    true => Err(ErrorCode::UnstableOffsetCommit),
                    false => Ok(naive.in_force.get(&tp).map(|(offset, _)| *offset)),
                };
                assert_eq!(result.map(|committed| committed.map(|committed| committed.offset)), expected, "{tp:?}");
            }
        }
    }

    /// One set of members per generation, and no generation goes back.
    fn check_generations(&self) {
        let mut rosters: BTreeMap<i32, &Vec<String>> = BTreeMap::new();
        let mut newest = 0;
        for note in &self.driver.notes {
            let Note::GenerationStarted { generation, members, .. } = note else { continue };
            assert!(*generation >= newest, "generation {generation} after {newest}");
            newest = *generation;
            let roster = rosters.entry(*generation).or_insert(members);
            assert_eq!(*roster, members, "generation {generation} has one set of members");
        }
        for ((generation, member_id), part) in &self.parts {
            let roster = rosters.get(generation).unwrap_or_else(|| panic!("{member_id} has a part of generation {generation}, which never started"));
            assert!(roster.contains(member_id));
            assert_eq!(part, &Bytes::from(format!("{generation}/{member_id}")));
        }
    }

    /// Everything works and all consumers behave: the group becomes Stable with all of them.
    fn settle(&mut self) {
        self.driver.refuse_appends = None;
        self.driver.durable_at_once = true;
        self.driver.replicate(usize::MAX);
        for _ in 0..200 {
            self.driver.advance(200);
            for n in 0..self.consumers.len() {
                self.hear(n);
                if self.consumers[n].joining.is_some() || self.consumers[n].syncing.is_some() {
                    continue;
                }
                let (generation, member_id) = (self.consumers[n].generation, self.consumers[n].member_id.clone());
                match generation {
                    0 => self.join(n),
                    _ => {
                        let response = self.driver.call(Request::Heartbeat { group: "g".into(), generation, member_id, instance_id: None });
                        self.obey(n, &response);
                    }
                }
            }
        }
        let last = self.driver.notes.iter().rev().find_map(|note| match note {
            Note::GenerationStarted { generation, members, .. } => Some((*generation, members.len())),
            _ => None,
        });
        let generations: BTreeSet<i32> = self.consumers.iter().map(|consumer| consumer.generation).collect();
        assert_eq!(last.map(|(_, members)| members), Some(self.consumers.len()), "all are in");
        assert_eq!(generations.into_iter().collect::<Vec<_>>(), [last.expect("stable").0]);
        assert_eq!(self.driver.unanswered(), 0);
    }
}

#[test]
fn groups_keep_their_word_whatever_happens() {
    let (mut started, mut visible) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.fetch();
        world.settle();
        world.check_generations();
        started += world.driver.noted(|note| matches!(note, Note::GenerationStarted { .. }));
        visible += world.driver.noted(|note| matches!(note, Note::Committed { .. }));
    }
    assert!(started > 10 * SEEDS as usize && visible > 10 * SEEDS as usize, "{started} generations and {visible} commits: the dice reach too little");
}
