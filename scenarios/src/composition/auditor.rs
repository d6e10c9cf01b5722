//! The auditor: a node that reads every topic from the log start after the faults are healed, and says when everything is settled.

use super::nodes::Exchange;
use crate::evidence::Place;
use crate::ledger::Ledger;
use crate::sieve::{Fate, Sieve};
use crate::store::DiskStore;
use log::{Anchor, ConsumerEvent, Delivered, Isolation, LogPort, Next, Position, Reader, Reason, Subscription, TopicInfo, Tp};
use runtime::time::{monotonic_ms, sleep};
use services::account::AccountService;
use services::matching_engine::MatchingService;
use services::ports::store::{InputPartition, Row, Store};
use services::runner::Service;
use services::wallet::WalletService;
use sim::NodeCtx;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use wire::{Body, SymbolSpec, Topic};

/// What the auditor and the run tell each other.
#[derive(Default)]
pub struct Audit {
    /// Everything read so far, in order.
    pub logs: BTreeMap<Place, Vec<Delivered>>,
    /// What is open at the last look, in domain words; `None`: not looked yet.
    pub open: Option<Vec<String>>,
    /// What lags at the last look.
    pub lagging: Vec<String>,
    /// The rows that the recorder's disk held at the end.
    pub rows: Option<Vec<Row>>,
    /// Ids of the topics.
    pub topics: BTreeMap<Topic, TopicInfo>,
    /// Every record up to the end was read.
    pub is_complete: bool,
    /// Set by the run: read to the end and stop.
    pub finish: bool,
    over: bool,
    store: Option<DiskStore>,
}

/// Shared between nodes of one run.
#[derive(Clone, Default)]
pub struct SharedAudit(Arc<Mutex<Audit>>);

impl SharedAudit {
    /// Looks at it, or changes it.
    pub fn lock(&self) -> MutexGuard<'_, Audit> {
        self.0.lock().expect("no code panics while it holds the audit")
    }

    /// The recorder has opened its store.
    pub fn store_opened(&self, store: DiskStore) {
        self.lock().store = Some(store);
    }

    /// Is the recorder to show its rows only?
    pub fn is_over(&self) -> bool {
        self.lock().over
    }

    /// From here on it is.
    pub fn set_over(&self) {
        self.lock().over = true;
    }

    /// What the recorder's disk holds.
    pub fn set_rows(&self, rows: Vec<Row>) {
        self.lock().rows = Some(rows);
    }
}

/// The accounts of each journal partition, as its readers see them.
type Ledgers = BTreeMap<u32, (Sieve, Ledger)>;

/// Distance of two looks.
const LOOK_MS: u64 = 500;

/// Groups that read a topic.
fn groups_of(topic: Topic) -> Vec<&'static str> {
    let matching = MatchingService::naive(1, 1);
    let readers = [(AccountService.group(), AccountService.inputs()), (matching.group(), matching.inputs()), (WalletService.group(), WalletService.inputs())];
    readers.into_iter().filter(|(_, inputs)| inputs.contains(&topic)).map(|(group, _)| group).collect()
}

/// The auditor's node.
pub async fn run(exchange: Exchange, ctx: NodeCtx, specs: Vec<SymbolSpec>, audit: SharedAudit) {
    loop {
        let log = exchange.native(&ctx);
        audit.lock().logs.clear();
        match watch(&log, &specs, &audit).await {
            Ok(()) => return,
            // The log may be electing still.
            Err(_) => sleep(Duration::from_millis(LOOK_MS)).await,
        }
    }
}

/// Reads on, looks, until the run has said that it is over and everything was read.
async fn watch<L: LogPort>(log: &L, specs: &[SymbolSpec], audit: &SharedAudit) -> Result<(), Reason> {
    let topics = look_up(log).await?;
    audit.lock().topics = topics.clone();
    let places: BTreeMap<Tp, Place> =
        topics.iter().flat_map(|(topic, info)| (0..info.partitions).map(move |partition| (info.tp(partition), (*topic, partition)))).collect();
    let start = places.keys().map(|tp| (*tp, Position::START)).collect();
    let mut reader = log.read(Subscription::Assigned(start), Isolation::ReadCommitted).await?;
    let mut at: BTreeMap<Tp, Next> = places.keys().map(|tp| (*tp, Next(0))).collect();
    let mut ledgers: Ledgers = BTreeMap::new();
    loop {
        let until_ms = monotonic_ms() + LOOK_MS;
        while monotonic_ms() < until_ms {
            match reader.next(until_ms).await {
                ConsumerEvent::Records { tp, batch } => {
                    at.insert(tp, batch.position.next);
                    take(specs, audit, &mut ledgers, places[&tp], batch.records);
                }
                ConsumerEvent::Progress { tp, position } => {
                    at.insert(tp, position.next);
                }
                ConsumerEvent::Nothing => {}
                ConsumerEvent::Fatal(reason) => return Err(reason),
                other => return Err(Reason::Ended(format!("{other:?}"))),
            }
        }
        let finish = audit.lock().finish;
        let lagging = lagging(log, &topics, &at, audit, finish).await?;
        let open = ledgers.values().flat_map(|(_, ledger)| ledger.orders.values()).filter(|held| !held.is_closed());
        let open: Vec<String> = open.map(|held| format!("order {} of account {} is open", held.order.order_id.0, held.account.0)).collect();
        let mut state = audit.lock();
        if finish && lagging.is_empty() {
            state.is_complete = true;
            return Ok(());
        }
        state.open = Some(open);
        state.lagging = lagging;
    }
}

