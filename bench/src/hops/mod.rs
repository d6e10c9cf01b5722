//! Ways for a 64-byte message from one core to another, each behind the same two verbs, and the two exercises that all of them run.

mod crossbeam;
mod disruptor;
mod line;
mod raw;
mod round_trip;
mod rtrb;
mod stages;
mod throughput;

pub use self::crossbeam::Crossbeam;
pub use self::disruptor::Disruptor;
pub use self::line::Line;
pub use self::raw::Raw;
pub use self::round_trip::{leg, round_trips};
pub use self::rtrb::{Rtrb, peered};
pub use self::stages::Stages;
pub use self::throughput::{BURST, lane, throughput};

/// One cache line, as a slot of the wire; the first word is its number, from 1 on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Message(pub [u64; 8]);

impl Message {
    fn of(number: u64) -> Self {
        Message([number, number ^ 1, number ^ 2, number ^ 3, number ^ 4, number ^ 5, number ^ 6, number ^ 7])
    }

    /// Depends on every word.
    fn mix(&self, hash: u64) -> u64 {
        self.0.iter().fold(hash, |hash, word| hash.wrapping_add(*word)).rotate_left(5)
    }
}

impl From<Message> for [u64; 8] {
    fn from(message: Message) -> Self {
        message.0
    }
}

impl From<[u64; 8]> for Message {
    fn from(words: [u64; 8]) -> Self {
        Message(words)
    }
}

/// The sending end.
pub trait Send64: Send {
    /// `false`: no room.
    fn try_send(&mut self, message: &Message) -> bool;

    /// All or none; by default one by one, for those that know no batch.
    fn try_send_all(&mut self, messages: &[Message]) -> usize {
        messages.iter().take_while(|message| self.try_send(message)).count()
    }
}

/// The receiving end.
pub trait Receive64: Send {
    /// Hands over what is there now; says how many.
    fn receive(&mut self, each: impl FnMut(&Message)) -> usize;
}

/// Looks before the thread gives its core away: a peer without a core would never answer.
const LOOKS_MAX: u32 = 200_000;

/// Looks again, or yields when it looked often.
pub fn wait(looks: &mut u32) {
    *looks += 1;
    if *looks >= LOOKS_MAX {
        *looks = 0;
        std::thread::yield_now();
    }
}
