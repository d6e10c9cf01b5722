//! `engine/ring`: the ring whose slots carry their own news.

use super::{Message, Receive64, Send64};
use ring::{LinePoller, LineProducer, Step, line_ring};
use std::ops::ControlFlow;

pub struct Line;

impl Line {
    pub fn pair(slots: usize) -> (LineProducer<Message>, LinePoller<Message>) {
        line_ring(slots)
    }
}

impl Send64 for LineProducer<Message> {
    #[inline]
    fn try_send(&mut self, message: &Message) -> bool {
        self.try_publish(message).is_ok()
    }

    #[inline]
    fn try_send_all(&mut self, messages: &[Message]) -> usize {
        self.try_publish_all(messages).map_or(0, |()| messages.len())
    }
}

impl Receive64 for LinePoller<Message> {
    #[inline]
    fn receive(&mut self, mut each: impl FnMut(&Message)) -> usize {
        let step = self.read(u64::MAX, |message| {
            each(message);
            Ok(ControlFlow::Continue(()))
        });
        if let Step::Did(count) = step { count as usize } else { 0 }
    }
}
