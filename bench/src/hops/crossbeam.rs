//! `crossbeam_queue::ArrayQueue`: many to many, bounded.

use super::{Message, Receive64, Send64};
use crossbeam_queue::ArrayQueue;
use std::sync::Arc;

pub struct Crossbeam(Arc<ArrayQueue<Message>>);

impl Crossbeam {
    pub fn pair(slots: usize) -> (Crossbeam, Crossbeam) {
        let queue = Arc::new(ArrayQueue::new(slots));
        (Crossbeam(Arc::clone(&queue)), Crossbeam(queue))
    }
}

impl Send64 for Crossbeam {
    #[inline]
    fn try_send(&mut self, message: &Message) -> bool {
        self.0.push(*message).is_ok()
    }
}

impl Receive64 for Crossbeam {
    #[inline]
    fn receive(&mut self, mut each: impl FnMut(&Message)) -> usize {
        let Some(message) = self.0.pop() else { return 0 };
        each(&message);
        1
    }
}
