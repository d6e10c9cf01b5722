//! Looking inside the log: of a running exchange over TCP (`topics`, `groups`, `tail`), of one that does not run in its directory (`dump`).

pub mod dump;
pub mod groups;
mod record;
pub mod tail;
pub mod topics;

use crate::composition::visitor;
use anyhow::{Context, Result, bail};
use broker::protocol::{OffsetSpec, Request, Response, TopicMetadata, Tp};
use clap::Args;
use log::link::{Link, LinkConfig};
use log::{Anchor, ConsumerEvent, Delivered, Isolation, LogPort, Next, Position, Reader, Subscription};
use runtime::time::monotonic_ms;
use std::collections::BTreeMap;

/// How long one question may take.
const ASK_MS: u64 = 10_000;

/// Where the log is.
#[derive(Debug, Clone, Args)]
pub struct LogAt {
    /// Where the log listens.
    #[arg(long, env = "EXCHANGE_LOG_LISTEN", default_value = "127.0.0.1:9092", value_parser = crate::usage::address)]
    pub log: String,
}

/// One connection for questions that change nothing.
struct Asker {
    address: String,
    link: Link,
}

impl Asker {
    fn new(at: &LogAt) -> Asker {
        let config = LinkConfig { connect_timeout_ms: 1_000, request_timeout_ms: 3_000, backoff_ms_min: 50, backoff_ms_max: 500 };
        Asker { address: at.log.clone(), link: Link::open(at.log.clone(), config) }
    }

    async fn ask(&self, request: Request) -> Result<Response> {
        match self.link.call(&request, 0).await {
            Ok(Response::Error(code)) => bail!("log {}: it answers {code:?}", self.address),
            Ok(response) => Ok(response),
            Err(_) => bail!("log {}: no answer. Is the exchange running, and is this its --log-listen?", self.address),
        }
    }

    /// Every topic, by name.
    async fn topics(&self) -> Result<Vec<TopicMetadata>> {
        match self.ask(Request::Metadata { topics: None }).await? {
            Response::Metadata { mut topics, .. } => {
                topics.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(topics)
            }
            _ => bail!("log {}: it does not answer what was asked; is it of another version?", self.address),
        }
    }

    /// An offset of each partition; `None` where the log does not tell.
    async fn offsets(&self, tps: &[Tp], isolation: Isolation, spec: OffsetSpec) -> Result<BTreeMap<Tp, Option<i64>>> {
        let partitions = tps.iter().map(|tp| (*tp, spec, None)).collect();
        match self.ask(Request::ListOffsets { isolation, partitions }).await? {
            Response::ListOffsets { partitions } => Ok(partitions.into_iter().map(|(tp, found)| (tp, found.ok().map(|(offset, _)| offset))).collect()),
            _ => bail!("log {}: it does not answer what was asked; is it of another version?", self.address),
        }
    }
}

fn tps_of(topic: &TopicMetadata) -> Vec<Tp> {
    topic.partitions.iter().map(|partition| Tp { topic: topic.id, partition: partition.partition }).collect()
}

/// An offset, or a dash.
fn shown(offset: Option<i64>) -> String {
    offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string())
}

/// Gives every committed record of a partition from its start to its present end.
async fn read_through(address: &str, tp: Tp, mut each: impl FnMut(&Delivered)) -> Result<()> {
    let log = visitor(address);
    let end = log.offset_at(tp, Anchor::End(Isolation::ReadCommitted), monotonic_ms() + ASK_MS).await.done().context("looking for its end")?;
    let end = end.map_or(Next(0), |end| end.next);
    let mut at = Next(0);
    let mut reader = log.read(Subscription::Assigned(vec![(tp, Position::START)]), Isolation::ReadCommitted).await?;
    while at < end {
        match reader.next(monotonic_ms() + ASK_MS).await {
            ConsumerEvent::Records { batch, .. } => {
                batch.records.iter().for_each(&mut each);
                at = batch.position.next;
            }
            ConsumerEvent::Progress { position, .. } => at = position.next,
            other => bail!("reading at {}: {other:?}", at.0),
        }
    }
    Ok(())
}

/// A topic of that name.
fn named<'t>(topics: &'t [TopicMetadata], name: &str) -> Result<&'t TopicMetadata> {
    topics.iter().find(|topic| topic.name == name).with_context(|| {
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        format!("there is no topic {name:?}; there are: {}", names.join(", "))
    })
}
