//! A ring from one core to one other whose slots carry their own news: one cache line crosses per event, where a ring with a cursor moves two, one
//! after the other. `cargo xtask bench ring`: a round trip costs 1.1 times a raw line's; with a cursor 1.3 (near cores) to 1.9 (far ones). The price is
//! throughput: a reader close behind takes away the lines that are being written, so that batches go several times slower than behind a cursor. Take
//! it where the queue is mostly empty and the next event is waited for, and [`crate::ring`] where it is mostly full.
//!
//! A slot is eight words. Bits 24 to 31 of the first belong to the ring: the **lap**, which changes between 1 and 2 each time round. The reader waits
//! at a slot until its lap is the one that is due; the writer looks at the reader's position only when the ring seems full. There is no `unsafe`:
//! a slot's words are atomics, and an event is whatever turns into eight words and back.

use crate::atomics::{AtomicBool, AtomicU64, Ordering};
use crate::{Full, Read, Sink, Source, Step};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Words of a slot: a cache line. The model checker tries every order of every access, and learns from two what it would from eight.
pub const WORDS: usize = if cfg!(loom) { 2 } else { 8 };

/// Where the lap stands in the first word: no event may use these bits.
pub const LAP_BITS: u64 = 0xff << LAP_SHIFT;
const LAP_SHIFT: u32 = 24;

/// Most events between two releases, so that a reader that never falls idle still makes room: a quarter of the ring.
const RELEASES_PER_LAP: u64 = 4;

/// What fits a slot; [`LAP_BITS`] of its first word are zero.
pub trait Event: Copy + Send + Sync + Into<[u64; WORDS]> + From<[u64; WORDS]> + 'static {}

impl<E: Copy + Send + Sync + Into<[u64; WORDS]> + From<[u64; WORDS]> + 'static> Event for E {}

/// Written by the producer, read by the poller; the first word last and first.
#[repr(align(64))]
struct Slot([AtomicU64; WORDS]);

/// Alone on two lines: processors fetch neighbours.
#[repr(align(128))]
struct Alone<T>(T);

struct Shared {
    slots: Box<[Slot]>,
    /// How many events were read and released. The poller writes it once a batch, the producer reads it when the ring seems full.
    released: Alone<AtomicU64>,
    /// The producer is gone: it writes that once, the poller reads it when it finds nothing.
    closed: Alone<AtomicBool>,
}

/// Fills the slots. Dropping it closes the ring.
pub struct LineProducer<E> {
    shared: Arc<Shared>,
    /// Number of the next event.
    next: u64,
    /// The first number that may not be written yet, as far as this side knows.
    end: u64,
    of: PhantomData<fn(E)>,
}

/// Reads the slots in order, each once.
pub struct LinePoller<E> {
    shared: Arc<Shared>,
    /// Number of the next event.
    next: u64,
    of: PhantomData<fn() -> E>,
}

/// A ring of `size` slots (a power of two, at least [`RELEASES_PER_LAP`] in production) for one writer and one reader.
pub fn line_ring<E: Event>(size: usize) -> (LineProducer<E>, LinePoller<E>) {
    assert!(size.is_power_of_two(), "a ring of {size} slots: the size is a power of two");
    let slots = (0..size).map(|_| Slot(std::array::from_fn(|_| AtomicU64::new(0)))).collect();
    let shared = Arc::new(Shared { slots, released: Alone(AtomicU64::new(0)), closed: Alone(AtomicBool::new(false)) });
    (LineProducer { shared: Arc::clone(&shared), next: 0, end: size as u64, of: PhantomData }, LinePoller { shared, next: 0, of: PhantomData })
}

impl Shared {
    #[inline]
    fn slot(&self, number: u64) -> &Slot {
        &self.slots[number as usize & (self.slots.len() - 1)]
    }

    /// Of event `number`: never 0, which is what a slot holds that nobody wrote.
    #[inline]
    fn lap(&self, number: u64) -> u64 {
        (1 + (number >> self.slots.len().trailing_zeros() & 1)) << LAP_SHIFT
    }
}

impl<E: Event> LineProducer<E> {
    /// Publishes one event.
    #[inline]
    pub fn try_publish(&mut self, event: &E) -> Result<(), Full> {
        self.room(1)?;
        self.write(self.next, event);
        self.next += 1;
        Ok(())
    }

