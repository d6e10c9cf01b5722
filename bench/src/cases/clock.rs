//! The measuring itself: what a reading of the clock costs, and what an empty repetition shows.

use anyhow::{Result, ensure};
use bench::measure::{Clock, Samples};
use bench::{Case, Options, Sheet, Unit};

pub const CASE: Case = Case { name: "clock", about: "what a reading of the clock costs", run };

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    let clock = Clock::start();
    sheet.condition("method", "400 readings in a row, median of 51 such rows, repeated");
    let costs: Vec<f64> = (0..options.repetitions(31, 7)).map(|_| clock.cost_ns()).collect();
    let slept = sleep_shows(&clock);
    ensure!((20.0..200.0).contains(&slept), "20 ms of sleep read as {slept} ms");
    sheet.check(format!("20 ms of sleep read as {slept:.1} ms"));
    sheet.row("one reading", Samples::new(costs), Unit::Ns, None);
    Ok(())
}

fn sleep_shows(clock: &Clock) -> f64 {
    let begin = clock.now_ns();
    std::thread::sleep(std::time::Duration::from_millis(20));
    (clock.now_ns() - begin) as f64 / 1e6
}
