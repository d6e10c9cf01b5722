//! From a record's intended start to its durable acknowledgement on the embedded log, in syncs of the same disk; how much goes through it.

use crate::embedded::{Embedded, PATIENCE_MS};
use crate::exchange::Disk;
use anyhow::{Context, Result, bail, ensure};
use bench::measure::{HiccupMeter, Samples, due, knee};
use bench::{Case, Goal, Options, Sheet, Unit};
use bytes::Bytes;
use hdrhistogram::Histogram;
use log::native::NativeProducer;
use log::{ConsumerEvent, Isolation, LogPort, Outcome, Position, Producer, Reader, Record, SendTicket, Subscription, TopicInfo};
use runtime::time::monotonic_ms;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

pub const CASE: Case = Case { name: "log", about: "append to durable acknowledgement on the embedded log, in syncs of the same disk", run };

const PARTITIONS: [u32; 2] = [1, 64];

/// Records a second of the open loop; at the first one nobody waits for anybody.
const RATES: [u64; 5] = [100, 1_000, 5_000, 20_000, 60_000];

/// Of a record: about an order event with its key. The first eight are its number.
const VALUE_BYTES: usize = 300;

/// Syncs before and behind every measurement.
const SYNCS: usize = 20;

/// An acknowledgement at the lowest rate waits for a sync that is under way, if there is one, and for its own.
const GOAL: Goal = Goal::AtMost(2.0);

/// A rate is sustained while the median takes no more than so many syncs: beyond it, records only queue up. A disk that others use too stops for
/// hundreds of milliseconds now and then; a limit on p99 would find those stops.
const KNEE_SYNCS: f64 = 10.0;

/// Records without an acknowledgement, when it goes as fast as it can.
const IN_FLIGHT_MAX: usize = 2_000;

