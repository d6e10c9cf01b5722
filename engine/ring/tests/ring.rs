//! What a ring and its stages promise: back-pressure that is seen, order, and nothing lost when a stage fails.

use ring::{Consume, Fault, Full, Poller, Producer, Relay, Stage, Step, ring};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

/// A list that a stage fills and the test reads.
type Seen = Arc<Mutex<Vec<u64>>>;

fn one_reader(size: usize) -> (Producer<u64>, Poller<u64>) {
    let (producer, mut readers) = ring(size, || 0, 1);
    (producer, readers.remove(0))
}

fn publish(producer: &mut Producer<u64>, events: impl IntoIterator<Item = u64>) {
    for event in events {
        producer.try_publish(|slot| *slot = event).expect("the test knows that there is room");
    }
}

fn record(seen: &Seen) -> impl FnMut(&u64) -> Result<(), Fault> + Send + use<> {
    let seen = Arc::clone(seen);
    move |event| {
        seen.lock().expect("no test panics with the lock").push(*event);
        Ok(())
    }
}

fn drain(poller: &mut Poller<u64>) -> Vec<u64> {
    let mut out = Vec::new();
    poller.drain(u64::MAX, &mut out);
    out
}

#[test]
fn a_full_ring_is_an_error_that_the_caller_sees() {
    let (mut producer, mut reader) = one_reader(4);
    publish(&mut producer, 0..4);
    assert_eq!(producer.try_publish(|_| panic!("there is no slot to write")), Err(Full { missing: 1 }));
    assert_eq!(producer.try_publish_all(&[7, 8, 9]), Err(Full { missing: 3 }));
    assert_eq!(reader.drain(2, &mut Vec::new()), 2);
    assert_eq!(producer.try_publish_all(&[7, 8, 9]), Err(Full { missing: 1 }), "all or none");
    assert_eq!(producer.try_publish_all(&[4, 5]), Ok(()));
    assert_eq!(drain(&mut reader), [2, 3, 4, 5]);
    assert_eq!(producer.try_publish_all(&[]), Ok(()));
    assert_eq!(drain(&mut reader), []);
}

#[test]
fn a_later_reader_sees_only_what_the_one_before_released() {
    let (mut producer, mut readers) = ring(8, || 0_u64, 3);
    publish(&mut producer, 1..=5);
    assert_eq!(drain(&mut readers[2]), []);
    assert_eq!(readers[0].drain(3, &mut Vec::new()), 3);
    assert_eq!(drain(&mut readers[1]), [1, 2, 3]);
    assert_eq!(drain(&mut readers[2]), [1, 2, 3]);
    assert_eq!(drain(&mut readers[0]), [4, 5]);
    assert_eq!(drain(&mut readers[2]), []);
}

#[test]
fn the_slowest_reader_holds_the_producer() {
    let (mut producer, mut readers) = ring(4, || 0_u64, 2);
    publish(&mut producer, 1..=4);
    drain(&mut readers[0]);
    assert_eq!(producer.try_publish(|slot| *slot = 5), Err(Full { missing: 1 }));
    drain(&mut readers[1]);
    publish(&mut producer, 5..=8);
}

#[test]
fn a_failing_stage_keeps_the_event_and_all_behind_it() {
    let (mut producer, mut readers) = ring(8, || 0_u64, 2);
    publish(&mut producer, 1..=6);
    let mut behind = readers.pop().expect("two readers");
    let (seen, is_broken) = (Seen::default(), Arc::new(Mutex::new(true)));
    let (mut record, broken) = (record(&seen), Arc::clone(&is_broken));
    let mut stage = Consume::new(readers.remove(0), move |event: &u64| {
        if *event == 3 && *broken.lock().expect("no test panics with the lock") { Err("disk is full".into()) } else { record(event) }
    });
    assert!(matches!(stage.step(100), Step::Failed(fault) if fault.to_string() == "disk is full"));
    assert_eq!(drain(&mut behind), [1, 2], "what was done is released, what was not is not");
    assert!(matches!(stage.step(100), Step::Failed(_)), "it fails again while the reason lasts");
    assert_eq!(drain(&mut behind), []);
    *is_broken.lock().expect("no test panics with the lock") = false;
    assert!(matches!(stage.step(100), Step::Did(4)));
    assert_eq!(drain(&mut behind), [3, 4, 5, 6]);
    assert_eq!(*seen.lock().expect("no test panics with the lock"), [1, 2, 3, 4, 5, 6], "each event was done once");
}

