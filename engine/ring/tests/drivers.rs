//! Both drivers, same stages: the same input gives the same output, whoever says when a stage steps.

mod chance;

use chance::chance;
use ring::stepped::settle;
use ring::threaded::{Ended, Patience, Threads};
use ring::{Consume, Pipeline, Producer, Relay, Stage, ring};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const EVENTS: u64 = 20_000;

/// journal → match on one ring, whose outputs go to publish on another. What each did is a hash over what it saw, in order.
struct Stages {
    producer: Producer<u64>,
    journal: Box<dyn Stage>,
    matcher: Box<dyn Stage>,
    publish: Box<dyn Stage>,
    /// Of journal, matcher, publish.
    hashes: [Arc<AtomicU64>; 3],
}

fn stages() -> Stages {
    let hashes: [Arc<AtomicU64>; 3] = Default::default();
    let [journal_hash, match_hash, publish_hash] = hashes.clone();
    let (producer, mut readers) = ring(64, || 0_u64, 2);
    let (output, mut out) = ring(16, || 0_u64, 1);
    let (matcher, journal) = (readers.remove(1), readers.remove(0));
    let journal = Consume::new(journal, move |event: &u64| {
        mix(&journal_hash, *event);
        Ok(())
    });
    let mut state = 0_u64;
    let matcher = Relay::new(
        matcher,
        move |event: &u64, out: &mut Vec<u64>| {
            mix(&match_hash, *event);
            state = state.wrapping_mul(31).wrapping_add(*event);
            // As a sweep does: sometimes nothing, sometimes more than the ring holds.
            out.extend((0..state % 23).map(|n| state ^ n));
            Ok(())
        },
        output,
    );
    let publish = Consume::new(out.remove(0), move |event: &u64| {
        mix(&publish_hash, *event);
        Ok(())
    });
    Stages { producer, journal: Box::new(journal), matcher: Box::new(matcher), publish: Box::new(publish), hashes }
}

fn mix(hash: &AtomicU64, event: u64) {
    hash.store((hash.load(Ordering::Relaxed) ^ event).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(7), Ordering::Relaxed);
}

fn read(hashes: &[Arc<AtomicU64>; 3]) -> [u64; 3] {
    hashes.each_ref().map(|hash| hash.load(Ordering::Relaxed))
}

fn threaded() -> [u64; 3] {
    let Stages { mut producer, journal, matcher, publish, hashes } = stages();
    let threads = Threads::start(vec![("journal", journal), ("match", matcher), ("publish", publish)], Patience::default()).expect("the system has threads");
    for event in 0..EVENTS {
        while producer.try_publish(|slot| *slot = event).is_err() {
            assert!(!threads.is_stopped());
            std::thread::yield_now();
        }
    }
    drop(producer);
    threads.join().expect("no stage fails");
    read(&hashes)
}

/// The hashes, and how often the caller found the ring full.
fn stepped(seed: u64) -> ([u64; 3], u64) {
    let Stages { mut producer, mut journal, mut matcher, mut publish, hashes } = stages();
    let mut random = chance(seed);
    let (mut next, mut full) = (0, 0);
    while next < EVENTS {
        let burst = random() % 100;
        for _ in 0..burst {
            match producer.try_publish(|slot| *slot = next) {
                Ok(()) => next += 1,
                Err(_) => full += 1,
            }
            if next == EVENTS {
                break;
            }
        }
        settle(&mut [&mut *journal, &mut *matcher, &mut *publish], &mut random).expect("no stage fails");
    }
    drop(producer);
    settle(&mut [&mut *journal, &mut *matcher, &mut *publish], &mut random).expect("no stage fails");
    (read(&hashes), full)
}

#[test]
fn threads_and_steps_give_the_same_output() {
    let expected = threaded();
    assert_ne!(expected[1], expected[2]);
    assert_eq!(expected[0], expected[1], "journal and match saw the same");
    assert_eq!(expected, threaded(), "twice on threads");
    for seed in 0..8 {
        let (hashes, full) = stepped(seed);
        assert_eq!(hashes, expected, "seed {seed}");
        assert!(full > 0, "seed {seed} never met a full ring");
        assert_eq!((hashes, full), stepped(seed), "seed {seed} twice");
    }
}

