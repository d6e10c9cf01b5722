//! Transactions under random requests, time, slow or refused appends, silent leaders and failovers, judged by the records in the log.

mod coordinator_driver;

use broker::Note;
use broker::coordinator::ReplyTo;
use broker::coordinator::transaction::record::{Facts, State};
use broker::protocol::{ErrorCode, Request, Response, Tp};
use coordinator_driver::{Dice, Driver, tp};
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 100;
const STEPS: u64 = 400;
const IDS: [&str; 3] = ["a", "b", "c"];
const TIMEOUT_MS: u32 = 4_000;

/// Every durable record of an id, in order.
fn story(driver: &Driver, id: &str) -> Vec<Facts> {
    let records = driver.durable.iter().flat_map(|batch| batch.records().expect("whole"));
    records
        .filter(|record| record.key.as_deref() == Some(id.as_bytes()))
        .map(|record| postcard::from_bytes(&record.value.expect("none expires here")).expect("ours"))
        .collect()
}

/// What may follow what.
fn assert_legal(id: &str, before: &Facts, after: &Facts) {
    use State::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};
    let legal = match (before.state, after.state) {
        (Empty | CompleteCommit | CompleteAbort, Empty) => after.producer_epoch == before.producer_epoch + 1,
        (Empty | CompleteCommit | CompleteAbort, Ongoing) => after.producer_epoch == before.producer_epoch && !after.partitions.is_empty(),
        (Ongoing, Ongoing) => after.producer_epoch == before.producer_epoch && after.partitions.is_superset(&before.partitions),
        (Ongoing, PrepareCommit) => after.producer_epoch == before.producer_epoch && after.partitions == before.partitions,
        (Ongoing, PrepareAbort) => after.producer_epoch - before.producer_epoch <= 1 && after.partitions == before.partitions,
        (PrepareCommit, CompleteCommit) | (PrepareAbort, CompleteAbort) => after.producer_epoch == before.producer_epoch && after.partitions.is_empty(),
        _ => false,
    };
    assert!(legal, "{id}: {before:?} → {after:?}");
}

