//! `exchange measure`: what the embedded log gives on this machine, beside the disk's own sync and, if asked, beside an Apache Kafka, measured in turns in one
//! run by the same producer.

use crate::composition::{Fsync, Log, nobody, visitor};
use crate::kafka;
use crate::terminal::say;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use log::{ConsumerEvent, Isolation, LogPort, Outcome, Position, Producer, Reader, Record, SendTicket, Subscription, TopicInfo, TopicSpec};
use runtime::disk::{Disk, JournalConfig, JournalDisk, RealDisk};
use runtime::time::{monotonic_ms, monotonic_us, sleep};
use std::collections::VecDeque;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Settings of `exchange measure`.
#[derive(Debug, Clone, Args)]
pub struct MeasureArgs {
    /// Where files may be made, and are removed again: a directory on the disk that is meant.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Partitions of the topic, one measurement for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,64", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    partitions: Vec<u32>,
    /// Records a second, dealt to the partitions in turn; each has its time, whether the one before was acknowledged or not.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Length of each measurement.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Each measurement is made so often, in turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=1 << 19))]
    record_bytes: u32,
    /// When an acknowledged record is on the platter.
    #[arg(long, value_enum, default_value_t = Fsync::Always)]
    fsync: Fsync,
    /// On plain files, each synced by itself, instead of one journal: to compare.
    #[arg(long)]
    plain: bool,
    /// The same on this Apache Kafka, in turns: some of its brokers, host:port, joined by commas. Each measurement leaves a topic of three replicas there.
    #[arg(long, value_parser = crate::usage::addresses)]
    kafka: Option<String>,
    /// Which client library speaks to it.
    #[arg(long, requires = "kafka", default_value = "rdkafka")]
    client: kafka::Client,
}

/// Longest wait for one acknowledgement.
const ACK_MS: u64 = 30_000;

/// How late a timer may be without anybody's fault.
const TIMER_US: u64 = 2_000;

/// Records without an acknowledgement, when it goes as fast as it can.
const IN_FLIGHT_MAX: usize = 2_000;

/// Syncs timed in each round.
const SYNCS: u32 = 100;

/// What all measurements of a number of partitions of one log gave.
struct Figures {
    of: String,
    partitions: u32,
    on_kafka: bool,
    ack_us: Histogram<u64>,
    written_per_second: Vec<u64>,
    read_per_second: Vec<u64>,
}

/// Prints the conditions, then what was measured, as two tables.
pub async fn run(args: MeasureArgs) -> Result<()> {
    print_conditions(&args)?;
    let mut sync_us = histogram();
    let mut all = figures(&args);
    let mut written_bytes = 0;
    for round in 0..args.rounds {
        for figures in &mut all {
            let measured = match &args.kafka {
                Some(brokers) if figures.on_kafka => kafka::measure(&args, args.client, brokers, round, figures.partitions).await,
                _ => on_embedded_log(&args, figures.partitions, &mut sync_us).await,
            };
            let measured = measured.with_context(|| format!("round {round}, {}", figures.of))?;
            figures.ack_us.add(measured.ack_us).expect("histograms that grow take any value");
            figures.written_per_second.push(measured.records_per_second);
            figures.read_per_second.push(measured.reads_per_second);
            written_bytes += measured.written_bytes;
        }
    }
    print_latencies(&sync_us, &all)?;
    print_throughput(&all, u64::from(args.record_bytes))?;
    say!("\nvalues written in all {} MB; most memory this process ever had {}", megabytes(written_bytes), peak_memory())?;
    Ok(())
}

/// Before any number: what was compared with what.
fn print_conditions(args: &MeasureArgs) -> Result<()> {
    let files = if args.plain { "plain files" } else { "one journal" };
    let when = match args.fsync {
        Fsync::Always => "acknowledged once it is on the disk",
        Fsync::Interval | Fsync::Never => "acknowledged before it is on the disk",
    };
    say!("values of {} bytes; {} rounds of every line, in turns, so that a busy machine is busy for all of them", args.record_bytes, args.rounds)?;
    say!("  embedded  one broker in this process, one replica, client over loopback TCP; fsync {:?}: {when}; {files}", args.fsync)?;
    if let Some(brokers) = &args.kafka {
        say!("  Kafka     at {brokers} through {:?}: three replicas, acks=all, two in sync at least;", args.client)?;
        say!("            acknowledged once the page cache of each replica in sync has it: Kafka leaves fsync to the operating system")?;
    }
    say!("  the disk  4 KiB overwritten and fdatasync, {SYNCS} times a round, in the embedded log's directory")?;
    Ok(())
}

/// Open loop.
fn print_latencies(sync_us: &Histogram<u64>, all: &[Figures]) -> Result<()> {
    say!("\nack latency in µs: each record at its time, whatever became of those before; from when it was sent, or was due if that is over 2 ms earlier")?;
    say!("{:>26} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}", "", "min", "p50", "p90", "p99", "p99.9", "max", "samples")?;
    let rows = all.iter().map(|figures| (figures.of.as_str(), &figures.ack_us));
    for (of, us) in std::iter::once(("the disk's own sync", sync_us)).chain(rows) {
        let at = |quantile: f64| us.value_at_quantile(quantile);
        let (p50, p90, p99, p999) = (at(0.5), at(0.9), at(0.99), at(0.999));
        say!("{of:>26} {:>9} {p50:>9} {p90:>9} {p99:>9} {p999:>9} {:>9} {:>10}", us.min(), us.max(), us.len())?;
    }
    Ok(())
}

