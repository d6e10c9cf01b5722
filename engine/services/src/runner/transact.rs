//! The transact loop: one member of the service's group, one [`super::owner::Owner`] for every partition that it holds.
//!
//! The dispatcher alone touches the reader. A partition's next batch goes to its owner when the owner has asked for it, and never to a former owner:
//! every tenure brings its own feed.

use super::ServiceError;
use super::machine::Service;
use super::owner::{Owner, Topics};
use log::history::SharedObserver;
use log::{Batch, ConsumerEvent, Event, Isolation, Lease, LogPort, Outcome, Position, Reader, Subscription, Tp};
use runtime::task::{JoinHandle, Stop, spawn};
use runtime::time::{monotonic_ms, timeout};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use wire::Topic;

/// Settings of a transact loop.
#[derive(Debug, Clone)]
pub struct TransactConfig {
    /// This instance, `account-1`: for the history.
    pub instance: String,
    /// Outputs and position in one transaction; off: sends, then the position.
    pub transactions: bool,
    /// At most 5,000: that long one frozen owner can stop others.
    pub transaction_timeout_ms: u32,
    /// A position without outputs is committed after this long.
    pub idle_commit_ms: u64,
    /// Distance of ticks: machine time runs at most this far past the last one.
    pub tick_ms: u64,
    /// How long each question of a takeover may take before it starts again; reading takes as long as there is log.
    pub takeover_deadline_ms: u64,
    /// How long one publication may take.
    pub publish_deadline_ms: u64,
    /// Pause before a rebuild: longer than a heartbeat.
    pub rebuild_backoff_ms: u64,
    /// Static membership, if wanted.
    pub instance_id: Option<String>,
}

impl Default for TransactConfig {
    fn default() -> Self {
        TransactConfig {
            instance: String::new(),
            transactions: true,
            transaction_timeout_ms: 5_000,
            idle_commit_ms: 1_000,
            tick_ms: 5_000,
            takeover_deadline_ms: 10_000,
            publish_deadline_ms: 10_000,
            rebuild_backoff_ms: 700,
            instance_id: None,
        }
    }
}

/// What every owner of an instance shares.
pub(super) struct Shared<L: LogPort, S: Service> {
    pub log: L,
    pub service: S,
    pub config: TransactConfig,
    pub topics: Topics,
    pub partitions: BTreeMap<Topic, u32>,
    pub observer: SharedObserver,
}

impl<L: LogPort, S: Service> Shared<L, S> {
    pub fn say(&self, why: String) {
        self.observer.observe_with(|| Event::Service { name: self.config.instance.clone(), up: true, why });
    }
}

/// What an owner asks of the dispatcher.
pub(super) enum Ask {
    /// Read this partition from here into this feed.
    Start { tp: Tp, at: Position, feed: mpsc::Sender<Batch> },
    /// The last batch is dealt with.
    More { tp: Tp },
    /// This build cannot go on, whatever is rebuilt.
    End(ServiceError),
    /// Commit outside a transaction.
    Commit { lease: Arc<Lease>, at: Position, deadline_ms: u64, reply: oneshot::Sender<Outcome<()>> },
}

/// The lease of a partition, which the group may renew while its owner goes on (A54, A56).
pub(super) struct Leased {
    pub tp: Tp,
    /// Written by the dispatcher, read by the owner before each commit.
    newest: Mutex<Arc<Lease>>,
}

impl Leased {
    /// What to commit by.
    pub fn now(&self) -> Arc<Lease> {
        self.newest.lock().expect("no panic under the lock").clone()
    }

    fn renew(&self, lease: Lease) {
        *self.newest.lock().expect("no panic under the lock") = Arc::new(lease);
    }
}

struct Held {
    task: JoinHandle<()>,
    lease: Arc<Leased>,
    feed: Option<mpsc::Sender<Batch>>,
}

struct Dispatcher<L: LogPort, S: Service> {
    shared: Arc<Shared<L, S>>,
    reader: L::Reader,
    asks_in: mpsc::Sender<Ask>,
    held: BTreeMap<Tp, Held>,
}

/// Runs one instance until asked to stop. Ends with an error only where a new start from nothing is the right answer.
pub async fn run<L: LogPort, S: Service>(log: L, service: S, config: TransactConfig, observer: SharedObserver, mut stop: Stop) -> Result<(), ServiceError> {
    if config.transaction_timeout_ms > 5_000 {
        return Err(ServiceError::Config(format!(
            "transaction_timeout_ms {}: at most 5000, a frozen owner stops others that long",
            config.transaction_timeout_ms
        )));
    }
    let topics = look_up(&log, &service, &mut stop).await?;
    let Some(topics) = topics else { return Ok(()) };
    let subscription = Subscription::Group {
        group: service.group().to_owned(),
        topics: service.inputs().iter().map(|topic| topic.name().to_owned()).collect(),
        instance_id: config.instance_id.clone(),
    };
    let reader = log.read(subscription, Isolation::ReadCommitted).await.map_err(ServiceError::Log)?;
    let partitions = topics.iter().map(|(topic, info)| (*topic, info.partitions)).collect();
    let shared = Arc::new(Shared { log, service, config, topics, partitions, observer });
    let (asks_in, mut asks) = mpsc::channel(64);
    let mut dispatcher = Dispatcher { shared, reader, asks_in, held: BTreeMap::new() };
    loop {
        runtime::select! {
            () = stop.requested() => break,
            Some(ask) = asks.recv() => dispatcher.answer(ask).await?,
            event = dispatcher.reader.next(monotonic_ms() + 60_000) => dispatcher.hear(event, &mut asks).await?,
        }
    }
    let tps: Vec<Tp> = dispatcher.held.keys().copied().collect();
    let deadline_ms = monotonic_ms() + dispatcher.shared.config.publish_deadline_ms;
    dispatcher.release(&tps, deadline_ms, &mut asks).await;
    dispatcher.reader.leave().await;
    Ok(())
}

