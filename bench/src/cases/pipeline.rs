//! What the way through the rings costs on top of the book: archived commands in, reports out to another core.

use crate::hops::peered;
use anyhow::{Result, anyhow, ensure};
use bench::flow::{Flow, Plain};
use bench::measure::{Clock, HiccupMeter, Samples, pin};
use bench::{Case, Goal, Options, Sheet, Unit};
use book::{Book, Fast, Naive, Slots};
use ring::{Fault, Handler, Poller, Producer, Relay, Sink, Source, Step, line_ring, ring};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use wire::slot::{Command, Report, Slot};

pub const CASE: Case = Case { name: "pipeline", about: "command in, reports out through two rings: ns a command on top of the bare book", run };

const SLOTS: usize = 1024;
/// Commands of one turn: some tens of microseconds, so that most turns see nobody else on either core.
const BURST: usize = 256;
/// Turns of one round: so many share a stream and three books.
const TURNS: usize = 600;
/// A round in which both threads were at work in fewer turns says nothing.
const TURNS_MIN: usize = TURNS / 10;
/// Commands that the edge puts in at once, as it would find them in a batch of its log.
const BATCH: usize = 16;

/// On top of the bare book, nanoseconds a command.
const GOAL: Goal = Goal::AtMost(6.0);

type In = Slot<Command>;
type Out = Slot<Report>;

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    sheet.condition(
        "method",
        format!("two pinned threads: one puts commands in (batches of {BATCH}) and takes reports out, one matches; in turns of {BURST} commands the"),
    );
    sheet.condition("", "matching thread applies the same commands to a bare book, to one between archives, and to one behind the rings, there from the end");
    sheet.condition(
        "",
        format!("of its first batch; what comes on top is the difference within a turn; a round's figure is the median of {TURNS} turns; rings take turns"),
    );
    sheet.condition("stream", "one symbol, about 1,000 live orders; 48 % new, 42 % cancel, 5 % replace, 5 % aggressive; prefill excluded");
    sheet.condition("figures", "time of the matching thread; commands checked when read (rkyv), reports archived, every byte of them read by the other thread");
    let (meter, begin) = (HiccupMeter::start(), Instant::now());
    let mut rounds: [Vec<Round>; 3] = Default::default();
    // The first is thrown away: page faults, clock rates.
    for seed in 0..=options.repetitions(25, 5) as u64 {
        if options.is_enough(rounds[0].len(), begin) {
            break;
        }
        let flow = Plain::SMALL.flow(seed, BURST * TURNS);
        let expected = expected(&flow);
        // Every repetition begins with another one.
        for turn in 0..rounds.len() {
            let at = (seed as usize + turn) % rounds.len();
            let taken = match at {
                0 => round(&flow, expected, line_ring::<In>(SLOTS), line_ring::<Out>(SLOTS))?,
                1 => round(&flow, expected, cursor_ring::<In>(), cursor_ring::<Out>())?,
                _ => round(&flow, expected, peered::<In>(SLOTS), peered::<Out>(SLOTS))?,
            };
            rounds[at].extend(taken.filter(|_| seed > 0));
        }
    }
    ensure!(rounds.iter().all(|rounds| !rounds.is_empty()), "in hardly a turn were both threads at work: others have the cores");
    let column = |rounds: &[Round], of: fn(&Round) -> f64| Samples::new(rounds.iter().map(of).collect());
    sheet.row("bare book, a command", column(&rounds.concat(), |round| round.bare_ns), Unit::Ns, None);
    sheet.row("archives alone, no ring, on top of the bare book", column(&rounds.concat(), |round| round.wire_on_top_ns), Unit::Ns, None);
    for (name, rounds, goal) in
        [("line rings", &rounds[0], Some(GOAL)), ("rings with cursor (disruptor)", &rounds[1], Some(GOAL)), ("rtrb's rings", &rounds[2], None)]
    {
        sheet.row(format!("through {name}, a command"), column(rounds, |round| round.piped_ns), Unit::Ns, None);
        sheet.row(format!("{name}, on top of the bare book"), column(rounds, |round| round.piped_on_top_ns), Unit::Ns, goal);
        let counted: usize = rounds.iter().map(|round| round.turns).sum();
        sheet.condition(
            "turns",
            format!("{name}: {} % count; in the others the matching thread was away until everything was there", counted * 100 / (rounds.len() * TURNS)),
        );
    }
    sheet.percentiles("hiccup of the machine", meter.stop());
    sheet.check("reports behind the rings equal those of the naive book, and so does the final state, in every round (hashes)");
    Ok(())
}

fn cursor_ring<E: Copy + Default + Send + Sync + 'static>() -> (Producer<E>, Poller<E>) {
    let (producer, mut pollers) = ring(SLOTS, E::default, 1);
    (producer, pollers.pop().expect("one reader was asked for"))
}

/// Medians of the turns of one round.
#[derive(Clone, Copy)]
struct Round {
    bare_ns: f64,
    wire_on_top_ns: f64,
    piped_ns: f64,
    piped_on_top_ns: f64,
    /// Turns whose figure counts.
    turns: usize,
}

