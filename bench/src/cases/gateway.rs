//! What the gateway's own work costs: a request is parsed and answered, and no record is made. On `exchange up`, over loopback, open loop.

use crate::exchange::{Account, Answer, Echo, Exchange};
use anyhow::{Context, Result, ensure};
use bench::measure::{HiccupMeter, Samples, knee, open_loop};
use bench::{Case, Goal, Options, Sheet, Unit};
use hdrhistogram::Histogram;
use std::path::Path;
use std::time::{Duration, Instant};

pub const CASE: Case = Case { name: "gateway", about: "a request parsed and answered by the gateway of `exchange up`, beside a bare echo", run };

/// Connections that stay open, each with one request at a time.
const CONNECTIONS: u64 = 8;

/// Requests a second of the open loop; at the first one nobody waits for anybody.
const RATES: [u64; 6] = [500, 2_000, 5_000, 10_000, 20_000, 40_000];

/// Echoes before and behind every measurement.
const ECHOES: usize = 200;

/// Parsing and answering are meant to cost no more than the way itself does.
const GOAL: Goal = Goal::AtMost(3.0);

/// A rate is sustained while the median is below this: beyond it, requests only queue up. On cores that others use too, p99 is a scheduler's slice at
/// every rate.
const KNEE: Duration = Duration::from_millis(2);

/// What is asked for, and what must be answered.
struct Ask {
    name: &'static str,
    ask: fn(&mut Account, u64) -> Result<Answer>,
    status: u16,
}

