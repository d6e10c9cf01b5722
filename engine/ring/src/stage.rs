//! Work that is done when it is told to.

use crate::{Full, Poller, Producer, Read};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::ControlFlow;

/// Why a stage cannot go on.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What a stage did when it was told to.
#[derive(Debug)]
pub enum Step {
    /// Nothing: no event, or no room for outputs.
    Idle,
    /// It read so many events (0: it only passed outputs on).
    Did(u64),
    /// Its ring is closed and read to the end; it will never do anything again.
    Done,
    /// It could not do the next event, which stays in the ring. Told again, it tries again.
    Failed(Fault),
}

/// Where a stage reads: under the rules of [`Poller::read`].
pub trait Source<E>: Send {
    /// Reads at most `limit` (≥ 1) events.
    fn read(&mut self, limit: u64, read: impl FnMut(&E) -> Read) -> Step;
}

/// Where a stage writes.
pub trait Sink<E>: Send {
    /// Publishes one event.
    fn try_publish(&mut self, event: &E) -> Result<(), Full>;

    /// Publishes every event, in order, or none.
    fn try_publish_all(&mut self, events: &[E]) -> Result<(), Full>;
}

impl<E: Send + Sync> Source<E> for Poller<E> {
    fn read(&mut self, limit: u64, read: impl FnMut(&E) -> Read) -> Step {
        Poller::read(self, limit, read)
    }
}

impl<E: Copy + Send + Sync> Sink<E> for Producer<E> {
    fn try_publish(&mut self, event: &E) -> Result<(), Full> {
        Producer::try_publish(self, |slot| *slot = *event)
    }

    fn try_publish_all(&mut self, events: &[E]) -> Result<(), Full> {
        Producer::try_publish_all(self, events)
    }
}

/// One consumer of a ring.
pub trait Stage: Send {
    /// Reads at most `limit` (≥ 1) events. Never waits.
    fn step(&mut self, limit: u64) -> Step;
}

/// What a stage does with one event. A handler that fails has changed nothing, or is thrown away: its event comes again.
pub trait Handler<In, Out> {
    /// Appends what the event leads to. What a failing call appended is dropped.
    fn handle(&mut self, event: &In, out: &mut Vec<Out>) -> Result<(), Fault>;
}

impl<In, Out, F: FnMut(&In, &mut Vec<Out>) -> Result<(), Fault>> Handler<In, Out> for F {
    fn handle(&mut self, event: &In, out: &mut Vec<Out>) -> Result<(), Fault> {
        self(event, out)
    }
}

/// A stage without outputs: the last of a ring, or one between.
pub struct Consume<E, F, S = Poller<E>> {
    input: S,
    handle: F,
    of: PhantomData<fn(&E)>,
}

impl<E, F: FnMut(&E) -> Result<(), Fault>, S: Source<E>> Consume<E, F, S> {
    /// Calls `handle` with every event.
    pub fn new(input: S, handle: F) -> Self {
        Consume { input, handle, of: PhantomData }
    }
}

impl<E, F: FnMut(&E) -> Result<(), Fault> + Send, S: Source<E>> Stage for Consume<E, F, S> {
    fn step(&mut self, limit: u64) -> Step {
        self.input.read(limit, |event| (self.handle)(event).map(ControlFlow::Continue))
    }
}

/// A stage between two rings. One event may lead to any number of outputs: those that find no room wait in the stage, which reads no further
/// event before they are gone.
pub struct Relay<In, Out, H, S = Poller<In>, K = Producer<Out>> {
    input: S,
    handler: H,
    /// Until its input is closed and everything went out: dropping it closes the ring out.
    output: Option<K>,
    waiting: VecDeque<Out>,
    /// Not yet tried.
    fresh: Vec<Out>,
    /// So many are tried at once.
    batch: usize,
    of: PhantomData<fn(&In)>,
}

impl<In, Out: Copy, H: Handler<In, Out>, S: Source<In>, K: Sink<Out>> Relay<In, Out, H, S, K> {
    /// Reads `input`, writes `output`.
    pub fn new(input: S, handler: H, output: K) -> Self {
        Relay { input, handler, output: Some(output), waiting: VecDeque::new(), fresh: Vec::new(), batch: 1, of: PhantomData }
    }

    /// Publishes outputs when there are `batch` of them, and at the end of a step: each then costs less, and comes later by as much.
    pub fn batching(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The handler, between steps.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The handler, between steps: for what is no event.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// Outputs that wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Reads at most `limit` (≥ 1) events. Never waits.
    #[inline]
    pub fn step(&mut self, limit: u64) -> Step {
        let Some(output) = &mut self.output else { return Step::Done };
        let passed_on = !self.waiting.is_empty() && pass_on(&mut self.waiting, output);
        if !self.waiting.is_empty() {
            return if passed_on { Step::Did(0) } else { Step::Idle };
        }
        let (handler, fresh, waiting, batch) = (&mut self.handler, &mut self.fresh, &mut self.waiting, self.batch);
        let step = self.input.read(limit, |event| {
            let before = fresh.len();
            if let Err(fault) = handler.handle(event, fresh) {
                fresh.truncate(before);
                return Err(fault);
            }
            if fresh.len() >= batch {
                publish(fresh, waiting, output);
            }
            Ok(if waiting.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        publish(fresh, waiting, output);
        match step {
            Step::Idle if passed_on => Step::Did(0),
            // Nothing waits: it would have been passed on above, or we would not have read.
            Step::Done => {
                self.output = None;
                Step::Done
            }
            step => step,
        }
    }
}

impl<In, Out: Copy + Send + Sync, H: Handler<In, Out> + Send, S: Source<In>, K: Sink<Out>> Stage for Relay<In, Out, H, S, K> {
    fn step(&mut self, limit: u64) -> Step {
        Relay::step(self, limit)
    }
}

/// Publishes all at once, or as many as find room; the rest waits.
#[inline]
fn publish<E: Copy>(fresh: &mut Vec<E>, waiting: &mut VecDeque<E>, output: &mut impl Sink<E>) {
    if !fresh.is_empty() && output.try_publish_all(fresh).is_err() {
        waiting.extend(fresh.iter());
        pass_on(waiting, output);
    }
    fresh.clear();
}

/// Publishes from the front until there is no room; says whether anything went.
fn pass_on<E: Copy>(waiting: &mut VecDeque<E>, output: &mut impl Sink<E>) -> bool {
    let before = waiting.len();
    while let Some(event) = waiting.front() {
        if output.try_publish(event).is_err() {
            break;
        }
        waiting.pop_front();
    }
    waiting.len() < before
}