#[test]
fn a_pipeline_gives_the_same_output_for_every_seed_and_size() {
    let inputs: Vec<u64> = (0..500).collect();
    let expected: Vec<u64> = inputs.iter().flat_map(|n| (0..n % 7).map(move |k| n * 10 + k)).collect();
    for seed in 0..50 {
        for (slots_in, slots_out) in [(1, 1), (2, 64), (64, 2), (64, 64)] {
            let handler = |event: &u64, out: &mut Vec<u64>| {
                out.extend((0..*event % 7).map(|k| *event * 10 + k));
                Ok(())
            };
            let mut pipeline = Pipeline::new(slots_in, slots_out, handler);
            let mut out = Vec::new();
            let mut random = chance(seed);
            for batch in inputs.chunks(37) {
                pipeline.run(batch, &mut random, &mut out).expect("the handler does not fail");
            }
            assert_eq!(out, expected, "seed {seed}, {slots_in} in, {slots_out} out");
        }
    }
}

#[test]
fn a_poor_source_of_chance_ends_too() {
    for constant in [0, 1, u64::MAX] {
        let mut pipeline = Pipeline::new(2, 2, |event: &u64, out: &mut Vec<u64>| {
            out.extend([*event; 3]);
            Ok(())
        });
        let mut out = Vec::new();
        pipeline.run(&[1, 2, 3], &mut || constant, &mut out).expect("the handler does not fail");
        assert_eq!(out, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
    }
}

#[test]
fn a_pipelines_fault_reaches_its_owner() {
    let handler = |event: &u64, out: &mut Vec<u64>| {
        out.push(*event);
        if *event == 3 { Err("planted".into()) } else { Ok(()) }
    };
    let mut pipeline = Pipeline::new(8, 8, handler);
    let fault = pipeline.run(&[1, 2, 3, 4], &mut chance(1), &mut Vec::new()).expect_err("the third event fails");
    assert_eq!(fault.to_string(), "planted");
}

#[test]
fn a_stage_that_fails_ends_the_others_and_is_named() {
    let (mut producer, mut readers) = ring(8, || 0_u64, 2);
    let (last, first) = (readers.remove(1), readers.remove(0));
    let first = Consume::new(first, |event: &u64| if *event == 3 { Err("disk is full".into()) } else { Ok(()) });
    let last = Consume::new(last, |_: &u64| Ok(()));
    let patience = Patience { spins: 0, yields: 0, park: Duration::from_micros(10) };
    let threads = Threads::start(vec![("first", Box::new(first)), ("last", Box::new(last))], patience).expect("the system has threads");
    producer.try_publish_all(&[1, 2, 3, 4]).expect("there is room");
    // The producer stays open: without the fault the stages would wait for ever.
    let ended = threads.join().expect_err("the first stage fails");
    assert!(matches!(&ended[..], [Ended::Failed { name: "first", fault }] if fault.to_string() == "disk is full"), "{ended:?}");
    drop(producer);
}

#[test]
fn a_stage_that_panics_ends_the_others_and_is_named() {
    let (mut producer, mut readers) = ring(8, || 0_u64, 2);
    let (last, first) = (readers.remove(1), readers.remove(0));
    let first = Consume::new(first, |_: &u64| panic!("planted"));
    let last = Consume::new(last, |_: &u64| Ok(()));
    let threads = Threads::start(vec![("first", Box::new(first)), ("last", Box::new(last))], Patience::default()).expect("the system has threads");
    producer.try_publish_all(&[1]).expect("there is room");
    let ended = threads.join().expect_err("the first stage panics");
    assert!(matches!(ended[..], [Ended::Panicked { name: "first" }]), "{ended:?}");
}

#[test]
fn stopping_needs_no_closed_ring() {
    let (_producer, mut readers) = ring(8, || 0_u64, 1);
    let sink = Consume::new(readers.remove(0), |_: &u64| Ok(()));
    let threads = Threads::start(vec![("sink", Box::new(sink))], Patience::default()).expect("the system has threads");
    threads.stop();
    threads.join().expect("stopping is no fault");
}
