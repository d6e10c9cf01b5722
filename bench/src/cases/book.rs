//! A command to a book: three plain streams beside other books, realistic flows against their calm one, and single commands.

#[cfg(feature = "full")]
use crate::peers::OrderbookRs;
use crate::peers::{Lobster, Peer, steps};
use anyhow::{Result, ensure};
use bench::flow::{Equity, Flow, Plain, TradeHash};
use bench::host::huge_pages_mib;
use bench::measure::{Clock, Contestant, HiccupMeter, Samples, column, rounds};
use bench::{Case, Goal, Options, Sheet, Unit};
use book::{Book, BookConfig, Fast, Naive, Venue};
use hdrhistogram::Histogram;
use std::cell::Cell;
use wire::slot::{Command, Report};

pub const CASE: Case = Case { name: "book", about: "one command to the order book, beside other books on the same stream", run };

const SEED: u64 = 1;

/// Commands behind the prefill.
const COMMANDS: usize = 200_000;

/// What one reading of the clock covers: some 100 µs, so that most are not interrupted and none pays for the reading.
const STRETCH: usize = 4_096;

/// What a ring hands over at once.
const BATCH: usize = 256;

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    let repetitions = options.repetitions(9, 3);
    sheet.condition(
        "method",
        format!("{COMMANDS} commands made beforehand from seed {SEED}, prefill excluded; contestants take turns, slow ones in every third round"),
    );
    sheet.condition("", format!("a repetition's figure is the median over stretches of {STRETCH} commands, each between two readings of the clock"));
    sheet.condition("rules", "ours: all of them (owner, range, overflow, duplicates, room), accounts and 64 symbols looked up; batches of 256 as from a ring");
    sheet.condition("ids", "sparse 64-bit numbers of 64 origins; a cancel picks any resting order with the same chance");
    for (plain, goal) in [(Plain::DEEP, Some(18.0)), (Plain::SMALL, None), (Plain::MANY, Some(35.0))] {
        plain_rows(&plain.flow(SEED, COMMANDS), goal, repetitions, sheet)?;
    }
    equity_rows(repetitions, sheet)?;
    single_commands(options, sheet)?;
    Ok(())
}

/// The figure of a repetition: `apply` does a stretch of steps.
fn figure<T>(steps: &[T], mut apply: impl FnMut(&[T]) -> Result<()>) -> Result<f64> {
    let clock = Clock::start();
    let mut figures = Vec::with_capacity(steps.len() / STRETCH + 1);
    for stretch in steps.chunks(STRETCH) {
        let begin = clock.now_ns();
        apply(stretch)?;
        figures.push((clock.now_ns() - begin) as f64 / stretch.len() as f64);
    }
    Ok(Samples::new(figures).median())
}

fn venue<B: Book>(flow: &Flow, book: impl Fn(BookConfig) -> B) -> Venue<B> {
    let mut venue = Venue::new(flow.symbols.len());
    for symbol in &flow.symbols {
        assert!(venue.list(*symbol, book(flow.config)), "symbols of a flow differ");
    }
    venue
}

fn apply<B: Book>(venue: &mut Venue<B>, commands: &[Command], reports: &mut Vec<Report>, trades: &mut TradeHash) {
    for batch in commands.chunks(BATCH) {
        venue.apply_all(batch, reports, |_| unreachable!("every symbol of a flow is listed"), |command, reports| trades.add_reports(command, reports));
    }
}

/// One repetition of one of our books; its trades and state are compared with those of whoever came first.
fn ours<B: Book>(flow: &Flow, book: impl Fn(BookConfig) -> B, truth: &Truth) -> Result<f64> {
    let (mut venue, mut reports, mut trades) = (venue(flow, book), Vec::with_capacity(4_096), TradeHash::default());
    apply(&mut venue, &flow.prefill, &mut reports, &mut trades);
    truth.huge_pages_mib.set(huge_pages_mib());
    let figure = figure(&flow.commands, |stretch| {
        apply(&mut venue, stretch, &mut reports, &mut trades);
        Ok(())
    })?;
    truth.check_trades(trades)?;
    truth.check_state(venue.iter().fold(0, |hash: u64, (_, book)| hash.rotate_left(1) ^ book.state_hash()))?;
    Ok(figure)
}

/// One repetition of a peer, likewise.
fn theirs<P: Peer>(flow: &Flow, truth: &Truth) -> Result<f64> {
    let (prefill, steps) = steps(flow);
    let (mut peer, mut trades) = (P::new(flow.symbols.len(), flow.config.orders_max), TradeHash::default());
    for step in &prefill {
        peer.apply(step, &mut trades)?;
    }
    let figure = figure(&steps, |stretch| stretch.iter().try_for_each(|step| peer.apply(step, &mut trades)))?;
    truth.check_trades(trades)?;
    Ok(figure)
}

/// What all contestants must compute.
#[derive(Default)]
struct Truth {
    trades: Cell<Option<TradeHash>>,
    state: Cell<Option<u64>>,
    /// That one of ours had, with the flow.
    huge_pages_mib: Cell<u64>,
}

impl Truth {
    fn check_trades(&self, trades: TradeHash) -> Result<()> {
        let expected = self.trades.get().unwrap_or(trades);
        ensure!(trades == expected, "trades differ: {trades:?}, and before {expected:?}");
        self.trades.set(Some(trades));
        Ok(())
    }

    fn check_state(&self, state: u64) -> Result<()> {
        let expected = self.state.get().unwrap_or(state);
        ensure!(state == expected, "states differ: {state:016x}, and before {expected:016x}");
        self.state.set(Some(state));
        Ok(())
    }
}

