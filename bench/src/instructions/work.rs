//! The pieces: the book on its streams, archives, rings.

use crate::Work;
use bench::flow::{Flow, Plain};
use book::{Book, Fast, Slots};
use ring::{Pipeline, Sink, Source, Step, line_ring, ring};
use std::hint::black_box;
use std::ops::ControlFlow;
use wire::slot::{Command, Report, Slot};

const SEED: u64 = 1;
const COMMANDS: usize = 20_000;
const EVENTS: u64 = 50_000;

#[rustfmt::skip]
pub const ALL: &[Work] = &[
    Work { name: "book_1k", operations: COMMANDS as u64, prepare: || book(Plain::SMALL) },
    Work { name: "book_10k", operations: COMMANDS as u64, prepare: || book(Plain::DEEP) },
    Work { name: "pipeline", operations: COMMANDS as u64, prepare: pipeline },
    Work { name: "ring_cursor", operations: EVENTS, prepare: || { let (producer, mut pollers) = ring(256, Slot::<Command>::default, 1); hops(producer, pollers.remove(0)) } },
    Work { name: "ring_line", operations: EVENTS, prepare: || { let (producer, poller) = line_ring(256); hops::<Command>(producer, poller) } },
    Work { name: "slot_get", operations: COMMANDS as u64, prepare: slot_get },
    Work { name: "slot_put", operations: COMMANDS as u64, prepare: slot_put },
];

/// A stream through a book that was filled before.
fn book(plain: Plain) -> Box<dyn FnOnce() -> u64> {
    let (flow, mut book, mut out) = filled(plain);
    Box::new(move || {
        for command in &flow.commands {
            out.clear();
            book.apply(command, &mut out);
            black_box(&out);
        }
        book.state_hash()
    })
}

fn filled(plain: Plain) -> (Flow, Fast, Vec<Report>) {
    let flow = plain.flow(SEED, COMMANDS);
    let (mut book, mut out) = (Fast::new(flow.config), Vec::with_capacity(4_096));
    for command in &flow.prefill {
        out.clear();
        book.apply(command, &mut out);
    }
    (flow, book, out)
}

/// Archived commands in, archived reports out, on one thread.
fn pipeline() -> Box<dyn FnOnce() -> u64> {
    let (flow, mut book, _) = filled(Plain::SMALL);
    let slots = slots(&flow);
    let handler = move |slot: &Slot<Command>, out: &mut Vec<Slot<Report>>| {
        book.apply(&slot.get()?, &mut Slots { slots: out, tag: slot.tag() });
        Ok(())
    };
    let mut pipeline = Pipeline::new(256, 4_096, handler);
    let mut out = Vec::with_capacity(4_096);
    Box::new(move || {
        let mut hash = 0;
        for batch in slots.chunks(16) {
            for slot in batch {
                pipeline.try_push(slot).expect("a batch is smaller than the ring");
            }
            assert!(matches!(pipeline.step(u64::MAX), Step::Did(count) if count == batch.len() as u64));
            out.clear();
            while pipeline.drain(u64::MAX, &mut out) > 0 {}
            hash = out.iter().fold(hash, mix);
        }
        hash
    })
}

fn slots(flow: &Flow) -> Vec<Slot<Command>> {
    let mut slots = vec![Slot::default(); flow.commands.len()];
    slots.iter_mut().zip(&flow.commands).for_each(|(slot, command)| slot.put(0, command));
    slots
}

fn mix<T: Copy>(hash: u64, slot: &Slot<T>) -> u64 {
    <[u64; 8]>::from(*slot).iter().fold(hash, |hash, word| hash.wrapping_mul(31).wrapping_add(*word))
}

/// Sixteen in, sixteen out.
fn hops<T: Copy + 'static>(mut producer: impl Sink<Slot<T>> + 'static, mut poller: impl Source<Slot<T>> + 'static) -> Box<dyn FnOnce() -> u64> {
    Box::new(move || {
        let (batch, mut count) = ([Slot::<T>::default(); 16], 0);
        for _ in 0..EVENTS / 16 {
            producer.try_publish_all(&batch).expect("a batch is smaller than the ring");
            let step = poller.read(u64::MAX, |event| {
                count += u64::from(black_box(event).tag() == 0);
                Ok(ControlFlow::Continue(()))
            });
            assert!(matches!(step, Step::Did(16)));
        }
        count
    })
}

fn slot_get() -> Box<dyn FnOnce() -> u64> {
    let slots = slots(&Plain::SMALL.flow(SEED, COMMANDS));
    Box::new(move || slots.iter().filter(|slot| black_box(slot.get()).is_ok()).count() as u64)
}

fn slot_put() -> Box<dyn FnOnce() -> u64> {
    let flow = Plain::SMALL.flow(SEED, COMMANDS);
    let mut slot = Slot::default();
    Box::new(move || {
        for (tag, command) in (0..).zip(&flow.commands) {
            slot.put(tag, command);
            black_box(&slot);
        }
        u64::from(slot.tag())
    })
}
