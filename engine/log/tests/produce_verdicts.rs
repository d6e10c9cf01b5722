//! Each verdict on a send, provoked by a scripted broker.

mod support;

use broker::batch::BatchHeader;
use broker::protocol::{ErrorCode, Request, Response, Tp};
use bytes::Bytes;
use log::history::Phase;
use log::native::{Native, NativeProducer};
use log::{Acked, Event, LogPort, Outcome, Producer, Reason};
use std::sync::{Arc, Mutex};
use support::fake::{Act, Fake, tp};
use support::{record, soon};

fn refuse(request: &Request, code: ErrorCode) -> Act {
    let Request::Produce { partitions, .. } = request else { return Act::Usual };
    Act::Answer(Response::Produce { partitions: partitions.iter().map(|(tp, _)| (*tp, Err(code))).collect() })
}

/// The n-th produce request (from 0) is treated so, all others as usual.
fn nth(mut treat: impl FnMut(usize, &Request) -> Act + Send + 'static) -> impl FnMut(&Request) -> Act + Send + 'static {
    let mut count = 0;
    move |request| {
        if !matches!(request, Request::Produce { .. }) {
            return Act::Usual;
        }
        count += 1;
        treat(count - 1, request)
    }
}

fn batches(fake: &Fake) -> Vec<(Tp, Bytes)> {
    fake.asked(|request| if let Request::Produce { partitions, .. } = request { Some(partitions.clone()) } else { None }).concat()
}

fn header(bytes: &Bytes) -> BatchHeader {
    BatchHeader::read(bytes).expect("a batch")
}

async fn producer(log: &Native) -> NativeProducer {
    log.producer().await.expect("a producer")
}

#[tokio::test]
async fn an_acknowledged_send_is_done_with_its_offset() {
    let fake = Fake::start(|_| Act::Usual).await;
    let log = fake.client();
    let mut producer = producer(&log).await;
    let tickets: Vec<_> = (0..2).map(|_| producer.send(tp(0), record("a"), soon(2_000))).collect();
    for (ticket, offset) in tickets.into_iter().zip([100, 101]) {
        assert_eq!(ticket.outcome().await, Outcome::Done(Acked { tp: tp(0), offset: Some(offset) }));
    }
    let phases: Vec<Phase> =
        fake.notebook.events().iter().filter_map(|event| if let Event::Send { phase, .. } = event { Some(*phase) } else { None }).collect();
    assert_eq!(phases, [Phase::Invoke, Phase::Invoke, Phase::Ok, Phase::Ok]);
}

#[tokio::test]
async fn a_refusal_at_the_first_attempt_is_definite_and_stops_the_partition_until_resume() {
    let fake = Fake::start(nth(|n, request| if n == 0 { refuse(request, ErrorCode::MessageTooLarge) } else { Act::Usual })).await;
    let log = fake.client();
    let mut producer = producer(&log).await;
    let first = producer.send(tp(0), record("a"), soon(2_000)).outcome().await;
    assert_eq!(first, Outcome::NotDone(Reason::Answered(ErrorCode::MessageTooLarge)));
    assert_eq!(producer.send(tp(0), record("b"), soon(2_000)).outcome().await, Outcome::NotDone(Reason::Behind));
    assert!(matches!(producer.send(tp(1), record("other"), soon(2_000)).outcome().await, Outcome::Done(_)), "another partition goes on");
    producer.resume(tp(0));
    assert!(matches!(producer.send(tp(0), record("c"), soon(2_000)).outcome().await, Outcome::Done(_)));
    let identities = fake.asked(|request| matches!(request, Request::InitProducerId { .. }).then_some(()));
    assert_eq!(identities.len(), 2, "the partition took a new producer id before it went on");
    assert_eq!(header(&batches(&fake).last().expect("sent").1).first_sequence, 0);
}

#[tokio::test]
async fn a_refusal_after_an_unanswered_attempt_is_unknown() {
    let fake = Fake::start(nth(|n, request| if n == 0 { Act::Close } else { refuse(request, ErrorCode::MessageTooLarge) })).await;
    let log = fake.client();
    let outcome = producer(&log).await.send(tp(0), record("a"), soon(2_000)).outcome().await;
    assert_eq!(outcome, Outcome::Unknown(Reason::Answered(ErrorCode::MessageTooLarge)));
}

#[tokio::test]
async fn a36_silence_until_the_deadline_is_unknown_and_every_attempt_carries_the_same_bytes() {
    let fake = Fake::start(nth(|_, _| Act::Silence)).await;
    let log = fake.client();
    let outcome = producer(&log).await.send(tp(0), record("a"), soon(1_000)).outcome().await;
    assert_eq!(outcome, Outcome::Unknown(Reason::Deadline));
    let sent = batches(&fake);
    assert!(sent.len() >= 2, "{} attempts", sent.len());
    assert!(sent.iter().all(|batch| *batch == sent[0]));
}

#[tokio::test]
async fn a36_what_never_left_is_definitely_not_done() {
    let dead = runtime::net::Listener::bind("127.0.0.1:0").await.expect("a free port").local_address();
    let fake = Fake::led_from(Some(dead), |_| Act::Usual).await;
    let log = fake.client();
    assert_eq!(producer(&log).await.send(tp(0), record("a"), soon(400)).outcome().await, Outcome::NotDone(Reason::Deadline));
}

#[tokio::test]
async fn errors_that_pass_are_tried_again_under_the_same_sequence() {
    let codes = [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::NotEnoughReplicas,
        ErrorCode::NotEnoughReplicasAfterAppend,
        ErrorCode::RequestTimedOut,
        ErrorCode::CorruptMessage,
    ];
    let fake = Fake::start(nth(move |n, request| codes.get(n).map_or(Act::Usual, |code| refuse(request, *code)))).await;
    let log = fake.client();
    assert!(matches!(producer(&log).await.send(tp(0), record("a"), soon(3_000)).outcome().await, Outcome::Done(_)));
    let sent = batches(&fake);
    assert_eq!(sent.len(), codes.len() + 1);
    assert!(sent.iter().all(|batch| *batch == sent[0]));
}

#[tokio::test]
async fn a_sequence_out_of_order_at_the_oldest_batch_ends_the_producer() {
    let fake = Fake::start(nth(|n, request| if n == 0 { refuse(request, ErrorCode::OutOfOrderSequenceNumber) } else { Act::Usual })).await;
    let log = fake.client();
    let mut producer = producer(&log).await;
    let first = producer.send(tp(0), record("a"), soon(2_000)).outcome().await;
    assert_eq!(first, Outcome::NotDone(Reason::Answered(ErrorCode::OutOfOrderSequenceNumber)));
    producer.resume(tp(0));
    for partition in 0..2 {
        assert!(matches!(producer.send(tp(partition), record("b"), soon(2_000)).outcome().await, Outcome::NotDone(Reason::Ended(_))));
    }
}

#[tokio::test]
async fn at_most_five_requests_wait_for_an_answer_and_sequences_follow_each_other() {
    let fake = Fake::start(nth(|_, request| {
        let Request::Produce { partitions, .. } = request else { return Act::Usual };
        Act::Later(100, Response::Produce { partitions: partitions.iter().map(|(tp, _)| (*tp, Ok(0))).collect() })
    }))
    .await;
    let log = fake.patient_client();
    let mut producer = producer(&log).await;
    let mut tickets = Vec::new();
    for n in 0..8 {
        tickets.push(producer.send(tp(0), record(&format!("{n}")), soon(20_000)));
        // A batch of its own.
        runtime::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for ticket in tickets {
        assert!(matches!(ticket.outcome().await, Outcome::Done(_)));
    }
    let sent = batches(&fake);
    let mut sequences: Vec<(i32, u32)> = sent.iter().map(|(_, bytes)| (header(bytes).first_sequence, header(bytes).record_count)).collect();
    sequences.dedup();
    assert!(sequences.windows(2).all(|pair| pair[0].0 + pair[0].1 as i32 == pair[1].0), "{sequences:?}");
    assert!(sequences.len() < 8, "what came while five waited went together: {sequences:?}");
}

#[tokio::test]
async fn a_batch_behind_one_that_came_back_waits_for_it() {
    let order: Arc<Mutex<Vec<i32>>> = Arc::default();
    let seen = order.clone();
    let fake = Fake::start(nth(move |n, request| {
        let Request::Produce { partitions, .. } = request else { return Act::Usual };
        seen.lock().expect("no panic").push(header(&partitions[0].1).first_sequence);
        match n {
            0 => match refuse(request, ErrorCode::NotLeaderOrFollower) {
                Act::Answer(response) => Act::Later(60, response),
                other => other,
            },
            1 if header(&partitions[0].1).first_sequence == 1 => refuse(request, ErrorCode::OutOfOrderSequenceNumber),
            _ => Act::Usual,
        }
    }))
    .await;
    let log = fake.patient_client();
    let mut producer = producer(&log).await;
    let first = producer.send(tp(0), record("a"), soon(10_000));
    runtime::time::sleep(std::time::Duration::from_millis(20)).await;
    let second = producer.send(tp(0), record("b"), soon(10_000));
    assert!(matches!(first.outcome().await, Outcome::Done(_)));
    assert!(matches!(second.outcome().await, Outcome::Done(_)));
    let order = order.lock().expect("no panic").clone();
    // On a slow machine the second is only sent when the first is done, or together with it.
    let legal: [&[i32]; 3] = [&[0, 1, 0, 1], &[0, 0, 1], &[0, 0]];
    assert!(legal.contains(&&order[..]), "{order:?}");
}

#[tokio::test]
async fn a_full_buffer_refuses_at_once() {
    let fake = Fake::start(nth(|_, _| Act::Silence)).await;
    let mut config = log::native::ClientConfig::new("test", [fake.address.clone()]);
    config.buffer_bytes_max = 100;
    let log = Native::new(config, fake.notebook.clone());
    let mut producer = producer(&log).await;
    let _held = producer.send(tp(0), record("fits"), soon(2_000));
    let refused = producer.send(tp(0), record(&"x".repeat(90)), soon(2_000)).outcome().await;
    assert_eq!(refused, Outcome::NotDone(Reason::Full));
    assert_eq!(producer.send(tp(0), record("b"), soon(2_000)).outcome().await, Outcome::NotDone(Reason::Behind));
}