    /// Publishes every event, in order, or none.
    #[inline]
    pub fn try_publish_all(&mut self, events: &[E]) -> Result<(), Full> {
        self.room(events.len() as u64)?;
        for event in events {
            self.write(self.next, event);
            self.next += 1;
        }
        Ok(())
    }

    #[inline]
    fn room(&mut self, count: u64) -> Result<(), Full> {
        if self.next + count > self.end {
            // Acquire: the reader is done with the words of what it released, before this side writes them.
            self.end = self.shared.released.0.load(Ordering::Acquire) + self.shared.slots.len() as u64;
            if self.next + count > self.end {
                return Err(Full { missing: self.next + count - self.end });
            }
        }
        Ok(())
    }

    #[inline]
    fn write(&self, number: u64, event: &E) {
        let words: [u64; WORDS] = (*event).into();
        debug_assert_eq!(words[0] & LAP_BITS, 0, "the bits of the lap are the ring's");
        let slot = self.shared.slot(number);
        for (to, word) in slot.0[1..].iter().zip(&words[1..]) {
            to.store(*word, Ordering::Relaxed);
        }
        // Release: whoever sees the lap sees the other words.
        slot.0[0].store(words[0] | self.shared.lap(number), Ordering::Release);
    }
}

impl<E> Drop for LineProducer<E> {
    fn drop(&mut self) {
        // Release: whoever sees it sees every event.
        self.shared.closed.0.store(true, Ordering::Release);
    }
}

impl<E: Event> LinePoller<E> {
    /// Reads at most `limit` (≥ 1) events, under the rules of [`crate::Poller::read`].
    #[inline]
    pub fn read(&mut self, limit: u64, mut read: impl FnMut(&E) -> Read) -> Step {
        assert!(limit >= 1, "a step reads at least one event");
        let limit = limit.min((self.shared.slots.len() as u64 / RELEASES_PER_LAP).max(1));
        // Not ours before the end: if `read` panics, nothing was read.
        let (mut next, mut failed) = (self.next, None);
        while next - self.next < limit && self.is_there(next) {
            match read(&self.event(next)) {
                Ok(flow) => {
                    next += 1;
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
        let count = next - self.next;
        if count > 0 {
            self.next = next;
            // Release: the words were read before the writer may overwrite them.
            self.shared.released.0.store(next, Ordering::Release);
        }
        match failed {
            Some(fault) => Step::Failed(fault),
            None if count > 0 => Step::Did(count),
            None => self.nothing(),
        }
    }

    /// Acquire: whoever sees the lap sees the other words.
    #[inline]
    fn is_there(&self, number: u64) -> bool {
        self.shared.slot(number).0[0].load(Ordering::Acquire) & LAP_BITS == self.shared.lap(number)
    }

    /// One that is there.
    #[inline]
    fn event(&self, number: u64) -> E {
        let slot = self.shared.slot(number);
        let mut words: [u64; WORDS] = std::array::from_fn(|word| slot.0[word].load(Ordering::Relaxed));
        words[0] &= !LAP_BITS;
        E::from(words)
    }

    /// There was no event: is there one to come?
    fn nothing(&self) -> Step {
        // Acquire: if it is closed, every event is visible; one may have come since we looked.
        if self.shared.closed.0.load(Ordering::Acquire) && !self.is_there(self.next) {
            return Step::Done;
        }
        Step::Idle
    }

    /// Appends at most `limit` events to `out`; says how many.
    pub fn drain(&mut self, limit: u64, out: &mut Vec<E>) -> u64 {
        let step = self.read(limit, |event| {
            out.push(*event);
            Ok(ControlFlow::Continue(()))
        });
        if let Step::Did(count) = step { count } else { 0 }
    }
}

impl<E: Event> Source<E> for LinePoller<E> {
    #[inline]
    fn read(&mut self, limit: u64, read: impl FnMut(&E) -> Read) -> Step {
        LinePoller::read(self, limit, read)
    }
}

impl<E: Event> Sink<E> for LineProducer<E> {
    #[inline]
    fn try_publish(&mut self, event: &E) -> Result<(), Full> {
        LineProducer::try_publish(self, event)
    }

    #[inline]
    fn try_publish_all(&mut self, events: &[E]) -> Result<(), Full> {
        LineProducer::try_publish_all(self, events)
    }
}
