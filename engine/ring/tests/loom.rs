//! `cargo xtask loom`: every order in which two threads can meet in the line ring, by the model checker. A ring of two slots and events of two words:
//! the third event comes round to the first slot.

#![cfg(loom)]

use loom::thread;
use ring::{Step, line_ring};
use std::ops::ControlFlow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Event(u64);

impl From<Event> for [u64; 2] {
    fn from(event: Event) -> Self {
        [1, event.0]
    }
}

impl From<[u64; 2]> for Event {
    fn from(words: [u64; 2]) -> Self {
        assert_eq!(words[0], 1, "the ring gives back what it was given");
        Event(words[1])
    }
}

/// Publishes 10, 11 … on a thread of its own, drops the producer, and reads until the ring says that it is closed.
fn all_arrive_in_order(slots: usize, events: u64) {
    loom::model(move || {
        let (mut producer, mut poller) = line_ring::<Event>(slots);
        let writing = thread::spawn(move || {
            for number in 10..10 + events {
                while producer.try_publish(&Event(number)).is_err() {
                    thread::yield_now();
                }
            }
        });
        let mut next = 10;
        loop {
            let step = poller.read(u64::MAX, |event| {
                assert_eq!(event.0, next);
                next += 1;
                Ok(ControlFlow::Continue(()))
            });
            match step {
                Step::Did(_) => {}
                Step::Idle => thread::yield_now(),
                Step::Done => break,
                Step::Failed(fault) => panic!("{fault}"),
            }
        }
        assert_eq!(next, 10 + events, "a closed ring was read to its end");
        writing.join().expect("the writer does not panic");
    });
}

#[test]
fn a_slot_is_read_when_it_is_whole_and_written_when_it_was_read() {
    all_arrive_in_order(1, 2);
}

#[test]
fn the_end_is_not_seen_before_the_last_event() {
    all_arrive_in_order(2, 1);
}

#[test]
fn the_third_event_comes_round_to_the_first_slot() {
    all_arrive_in_order(2, 3);
}
