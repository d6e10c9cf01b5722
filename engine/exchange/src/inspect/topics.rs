//! `exchange topics`: every partition with its leader and its offsets.

use super::{Asker, LogAt, shown, tps_of};
use crate::terminal::say;
use anyhow::Result;
use broker::protocol::OffsetSpec;
use log::Isolation;

/// Prints a line for each partition.
pub async fn run(at: &LogAt) -> Result<()> {
    let asker = Asker::new(at);
    let topics = asker.topics().await?;
    say!("{:<24} {:>4} {:>9} {:>6} {:>6} {:>10} {:>10} {:>10}", "topic", "id", "partition", "leader", "epoch", "first", "stable", "end")?;
    for topic in topics {
        let tps = tps_of(&topic);
        let first = asker.offsets(&tps, Isolation::ReadUncommitted, OffsetSpec::Earliest).await?;
        let stable = asker.offsets(&tps, Isolation::ReadCommitted, OffsetSpec::Latest).await?;
        let end = asker.offsets(&tps, Isolation::ReadUncommitted, OffsetSpec::Latest).await?;
        for (partition, tp) in topic.partitions.iter().zip(&tps) {
            let leader = partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
            let offsets = [&first, &stable, &end].map(|offsets| shown(offsets.get(tp).copied().flatten()));
            let [first, stable, end] = offsets;
            say!(
                "{:<24} {:>4} {:>9} {leader:>6} {:>6} {first:>10} {stable:>10} {end:>10}",
                topic.name,
                topic.id.0,
                partition.partition,
                partition.leader_epoch
            )?;
        }
    }
    Ok(())
}