/// Closed loop, then everything read again.
fn print_throughput(all: &[Figures], record_bytes: u64) -> Result<()> {
    say!("\nthroughput with {IN_FLIGHT_MAX} records in flight, then all of it read again: median of the rounds, and the best")?;
    say!("{:>26} {:>11} {:>8} {:>11}   {:>11} {:>8} {:>11}", "", "written/s", "MB/s", "best/s", "read/s", "MB/s", "best/s")?;
    for figures in all {
        let [written, read] = [&figures.written_per_second, &figures.read_per_second].map(|rounds| {
            let mut rounds = rounds.clone();
            rounds.sort_unstable();
            let median = rounds[rounds.len() / 2];
            format!("{median:>11} {:>8} {:>11}", megabytes(median * record_bytes), rounds[rounds.len() - 1])
        });
        say!("{:>26} {written}   {read}", figures.of)?;
    }
    Ok(())
}

/// Still without a figure: each number of partitions on each log.
fn figures(args: &MeasureArgs) -> Vec<Figures> {
    let of = |partitions: u32, on_kafka: bool| {
        let (log, s) = (if on_kafka { "Kafka" } else { "embedded" }, if partitions == 1 { "" } else { "s" });
        let of = format!("{log}, {partitions} partition{s}");
        Figures { of, partitions, on_kafka, ack_us: histogram(), written_per_second: Vec::new(), read_per_second: Vec::new() }
    };
    let logs = if args.kafka.is_some() { &[false, true][..] } else { &[false] };
    args.partitions.iter().flat_map(|partitions| logs.iter().map(move |on_kafka| of(*partitions, *on_kafka))).collect()
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or_else(|| "unknown here".to_owned(), |peak| peak.trim().to_owned())
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are a valid precision")
}

/// What one measurement gave.
pub struct Measured {
    ack_us: Histogram<u64>,
    records_per_second: u64,
    reads_per_second: u64,
    written_bytes: u64,
}

async fn on_embedded_log(args: &MeasureArgs, partitions: u32, sync_us: &mut Histogram<u64>) -> Result<Measured> {
    let place = args.dir.join(format!("exchange-measure-{}", std::process::id()));
    std::fs::create_dir_all(&place).with_context(|| format!("--dir {}", args.dir.display()))?;
    let measured = in_place(args, &place, partitions, sync_us).await;
    std::fs::remove_dir_all(&place).with_context(|| place.display().to_string())?;
    measured
}

async fn in_place(args: &MeasureArgs, place: &Path, partitions: u32, sync_us: &mut Histogram<u64>) -> Result<Measured> {
    time_syncs(place, sync_us).context("timing the disk's own sync")?;
    let directory = place.join("log");
    let disk: Arc<dyn Disk> =
        if args.plain { Arc::new(RealDisk::open(&directory)?) } else { Arc::new(JournalDisk::open(&directory, JournalConfig::default())?) };
    let log = Log::start("127.0.0.1:0", disk, args.fsync, &nobody()).await?;
    let spec = TopicSpec { name: "measure".to_owned(), partitions, replication: 1, min_isr: 1, compacted: false };
    let measured = through(args, &visitor(&log.address), spec).await?;
    log.stop().await?;
    Ok(measured)
}

/// The measurement itself, on a new topic, whatever the log is.
pub async fn through(args: &MeasureArgs, client: &impl LogPort, spec: TopicSpec) -> Result<Measured> {
    let topic = topic(client, spec).await?;
    let mut producer = client.producer().await?;
    let first = touch(args, &mut producer, &topic).await?;
    let ack_us = open_loop(args, &mut producer, &topic).await?;
    let (records_per_second, acked) = closed_loop(args, &mut producer, &topic).await?;
    drop(producer);
    let written = first + args.rate * args.seconds + acked;
    let reads_per_second = read_again(client, &topic, written).await?;
    Ok(Measured { ack_us, records_per_second, reads_per_second, written_bytes: written * u64::from(args.record_bytes) })
}

/// A page overwritten and synced.
fn time_syncs(place: &Path, sync_us: &mut Histogram<u64>) -> Result<()> {
    let path = place.join("sync");
    let file = std::fs::File::options().create(true).truncate(true).write(true).open(&path)?;
    file.write_all_at(&[1; 1 << 16], 0)?;
    file.sync_all()?;
    for n in 0..SYNCS {
        file.write_all_at(&[2; 4_096], u64::from(n % 16) * 4_096)?;
        let start_us = monotonic_us();
        file.sync_data()?;
        sync_us.record(monotonic_us() - start_us).expect("histograms that grow take any value");
    }
    Ok(())
}