fn round<K: Sink<In>, S: Source<In>, L: Sink<Out>, T: Source<Out>>(
    flow: &Flow,
    (hash, state): (u64, u64),
    (commands_in, commands): (K, S),
    (reports, reports_out): (L, T),
) -> Result<Option<Round>> {
    let mut edge = Edge { commands: commands_in, reports: reports_out, hash: 0 };
    let (go, read) = (AtomicU64::new(0), AtomicU64::new(0));
    let (matched, edge_hash) = std::thread::scope(|scope| {
        let matching = scope.spawn(|| {
            pin(1);
            Matching::new(flow, commands, reports).turns(flow, &go, &read)
        });
        pin(0);
        for (turn, commands) in flow.commands.chunks(BURST).enumerate() {
            let slots = archived(commands);
            wait_until(&go, turn as u64 + 1);
            edge.turn(&slots, &read, turn as u64 + 1);
        }
        (matching.join().expect("the matching thread does not panic"), edge.hash)
    });
    let matched = matched.map_err(|fault| anyhow!(fault))?;
    ensure!(edge_hash == hash, "reports behind the rings hash to {edge_hash:016x}, those of the naive book to {hash:016x}");
    ensure!(matched.states == [state; 3], "final states {:016x?}, of the naive book {state:016x}", matched.states);
    if matched.turns.len() < TURNS_MIN {
        return Ok(None);
    }
    let median = |of: fn(&Turn) -> f64| Samples::new(matched.turns.iter().map(of).collect()).median();
    Ok(Some(Round {
        bare_ns: median(|turn| turn.bare_ns),
        wire_on_top_ns: median(|turn| turn.wire_ns - turn.bare_ns),
        piped_ns: median(|turn| turn.piped_ns),
        piped_on_top_ns: median(|turn| turn.piped_ns - turn.bare_ns),
        turns: matched.turns.len(),
    }))
}

fn archived(commands: &[Command]) -> Vec<In> {
    let mut slots = vec![In::default(); commands.len()];
    slots.iter_mut().zip(commands).for_each(|(slot, command)| slot.put(0, command));
    slots
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
    fn turn(&mut self, commands: &[In], read: &AtomicU64, turn: u64) {
        let mut looks = 0;
        for batch in commands.chunks(BATCH) {
            while self.commands.try_publish_all(batch).is_err() {
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

/// Nanoseconds a command of one turn.
struct Turn {
    bare_ns: f64,
    wire_ns: f64,
    piped_ns: f64,
}

struct Matched {
    turns: Vec<Turn>,
    states: [u64; 3],
}

/// A book behind rings.
struct Matcher {
    book: Fast,
}

impl Handler<In, Out> for Matcher {
    #[inline]
    fn handle(&mut self, slot: &In, out: &mut Vec<Out>) -> Result<(), Fault> {
        self.book.apply(&slot.get()?, &mut Slots { slots: out, tag: slot.tag() });
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
        let matcher = || Matcher { book: book() };
        Matching { bare: book(), wire: matcher(), relay: Relay::new(commands, matcher(), reports).batching(BATCH) }
    }

    fn turns(mut self, flow: &Flow, go: &AtomicU64, read: &AtomicU64) -> Result<Matched, Fault> {
        let (clock, mut turns) = (Clock::start(), Vec::new());
        for (number, commands) in (1..).zip(flow.commands.chunks(BURST)) {
            let (bare_ns, wire_ns) = (self.bare_turn(commands, &clock), self.wire_turn(commands, &clock)?);
            go.store(number, Ordering::Release);
            let piped_ns = self.piped_turn(commands.len() as u64, &clock)?;
            turns.extend(piped_ns.map(|piped_ns| Turn { bare_ns, wire_ns, piped_ns }));
            read.store(number, Ordering::Release);
        }
        Ok(Matched { turns, states: [self.bare.state_hash(), self.wire.book.state_hash(), self.relay.handler().book.state_hash()] })
    }

    fn bare_turn(&mut self, commands: &[Command], clock: &Clock) -> f64 {
        let (begin, mut out) = (clock.now_ns(), Vec::new());
        for command in commands {
            out.clear();
            self.bare.apply(command, &mut out);
            black_box(&out);
        }
        (clock.now_ns() - begin) as f64 / commands.len() as f64
    }

    /// Archived commands in, archived reports out, and nobody beside.
    fn wire_turn(&mut self, commands: &[Command], clock: &Clock) -> Result<f64, Fault> {
        let slots = archived(commands);
        let (begin, mut out) = (clock.now_ns(), Vec::new());
        for slot in &slots {
            out.clear();
            self.wire.handle(slot, &mut out)?;
            black_box(&out);
        }
        Ok((clock.now_ns() - begin) as f64 / commands.len() as f64)
    }

    /// From the end of the first batch until the last report is published: how the other thread wakes up is not the rings' cost. `None`: this thread was
    /// away until everything was there.
    fn piped_turn(&mut self, commands: u64, clock: &Clock) -> Result<Option<f64>, Fault> {
        let (mut left, mut looks, mut first) = (commands, 0, None);
        while left > 0 || self.relay.waiting() > 0 {
            // A ring whose slots carry their own news would give a whole turn in one step.
            match self.relay.step(BATCH as u64) {
                Step::Did(count) => {
                    left -= count;
                    first.get_or_insert_with(|| (clock.now_ns(), left));
                }
                Step::Failed(fault) => return Err(fault),
                Step::Idle | Step::Done => crate::hops::wait(&mut looks),
            }
        }
        let (begin, behind) = first.expect("a turn has commands");
        Ok((behind > 0).then(|| (clock.now_ns() - begin) as f64 / behind as f64))
    }
}