#[test]
fn a_panicking_stage_releases_nothing_of_its_batch() {
    let (mut producer, mut readers) = ring(8, || 0_u64, 2);
    publish(&mut producer, 1..=4);
    let mut behind = readers.pop().expect("two readers");
    let mut stage = Consume::new(readers.remove(0), |event: &u64| if *event == 2 { panic!("planted") } else { Ok(()) });
    catch_unwind(AssertUnwindSafe(|| stage.step(100))).expect_err("the panic comes through");
    assert_eq!(drain(&mut behind), []);
    drop(stage);
    assert_eq!(drain(&mut behind), [], "dropping a stage releases nothing either");
}

#[test]
fn outputs_without_room_wait_and_hold_the_input() {
    let ((mut producer, input), (output, mut out)) = (one_reader(4), one_reader(2));
    let mut relay = Relay::new(
        input,
        |event: &u64, out: &mut Vec<u64>| {
            out.extend([*event; 5]);
            Ok(())
        },
        output,
    );
    publish(&mut producer, [1, 2]);
    assert!(matches!(relay.step(100), Step::Did(1)), "the second event waits for the outputs of the first");
    assert_eq!(relay.waiting(), 3);
    assert!(matches!(relay.step(100), Step::Idle), "no room, nothing to do");
    assert_eq!(drain(&mut out), [1, 1]);
    assert!(matches!(relay.step(100), Step::Did(0)), "it passed outputs on");
    publish(&mut producer, [3, 4, 5]);
    assert_eq!(producer.try_publish(|slot| *slot = 6), Err(Full { missing: 1 }), "the caller feels it");
    let mut all = Vec::new();
    while out.drain(1, &mut all) + u64::from(!matches!(relay.step(1), Step::Idle)) > 0 {}
    assert_eq!(all, [[1; 3].as_slice(), &[2; 5], &[3; 5], &[4; 5], &[5; 5]].concat());
}

#[test]
fn a_failing_handler_leaves_no_outputs() {
    let ((mut producer, input), (output, mut out)) = (one_reader(8), one_reader(8));
    let mut tries = 0;
    let mut relay = Relay::new(
        input,
        move |event: &u64, out: &mut Vec<u64>| {
            out.push(*event);
            tries += u32::from(*event == 2);
            if *event == 2 && tries == 1 { Err("once".into()) } else { Ok(()) }
        },
        output,
    );
    publish(&mut producer, 1..=3);
    assert!(matches!(relay.step(100), Step::Failed(_)));
    assert_eq!(drain(&mut out), [1]);
    assert!(matches!(relay.step(100), Step::Did(2)));
    assert_eq!(drain(&mut out), [2, 3]);
}

#[test]
fn closing_a_ring_ends_its_stages_in_turn() {
    let ((mut producer, input), (output, out)) = (one_reader(8), one_reader(1));
    let seen = Seen::default();
    let mut relay = Relay::new(
        input,
        |event: &u64, out: &mut Vec<u64>| {
            out.extend([*event, *event]);
            Ok(())
        },
        output,
    );
    let mut sink = Consume::new(out, record(&seen));
    publish(&mut producer, [1]);
    drop(producer);
    assert!(matches!(relay.step(1), Step::Did(1)));
    assert!(matches!(relay.step(1), Step::Idle), "one output is still in hand: not done");
    assert!(matches!((sink.step(1), relay.step(1)), (Step::Did(1), Step::Did(0) | Step::Done)));
    assert!(matches!(relay.step(1), Step::Done));
    assert!(matches!((sink.step(1), sink.step(1), relay.step(1)), (Step::Did(1), Step::Done, Step::Done)));
    assert_eq!(*seen.lock().expect("no test panics with the lock"), [1, 1]);
}
