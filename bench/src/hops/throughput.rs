//! Messages one way as fast as they go, several links in turn between the same two threads, as in `round_trip.rs` and for the same reason.

use super::{Message, Receive64, Send64, wait};
use anyhow::{Result, ensure};
use bench::measure::{Clock, pin};
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages of one burst: shorter than a scheduler's slice by far, so that most see nobody else.
pub const BURST: u64 = 2_000;

/// One link, one way.
pub struct Lane {
    send: Box<dyn Sending>,
    receive: Box<dyn Receiving>,
}

/// A link over which batches of `batch` are sent.
pub fn lane<T: Send64 + 'static, R: Receive64 + 'static>(batch: usize, (sender, receiver): (T, R)) -> Lane {
    let messages = vec![Message::default(); batch];
    Lane { send: Box::new(Sender { sender, messages, number: 0 }), receive: Box::new(Receiver { receiver, hash: 0 }) }
}

trait Sending: Send {
    fn burst(&mut self);
}

trait Receiving: Send {
    /// A burst; the hash of everything so far.
    fn burst(&mut self) -> u64;
}

struct Sender<T> {
    sender: T,
    messages: Vec<Message>,
    number: u64,
}

impl<T: Send64> Sending for Sender<T> {
    fn burst(&mut self) {
        let (end, mut looks) = (self.number + BURST, 0);
        while self.number < end {
            let batch = self.messages.len().min((end - self.number) as usize);
            for message in &mut self.messages[..batch] {
                self.number += 1;
                *message = Message::of(self.number);
            }
            let mut left = &self.messages[..batch];
            while !left.is_empty() {
                let sent = self.sender.try_send_all(left);
                left = &left[sent..];
                if sent == 0 {
                    wait(&mut looks);
                }
            }
        }
    }
}

struct Receiver<R> {
    receiver: R,
    hash: u64,
}

impl<R: Receive64> Receiving for Receiver<R> {
    fn burst(&mut self) -> u64 {
        let (mut received, mut looks, mut hash) = (0, 0, self.hash);
        while received < BURST {
            let now = self.receiver.receive(|message| hash = message.mix(hash));
            received += now as u64;
            if now == 0 {
                wait(&mut looks);
            }
        }
        self.hash = hash;
        hash
    }
}

/// `turns` bursts over every lane, in turn: millions of messages a second, `[turn][lane]`, from the first send until the last was read.
pub fn throughput(turns: usize, lanes: Vec<Lane>) -> Result<Vec<Vec<f64>>> {
    let (mut sends, mut receives): (Vec<_>, Vec<_>) = lanes.into_iter().map(|lane| (lane.send, lane.receive)).unzip();
    let bursts = turns * sends.len();
    // Written by the receiver, read by the sender: bursts that were read.
    let done = AtomicU64::new(0);
    let (figures, hashes) = std::thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            pin(1);
            let mut hashes = Vec::new();
            for _ in 0..turns {
                hashes = receives.iter_mut().map(|receive| next(&done, receive.burst())).collect();
            }
            hashes
        });
        pin(0);
        let clock = Clock::start();
        let mut figures = Vec::with_capacity(bursts);
        for burst in 0..bursts {
            let (begin, at) = (clock.now_ns(), burst % sends.len());
            sends[at].burst();
            let mut looks = 0;
            while done.load(Ordering::Acquire) <= burst as u64 {
                wait(&mut looks);
            }
            figures.push(BURST as f64 * 1e3 / (clock.now_ns() - begin) as f64);
        }
        (figures, receiving.join().expect("the receiver does not panic"))
    });
    let expected = (1..=BURST * turns as u64).fold(0, |hash, number| Message::of(number).mix(hash));
    ensure!(hashes.iter().all(|hash| *hash == expected), "received {hashes:016x?}, sent {expected:016x}");
    Ok(figures.chunks(hashes.len()).map(<[f64]>::to_vec).collect())
}

fn next(done: &AtomicU64, hash: u64) -> u64 {
    done.fetch_add(1, Ordering::Release);
    hash
}
