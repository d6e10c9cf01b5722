//! From an order's intended start to its durable answer, on `exchange up`, in units of what one sync of the same disk costs in the same run.

use crate::exchange::{Account, Disk, Exchange};
use anyhow::{Context, Result, ensure};
use bench::measure::{HiccupMeter, Samples, knee, open_loop};
use bench::{Case, Goal, Options, Sheet, Unit};
use hdrhistogram::Histogram;

pub const CASE: Case = Case { name: "e2e", about: "order to durable answer on `exchange up`, in syncs of the same disk", run };

/// Accounts, each with a connection: an order that is due while its account still waits is late, and its lateness counts.
const ACCOUNTS: u64 = 16;

/// Orders a second of the open loop; the first is the rate at which nobody waits for anybody.
const RATES: [u64; 6] = [10, 50, 100, 200, 400, 800];

/// Syncs before and behind every rate.
const SYNCS: usize = 30;

/// Above so many syncs an order waits for others only, longer with every second: higher rates are left out.
const OVERLOAD_SYNCS: f64 = 100.0;

/// A rate is sustained while the median order takes no more than so many syncs.
const KNEE_SYNCS: f64 = 20.0;

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    let seconds = if options.quick { 2 } else { 5 };
    sheet.condition(
        "method",
        format!("open loop, {seconds} s a rate, {ACCOUNTS} accounts with a connection each; from the intended start, so that waiting counts"),
    );
    sheet.condition("", "one process, four partitions, embedded log synced before it answers, transactions on; the answer comes when the order is durable");
    sheet.condition("sync", format!("{}; {SYNCS} before and behind each rate, median", Disk::METHOD));
    sheet.condition("", "how many syncs an order that is alone waits for, one after another, is counted in simulated time: scenarios/tests/syncs.rs");
    let folder = std::env::temp_dir().join(format!("lockstep-e2e-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let measured = measure(&folder, seconds, options.repetitions(5, 2), sheet);
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    measured
}

fn measure(folder: &std::path::Path, seconds: u64, repetitions: usize, sheet: &mut Sheet) -> Result<()> {
    let mut disk = Disk::open(folder)?;
    let exchange = Exchange::up(&folder.join("data"), ACCOUNTS)?;
    play(&exchange, "warm", RATES[0], 2)?;
    let mut syncs_ns = Vec::new();
    let mut distributions: Vec<Histogram<u64>> = RATES.iter().map(|_| Histogram::new(3).expect("three digits")).collect();
    let mut medians = vec![Vec::new(); RATES.len()];
    let meter = HiccupMeter::start();
    for repetition in 0..repetitions {
        for (at, rate) in RATES.into_iter().enumerate() {
            let mut beside = disk.syncs(SYNCS)?;
            let latencies = play(&exchange, &format!("r{repetition}-{rate}"), rate, seconds)?;
            beside.extend(disk.syncs(SYNCS)?);
            let sync_ns = median(&beside);
            medians[at].push((latencies.value_at_quantile(0.5) as f64, sync_ns));
            distributions[at].add(&latencies).expect("it grows");
            syncs_ns.push(sync_ns);
            if latencies.value_at_quantile(0.5) as f64 > OVERLOAD_SYNCS * sync_ns {
                break;
            }
        }
    }
    let hiccups = meter.stop();
    sheet.check("every answer was 200 and names its order; the last order of each account is asked for again and rests");
    sheet.row("one sync", Samples::new(syncs_ns.iter().map(|ns| ns / 1e6).collect()), Unit::Ms, None);
    // A higher rate than any repetition came to has no row.
    for (at, rate) in RATES.into_iter().enumerate().filter(|(at, _)| !medians[*at].is_empty()) {
        let goal = (at == 0).then_some(Goal::AtMost(5.0));
        let syncs = medians[at].iter().map(|(ns, sync_ns)| ns / sync_ns).collect();
        sheet.row(format!("median order at {rate}/s, in syncs"), Samples::new(syncs), Unit::Times, goal);
    }
    let sustained = |repetition, at: usize| medians[at].get(repetition).is_some_and(|(order_ns, sync_ns): &(f64, f64)| *order_ns <= KNEE_SYNCS * sync_ns);
    let knees = (0..repetitions).map(|repetition| knee(&RATES, |at| sustained(repetition, at)) as f64).collect();
    sheet.row(format!("highest of these rates whose median is below {KNEE_SYNCS} syncs"), Samples::new(knees), Unit::PerS, None);
    for (rate, distribution) in RATES.into_iter().zip(distributions).filter(|(_, distribution)| !distribution.is_empty()) {
        sheet.percentiles(format!("order at {rate}/s"), distribution);
    }
    sheet.percentiles("hiccup of the machine", hiccups);
    Ok(())
}

fn median(values: &[u64]) -> f64 {
    Samples::new(values.iter().map(|value| *value as f64).collect()).median()
}

/// Orders at a rate, in nanoseconds from the intended start of each.
fn play(exchange: &Exchange, name: &str, rate: u64, seconds: u64) -> Result<Histogram<u64>> {
    let connect = |account| Ok((Account::connect(&exchange.gateway, account)?, None));
    let mut connections: Vec<(Account, Option<String>)> = (1..=ACCOUNTS).map(connect).collect::<Result<_>>()?;
    let lane = |(connection, last): &mut (Account, Option<String>), number| {
        let id = format!("{name}-{number}");
        let answer = connection.place(&id)?;
        ensure!(answer.status == 200 && answer.body.contains(&format!("\"{id}\"")), "order {id}: {} {}", answer.status, answer.body);
        *last = Some(id);
        Ok(())
    };
    let mut lanes: Vec<_> = connections.iter_mut().map(|connection| |number| lane(connection, number)).collect();
    let latencies = open_loop(rate, rate * seconds, &mut lanes)?;
    drop(lanes);
    for (mut connection, last) in connections {
        let Some(id) = last else { continue };
        let answer = connection.query(&id)?;
        ensure!(answer.status == 200 && answer.body.contains("\"NEW\""), "order {id} is asked for again: {} {}", answer.status, answer.body);
    }
    Ok(latencies)
}
