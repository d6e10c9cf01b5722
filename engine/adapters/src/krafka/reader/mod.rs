//! Reading: one pull stream of events. krafka's `poll` is begun by `next`, kept over calls that are given up, and driven by nobody else: an application that
//! stalls is put out of its group.

mod group;
mod held;
mod listener;

use super::connect::{connect, reading};
use super::errors::{passes, reason};
use super::{Kafka, Shared};
use crate::kafka::membership::Membership;
use crate::kafka::patience::{RETRY_MS, persist};
use crate::kafka::reading::{Answer, delivered, edges, in_turn};
use ::krafka::KrafkaError;
use ::krafka::consumer::{Consumer, ConsumerRecord};
use held::{Held, Item, Moved};
use listener::{Listener, News};
use log::{ConsumerEvent, Delivered, ErrorCode, GroupProof, Isolation, Outcome, Position, Reader, Reason, Subscription, Tp};
use runtime::{BoxFuture, time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::mpsc;

/// Longest that opening may take.
const OPEN_MS: u64 = 10_000;
/// Of one `poll`: markers that it passes show in the position afterwards.
const POLL_MS: u64 = 20;
/// Longest between two looks at what is overdue.
const LOOK_MS: u64 = 500;
/// Between two looks for who leads now. A fetch that finds nobody makes krafka wait, but not ask.
const LEADERS_MS: u64 = 1_000;

/// What a poll gives.
type Polled = Result<Vec<ConsumerRecord>, KrafkaError>;

/// A reader. Dropped, it leaves no word: its group puts it out after the session timeout.
pub struct KafkaReader {
    kafka: Kafka,
    /// Unique per client, for the history.
    number: u64,
    isolation: Isolation,
    consumer: Arc<Consumer>,
    /// Begun and not at its end.
    polling: Option<BoxFuture<'static, Polled>>,
    held: BTreeMap<Tp, Held>,
    /// Whose turn it was: partitions are served in turn.
    last: Option<Tp>,
    events: VecDeque<ConsumerEvent>,
    /// Of rebalances, from within `polling`.
    news: mpsc::UnboundedReceiver<News>,
    /// What was looked up meanwhile.
    answers: mpsc::UnboundedReceiver<Answer>,
    answers_in: mpsc::UnboundedSender<Answer>,
    group: Option<Membership>,
    /// krafka waits for it in a revocation.
    done: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Kafka {
    pub(super) async fn open_reader(&self, subscription: Subscription, isolation: Isolation) -> Result<KafkaReader, Reason> {
        let until_ms = time::monotonic_ms() + OPEN_MS;
        persist(until_ms, || self.try_open(&subscription, isolation)).await
    }

    async fn try_open(&self, subscription: &Subscription, isolation: Isolation) -> Result<KafkaReader, Reason> {
        let shared = &self.shared;
        let group = match subscription {
            Subscription::Group { group, instance_id, .. } => Some((group.as_str(), instance_id.as_deref())),
            Subscription::Assigned(_) => None,
        };
        let kafka = connect(&shared.config, shared.config.request_timeout_ms).await.map_err(|error| reason(&error))?;
        let (news_in, news) = mpsc::unbounded_channel();
        let consumer = Arc::<OnceLock<Weak<Consumer>>>::default();
        let listener = Listener { news: news_in, consumer: consumer.clone() };
        let built = reading(&kafka, &shared.config, isolation, group).rebalance_listener(listener).build().await.map_err(|error| reason(&error))?;
        let built = Arc::new(built);
        consumer.set(Arc::downgrade(&built)).expect("set once");
        let (answers_in, answers) = mpsc::unbounded_channel();
        let mut reader = KafkaReader {
            kafka: self.clone(),
            number: shared.number(),
            isolation,
            consumer: built,
            polling: None,
            held: BTreeMap::new(),
            last: None,
            events: VecDeque::new(),
            news,
            answers,
            answers_in,
            group: None,
            done: None,
        };
        reader.begin(subscription).await?;
        Ok(reader)
    }
}

impl KafkaReader {
    async fn begin(&mut self, subscription: &Subscription) -> Result<(), Reason> {
        let topics: BTreeSet<String> = match subscription {
            Subscription::Assigned(positions) => {
                let mut by_topic: BTreeMap<String, Vec<i32>> = BTreeMap::new();
                for (tp, _) in positions {
                    let (topic, partition) = self.shared().named(*tp);
                    by_topic.entry(topic).or_default().push(partition);
                }
                for (topic, partitions) in &by_topic {
                    self.consumer.assign(topic, partitions.clone()).await.map_err(|error| reason(&error))?;
                }
                for (tp, position) in positions {
                    self.held.insert(*tp, Held::new());
                    self.seek_to(*tp, *position);
                }
                by_topic.into_keys().collect()
            }
            Subscription::Group { group, topics, instance_id } => {
                self.group = Some(Membership::new(group.clone(), instance_id.clone(), self.shared().observer.clone()));
                for topic in topics {
                    check_known(&self.consumer, topic).await?;
                }
                self.consumer.subscribe(topics).await.map_err(|error| reason(&error))?;
                topics.iter().cloned().collect()
            }
        };
        runtime::task::spawn(look_for_leaders(Arc::downgrade(&self.consumer), topics));
        Ok(())
    }

    fn shared(&self) -> &Shared {
        &self.kafka.shared
    }

    /// Everything that happened since the last look.
    fn look(&mut self) {
        while let Ok(news) = self.news.try_recv() {
            self.hear(news);
        }
        while let Ok(answer) = self.answers.try_recv() {
            answer.tell(self.group.as_mut(), |tp| self.held.get(&tp).is_some_and(Held::is_halted), &mut self.events);
        }
        self.revocation_overdue();
    }

    /// A poll, from its begin to its end.
    fn poll(&mut self, after_ms: u64) {
        let consumer = self.consumer.clone();
        self.polling = Some(Box::pin(async move {
            if after_ms > 0 {
                time::sleep(Duration::from_millis(after_ms)).await;
            }
            consumer.poll(Duration::from_millis(POLL_MS)).await
        }));
    }

    fn polled(&mut self, polled: Polled) {
        self.polling = None;
        // What krafka said during this poll was said of what it held before its records.
        while let Ok(news) = self.news.try_recv() {
            self.hear(news);
        }
        match polled {
            Ok(records) => self.arrived(records),
            Err(KrafkaError::NoOffset { partitions }) => {
                for (topic, partition) in partitions {
                    if let Some(tp) = self.shared().find(&topic, partition)
                        && let Some(held) = self.held.get(&tp).filter(|held| held.is_live())
                    {
                        self.out_of_range(tp, held.position());
                    }
                }
            }
            Err(error) if passes(&error) => self.poll(RETRY_MS),
            Err(error) => {
                self.held.clear();
                self.events.push_back(ConsumerEvent::Fatal(reason(&error)));
            }
        }
    }

    fn arrived(&mut self, records: Vec<ConsumerRecord>) {
        let mut of: BTreeMap<Tp, Vec<(Delivered, Option<u32>)>> = BTreeMap::new();
        for record in records {
            let Some(tp) = self.shared().find(&record.topic, record.partition) else { continue };
            let ConsumerRecord { offset, timestamp: timestamp_ms, key, value, leader_epoch, .. } = record;
            let epoch = leader_epoch.and_then(|epoch| u32::try_from(epoch).ok());
            of.entry(tp).or_default().push((Delivered { offset, timestamp_ms, key, value }, epoch));
        }
        for (tp, records) in of {
            if let Some(held) = self.held.get_mut(&tp) {
                held.arrive(records);
            }
        }
        self.compare_positions();
    }

    /// What krafka passed without a record, and where it went without a word.
    fn compare_positions(&mut self) {
        let mut moved = Vec::new();
        for (tp, held) in self.held.iter_mut().filter(|(_, held)| held.is_live()) {
            let (topic, partition) = self.kafka.shared.named(*tp);
            if let Some(Some(next)) = at_once(self.consumer.position(&topic, partition)) {
                moved.push((*tp, held.look(next)));
            }
        }
        for (tp, moved) in moved {
            match moved {
                Moved::No => {}
                Moved::OutOfRange { wanted } => self.out_of_range(tp, wanted),
                Moved::Truncated { diverged_at } => {
                    self.halt(tp);
                    self.events.push_back(ConsumerEvent::Truncated { tp, diverged_at });
                }
            }
        }
    }

    fn out_of_range(&mut self, tp: Tp, wanted: Position) {
        self.halt(tp);
        self.ask_edges(tp, wanted);
    }

    fn halt(&mut self, tp: Tp) {
        if let Some(held) = self.held.get_mut(&tp) {
            held.halt();
        }
        self.stop(tp);
    }

    fn stop(&self, tp: Tp) {
        let (topic, partition) = self.shared().named(tp);
        at_once(self.consumer.pause(&topic, &[partition]));
    }

    fn go_on(&self, tp: Tp) {
        let (topic, partition) = self.shared().named(tp);
        at_once(self.consumer.resume(&topic, &[partition]));
    }

    fn seek_to(&mut self, tp: Tp, to: Position) {
        let (topic, partition) = self.shared().named(tp);
        let Some(held) = self.held.get_mut(&tp) else { return };
        held.seek(to);
        let paused = held.paused;
        // An error says that it is not assigned any more: that will be told.
        let _gone = at_once(self.consumer.seek(&topic, partition, to.next.0));
        if paused { self.stop(tp) } else { self.go_on(tp) }
    }

    /// The next thing of a partition: they are served in turn.
    fn take(&mut self) -> Option<ConsumerEvent> {
        for tp in in_turn(&self.held, self.last) {
            let Some(item) = self.held.get_mut(&tp).expect("listed").take() else { continue };
            self.last = Some(tp);
            return Some(match item {
                Item::Records { batch, restarted } => {
                    self.note_delivered(tp, &batch, restarted);
                    ConsumerEvent::Records { tp, batch }
                }
                Item::Progress(position) => ConsumerEvent::Progress { tp, position },
            });
        }
        None
    }

    fn note_delivered(&self, tp: Tp, batch: &log::Batch, restarted: bool) {
        self.shared().observer.observe_with(|| delivered(self.number, self.group.as_ref(), tp, self.isolation, batch, restarted));
    }

    /// Asks for the log's edges, now that the position is outside.
    fn ask_edges(&self, tp: Tp, wanted: Position) {
        let (kafka, answers, isolation) = (self.kafka.clone(), self.answers_in.clone(), self.isolation);
        runtime::task::spawn(async move {
            if let Some(answer) = edges(kafka, tp, wanted, isolation, || answers.is_closed()).await {
                // A reader that is gone asks no more.
                let _ = answers.send(answer);
            }
        });
    }
}

/// A leader of a group that does not know a topic yet assigns nothing of it, and krafka never makes it assign again when it does.
async fn check_known(consumer: &Consumer, topic: &str) -> Result<(), Reason> {
    let known = consumer.fetch_metadata(Some(topic)).await.map_err(|error| reason(&error))?;
    if known.topics.is_empty() { Err(Reason::Answered(ErrorCode::UnknownTopicOrPartition)) } else { Ok(()) }
}

/// krafka's consumer asks who leads when a leader says that it is none, and never when it is silent: its fetches would go to a dead broker until that came
/// back.
async fn look_for_leaders(consumer: Weak<Consumer>, topics: BTreeSet<String>) {
    loop {
        time::sleep(Duration::from_millis(LEADERS_MS)).await;
        for topic in &topics {
            let Some(consumer) = consumer.upgrade() else { return };
            // Not now, then a little later.
            let _in_vain = consumer.fetch_metadata(Some(topic)).await;
        }
    }
}

/// krafka's accessors are futures that never wait; `None` of one that would have to ask a broker.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

impl Reader for KafkaReader {
    async fn next(&mut self, until_ms: u64) -> ConsumerEvent {
        loop {
            self.look();
            if let Some(event) = self.events.pop_front() {
                return self.hand_out(event);
            }
            if let Some(event) = self.take() {
                return event;
            }
            if time::monotonic_ms() >= until_ms {
                return ConsumerEvent::Nothing;
            }
            if self.polling.is_none() {
                self.poll(0);
            }
            let wake_ms = until_ms.min(time::monotonic_ms() + LOOK_MS);
            let polling = self.polling.as_mut().expect("begun");
            runtime::select! {
                Some(news) = self.news.recv() => self.hear(news),
                Some(answer) = self.answers.recv() => drop(self.answers_in.send(answer)),
                polled = polling => self.polled(polled),
                () = time::sleep_until_ms(wake_ms) => {}
            }
        }
    }

    fn pause(&mut self, tp: Tp) {
        if let Some(held) = self.held.get_mut(&tp) {
            held.paused = true;
            self.stop(tp);
        }
    }

    fn unpause(&mut self, tp: Tp) {
        let Some(held) = self.held.get_mut(&tp) else { return };
        held.paused = false;
        if held.is_live() {
            self.go_on(tp);
        }
    }

    fn seek(&mut self, tp: Tp, to: Position) {
        self.seek_to(tp, to);
    }

    fn revoked(&mut self, tps: &[Tp]) {
        self.give_up(tps);
    }

    async fn commit(&mut self, proof: GroupProof<'_>, at: &[(Tp, Position)], deadline_ms: u64) -> Outcome<()> {
        self.commit_positions(proof, at, deadline_ms).await
    }

    async fn leave(self) {
        self.leave_group().await;
    }
}