fn run(options: &Options, sheet: &mut Sheet) -> Result<()> {
    let (milliseconds, repetitions) = (if options.quick { 500 } else { 1_500 }, options.repetitions(5, 2));
    sheet.condition(
        "method",
        format!("open loop, {milliseconds} ms a rate, from the intended start, so that waiting counts; {repetitions} rounds, each through all rates"),
    );
    sheet.condition("", format!("a rate is sustained while the median is below {KNEE_SYNCS} syncs; closed loop: {IN_FLIGHT_MAX} records in flight"));
    sheet.condition("log", "one broker in this process, on one journal, synced before it acknowledges (fsync = always); one client over loopback TCP");
    sheet.condition("records", format!("values of {VALUE_BYTES} bytes, dealt to the partitions in turn, one producer, no linger"));
    sheet.condition("sync", format!("{}; {SYNCS} before and behind each measurement, median", Disk::METHOD));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = std::env::temp_dir().join(format!("lockstep-log-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let measured = measure(&runtime, &folder, Duration::from_millis(milliseconds), repetitions, sheet);
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    measured
}

/// All rounds of one topic.
struct Column {
    topic: TopicInfo,
    /// By rate, of every round that came so far.
    played: Vec<Vec<Played>>,
    distributions: Vec<Histogram<u64>>,
    flat_out: Vec<f64>,
    sent: u64,
}

fn measure(runtime: &Runtime, folder: &Path, time: Duration, repetitions: usize, sheet: &mut Sheet) -> Result<()> {
    let mut disk = Disk::open(folder)?;
    let log = runtime.block_on(Embedded::start(&folder.join("data")))?;
    let mut columns = Vec::new();
    for partitions in PARTITIONS {
        let topic = runtime.block_on(log.topic(&format!("bench-{partitions}"), partitions))?;
        let distributions = RATES.iter().map(|_| Histogram::new(3)).collect::<Result<_, _>>()?;
        columns.push(Column { topic, played: vec![Vec::new(); RATES.len()], distributions, flat_out: Vec::new(), sent: 0 });
    }
    let meter = HiccupMeter::start();
    let mut syncs_ns = Vec::new();
    for round in 0..repetitions {
        // Every round begins with the other topic.
        for turn in 0..columns.len() {
            let column = &mut columns[(round + turn) % PARTITIONS.len()];
            for at in 0..RATES.len() {
                let played = play(runtime, &log, &mut disk, column, at, time)?;
                syncs_ns.push(played.sync_ns);
                column.played[at].push(played);
                if !played.sustained() {
                    break;
                }
            }
            let rate = runtime.block_on(flat_out(&log, column, time))?;
            column.flat_out.push(rate);
        }
    }
    sheet.row("one sync", Samples::new(syncs_ns.iter().map(|ns| ns / 1e6).collect()), Unit::Ms, None);
    for column in columns {
        rows(&column, repetitions, sheet);
        runtime.block_on(read_again(&log, &column))?;
        sheet.check(format!("{}: all {} records acknowledged, and each read again once, in its partition's order", column.topic.name, column.sent));
        let name = column.name();
        for (rate, distribution) in RATES.into_iter().zip(column.distributions).filter(|(_, distribution)| !distribution.is_empty()) {
            sheet.percentiles(format!("{name}, ack at {rate}/s"), distribution);
        }
    }
    sheet.percentiles("hiccup of the machine", meter.stop());
    runtime.block_on(log.stop())
}

fn rows(column: &Column, repetitions: usize, sheet: &mut Sheet) {
    let (name, rows) = (column.name(), &column.played);
    let samples = |at: usize, of: fn(&Played) -> f64| Samples::new(rows[at].iter().map(of).collect());
    for (at, rate) in RATES.into_iter().enumerate().filter(|(at, _)| !rows[*at].is_empty()) {
        sheet.row(
            format!("{name}, median ack at {rate}/s, in syncs"),
            samples(at, |played| played.median_ns / played.sync_ns),
            Unit::Times,
            (at == 0).then_some(GOAL),
        );
    }
    for (at, rate) in RATES.into_iter().enumerate().filter(|(at, _)| !rows[*at].is_empty()) {
        sheet.row(format!("{name}, syncs a record at {rate}/s"), samples(at, |played| played.syncs_a_record), Unit::Count, None);
    }
    let knee = |round: usize| knee(&RATES, |at| rows[at].get(round).is_some_and(Played::sustained)) as f64;
    sheet.row(format!("{name}, highest of these rates that is sustained"), Samples::new((0..repetitions).map(knee).collect()), Unit::PerS, None);
    sheet.row(format!("{name}, closed loop, records"), Samples::new(column.flat_out.clone()), Unit::PerS, None);
    let megabytes = column.flat_out.iter().map(|records| records * VALUE_BYTES as f64 / 1e6).collect();
    sheet.row(format!("{name}, closed loop, values"), Samples::new(megabytes), Unit::MbPerS, None);
}

/// One rate of one round.
#[derive(Debug, Clone, Copy)]
struct Played {
    median_ns: f64,
    sync_ns: f64,
    syncs_a_record: f64,
}

impl Played {
    fn sustained(&self) -> bool {
        self.median_ns <= KNEE_SYNCS * self.sync_ns
    }
}

fn play(runtime: &Runtime, log: &Embedded, disk: &mut Disk, column: &mut Column, at: usize, time: Duration) -> Result<Played> {
    let mut beside = disk.syncs(SYNCS)?;
    let before = log.syncs();
    let acks = open_loop(runtime, log, column, RATES[at], time)?;
    let syncs = log.syncs() - before;
    beside.extend(disk.syncs(SYNCS)?);
    let sync_ns = Samples::new(beside.into_iter().map(|ns| ns as f64).collect()).median();
    column.distributions[at].add(&acks)?;
    let median_ns = acks.value_at_quantile(0.5) as f64;
    Ok(Played { median_ns, sync_ns, syncs_a_record: syncs as f64 / acks.len() as f64 })
}

impl Column {
    /// As in the table.
    fn name(&self) -> String {
        match self.topic.partitions {
            1 => "1 partition".to_owned(),
            many => format!("{many} partitions"),
        }
    }

    /// The next record, in the partition whose turn it is.
    fn send(&mut self, producer: &mut NativeProducer) -> SendTicket {
        let mut value = vec![7; VALUE_BYTES];
        value[..8].copy_from_slice(&self.sent.to_le_bytes());
        let tp = self.topic.tp((self.sent % u64::from(self.topic.partitions)) as u32);
        producer.send(tp, Record { key: None, value: Some(Bytes::from(value)), timestamp_ms: 0 }, monotonic_ms() + PATIENCE_MS)
    }
}

/// Every record at its time, from a thread that does nothing else; nanoseconds from when each was due. The highest rate does not
/// fill the producer's buffer even if nothing is acknowledged.
fn open_loop(runtime: &Runtime, log: &Embedded, column: &mut Column, rate: u64, time: Duration) -> Result<Histogram<u64>> {
    let mut producer = runtime.block_on(log.client.producer())?;
    let total = rate * time.as_millis() as u64 / 1_000;
    let (acked_in, acked) = mpsc::channel();
    let begin = Instant::now() + Duration::from_millis(5);
    for number in 0..total {
        let due = due(begin, number, rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (ticket, acked_in) = (column.send(&mut producer), acked_in.clone());
        column.sent += 1;
        runtime.spawn(async move {
            let outcome = ticket.outcome().await;
            // Nobody listens after an error.
            let _ = acked_in.send((outcome, due.elapsed()));
        });
    }
    drop(acked_in);
    let mut acks = Histogram::new(3)?;
    for (outcome, late) in acked {
        ensure!(matches!(outcome, Outcome::Done(_)), "a record at {rate}/s was not acknowledged: {outcome:?}");
        acks.record(late.as_nanos() as u64)?;
    }
    ensure!(acks.len() == total, "{} verdicts on {total} records", acks.len());
    Ok(acks)
}

/// As many as are acknowledged with a bounded number in flight; records a second.
async fn flat_out(log: &Embedded, column: &mut Column, time: Duration) -> Result<f64> {
    let mut producer = log.client.producer().await?;
    let (mut in_flight, begin, mut acked) = (VecDeque::new(), Instant::now(), 0_u64);
    while begin.elapsed() < time || !in_flight.is_empty() {
        if begin.elapsed() < time && in_flight.len() < IN_FLIGHT_MAX {
            in_flight.push_back(column.send(&mut producer));
            column.sent += 1;
            continue;
        }
        let ticket: SendTicket = in_flight.pop_front().expect("something is in flight");
        let outcome = ticket.outcome().await;
        ensure!(matches!(outcome, Outcome::Done(_)), "a record was not acknowledged: {outcome:?}");
        acked += 1;
    }
    Ok(acked as f64 / begin.elapsed().as_secs_f64())
}

/// Every record that was sent is there, once, and in order: its number says which partition it is of, and what was before it there.
async fn read_again(log: &Embedded, column: &Column) -> Result<()> {
    let partitions = u64::from(column.topic.partitions);
    let from = (0..column.topic.partitions).map(|partition| (column.topic.tp(partition), Position::START)).collect();
    let mut reader = log.client.read(Subscription::Assigned(from), Isolation::ReadUncommitted).await?;
    let mut due: Vec<u64> = (0..partitions).collect();
    let mut left = column.sent;
    while left > 0 {
        match reader.next(monotonic_ms() + PATIENCE_MS).await {
            ConsumerEvent::Records { tp, batch } => {
                let due = &mut due[tp.partition as usize];
                for record in &batch.records {
                    let number = record.value.as_ref().and_then(|value| value.first_chunk::<8>()).map(|bytes| u64::from_le_bytes(*bytes));
                    ensure!(number == Some(*due), "partition {}: record {number:?} where {due} is due", tp.partition);
                    *due += partitions;
                }
                left -= batch.records.len() as u64;
            }
            ConsumerEvent::Progress { .. } => {}
            other => bail!("reading, with {left} records to come: {other:?}"),
        }
    }
    Ok(())
}
