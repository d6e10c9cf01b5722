//! The project loop: rows and position in one transaction of a store. The group only spreads partitions; where to go on stands in the store.

use super::drop_rule::Verdict;
use super::tenure::SequenceGap;
use super::{ServiceError, frame_of};
use crate::ports::store::{InputPartition, Row, Store, StoreVerdict, StoredPosition};
use log::history::{Phase, SharedObserver};
use log::{Batch, ConsumerEvent, Event, Isolation, LogPort, Next, Outcome, Position, Reader, Subscription, TopicInfo, Tp};
use runtime::task::Stop;
use runtime::time::{monotonic_ms, sleep};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::{Body, Topic};

/// A projection: which rows a record stands for.
pub trait Projection: Send + Sync + 'static {
    /// Its name: `data_recorder`.
    fn name(&self) -> &'static str;
    /// Its consumer group.
    fn group(&self) -> &'static str;
    /// Input topics.
    fn inputs(&self) -> Vec<Topic>;
    /// The rows of one record, always the same.
    fn rows(&self, body: &Body) -> Vec<Row>;
}

struct Held {
    input: InputPartition,
    at: StoredPosition,
}

struct Projector<L: LogPort, P, S> {
    log: L,
    projection: P,
    store: Arc<S>,
    topics: BTreeMap<Topic, TopicInfo>,
    reader: L::Reader,
    held: BTreeMap<Tp, Held>,
    observer: SharedObserver,
}

/// Settings of a project loop.
#[derive(Debug, Clone, Default)]
pub struct ProjectConfig {
    /// Static membership, if wanted: the next life of the instance need not wait for the session of this one.
    pub instance_id: Option<String>,
}

/// Runs one instance until asked to stop.
pub async fn run<L: LogPort, P: Projection, S: Store>(
    log: L,
    projection: P,
    config: ProjectConfig,
    store: Arc<S>,
    observer: SharedObserver,
    mut stop: Stop,
) -> Result<(), ServiceError> {
    let inputs = projection.inputs();
    let names: Vec<&str> = inputs.iter().map(|topic| topic.name()).collect();
    let infos = loop {
        if stop.is_requested() {
            return Ok(());
        }
        match log.topics(&names, monotonic_ms() + 5_000).await {
            Outcome::Done(infos) => break infos,
            Outcome::NotDone(_) | Outcome::Unknown(_) => sleep(Duration::from_millis(200)).await,
        }
    };
    let topics = names.iter().map(|name| (*name).to_owned()).collect();
    let subscription = Subscription::Group { group: projection.group().to_owned(), topics, instance_id: config.instance_id };
    let reader = log.read(subscription, Isolation::ReadCommitted).await.map_err(ServiceError::Log)?;
    let topics = inputs.into_iter().zip(infos).collect();
    let mut projector = Projector::<L, P, S> { log, projection, store, topics, reader, held: BTreeMap::new(), observer };
    loop {
        let event = runtime::select! {
            () = stop.requested() => break,
            event = projector.reader.next(monotonic_ms() + 60_000) => event,
        };
        projector.hear(event).await?;
    }
    projector.reader.leave().await;
    Ok(())
}

impl<L: LogPort, P: Projection, S: Store> Projector<L, P, S> {
    async fn hear(&mut self, event: ConsumerEvent) -> Result<(), ServiceError> {
        match event {
            ConsumerEvent::Assigned { leases, .. } => {
                for lease in leases {
                    self.go_on(lease.tp).await;
                }
            }
            ConsumerEvent::Revoking { tps, .. } => {
                for tp in &tps {
                    self.held.remove(tp);
                }
                self.reader.revoked(&tps);
            }
            ConsumerEvent::Lost { tps } => {
                for tp in &tps {
                    self.held.remove(tp);
                }
            }
            ConsumerEvent::Records { tp, batch } => self.batch(tp, &batch).await?,
            ConsumerEvent::Progress { .. } | ConsumerEvent::Nothing => {}
            ConsumerEvent::OutOfRange { tp, .. } | ConsumerEvent::Truncated { tp, .. } => return Err(ServiceError::InputGone { tp }),
            ConsumerEvent::Fatal(reason) => return Err(ServiceError::Log(reason)),
        }
        Ok(())
    }

    /// Goes on where the store says; asks until it answers.
    async fn go_on(&mut self, tp: Tp) {
        let topic = self.topics.iter().find(|(_, info)| info.id == tp.topic).map(|(topic, _)| *topic).expect("a group gives partitions of its topics only");
        let input = InputPartition { topic, partition: tp.partition };
        let at = loop {
            match self.store.position(input).await {
                Ok(at) => break at.unwrap_or_default(),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        };
        self.reader.seek(tp, Position { next: Next(at.next), epoch: None });
        self.reader.unpause(tp);
        self.held.insert(tp, Held { input, at });
    }

    async fn batch(&mut self, tp: Tp, batch: &Batch) -> Result<(), ServiceError> {
        let Some(held) = self.held.get(&tp) else { return Ok(()) };
        let mut new = StoredPosition { next: batch.position.next.0, seen: held.at.seen.clone() };
        let rows = project(&self.projection, batch, &mut new)?;
        let (input, expected) = (held.input, held.at.next);
        // The store has a disk of its own: what it keeps must not be gone from the log after a power loss.
        self.log.settled().await.map_err(ServiceError::Log)?;
        let verdict = self.store.commit(input, expected, &rows, &new).await;
        self.note(tp, &new, rows.len(), &verdict);
        match verdict {
            StoreVerdict::Committed => {
                if let Some(held) = self.held.get_mut(&tp) {
                    held.at = new;
                }
            }
            StoreVerdict::Moved => {
                runtime::reached!("store_position_moved");
                self.go_on(tp).await;
            }
            // Resolve by reading: the store says whether it happened.
            StoreVerdict::Unknown(_) | StoreVerdict::NotDone(_) => {
                runtime::reached!("store_commit_in_doubt");
                sleep(Duration::from_millis(100)).await;
                self.go_on(tp).await;
            }
        }
        Ok(())
    }

    fn note(&self, tp: Tp, new: &StoredPosition, rows: usize, verdict: &StoreVerdict) {
        if self.observer.is_on() {
            let phase = match verdict {
                StoreVerdict::Committed => Phase::Ok,
                StoreVerdict::Moved | StoreVerdict::NotDone(_) => Phase::Fail,
                StoreVerdict::Unknown(_) => Phase::Unknown,
            };
            self.observer.observe(Event::StoreCommitted { store: self.projection.name().to_owned(), tp, next: new.next, rows: rows as u64, phase });
        }
    }
}

/// The rows of a batch, after the drop rule.
fn project<P: Projection>(projection: &P, batch: &Batch, new: &mut StoredPosition) -> Result<Vec<Row>, ServiceError> {
    let mut rows = Vec::new();
    for record in &batch.records {
        let Some((stamp, body)) = frame_of(record)? else {
            runtime::reached!("unreadable_record_skipped");
            continue;
        };
        match new.seen.judge(&stamp) {
            Verdict::Pass => rows.extend(projection.rows(&body)),
            Verdict::Drop => {}
            Verdict::Gap { expected } => {
                return Err(SequenceGap { offset: record.offset, source_name: stamp.source, sequence: stamp.sequence, expected }.into());
            }
        }
    }
    Ok(rows)
}
