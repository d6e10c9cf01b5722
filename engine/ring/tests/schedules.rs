//! Every schedule of a small pipeline, compared with a model of three queues after every turn.

use ring::{Full, Poller, Producer, Relay, Step, ring};
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Turns of one schedule: 5^8 schedules, each from an empty pipeline.
const TURNS: usize = 8;

const SLOTS_IN: usize = 2;
const SLOTS_OUT: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Turn {
    Push,
    Step(u64),
    StepThatFails,
    Drain,
}

const CHOICES: [Turn; 5] = [Turn::Push, Turn::Step(1), Turn::Step(3), Turn::StepThatFails, Turn::Drain];

/// How many outputs an event has: none, one, or more than the ring out holds.
fn outputs_of(event: u64) -> u64 {
    [1, 3, 0][(event % 3) as usize]
}

/// What a pipeline is meant to be.
#[derive(Default)]
struct Model {
    input: VecDeque<u64>,
    waiting: VecDeque<u64>,
    output: VecDeque<u64>,
}

/// What a turn said, in words that model and pipeline share.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Pushed(bool),
    Idle,
    Did(u64),
    Failed,
    Drained(Option<u64>),
}

impl Model {
    fn turn(&mut self, turn: Turn, next: u64) -> Said {
        match turn {
            Turn::Push if self.input.len() == SLOTS_IN => Said::Pushed(false),
            Turn::Push => {
                self.input.push_back(next);
                Said::Pushed(true)
            }
            Turn::Step(limit) => self.step(limit, false),
            Turn::StepThatFails => self.step(1, true),
            Turn::Drain => Said::Drained(self.output.pop_front()),
        }
    }

    fn step(&mut self, limit: u64, fails: bool) -> Said {
        let passed_on = self.pass_on();
        let mut read = 0;
        while read < limit && self.waiting.is_empty() && !self.input.is_empty() {
            if fails {
                return Said::Failed;
            }
            let event = self.input.pop_front().expect("just seen");
            self.waiting.extend((0..outputs_of(event)).map(|n| event * 10 + n));
            self.pass_on();
            read += 1;
        }
        if read > 0 || passed_on { Said::Did(read) } else { Said::Idle }
    }

    fn pass_on(&mut self) -> bool {
        let room = (SLOTS_OUT - self.output.len()).min(self.waiting.len());
        self.output.extend(self.waiting.drain(..room));
        room > 0
    }
}

/// The real one; generic over the handler, which only its maker can name.
struct Real<H> {
    producer: Producer<u64>,
    relay: Relay<u64, u64, H>,
    out: Poller<u64>,
    fails: Rc<Cell<bool>>,
}

impl<H: ring::Handler<u64, u64>> Real<H> {
    fn turn(&mut self, turn: Turn, next: u64) -> Said {
        match turn {
            Turn::Push => Said::Pushed(match self.producer.try_publish(|slot| *slot = next) {
                Ok(()) => true,
                Err(Full { missing: 1 }) => false,
                Err(full) => panic!("{full}"),
            }),
            Turn::Step(limit) => self.step(limit),
            Turn::StepThatFails => {
                self.fails.set(true);
                let said = self.step(1);
                self.fails.set(false);
                said
            }
            Turn::Drain => {
                let mut one = Vec::new();
                self.out.drain(1, &mut one);
                Said::Drained(one.pop())
            }
        }
    }

    fn step(&mut self, limit: u64) -> Said {
        match self.relay.step(limit) {
            Step::Idle => Said::Idle,
            Step::Did(count) => Said::Did(count),
            Step::Failed(_) => Said::Failed,
            Step::Done => panic!("the ring is open"),
        }
    }
}

fn real() -> Real<impl ring::Handler<u64, u64>> {
    let ((producer, mut input), (output, mut out)) = (ring(SLOTS_IN, || 0, 1), ring(SLOTS_OUT, || 0, 1));
    let fails = Rc::new(Cell::new(false));
    let seen = Rc::clone(&fails);
    let handler = move |event: &u64, out: &mut Vec<u64>| {
        out.extend((0..outputs_of(*event)).map(|n| *event * 10 + n));
        if seen.get() { Err("planted".into()) } else { Ok(()) }
    };
    Real { producer, relay: Relay::new(input.remove(0), handler, output), out: out.remove(0), fails }
}

#[test]
fn every_schedule_is_what_three_queues_would_do() {
    let schedules = CHOICES.len().pow(TURNS as u32);
    let (mut full, mut failed, mut waited) = (0, 0, 0);
    for schedule in 0..schedules {
        let (mut model, mut real, mut next, mut digits) = (Model::default(), real(), 1, schedule);
        for _ in 0..TURNS {
            let turn = CHOICES[digits % CHOICES.len()];
            digits /= CHOICES.len();
            let said = real.turn(turn, next);
            assert_eq!(said, model.turn(turn, next), "schedule {schedule}, {turn:?}");
            assert_eq!(real.relay.waiting(), model.waiting.len(), "schedule {schedule}, {turn:?}");
            next += u64::from(said == Said::Pushed(true));
            full += u64::from(said == Said::Pushed(false));
            failed += u64::from(said == Said::Failed);
        }
        waited += u64::from(!model.waiting.is_empty());
    }
    println!("{schedules} schedules: full {full}, failed {failed}, ended with outputs waiting {waited}");
    assert!(full > 1_000 && failed > 1_000 && waited > 1_000, "the schedules meet every limit");
}
