//! `rtrb`: one to one, bounded, wait-free.

use super::{Message, Receive64, Send64};
use ring::{Full, Read, Sink, Source, Step};
use rtrb::chunks::ChunkError;
use rtrb::{Consumer, Producer, RingBuffer};
use std::ops::ControlFlow;

pub struct Rtrb;

impl Rtrb {
    pub fn pair(slots: usize) -> (Producer<Message>, Consumer<Message>) {
        RingBuffer::new(slots)
    }
}

impl Send64 for Producer<Message> {
    #[inline]
    fn try_send(&mut self, message: &Message) -> bool {
        self.push(*message).is_ok()
    }

    #[inline]
    fn try_send_all(&mut self, messages: &[Message]) -> usize {
        let Ok(chunk) = self.write_chunk_uninit(messages.len()) else { return 0 };
        chunk.fill_from_iter(messages.iter().copied())
    }
}

impl Receive64 for Consumer<Message> {
    #[inline]
    fn receive(&mut self, mut each: impl FnMut(&Message)) -> usize {
        let Ok(chunk) = self.read_chunk(self.slots()) else { return 0 };
        let count = chunk.len();
        chunk.into_iter().for_each(|message| each(&message));
        count
    }
}

/// The ends of a ring of his as our stages want them.
pub fn peered<E>(slots: usize) -> (PeerSink<E>, PeerSource<E>) {
    let (producer, consumer) = RingBuffer::new(slots);
    (PeerSink(producer), PeerSource(consumer))
}

pub struct PeerSink<E>(Producer<E>);

pub struct PeerSource<E>(Consumer<E>);

impl<E: Copy + Send> Sink<E> for PeerSink<E> {
    #[inline]
    fn try_publish(&mut self, event: &E) -> Result<(), Full> {
        self.0.push(*event).map_err(|_| Full { missing: 1 })
    }

    #[inline]
    fn try_publish_all(&mut self, events: &[E]) -> Result<(), Full> {
        let chunk = self.0.write_chunk_uninit(events.len()).map_err(|ChunkError::TooFewSlots(free)| Full { missing: (events.len() - free) as u64 })?;
        chunk.fill_from_iter(events.iter().copied());
        Ok(())
    }
}

impl<E: Send> Source<E> for PeerSource<E> {
    #[inline]
    fn read(&mut self, limit: u64, mut read: impl FnMut(&E) -> Read) -> Step {
        let there = self.0.slots().min(limit.try_into().unwrap_or(usize::MAX));
        if there == 0 {
            return if self.0.is_abandoned() { Step::Done } else { Step::Idle };
        }
        let chunk = self.0.read_chunk(there).expect("so many are there");
        let (first, second) = chunk.as_slices();
        let (mut count, mut stopped) = (0, Ok(ControlFlow::Continue(())));
        for event in first.iter().chain(second) {
            stopped = read(event);
            count += usize::from(stopped.is_ok());
            if !matches!(stopped, Ok(ControlFlow::Continue(()))) {
                break;
            }
        }
        chunk.commit(count);
        stopped.map_or_else(Step::Failed, |_| Step::Did(count as u64))
    }
}