fn take(specs: &[SymbolSpec], audit: &SharedAudit, ledgers: &mut Ledgers, place: Place, records: Vec<Delivered>) {
    if place.0 == Topic::AccountEvents {
        let (sieve, ledger) = ledgers.entry(place.1).or_insert_with(|| (Sieve::default(), Ledger::new(specs)));
        for record in &records {
            let decoded = wire::frame::decode(record.value.as_deref().unwrap_or_default());
            if let Ok((stamp, Body::AccountEvent(event))) = decoded
                && sieve.judge(&stamp) == Fate::Counts
            {
                // The invariants judge; this only wants to know what is open.
                let _ = ledger.apply(&event);
            }
        }
    }
    audit.lock().logs.entry(place).or_default().extend(records);
}

async fn look_up<L: LogPort>(log: &L) -> Result<BTreeMap<Topic, TopicInfo>, Reason> {
    let infos = log.topics(&Topic::ALL.map(Topic::name), monotonic_ms() + 5_000).await.done()?;
    Ok(Topic::ALL.into_iter().zip(infos).collect())
}

/// What is behind: this reader; and, until the end, the groups and the recorder.
async fn lagging<L: LogPort>(
    log: &L,
    topics: &BTreeMap<Topic, TopicInfo>,
    at: &BTreeMap<Tp, Next>,
    audit: &SharedAudit,
    finish: bool,
) -> Result<Vec<String>, Reason> {
    let mut behind = Vec::new();
    for (topic, info) in topics {
        for partition in 0..info.partitions {
            let tp = info.tp(partition);
            let end = position(log, tp, Anchor::End(Isolation::ReadCommitted)).await?;
            let uncommitted = position(log, tp, Anchor::End(Isolation::ReadUncommitted)).await?;
            let name = format!("{}-{partition}", topic.name());
            if end < uncommitted {
                behind.push(format!("{name}: the last stable offset is {}, the end {}", end.0, uncommitted.0));
            }
            if at[&tp] < end {
                behind.push(format!("{name}: the auditor is at {}, the end is {}", at[&tp].0, end.0));
            }
            if finish {
                continue;
            }
            // Seed 147, scenario `steady_flow`, with small segments:
            // 1. a transaction's last record fills a segment, and its marker begins the next one;
            // 2. a fetch gives what one segment has: the reader acts on the record and commits the position behind it;
            // 3. the next fetch gives the marker alone: the reader moves on, and has nothing to commit it with.
            // So a group has all when it has committed behind the last record that there is, as any consumer of Kafka.
            let seen = audit.lock().logs.get(&(*topic, partition)).and_then(|log| log.last()).map_or(0, |last| last.offset + 1);
            let end = if at[&tp] < end { end } else { Next(seen) };
            for group in groups_of(*topic) {
                let committed = position(log, tp, Anchor::Committed(group.to_owned())).await?;
                if committed < end {
                    behind.push(format!("{name}: group {group} has committed {}, the end is {}", committed.0, end.0));
                }
            }
            if matches!(topic, Topic::TradeExecuted | Topic::OrderEvents) {
                let next = recorded(audit, *topic, partition).await;
                if next < end.0 {
                    behind.push(format!("{name}: the recorder is at {next}, the end is {}", end.0));
                }
            }
        }
    }
    Ok(behind)
}

async fn recorded(audit: &SharedAudit, topic: Topic, partition: u32) -> i64 {
    let store = audit.lock().store.clone();
    match store {
        Some(store) => store.position(InputPartition { topic, partition }).await.ok().flatten().map_or(0, |position| position.next),
        None => 0,
    }
}

async fn position<L: LogPort>(log: &L, tp: Tp, anchor: Anchor) -> Result<Next, Reason> {
    let position = log.offset_at(tp, anchor, monotonic_ms() + 5_000).await.done()?;
    Ok(position.map_or(Next(0), |position| position.next))
}
