//! What the way through the rings costs on top of the book: archived commands in, reports out to another core.

use anyhow::{Result, anyhow, ensure};
use bench::flow::{Flow, Plain};
use bench::measure::{Clock, Samples, pin};
use bench::{Case, Goal, Options, Sheet, Unit};
use book::{Book, Fast, Naive};
use ring::{Fault, Handler, Poller, Producer, Relay, Sink, Source, Step, line_ring, ring};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::slot::{Command, Report, Slot};

pub const CASE: Case = Case { name: "pipeline", about: "command in, reports out through two rings: ns a command on top of the bare book", run };

const SLOTS: usize = 1024;
/// Commands of one turn: shorter than a scheduler's slice.
const BURST: usize = 1_000;
/// Turns of one round: so many share a stream and two books.
const TURNS: usize = 160;
/// Commands that the edge puts in at once, as it would find them in a batch of its log.
const BATCH: usize = 16;

type In = Slot<Command>;
type Out = Slot<Report>;

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    sheet.condition("method", "two pinned threads: one puts commands in (batches of 16) and takes reports out, one matches; in turns of 1,000 commands the");
    sheet.condition("", "matching thread applies the same commands to a bare book and to one behind the rings; a round's figure is the median of 160 turns");
    sheet.condition("stream", "one symbol, about 1,000 live orders; 48 % new, 42 % cancel, 5 % replace, 5 % aggressive; prefill excluded");
    sheet.condition("figures", "time of the matching thread; commands checked when read (rkyv), reports archived, every byte of them read by the other thread");
    let repetitions = options.repetitions(41, 7);
    let line = rounds(repetitions, || (line_ring::<In>(SLOTS), line_ring::<Out>(SLOTS)))?;
    let cursor = rounds(repetitions, || (cursor_ring::<In>(), cursor_ring::<Out>()))?;
    let bare = line.iter().chain(&cursor).map(|round| round.bare_ns).collect();
    sheet.row("bare book, a command", Samples::new(bare), Unit::Ns, None);
    let wire = line.iter().chain(&cursor).map(|round| round.wire_ns - round.bare_ns).collect();
    sheet.row("archives alone, no ring, on top of the bare book", Samples::new(wire), Unit::Ns, None);
    for (name, rounds, goal) in [("line rings", line, Some(Goal::AtMost(6.0))), ("rings with cursor (disruptor)", cursor, None)] {
        let figure = |of: fn(&Round) -> f64| Samples::new(rounds.iter().map(of).collect());
        sheet.row(format!("through {name}, a command"), figure(|round| round.piped_ns), Unit::Ns, None);
        sheet.row(format!("{name}, on top of the bare book"), figure(|round| round.piped_ns - round.bare_ns), Unit::Ns, goal);
    }
    sheet.check("reports behind the rings equal those of the naive book, and so does the final state, in every round (hashes)");
    Ok(())
}

fn cursor_ring<E: Copy + Default + Send + Sync + 'static>() -> (Producer<E>, Poller<E>) {
    let (producer, mut pollers) = ring(SLOTS, E::default, 1);
    (producer, pollers.pop().expect("one reader was asked for"))
}

/// Medians of the turns of one round.
struct Round {
    bare_ns: f64,
    wire_ns: f64,
    piped_ns: f64,
}

fn rounds<K: Sink<In>, S: Source<In>, L: Sink<Out>, T: Source<Out>>(repetitions: usize, make: impl Fn() -> ((K, S), (L, T))) -> Result<Vec<Round>> {
    // The first is thrown away: page faults, clock rates.
    let rounds = (0..=repetitions as u64).map(|seed| round(seed, make())).collect::<Result<Vec<_>>>()?;
    Ok(rounds.into_iter().skip(1).collect())
}

fn round<K: Sink<In>, S: Source<In>, L: Sink<Out>, T: Source<Out>>(
    seed: u64,
    ((commands_in, commands), (reports, reports_out)): ((K, S), (L, T)),
) -> Result<Round> {
    let flow = Plain::SMALL.flow(seed, BURST * TURNS);
    let mut edge = Edge { commands: commands_in, reports: reports_out, hash: 0 };
    let (go, read) = (AtomicU64::new(0), AtomicU64::new(0));
    let (matched, edge_hash) = std::thread::scope(|scope| {
        let matching = scope.spawn(|| {
            pin(1);
            Matching::new(&flow, commands, reports).turns(&flow, &go, &read)
        });
        pin(0);
        for (turn, commands) in flow.commands.chunks(BURST).enumerate() {
            wait_until(&go, turn as u64 + 1);
            edge.turn(commands, &read, turn as u64 + 1);
        }
        (matching.join().expect("the matching thread does not panic"), edge.hash)
    });
    let matched = matched.map_err(|fault| anyhow!(fault))?;
    let (hash, state) = expected(&flow);
    ensure!(edge_hash == hash, "reports behind the rings hash to {edge_hash:016x}, those of the naive book to {hash:016x}");
    ensure!(matched.states == [state; 3], "final states {:016x?}, of the naive book {state:016x}", matched.states);
    Ok(Round {
        bare_ns: Samples::new(matched.bare_ns).median(),
        wire_ns: Samples::new(matched.wire_ns).median(),
        piped_ns: Samples::new(matched.piped_ns).median(),
    })
}

