//! The disruptor crate as its own documents use it.

use super::{Message, Receive64, Send64};
use disruptor::{BusySpin, EventPoller, Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier, build_single_producer};

pub struct Disruptor;

impl Disruptor {
    pub fn pair(slots: usize) -> (SingleProducer<Message, SingleConsumerBarrier>, EventPoller<Message, SingleProducerBarrier>) {
        let (poller, builder) = build_single_producer(slots, Message::default, BusySpin).new_event_poller();
        (builder.build(), poller)
    }
}

impl Send64 for SingleProducer<Message, SingleConsumerBarrier> {
    #[inline]
    fn try_send(&mut self, message: &Message) -> bool {
        self.try_publish(|slot| *slot = *message).is_ok()
    }

    #[inline]
    fn try_send_all(&mut self, messages: &[Message]) -> usize {
        let published = self.try_batch_publish(messages.len(), |slots| slots.zip(messages).for_each(|(slot, message)| *slot = *message));
        published.map_or(0, |_| messages.len())
    }
}

impl Receive64 for EventPoller<Message, SingleProducerBarrier> {
    #[inline]
    fn receive(&mut self, each: impl FnMut(&Message)) -> usize {
        let Ok(mut batch) = self.poll() else { return 0 };
        (&mut batch).map(each).count()
    }
}