const ASKS: [Ask; 2] = [
    Ask { name: "ping", ask: |account, _| account.ping(), status: 200 },
    Ask { name: "order refused", ask: |account, number| account.place_wrongly(&format!("g{number}")), status: 400 },
];

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    let (milliseconds, repetitions) = (if options.quick { 500 } else { 1_500 }, options.repetitions(5, 2));
    sheet.condition(
        "method",
        format!("open loop, {milliseconds} ms a rate, {CONNECTIONS} connections that stay open, a blocking client thread each, on the same cores"),
    );
    sheet.condition("", "from the intended start, so that waiting counts, and the lateness of a client's timer too (the hiccup below)");
    sheet.condition(
        "",
        format!("a rate is sustained while the median is below {} ms; closed loop: every connection asks as fast as it is answered", KNEE.as_millis()),
    );
    sheet.condition(
        "requests",
        "ping: parsed and answered; order refused: parameters parsed, account and symbol looked up, price refused; neither makes a record",
    );
    sheet.condition("echo", format!("{}; {ECHOES} before and behind each measurement, median", Echo::METHOD));
    let folder = std::env::temp_dir().join(format!("lockstep-gateway-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let measured = measure(&folder, Duration::from_millis(milliseconds), repetitions, sheet);
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    measured
}

/// All rounds of one kind of request.
#[derive(Default)]
struct Column {
    /// Medians in echoes, at the lowest rate with one connection's request on its way at a time.
    alone: Vec<f64>,
    /// By rate, the median in nanoseconds of every round that came so far.
    median_ns: Vec<Vec<f64>>,
    distributions: Vec<Histogram<u64>>,
    flat_out: Vec<f64>,
}

fn measure(folder: &Path, time: Duration, repetitions: usize, sheet: &mut Sheet) -> Result<()> {
    let (exchange, mut echo) = (Exchange::up(&folder.join("data"), CONNECTIONS)?, Echo::start()?);
    let mut columns = Vec::new();
    for _ in &ASKS {
        let distributions = RATES.iter().map(|_| Histogram::new(3)).collect::<Result<_, _>>()?;
        columns.push(Column { median_ns: vec![Vec::new(); RATES.len()], distributions, ..Column::default() });
    }
    let (meter, mut echoes_ns) = (HiccupMeter::start(), Vec::new());
    for round in 0..repetitions {
        // Every round begins with the other request.
        for turn in 0..ASKS.len() {
            let at = (round + turn) % ASKS.len();
            let (ask, column) = (&ASKS[at], &mut columns[at]);
            let (alone_ns, echo_ns) = alone(&exchange, &mut echo, ask)?;
            column.alone.push(alone_ns / echo_ns);
            echoes_ns.push(echo_ns);
            climb(&exchange, ask, column, time)?;
            column.flat_out.push(flat_out(&exchange, ask, time)?);
        }
    }
    sheet.row("one echo", Samples::new(echoes_ns), Unit::Ns, None);
    for (ask, column) in ASKS.iter().zip(columns) {
        sheet.row(format!("{}, one at a time, median in echoes", ask.name), Samples::new(column.alone), Unit::Times, Some(GOAL));
        let held = |round: usize, at: usize| column.median_ns[at].get(round).is_some_and(|ns| *ns <= KNEE.as_nanos() as f64);
        let knees = (0..repetitions).map(|round| knee(&RATES, |at| held(round, at)) as f64).collect();
        sheet.row(format!("{}, highest of these rates that is sustained", ask.name), Samples::new(knees), Unit::PerS, None);
        sheet.row(format!("{}, closed loop, {CONNECTIONS} connections", ask.name), Samples::new(column.flat_out), Unit::PerS, None);
        for (rate, distribution) in RATES.into_iter().zip(column.distributions).filter(|(_, distribution)| !distribution.is_empty()) {
            sheet.percentiles(format!("{} at {rate}/s", ask.name), distribution);
        }
    }
    sheet.percentiles("hiccup of the machine", meter.stop());
    sheet.check("every answer had the status that its request must have: 200 for a ping, 400 for an order whose price is no number");
    Ok(())
}

fn asked(ask: &Ask, connection: &mut Account, number: u64) -> Result<()> {
    let answer = (ask.ask)(connection, number)?;
    ensure!(answer.status == ask.status, "{}: {} {}", ask.name, answer.status, answer.body);
    Ok(())
}

/// Median of requests on one connection, one after the other; and of echoes before and behind.
fn alone(exchange: &Exchange, echo: &mut Echo, ask: &Ask) -> Result<(f64, f64)> {
    let mut connection = Account::connect(&exchange.gateway, 1)?;
    let mut echoes = echo.round_trips(ECHOES)?;
    let request = |number| {
        let begin = Instant::now();
        asked(ask, &mut connection, number)?;
        Ok(begin.elapsed().as_nanos() as f64)
    };
    let requests = (0..2 * ECHOES as u64).map(request).collect::<Result<_>>()?;
    echoes.extend(echo.round_trips(ECHOES)?);
    Ok((Samples::new(requests).median(), Samples::new(echoes.into_iter().map(|ns| ns as f64).collect()).median()))
}

fn connect(exchange: &Exchange) -> Result<Vec<Account>> {
    (1..=CONNECTIONS).map(|account| Account::connect(&exchange.gateway, account)).collect()
}

/// Up through the rates, until one is not sustained.
fn climb(exchange: &Exchange, ask: &Ask, column: &mut Column, time: Duration) -> Result<()> {
    let mut connections = connect(exchange)?;
    for (at, rate) in RATES.into_iter().enumerate() {
        let mut lanes: Vec<_> = connections.iter_mut().map(|connection| |number| asked(ask, connection, number)).collect();
        let latencies = open_loop(rate, rate * time.as_millis() as u64 / 1_000, &mut lanes)?;
        let median_ns = latencies.value_at_quantile(0.5) as f64;
        column.median_ns[at].push(median_ns);
        column.distributions[at].add(latencies)?;
        if median_ns > KNEE.as_nanos() as f64 {
            break;
        }
    }
    Ok(())
}

/// Every connection asks as fast as it is answered; requests a second.
fn flat_out(exchange: &Exchange, ask: &Ask, time: Duration) -> Result<f64> {
    let (mut connections, begin) = (connect(exchange)?, Instant::now());
    let counts: Vec<Result<u64>> = std::thread::scope(|scope| {
        let lane = |connection: &mut Account| {
            let mut number = 0;
            while begin.elapsed() < time {
                asked(ask, connection, number)?;
                number += 1;
            }
            Ok(number)
        };
        let threads: Vec<_> = connections.iter_mut().map(|connection| scope.spawn(move || lane(connection))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a lane does not panic")).collect()
    });
    let count: u64 = counts.into_iter().sum::<Result<u64>>()?;
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}
