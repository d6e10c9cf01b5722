//! A hop from core to core: round trip against the raw cache line, and throughput, beside the queues that people would take instead.

use crate::hops::{BURST, Crossbeam, Disruptor, Line, Raw, Rtrb, Stages, lane, leg, round_trips, throughput};
use anyhow::Result;
use bench::measure::{HiccupMeter, Samples};
use bench::{Case, Goal, Options, Sheet, Unit};
use std::time::Instant;

pub const CASE: Case = Case { name: "ring", about: "a 64-byte message from core to core: round trip and throughput", run };

const SLOTS: usize = 1024;

/// Turns of one round: each link has its burst in each.
const TURNS: usize = 200;

/// The first knows no room and no order: it is the measure of round trips, and has no throughput.
const NAMES: [&str; 6] = ["raw line", "lockstep line ring", "lockstep ring with cursor", "disruptor", "rtrb", "crossbeam ArrayQueue"];

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    sheet.condition("method", "two pinned threads; round trips: bursts of 50, every link in turn, the ratio taken within a turn (the way between the");
    sheet.condition("", "cores of a virtual machine changes within a second); a round's figure is the median of its turns");
    sheet.condition(
        "",
        format!(
            "throughput: bursts of {BURST} from first send to last receipt, in turn, {TURNS} turns a round; waiting threads look 200,000 times, then yield"
        ),
    );
    sheet.condition("message", "64 bytes, one cache line, every byte written and read; rings of 1,024 slots");
    let meter = HiccupMeter::start();
    round_trip_rows(options, sheet)?;
    throughput_rows(options, 1, sheet)?;
    throughput_rows(options, 16, sheet)?;
    sheet.percentiles("hiccup of the machine", meter.stop());
    sheet.check("every message arrived once, in order, unchanged: echoes compared, hashes of both ends equal");
    Ok(())
}

fn round_trip_rows(options: &Options, sheet: &mut Sheet) -> Result<()> {
    let (mut rounds, begin) = (Vec::new(), Instant::now());
    while rounds.len() < options.repetitions(25, 5) && !options.is_enough(rounds.len(), begin) {
        let legs = vec![
            leg(Raw::pair),
            leg(|| Line::pair(SLOTS)),
            leg(|| Stages::pair(SLOTS)),
            leg(|| Disruptor::pair(SLOTS)),
            leg(|| Rtrb::pair(SLOTS)),
            leg(|| Crossbeam::pair(SLOTS)),
        ];
        let turns = round_trips(TURNS, legs)?;
        let median = |figure: &dyn Fn(&[f64]) -> f64| column(&turns, figure).median();
        let absolute = (0..NAMES.len()).map(|at| median(&|turn| turn[at]));
        let relative = (1..NAMES.len()).map(|at| median(&|turn| turn[at] / turn[0]));
        rounds.push(absolute.chain(relative).collect());
    }
    for (at, name) in NAMES.iter().enumerate() {
        sheet.row(format!("round trip, {name}"), column(&rounds, |round| round[at]), Unit::Ns, None);
    }
    for (at, name) in NAMES.iter().enumerate().skip(1) {
        let goal = (at == 1).then_some(Goal::AtMost(1.15));
        sheet.row(format!("round trip, {name} / raw line"), column(&rounds, |round| round[NAMES.len() + at - 1]), Unit::Times, goal);
    }
    Ok(())
}

fn throughput_rows(options: &Options, batch: usize, sheet: &mut Sheet) -> Result<()> {
    let (mut rounds, begin) = (Vec::new(), Instant::now());
    while rounds.len() < options.repetitions(25, 5) && !options.is_enough(rounds.len(), begin) {
        let lanes = vec![
            lane(batch, Line::pair(SLOTS)),
            lane(batch, Stages::pair(SLOTS)),
            lane(batch, Disruptor::pair(SLOTS)),
            lane(batch, Rtrb::pair(SLOTS)),
            lane(batch, Crossbeam::pair(SLOTS)),
        ];
        let turns = throughput(TURNS, lanes)?;
        rounds.push((0..NAMES.len() - 1).map(|at| column(&turns, |turn| turn[at]).median()).collect());
    }
    for (at, name) in NAMES.iter().skip(1).enumerate() {
        sheet.row(format!("throughput, batches of {batch}, {name}"), column(&rounds, |round| round[at]), Unit::MPerS, None);
    }
    Ok(())
}

fn column(rounds: &[Vec<f64>], figure: impl Fn(&[f64]) -> f64) -> Samples {
    Samples::new(rounds.iter().map(|round| figure(round)).collect())
}
