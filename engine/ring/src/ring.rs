//! A ring of slots, written by one producer and read by a chain of pollers.

use crate::{Fault, Step};
use disruptor::{BusySpin, EventPoller, Polling, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier, build_single_producer};
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;

/// Fills the slots. Dropping it closes the ring: pollers read what is there and then end.
pub struct Producer<E>(SingleProducer<E, SingleConsumerBarrier>);

/// Reads the slots in order, each once.
pub struct Poller<E>(Place<E>);

/// The disruptor's types for "behind the producer" and "behind another poller".
enum Place<E> {
    First(EventPoller<E, SingleProducerBarrier>),
    Later(EventPoller<E, SingleConsumerBarrier>),
}

/// The slowest reader is a whole ring behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ring is full: {missing} slots are missing")]
pub struct Full {
    /// How many more would have to be free.
    pub missing: u64,
}

/// A ring of `size` slots (a power of two) that `empty` fills, and its readers, each behind the one before.
pub fn ring<E: Send + Sync + 'static>(size: usize, empty: impl FnMut() -> E, readers: usize) -> (Producer<E>, Vec<Poller<E>>) {
    assert!(size.is_power_of_two(), "a ring of {size} slots: the size is a power of two");
    assert!(readers >= 1, "a ring that nobody reads is full for ever");
    // Pollers never wait, so the strategy is never asked.
    let (first, builder) = build_single_producer(size, empty, BusySpin).new_event_poller();
    let mut pollers = vec![Poller(Place::First(first))];
    if readers == 1 {
        return (Producer(builder.build()), pollers);
    }
    let (second, mut builder) = builder.and_then().new_event_poller();
    pollers.push(Poller(Place::Later(second)));
    while pollers.len() < readers {
        let (next, longer) = builder.and_then().new_event_poller();
        pollers.push(Poller(Place::Later(next)));
        builder = longer;
    }
    (Producer(builder.build()), pollers)
}

impl<E> Producer<E> {
    /// Writes one slot and publishes it; what stands in the slot is an older event.
    pub fn try_publish(&mut self, write: impl FnOnce(&mut E)) -> Result<(), Full> {
        disruptor::Producer::try_publish(&mut self.0, write).map(drop).map_err(|disruptor::RingBufferFull| Full { missing: 1 })
    }

    /// Writes as many slots as there are events and publishes them at once, or none.
    pub fn try_publish_all(&mut self, events: &[E]) -> Result<(), Full>
    where
        E: Copy,
    {
        if events.is_empty() {
            return Ok(());
        }
        let published = disruptor::Producer::try_batch_publish(&mut self.0, events.len(), |slots| {
            for (slot, event) in slots.zip(events) {
                *slot = *event;
            }
        });
        published.map(drop).map_err(|disruptor::MissingFreeSlots(missing)| Full { missing })
    }
}

/// What a reader does with an event: goes on, stops behind it, or fails at it.
pub type Read = Result<ControlFlow<()>, Fault>;

/// One text for two types: the trait that they share has no public name.
macro_rules! batch {
    ($poller:expr, $limit:expr) => {
        // The guard would release the whole batch when dropped, by a panic too. It never is; what was read is released at the end, by its number.
        match $poller.take($limit) {
            Ok(batch) => ManuallyDrop::new(batch),
            Err(Polling::NoEvents) => return Step::Idle,
            Err(Polling::Shutdown) => return Step::Done,
        }
    };
}

impl<E> Poller<E> {
    /// Reads at most `limit` (≥ 1) events. Those that were read are released to the next reader; one at which `read` failed is not, nor are those
    /// behind it: they are read again. If `read` panics, none of the batch is released.
    #[inline]
    pub fn read(&mut self, limit: u64, mut read: impl FnMut(&E) -> Read) -> Step {
        assert!(limit >= 1, "a step reads at least one event");
        let (mut first, mut later) = (None, None);
        match &mut self.0 {
            Place::First(poller) => first = Some(batch!(poller, limit)),
            Place::Later(poller) => later = Some(batch!(poller, limit)),
        }
        let (mut count, mut failed) = (0, None);
        // One loop for both, so that `read` has one caller and is compiled into it.
        while let Some(event) = match (&mut first, &mut later) {
            (Some(batch), _) => (&mut **batch).next(),
            (None, Some(batch)) => (&mut **batch).next(),
            (None, None) => None,
        } {
            match read(event) {
                Ok(flow) => {
                    count += 1;
                    if flow.is_break() {
                        break;
                    }
                }
                Err(fault) => {
                    failed = Some(fault);
                    break;
                }
            }
        }
        if count > 0 {
            self.release(count);
        }
        match failed {
            Some(fault) => Step::Failed(fault),
            None => Step::Did(count),
        }
    }

    /// Lets the next reader, or the producer, have so many.
    #[inline]
    fn release(&mut self, count: u64) {
        const THERE: &str = "what was read is still there";
        match &mut self.0 {
            Place::First(poller) => drop(poller.take(count).expect(THERE)),
            Place::Later(poller) => drop(poller.take(count).expect(THERE)),
        }
    }

    /// Appends at most `limit` events to `out`; says how many.
    pub fn drain(&mut self, limit: u64, out: &mut Vec<E>) -> u64
    where
        E: Copy,
    {
        let step = self.read(limit, |event| {
            out.push(*event);
            Ok(ControlFlow::Continue(()))
        });
        match step {
            Step::Did(count) => count,
            Step::Idle | Step::Done => 0,
            Step::Failed(_) => unreachable!("copying an event cannot fail"),
        }
    }
}
