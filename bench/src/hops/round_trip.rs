//! Round trips of several links in turn, between the same two threads.
//!
//! On a virtual machine the way between two cores changes under the measurement (80, 200 or 900 ns were seen within one second, by where the host
//! puts them), so that links which are measured one after the other cannot be compared. Here a burst of every link takes its turn within
//! microseconds, and a ratio is taken within one turn.

use super::{Message, Receive64, Send64, wait};
use anyhow::{Result, ensure};
use bench::measure::{Clock, pin};

/// Round trips of one burst: shorter than a scheduler's slice, so that most see nobody else.
const BURST: u64 = 50;

/// One link, there and back.
pub struct Leg {
    lead: Box<dyn Lead>,
    follow: Box<dyn Follow>,
}

/// A link of two pairs that `make` makes.
pub fn leg<T: Send64 + 'static, R: Receive64 + 'static>(make: impl Fn() -> (T, R)) -> Leg {
    let ((there, echo_in), (echo_out, back)) = (make(), make());
    Leg { lead: Box::new(Leader { there, back, number: 0 }), follow: Box::new(Follower { echo_in, echo_out }) }
}

/// The side that begins.
trait Lead: Send {
    /// A burst; how many answers were wrong.
    fn burst(&mut self) -> u64;
}

/// The side that answers.
trait Follow: Send {
    fn burst(&mut self);
}

struct Leader<T, R> {
    there: T,
    back: R,
    number: u64,
}

impl<T: Send64, R: Receive64> Lead for Leader<T, R> {
    fn burst(&mut self) -> u64 {
        let mut wrong = 0;
        for _ in 0..BURST {
            self.number += 1;
            let message = Message::of(self.number);
            assert!(self.there.try_send(&message), "one message is on its way, and the ring holds more");
            let mut looks = 0;
            while self.back.receive(|answer| wrong += u64::from(*answer != message)) == 0 {
                wait(&mut looks);
            }
        }
        wrong
    }
}

struct Follower<T, R> {
    echo_in: R,
    echo_out: T,
}

impl<T: Send64, R: Receive64> Follow for Follower<T, R> {
    fn burst(&mut self) {
        let (mut echoed, mut looks) = (0, 0);
        while echoed < BURST {
            let echo_out = &mut self.echo_out;
            let count = self.echo_in.receive(|message| assert!(echo_out.try_send(message), "one message is on its way, and the ring holds more"));
            echoed += count as u64;
            if count == 0 {
                wait(&mut looks);
            }
        }
    }
}

/// `turns` bursts of every leg, in turn: nanoseconds per round trip, `[turn][leg]`.
pub fn round_trips(turns: usize, legs: Vec<Leg>) -> Result<Vec<Vec<f64>>> {
    let (mut leads, mut follows): (Vec<_>, Vec<_>) = legs.into_iter().map(|leg| (leg.lead, leg.follow)).unzip();
    let mut wrong = 0;
    let figures = std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(1);
            (0..turns).for_each(|_| follows.iter_mut().for_each(|follow| follow.burst()));
        });
        pin(0);
        let clock = Clock::start();
        let mut burst = |lead: &mut Box<dyn Lead>| {
            let begin = clock.now_ns();
            wrong += lead.burst();
            (clock.now_ns() - begin) as f64 / BURST as f64
        };
        (0..turns).map(|_| leads.iter_mut().map(&mut burst).collect()).collect()
    });
    ensure!(wrong == 0, "{wrong} messages came back changed");
    Ok(figures)
}