struct World {
    dice: Dice,
    driver: Driver,
    /// Producers that believe they hold an id, the newest last.
    producers: BTreeMap<&'static str, Vec<(i64, i16)>>,
    inits: Vec<(&'static str, ReplyTo)>,
    /// EndTxn sent: id, commit.
    ends: Vec<(&'static str, bool, ReplyTo)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut driver = Driver::transactions();
        driver.durable_at_once = false;
        World { dice: Dice(seed), driver, producers: BTreeMap::new(), inits: Vec::new(), ends: Vec::new() }
    }

    fn step(&mut self) {
        self.hear();
        match self.dice.roll(100) {
            0..45 => self.produce(),
            45..50 => self.driver.replicate(1),
            50..65 => self.driver.replicate(usize::MAX),
            65..73 => {
                let pause_ms = [50, 100, 1_000, 2_000, 4_500][self.dice.roll(5) as usize];
                self.driver.advance(pause_ms);
            }
            73..92 => self.answer(),
            92..94 => {
                let kept = self.dice.roll(1 + self.driver.in_flight() as u64) as usize;
                self.driver.fail_over(kept);
            }
            94..97 => {
                let leader = [None, Some(1), Some(2), Some(3)][self.dice.roll(4) as usize];
                let at = tp(self.dice.roll(4) as u32);
                self.driver.cluster.leaders.insert(at, leader);
            }
            _ => {
                self.driver.refuse_appends = match self.driver.refuse_appends {
                    None if self.dice.roll(2) == 0 => Some(ErrorCode::NotEnoughReplicas),
                    _ => None,
                }
            }
        }
        self.check_asks();
    }

    fn produce(&mut self) {
        let id = IDS[self.dice.roll(3) as usize];
        let known = self.producers.get(id).cloned().unwrap_or_default();
        if known.is_empty() || self.dice.roll(12) == 0 {
            let to = self.driver.send(Request::InitProducerId { transactional_id: Some(id.into()), transaction_timeout_ms: TIMEOUT_MS });
            return self.inits.push((id, to));
        }
        // A zombie now and then.
        let nth = if self.dice.roll(6) == 0 { self.dice.roll(known.len() as u64) as usize } else { known.len() - 1 };
        let ((producer_id, producer_epoch), transactional_id) = (known[nth], id.to_owned());
        match self.dice.roll(5) {
            0..3 => {
                let partitions = (0..1 + self.dice.roll(3)).map(|_| tp(self.dice.roll(4) as u32)).collect();
                let verify_only = self.dice.roll(5) == 0;
                self.driver.send(Request::AddPartitionsToTxn { transactional_id, producer_id, producer_epoch, partitions, verify_only });
            }
            _ => {
                let commit = self.dice.roll(3) > 0;
                let to = self.driver.send(Request::EndTxn { transactional_id, producer_id, producer_epoch, commit });
                self.ends.push((id, commit, to));
            }
        }
    }

    fn hear(&mut self) {
        for (id, to) in std::mem::take(&mut self.inits) {
            match self.driver.reply(to) {
                None => self.inits.push((id, to)),
                Some(Response::InitProducerId { producer_id, producer_epoch }) => {
                    let known = self.producers.entry(id).or_default();
                    assert!(known.iter().all(|older| *older < (producer_id, producer_epoch)), "{id}: an incarnation is given once");
                    known.push((producer_id, producer_epoch));
                }
                Some(_) => {}
            }
        }
        for (id, commit, to) in std::mem::take(&mut self.ends) {
            match self.driver.reply(to) {
                None => self.ends.push((id, commit, to)),
                Some(Response::EndTxn) => {
                    let decision = if commit { State::PrepareCommit } else { State::PrepareAbort };
                    assert!(story(&self.driver, id).iter().any(|facts| facts.state == decision), "{id}: told of a decision that is not in the log");
                }
                Some(_) => {}
            }
        }
    }

    /// A partition's leader answers: written, not leader any more, or the connection broke.
    fn answer(&mut self) {
        let Some((_, _, Request::WriteTxnMarkers { partitions, .. })) = self.driver.asks.first() else { return };
        let partitions: Vec<Tp> = partitions.clone();
        let response = match self.dice.roll(5) {
            0 => None,
            _ => {
                let mut result = || if self.dice.roll(5) == 0 { Err(ErrorCode::NotLeaderOrFollower) } else { Ok(()) };
                Some(Response::WriteTxnMarkers { partitions: partitions.into_iter().map(|tp| (tp, result())).collect() })
            }
        };
        self.driver.answer(response);
    }

    /// A marker is asked for only after its decision is durable, and says what the decision says.
    fn check_asks(&self) {
        let asked: BTreeSet<(i64, i16, bool)> = self
            .driver
            .asks
            .iter()
            .map(|(_, _, request)| match request {
                Request::WriteTxnMarkers { producer_id, producer_epoch, commit, .. } => (*producer_id, *producer_epoch, *commit),
                other => panic!("{other:?}"),
            })
            .collect();
        for (producer_id, producer_epoch, commit) in asked {
            let decision = if commit { State::PrepareCommit } else { State::PrepareAbort };
            let decided = |facts: &Facts| (facts.producer_id, facts.producer_epoch, facts.state) == (producer_id, producer_epoch, decision);
            assert!(IDS.iter().any(|id| story(&self.driver, id).iter().any(decided)), "a marker before its decision");
        }
    }

    /// Everything works and nobody asks for anything: no transaction is stuck after its timeout.
    fn settle(&mut self) {
        self.driver.refuse_appends = None;
        self.driver.durable_at_once = true;
        self.driver.replicate(usize::MAX);
        for n in 0..8 {
            self.driver.cluster.leaders.insert(tp(n), Some(1 + n % 3));
        }
        for _ in 0..20 {
            self.driver.advance(u64::from(TIMEOUT_MS) / 10);
            while !self.driver.asks.is_empty() {
                self.driver.write_markers();
            }
        }
        self.hear();
        assert_eq!(self.driver.unanswered(), 0);
    }

    fn check_stories(&self) -> usize {
        let mut ended = 0;
        for id in IDS {
            let story = story(&self.driver, id);
            for pair in story.windows(2) {
                assert_legal(id, &pair[0], &pair[1]);
            }
            let stuck = story.last().is_some_and(|facts| matches!(facts.state, State::Ongoing | State::PrepareCommit | State::PrepareAbort));
            assert!(!stuck, "{id} is stuck in {:?}", story.last());
            let complete = story.iter().filter(|facts| matches!(facts.state, State::CompleteCommit | State::CompleteAbort)).count();
            let said = self.driver.noted(|note| matches!(note, Note::TxnCompleted { transactional_id, .. } if transactional_id == id));
            assert!(said <= complete, "{id}: {said} ends were said, {complete} are in the log");
            ended += complete;
        }
        ended
    }
}

#[test]
fn transactions_keep_their_word_whatever_happens() {
    let mut ended = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
        ended += world.check_stories();
    }
    assert!(ended > 6 * SEEDS as usize, "{ended} transactions ended: the dice reach too little");
}
