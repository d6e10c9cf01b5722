//! `engine/ring`: the ring with a cursor, for chains of readers; the disruptor crate behind our rules of failing.

use super::{Message, Receive64, Send64};
use ring::{Poller, Producer, Step, ring};
use std::ops::ControlFlow;

pub struct Stages;

impl Stages {
    pub fn pair(slots: usize) -> (Producer<Message>, Poller<Message>) {
        let (producer, mut pollers) = ring(slots, Message::default, 1);
        (producer, pollers.pop().expect("one reader was asked for"))
    }
}

impl Send64 for Producer<Message> {
    #[inline]
    fn try_send(&mut self, message: &Message) -> bool {
        self.try_publish(|slot| *slot = *message).is_ok()
    }

    #[inline]
    fn try_send_all(&mut self, messages: &[Message]) -> usize {
        self.try_publish_all(messages).map_or(0, |()| messages.len())
    }
}

impl Receive64 for Poller<Message> {
    #[inline]
    fn receive(&mut self, mut each: impl FnMut(&Message)) -> usize {
        let step = self.read(u64::MAX, |message| {
            each(message);
            Ok(ControlFlow::Continue(()))
        });
        match step {
            Step::Did(count) => count as usize,
            _ => 0,
        }
    }
}