async fn look_up<L: LogPort, S: Service>(log: &L, service: &S, stop: &mut Stop) -> Result<Option<Topics>, ServiceError> {
    let topics: Vec<Topic> = service.inputs().into_iter().chain(service.outputs()).collect();
    let names: Vec<&str> = topics.iter().map(|topic| topic.name()).collect();
    loop {
        let found = runtime::select! {
            () = stop.requested() => return Ok(None),
            found = log.topics(&names, monotonic_ms() + 5_000) => found,
        };
        match found {
            Outcome::Done(infos) => return Ok(Some(topics.into_iter().zip(infos).collect())),
            // The operator may still be creating them.
            Outcome::NotDone(_) | Outcome::Unknown(_) => runtime::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

impl<L: LogPort, S: Service> Dispatcher<L, S> {
    async fn hear(&mut self, event: ConsumerEvent, asks: &mut mpsc::Receiver<Ask>) -> Result<(), ServiceError> {
        match event {
            ConsumerEvent::Assigned { leases, from } => {
                runtime::reached!("partitions_assigned");
                for lease in leases {
                    let is_new = from.iter().any(|(tp, _)| *tp == lease.tp);
                    match self.held.get(&lease.tp).filter(|_| !is_new) {
                        Some(held) => held.lease.renew(lease),
                        None => self.own(lease),
                    }
                }
            }
            ConsumerEvent::Revoking { tps, deadline_ms } => {
                self.release(&tps, deadline_ms, asks).await;
                self.reader.revoked(&tps);
            }
            ConsumerEvent::Lost { tps } => {
                runtime::reached!("partitions_lost");
                for tp in tps {
                    if let Some(held) = self.held.remove(&tp) {
                        held.task.abort();
                    }
                }
            }
            ConsumerEvent::Records { tp, batch } => self.feed(tp, batch),
            ConsumerEvent::Progress { .. } | ConsumerEvent::Nothing => {}
            ConsumerEvent::OutOfRange { tp, .. } | ConsumerEvent::Truncated { tp, .. } => return Err(ServiceError::InputGone { tp }),
            ConsumerEvent::Fatal(reason) => return Err(ServiceError::Log(reason)),
        }
        Ok(())
    }

    fn own(&mut self, lease: Lease) {
        let tp = lease.tp;
        let inputs = self.shared.service.inputs();
        let input = inputs.into_iter().find(|topic| self.shared.topics[topic].id == tp.topic).expect("a group gives partitions of its topics only");
        let lease = Arc::new(Leased { tp, newest: Mutex::new(Arc::new(lease)) });
        let owner = Owner { shared: Arc::clone(&self.shared), lease: Arc::clone(&lease), input, asks: self.asks_in.clone() };
        let former = self.held.insert(tp, Held { task: spawn(owner.run()), lease, feed: None });
        assert!(former.is_none(), "a partition is given up before it is given again");
    }

    /// One batch at a time: the partition waits until its owner has asked for more.
    fn feed(&mut self, tp: Tp, batch: Batch) {
        self.reader.pause(tp);
        let Some(feed) = self.held.get(&tp).and_then(|held| held.feed.as_ref()) else { return };
        // A closed feed belongs to a tenure that is being rebuilt: it will ask for another start.
        let _ = feed.try_send(batch);
    }

    async fn answer(&mut self, ask: Ask) -> Result<(), ServiceError> {
        match ask {
            Ask::End(why) => return Err(why),
            Ask::Start { tp, at, feed } => {
                if let Some(held) = self.held.get_mut(&tp) {
                    held.feed = Some(feed);
                    self.reader.seek(tp, at);
                    self.reader.unpause(tp);
                }
            }
            Ask::More { tp } => {
                if self.held.contains_key(&tp) {
                    self.reader.unpause(tp);
                }
            }
            Ask::Commit { lease, at, deadline_ms, reply } => {
                let outcome = self.reader.commit(lease.proof(), &[(lease.tp, at)], deadline_ms).await;
                // An owner that was aborted does not listen any more.
                let _ = reply.send(outcome);
            }
        }
        Ok(())
    }

    /// Ends owners in good order: their feeds close, they finish the batch at hand. Whoever is not done by the deadline is dropped as it stands.
    async fn release(&mut self, tps: &[Tp], deadline_ms: u64, asks: &mut mpsc::Receiver<Ask>) {
        let mut tasks = Vec::new();
        for tp in tps {
            self.reader.pause(*tp);
            let Some(held) = self.held.remove(tp) else { continue };
            // Without a live feed it is still taking over, or rebuilding: it has published nothing that it would have to finish.
            if held.feed.as_ref().is_none_or(mpsc::Sender::is_closed) {
                held.task.abort();
            } else {
                tasks.push(held.task);
            }
        }
        for mut task in tasks {
            loop {
                let left_ms = deadline_ms.saturating_sub(monotonic_ms()).max(1);
                let step = async {
                    runtime::select! {
                        _ended = &mut task => None,
                        ask = asks.recv() => ask,
                    }
                };
                match timeout(Duration::from_millis(left_ms), step).await {
                    Ok(Some(ask)) => {
                        // Whoever has it next finds out by himself.
                        let _that_it_cannot_go_on = self.answer(ask).await;
                    }
                    Ok(None) => break,
                    Err(_) => {
                        runtime::reached!("owner_dropped_at_revocation");
                        task.abort();
                        break;
                    }
                }
            }
        }
    }
}
