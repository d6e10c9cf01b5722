//! A ring in, one stage, a ring out, all in one hand: for a state machine that is rebuilt often and stepped by its owner.

use crate::stepped::below;
use crate::{Fault, Full, Handler, Poller, Producer, Relay, Step, ring};

/// Most events of one step or of one draw from the ring out.
const LIMIT_MAX: u64 = 8;

/// Dropping it drops everything in it: a crash.
pub struct Pipeline<In, Out, H> {
    input: Producer<In>,
    stage: Relay<In, Out, H>,
    output: Poller<Out>,
}

impl<In, Out, H> Pipeline<In, Out, H>
where
    In: Copy + Default + Send + Sync + 'static,
    Out: Copy + Default + Send + Sync + 'static,
    H: Handler<In, Out>,
{
    /// Rings of `input_slots` and `output_slots` (powers of two) around a handler.
    pub fn new(input_slots: usize, output_slots: usize, handler: H) -> Self {
        let (input, mut readers) = ring(input_slots, In::default, 1);
        let poller = readers.pop().expect("one reader was asked for");
        let (output, mut readers) = ring(output_slots, Out::default, 1);
        let stage = Relay::new(poller, handler, output);
        Pipeline { input, stage, output: readers.pop().expect("one reader was asked for") }
    }

    /// Puts an event in, if there is room.
    pub fn try_push(&mut self, event: &In) -> Result<(), Full> {
        self.input.try_publish(|slot| *slot = *event)
    }

    /// Lets the stage read at most `limit` (≥ 1) events.
    pub fn step(&mut self, limit: u64) -> Step {
        self.stage.step(limit)
    }

    /// Takes at most `limit` (≥ 1) outputs; says how many.
    pub fn drain(&mut self, limit: u64, out: &mut Vec<Out>) -> u64 {
        self.output.drain(limit, out)
    }

    /// The handler, between steps.
    pub fn handler(&self) -> &H {
        self.stage.handler()
    }

    /// The handler, between steps: for what is no event.
    pub fn handler_mut(&mut self) -> &mut H {
        self.stage.handler_mut()
    }

    /// Puts every event in, in the order and by the lengths that `random` decides, and takes every output, until nothing is left in the rings.
    /// After a fault the events from the failing one on are still in the ring or were never put in: drop the pipeline.
    pub fn run(&mut self, events: &[In], random: &mut dyn FnMut() -> u64, out: &mut Vec<Out>) -> Result<(), Fault> {
        let mut left = events;
        // Turns in a row that moved nothing; three different ones mean that nothing can.
        let (mut turn, mut idle) = (0, 0);
        while idle < 3 {
            turn = if idle == 0 { below(random, 3) } else { (turn + 1) % 3 };
            let limit = 1 + below(random, LIMIT_MAX);
            let moved = match turn {
                0 => self.push_some(&mut left, limit),
                1 => match self.step(limit) {
                    Step::Did(_) => true,
                    Step::Idle => false,
                    Step::Done => unreachable!("the pipeline holds the producer"),
                    Step::Failed(fault) => return Err(fault),
                },
                _ => self.drain(limit, out) > 0,
            };
            idle = if moved { 0 } else { idle + 1 };
        }
        assert!(left.is_empty(), "an idle stage has emptied its ring");
        assert_eq!(self.stage.waiting(), 0, "a stage with outputs is not idle once they were drained");
        Ok(())
    }

    fn push_some(&mut self, left: &mut &[In], limit: u64) -> bool {
        let mut moved = false;
        for _ in 0..limit {
            let Some((event, behind)) = left.split_first() else { break };
            if self.try_push(event).is_err() {
                break;
            }
            *left = behind;
            moved = true;
        }
        moved
    }

    /// The three parts, for a thread each.
    pub fn split(self) -> (Producer<In>, Relay<In, Out, H>, Poller<Out>) {
        (self.input, self.stage, self.output)
    }
}