async fn topic(client: &impl LogPort, spec: TopicSpec) -> Result<TopicInfo> {
    let (name, deadline_ms) = (spec.name.clone(), monotonic_ms() + ACK_MS);
    let created = client.create_topics(vec![spec], deadline_ms).await;
    match client.topics(&[&name], deadline_ms).await {
        Outcome::Done(mut topics) => Ok(topics.remove(0)),
        Outcome::NotDone(reason) | Outcome::Unknown(reason) => bail!("{reason} ({created:?})"),
    }
}

fn record(args: &MeasureArgs) -> Record {
    Record { key: None, value: Some(Bytes::from(vec![7; args.record_bytes as usize])), timestamp_ms: 0 }
}

/// One record to every partition, so that nobody waits for a connection or a file that is new. How many.
async fn touch(args: &MeasureArgs, producer: &mut impl Producer, topic: &TopicInfo) -> Result<u64> {
    let tickets: Vec<_> = (0..topic.partitions).map(|partition| producer.send(topic.tp(partition), record(args), monotonic_ms() + ACK_MS)).collect();
    for ticket in tickets {
        let outcome = ticket.outcome().await;
        let Outcome::Done(_) = outcome else { bail!("the first record of a partition was not acknowledged: {outcome:?}") };
    }
    Ok(u64::from(topic.partitions))
}

/// Every record at its time. The first tenth warms up.
async fn open_loop(args: &MeasureArgs, producer: &mut impl Producer, topic: &TopicInfo) -> Result<Histogram<u64>> {
    let count = args.rate * args.seconds;
    let (acked_in, mut acked) = mpsc::unbounded_channel();
    let start_us = monotonic_us();
    for n in 0..count {
        let due_us = start_us + n * 1_000_000 / args.rate;
        if let Some(early_us) = due_us.checked_sub(monotonic_us()).filter(|early_us| *early_us > 0) {
            sleep(Duration::from_micros(early_us)).await;
        }
        // A timer is late by up to a millisecond or so, which is not the log's; whoever is later than that waits. Taken before the send: whoever is kept
        // from going on behind it may be acknowledged by then.
        let sent_us = monotonic_us();
        let ticket = producer.send(topic.tp((n % u64::from(topic.partitions)) as u32), record(args), monotonic_ms() + ACK_MS);
        let since_us = if sent_us < due_us + TIMER_US { sent_us } else { due_us };
        let acked_in = acked_in.clone();
        runtime::task::spawn(async move {
            let outcome = ticket.outcome().await;
            // Nobody listens after an error.
            let _ = acked_in.send((n, outcome, monotonic_us() - since_us));
        });
    }
    drop(acked_in);
    let mut ack_us = histogram();
    while let Some((n, outcome, us)) = acked.recv().await {
        let Outcome::Done(_) = outcome else { bail!("a record was not acknowledged: {outcome:?}") };
        if n >= count / 10 {
            ack_us.record(us).expect("histograms that grow take any value");
        }
    }
    Ok(ack_us)
}

/// As many as are acknowledged with a bounded number in flight.
async fn closed_loop(args: &MeasureArgs, producer: &mut impl Producer, topic: &TopicInfo) -> Result<(u64, u64)> {
    let mut in_flight: VecDeque<SendTicket> = VecDeque::new();
    let (start_us, mut acked) = (monotonic_us(), 0u64);
    let mut n = 0u32;
    while monotonic_us() < start_us + args.seconds * 1_000_000 || !in_flight.is_empty() {
        let is_time = monotonic_us() < start_us + args.seconds * 1_000_000;
        if is_time && in_flight.len() < IN_FLIGHT_MAX {
            in_flight.push_back(producer.send(topic.tp(n % topic.partitions), record(args), monotonic_ms() + ACK_MS));
            n = n.wrapping_add(1);
            continue;
        }
        let ticket = in_flight.pop_front().expect("something is in flight");
        let outcome = ticket.outcome().await;
        let Outcome::Done(_) = outcome else { bail!("a record was not acknowledged: {outcome:?}") };
        acked += 1;
    }
    Ok((acked * 1_000_000 / (monotonic_us() - start_us), acked))
}

/// Every partition from its start.
async fn read_again(client: &impl LogPort, topic: &TopicInfo, written: u64) -> Result<u64> {
    let from = (0..topic.partitions).map(|partition| (topic.tp(partition), Position::START)).collect();
    let mut reader = client.read(Subscription::Assigned(from), Isolation::ReadUncommitted).await?;
    let (start_us, mut read) = (monotonic_us(), 0);
    let mut until_ms = monotonic_ms() + ACK_MS;
    while read < written {
        match reader.next(until_ms).await {
            ConsumerEvent::Records { batch, .. } => {
                read += batch.records.len() as u64;
                until_ms = monotonic_ms() + ACK_MS;
            }
            ConsumerEvent::Progress { position, tp } if monotonic_ms() >= until_ms => {
                bail!("read {read} of {written} records, and no more come; partition {} at {position:?}", tp.partition)
            }
            ConsumerEvent::Progress { .. } => {}
            other => bail!("reading after {read} of {written} records: {other:?}"),
        }
    }
    Ok(read * 1_000_000 / (monotonic_us() - start_us).max(1))
}
