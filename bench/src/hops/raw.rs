//! No queue at all: one cache line there, one back. The least that two cores can do, and so the measure of all others.

use super::{Message, Receive64, Send64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Two lines' room, so that the processor's habit of fetching neighbours meets nothing. The sender writes, the receiver reads.
#[derive(Default)]
#[repr(align(128))]
struct Line([AtomicU64; 8]);

/// A single line; a message that was not read is overwritten.
pub struct Raw {
    line: Arc<Line>,
    last: u64,
}

impl Raw {
    pub fn pair() -> (Raw, Raw) {
        let line = Arc::new(Line::default());
        (Raw { line: Arc::clone(&line), last: 0 }, Raw { line, last: 0 })
    }
}

impl Send64 for Raw {
    #[inline]
    fn try_send(&mut self, message: &Message) -> bool {
        for (to, word) in self.line.0.iter().zip(message.0).skip(1) {
            to.store(word, Ordering::Relaxed);
        }
        self.line.0[0].store(message.0[0], Ordering::Release);
        true
    }
}

impl Receive64 for Raw {
    #[inline]
    fn receive(&mut self, mut each: impl FnMut(&Message)) -> usize {
        let number = self.line.0[0].load(Ordering::Acquire);
        if number == self.last {
            return 0;
        }
        self.last = number;
        let mut message = Message([number; 8]);
        for (word, from) in message.0.iter_mut().zip(&self.line.0).skip(1) {
            *word = from.load(Ordering::Relaxed);
        }
        each(&message);
        1
    }
}
