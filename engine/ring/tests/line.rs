//! The line ring keeps the rules of the other one: nothing is lost, repeated or reordered; a full ring is an error; a failing or panicking reader keeps
//! its event; a closed ring is read to its end.

#![cfg(not(loom))]

mod chance;

use chance::chance;
use ring::threaded::{Patience, Threads};
use ring::{Full, LinePoller, LineProducer, Relay, Step, line_ring};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All bits but the ring's, in every word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Event(u64);

impl From<Event> for [u64; 8] {
    fn from(event: Event) -> Self {
        std::array::from_fn(|word| if word == 0 { !ring::LAP_BITS } else { event.0.wrapping_mul(word as u64) })
    }
}

impl From<[u64; 8]> for Event {
    fn from(words: [u64; 8]) -> Self {
        assert_eq!(words[0], !ring::LAP_BITS, "the ring gives back what it was given");
        assert!((1..8).all(|word| words[word] == words[1].wrapping_mul(word as u64)), "the words are of one event: {words:x?}");
        Event(words[1])
    }
}

fn full_ring(size: u64) -> (LineProducer<Event>, LinePoller<Event>) {
    let (mut producer, poller) = line_ring(size as usize);
    (0..size).for_each(|number| producer.try_publish(&Event(number)).expect("there is room"));
    (producer, poller)
}

fn drained(poller: &mut LinePoller<Event>) -> Vec<u64> {
    let mut out = Vec::new();
    while poller.drain(u64::MAX, &mut out) > 0 {}
    out.into_iter().map(|event| event.0).collect()
}

#[test]
fn a_full_ring_says_how_much_is_missing_and_takes_all_or_none() {
    let (mut producer, mut poller) = full_ring(8);
    assert_eq!(producer.try_publish(&Event(8)), Err(Full { missing: 1 }));
    assert_eq!(poller.drain(1, &mut Vec::new()), 1);
    assert_eq!(producer.try_publish_all(&[Event(8), Event(9)]), Err(Full { missing: 1 }));
    assert_eq!(producer.try_publish_all(&[Event(8)]), Ok(()));
    assert_eq!(drained(&mut poller), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_failing_reader_keeps_the_event_at_which_it_failed() {
    let (_producer, mut poller) = full_ring(16);
    let step = poller.read(4, |event| if event.0 == 2 { Err("no".into()) } else { Ok(ControlFlow::Continue(())) });
    assert!(matches!(step, Step::Failed(_)));
    assert_eq!(drained(&mut poller)[0], 2);
}

#[test]
fn a_panicking_reader_keeps_its_batch() {
    let (_producer, mut poller) = full_ring(16);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = poller.read(4, |event| if event.0 == 2 { panic!("on purpose") } else { Ok(ControlFlow::Continue(())) });
    }));
    assert!(panicked.is_err());
    assert_eq!(drained(&mut poller)[0], 0);
}

#[test]
fn a_closed_ring_is_read_to_its_end() {
    let (producer, mut poller) = full_ring(4);
    drop(producer);
    assert_eq!(drained(&mut poller), [0, 1, 2, 3]);
    assert!(matches!(poller.read(1, |_| Ok(ControlFlow::Continue(()))), Step::Done));
}

#[test]
fn any_mixture_of_lengths_over_many_laps_keeps_the_order() {
    for seed in 0..50 {
        let (mut random, (mut producer, mut poller)) = (chance(seed), line_ring(16));
        let (mut sent, mut out) = (0, Vec::new());
        while sent < 1_000 {
            let batch: Vec<Event> = (sent..sent + 1 + random() % 7).map(Event).collect();
            if producer.try_publish_all(&batch).is_ok() {
                sent += batch.len() as u64;
            }
            poller.drain(1 + random() % 9, &mut out);
        }
        while poller.drain(u64::MAX, &mut out) > 0 {}
        assert!(out.iter().map(|event| event.0).eq(0..sent), "seed {seed}");
    }
}

/// Two threads and a relay between two small rings, so that both are full and empty again and again.
#[test]
fn between_threads_nothing_is_lost_repeated_or_reordered() {
    const EVENTS: u64 = 2_000;
    let ((mut producer, commands), (reports, mut poller)) = (line_ring::<Event>(8), line_ring::<Event>(4));
    let twice = |event: &Event, out: &mut Vec<Event>| {
        out.extend([Event(2 * event.0), Event(2 * event.0 + 1)]);
        Ok(())
    };
    let threads = Threads::start(vec![("twice", Box::new(Relay::new(commands, twice, reports)))], Patience::default()).expect("the system has threads");
    let received = Arc::new(AtomicU64::new(0));
    let (mut sent, mut out) = (0, Vec::new());
    while received.load(Ordering::Relaxed) < 2 * EVENTS {
        if sent < EVENTS && producer.try_publish(&Event(sent)).is_ok() {
            sent += 1;
        } else {
            std::thread::yield_now();
        }
        out.clear();
        poller.drain(u64::MAX, &mut out);
        for event in &out {
            assert_eq!(event.0, received.fetch_add(1, Ordering::Relaxed));
        }
    }
    drop(producer);
    threads.join().expect("no stage fails");
}