fn plain_rows(flow: &Flow, goal: Option<f64>, repetitions: usize, sheet: &mut Sheet) -> Result<()> {
    let truth = Truth::default();
    let mut contestants = [
        Contestant::new("lockstep", || ours(flow, Fast::new, &truth)),
        Contestant::new("lockstep, naive twin", || ours(flow, Naive::new, &truth)).seldom(),
        Contestant::new("lobster", || theirs::<Lobster>(flow, &truth)),
        #[cfg(feature = "full")]
        Contestant::new("orderbook-rs", || theirs::<OrderbookRs>(flow, &truth)).seldom(),
    ];
    let rounds = rounds(repetitions, &mut contestants)?;
    for (at, contestant) in contestants.iter().enumerate() {
        let goal = goal.filter(|_| at == 0).map(Goal::AtMost);
        sheet.row(format!("{}, {}", flow.name, contestant.name), column(&rounds, at), Unit::Ns, goal);
    }
    drop(contestants);
    let TradeHash { trades, .. } = truth.trades.get().unwrap_or_default();
    let [before, after] = flow.live;
    sheet.check(format!("{}: {trades} trades, equal in all of them, and so the states of ours; {before} orders rested before, {after} after", flow.name));
    sheet.check(format!("{}: {} MiB in huge pages", flow.name, truth.huge_pages_mib.get()));
    Ok(())
}

fn equity_rows(repetitions: usize, sheet: &mut Sheet) -> Result<()> {
    sheet.condition("equity", "middle 100.00, geometric Brownian; depth n^-1.5 to 10.00; 15 % IOC, 20 % modified, 95 % cancelled; 10,000 live");
    sheet.condition("", "the peers' limit orders know neither IOC with a rest nor reduce: they are left out there");
    let flows: Vec<(Flow, Truth)> = Equity::ALL.iter().map(|equity| (equity.flow(SEED, COMMANDS), Truth::default())).collect();
    for (flow, truth) in &flows {
        ours(flow, Naive::new, truth)?;
        let TradeHash { trades, .. } = truth.trades.get().unwrap_or_default();
        sheet.check(format!("{}: {trades} trades and the state, equal to the naive twin's; {} orders rested at the end", flow.name, flow.live[1]));
    }
    let mut contestants: Vec<Contestant<'_>> = flows.iter().map(|(flow, truth)| Contestant::new(flow.name, || ours(flow, Fast::new, truth))).collect();
    let rounds = rounds(repetitions, &mut contestants)?;
    for (at, contestant) in contestants.iter().enumerate() {
        sheet.row(format!("equity, {}", contestant.name), Samples::new(rounds.iter().map(|round| round[at]).collect()), Unit::Ns, None);
    }
    for (at, contestant) in contestants.iter().enumerate().skip(1) {
        let ratios = Samples::new(rounds.iter().map(|round| round[at] / round[0]).collect());
        sheet.row(format!("equity, {} / calm", contestant.name), ratios, Unit::Times, Some(Goal::AtMost(1.5)));
    }
    Ok(())
}

/// Every command between two readings of the clock, one book; beside it the readings with nothing between them, which show what of a tail is the
/// clock's and the machine's.
fn single_commands(options: &Options, sheet: &mut Sheet) -> Result<()> {
    sheet.condition("singles", "each command between two readings of the clock, whose cost is in the figure; `nothing`: two readings with nothing between,");
    sheet.condition("", format!("after every {READINGS_EVERY}th command; hiccup: a thread that sleeps 1 ms at a time, and how much too late it wakes"));
    let meter = HiccupMeter::start();
    let mut nothing = Histogram::<u64>::new(3)?;
    for (name, flow) in [("equity, calm", Equity::ALL[0].flow(SEED, COMMANDS)), (Plain::DEEP.name, Plain::DEEP.flow(SEED, COMMANDS))] {
        let (mut all, mut tails) = (Histogram::<u64>::new(3)?, Vec::new());
        for _ in 0..options.repetitions(15, 3) {
            let one = one_by_one(&flow, &mut nothing)?;
            tails.push(one.value_at_quantile(0.999) as f64);
            all.add(one)?;
        }
        sheet.row(format!("{name}, p99.9 of single commands"), Samples::new(tails), Unit::Ns, Some(Goal::AtMost(300.0)));
        sheet.percentiles(format!("{name}, single commands"), all);
    }
    sheet.percentiles("nothing", nothing);
    sheet.percentiles("hiccup of the machine", meter.stop());
    Ok(())
}

/// Nothing is timed so often: the same places in the stream as commands, and seldom enough to disturb none.
const READINGS_EVERY: usize = 8;

fn one_by_one(flow: &Flow, nothing: &mut Histogram<u64>) -> Result<Histogram<u64>> {
    let mut one = Histogram::<u64>::new(3)?;
    let (mut book, mut reports, clock) = (Fast::new(flow.config), Vec::with_capacity(4_096), Clock::start());
    for command in &flow.prefill {
        reports.clear();
        book.apply(command, &mut reports);
    }
    for (at, command) in flow.commands.iter().enumerate() {
        reports.clear();
        let begin = clock.now_ns();
        book.apply(command, &mut reports);
        one.record(clock.now_ns() - begin)?;
        ensure!(!reports.is_empty(), "a command is answered");
        if at % READINGS_EVERY == 0 {
            let begin = clock.now_ns();
            nothing.record(clock.now_ns() - begin)?;
        }
    }
    Ok(one)
}
