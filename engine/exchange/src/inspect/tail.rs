//! `exchange tail TOPIC`: the newest records, and those that come.

use super::{ASK_MS, Asker, LogAt, named, record, tps_of};
use crate::composition::visitor;
use crate::terminal::say;
use crate::usage::usage;
use anyhow::{Result, anyhow, bail};
use broker::protocol::{OffsetSpec, Tp};
use clap::Args;
use log::{ConsumerEvent, Isolation, LogPort, Next, Position, Reader, Subscription};
use runtime::time::monotonic_ms;
use std::collections::BTreeMap;

/// Settings of `exchange tail`.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// Which topic; `exchange topics` lists them.
    topic: String,
    /// One partition only.
    #[arg(long)]
    partition: Option<u32>,
    /// So many offsets before the end of each partition.
    #[arg(long, default_value_t = 10, conflicts_with = "from")]
    last: u32,
    /// From this offset on.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    from: Option<i64>,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// Show records of open and aborted transactions as well.
    #[arg(long)]
    uncommitted: bool,
    /// The log.
    #[command(flatten)]
    at: LogAt,
}

/// Prints a line for each record.
pub async fn run(args: TailArgs) -> Result<()> {
    let asker = Asker::new(&args.at);
    let topics = asker.topics().await?;
    let topic = named(&topics, &args.topic).map_err(usage)?;
    let mut tps = tps_of(topic);
    if let Some(partition) = args.partition {
        tps.retain(|tp| tp.partition == partition);
        if tps.is_empty() {
            return Err(usage(anyhow!("--partition {partition}: {} has partitions 0 to {}", topic.name, topic.partitions.len() - 1)));
        }
    }
    let isolation = if args.uncommitted { Isolation::ReadUncommitted } else { Isolation::ReadCommitted };
    let first = asker.offsets(&tps, isolation, OffsetSpec::Earliest).await?;
    let ends = asker.offsets(&tps, isolation, OffsetSpec::Latest).await?;
    let known = |offsets: &BTreeMap<Tp, Option<i64>>, tp: &Tp| offsets.get(tp).copied().flatten().unwrap_or(0);
    let start = |tp: &Tp| args.from.unwrap_or(known(&ends, tp) - i64::from(args.last)).max(known(&first, tp)).min(known(&ends, tp));
    let from: Vec<(Tp, Position)> = tps.iter().map(|tp| (*tp, Position { next: Next(start(tp)), epoch: None })).collect();
    let mut left: BTreeMap<Tp, i64> = from.iter().map(|(tp, at)| (*tp, at.next.0)).filter(|(tp, at)| *at < known(&ends, tp)).collect();
    let mut reader = visitor(&args.at.log).read(Subscription::Assigned(from), isolation).await?;
    while args.follow || !left.is_empty() {
        let (tp, next) = match reader.next(monotonic_ms() + ASK_MS).await {
            ConsumerEvent::Records { tp, batch } => {
                for found in batch.records.iter().filter(|found| args.follow || found.offset < known(&ends, &tp)) {
                    let text = record::text(found.key.as_deref(), found.value.as_deref());
                    say!("{}-{}@{}  {} ms  {text}", topic.name, tp.partition, found.offset, found.timestamp_ms)?;
                }
                (tp, batch.position.next.0)
            }
            ConsumerEvent::Progress { tp, position } => (tp, position.next.0),
            ConsumerEvent::Nothing if args.follow => continue,
            other => bail!("reading {}: {other:?}", topic.name),
        };
        if next >= known(&ends, &tp) {
            left.remove(&tp);
        }
    }
    Ok(())
}