/// By the slow obvious twin: hash of the reports, hash of the state.
fn expected(flow: &Flow) -> (u64, u64) {
    let (mut book, mut out, mut hash) = (Naive::new(flow.config), Vec::new(), 0);
    flow.prefill.iter().for_each(|command| book.apply(command, &mut out));
    let mut slot = Out::default();
    for command in &flow.commands {
        out.clear();
        book.apply(command, &mut out);
        for report in &out {
            slot.put(0, report);
            hash = mix(hash, &slot);
        }
    }
    (hash, book.state_hash())
}

#[inline]
fn mix(hash: u64, report: &Out) -> u64 {
    <[u64; 8]>::from(*report).iter().fold(hash, |hash, word| hash.wrapping_add(*word)).rotate_left(5)
}

fn wait_until(number: &AtomicU64, at_least: u64) {
    let mut looks = 0;
    while number.load(Ordering::Acquire) < at_least {
        crate::hops::wait(&mut looks);
    }
}

/// The thread that a gateway or a log's reader would be.
struct Edge<K, T> {
    commands: K,
    reports: T,
    hash: u64,
}

impl<K: Sink<In>, T: Source<Out>> Edge<K, T> {
    fn turn(&mut self, commands: &[Command], read: &AtomicU64, turn: u64) {
        let (mut slots, mut looks) = ([In::default(); BATCH], 0);
        for batch in commands.chunks(BATCH) {
            slots.iter_mut().zip(batch).for_each(|(slot, command)| slot.put(0, command));
            while self.commands.try_publish_all(&slots[..batch.len()]).is_err() {
                self.take();
                crate::hops::wait(&mut looks);
            }
            self.take();
        }
        // The number is raised after the last report was published: what is there then is all.
        while read.load(Ordering::Acquire) < turn {
            if !self.take() {
                crate::hops::wait(&mut looks);
            }
        }
        while self.take() {}
    }

    fn take(&mut self) -> bool {
        let hash = &mut self.hash;
        let step = self.reports.read(u64::MAX, |report| {
            *hash = mix(*hash, report);
            Ok(ControlFlow::Continue(()))
        });
        matches!(step, Step::Did(_))
    }
}

/// The thread with the books.
struct Matching<H, S, L> {
    bare: Fast,
    wire: Matcher,
    relay: Relay<In, Out, H, S, L>,
}

struct Matched {
    bare_ns: Vec<f64>,
    wire_ns: Vec<f64>,
    piped_ns: Vec<f64>,
    states: [u64; 3],
}

/// A book behind rings.
struct Matcher {
    book: Fast,
    reports: Vec<Report>,
}

impl Handler<In, Out> for Matcher {
    #[inline]
    fn handle(&mut self, slot: &In, out: &mut Vec<Out>) -> Result<(), Fault> {
        self.reports.clear();
        self.book.apply(&slot.get()?, &mut self.reports);
        for report in &self.reports {
            let mut slot = Out::default();
            slot.put(0, report);
            out.push(slot);
        }
        Ok(())
    }
}

impl<S: Source<In>, L: Sink<Out>> Matching<Matcher, S, L> {
    fn new(flow: &Flow, commands: S, reports: L) -> Self {
        let book = || {
            let (mut book, mut out) = (Fast::new(flow.config), Vec::new());
            for command in &flow.prefill {
                out.clear();
                book.apply(command, &mut out);
            }
            book
        };
        let matcher = || Matcher { book: book(), reports: Vec::new() };
        Matching { bare: book(), wire: matcher(), relay: Relay::new(commands, matcher(), reports).batching(BATCH) }
    }

    fn turns(mut self, flow: &Flow, go: &AtomicU64, read: &AtomicU64) -> Result<Matched, Fault> {
        let (clock, mut out) = (Clock::start(), Vec::new());
        let (mut bare_ns, mut wire_ns, mut piped_ns) = (Vec::new(), Vec::new(), Vec::new());
        for (turn, commands) in flow.commands.chunks(BURST).enumerate() {
            let begin = clock.now_ns();
            for command in commands {
                out.clear();
                self.bare.apply(command, &mut out);
                black_box(&out);
            }
            bare_ns.push((clock.now_ns() - begin) as f64 / commands.len() as f64);
            wire_ns.push(self.wire_turn(commands, &clock)?);
            let between = clock.now_ns();
            go.store(turn as u64 + 1, Ordering::Release);
            let (mut left, mut looks) = (commands.len() as u64, 0);
            while left > 0 || self.relay.waiting() > 0 {
                match self.relay.step(u64::MAX) {
                    Step::Did(count) => left -= count,
                    Step::Failed(fault) => return Err(fault),
                    Step::Idle | Step::Done => crate::hops::wait(&mut looks),
                }
            }
            piped_ns.push((clock.now_ns() - between) as f64 / commands.len() as f64);
            read.store(turn as u64 + 1, Ordering::Release);
        }
        Ok(Matched { bare_ns, wire_ns, piped_ns, states: [self.bare.state_hash(), self.wire.book.state_hash(), self.relay.handler().book.state_hash()] })
    }

    /// Archived commands in, archived reports out, and nobody beside.
    fn wire_turn(&mut self, commands: &[Command], clock: &Clock) -> Result<f64, Fault> {
        let mut slots = vec![In::default(); commands.len()];
        slots.iter_mut().zip(commands).for_each(|(slot, command)| slot.put(0, command));
        let (begin, mut out) = (clock.now_ns(), Vec::new());
        for slot in &slots {
            out.clear();
            self.wire.handle(slot, &mut out)?;
            black_box(&out);
        }
        Ok((clock.now_ns() - begin) as f64 / commands.len() as f64)
    }
}
