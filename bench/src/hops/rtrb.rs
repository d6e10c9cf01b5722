//! `rtrb`: one to one, bounded, wait-free.

use super::{Message, Receive64, Send64};
use rtrb::{Consumer, Producer, RingBuffer};

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
