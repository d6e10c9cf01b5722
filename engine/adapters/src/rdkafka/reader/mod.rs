//! Reading: one pull stream of events. Every partition has a queue of its own in librdkafka, polled only while the application wants its records, so that
//! pausing throws nothing away and stops the fetching by itself. No thread is ours: queues wake a `Notify`.

mod group;
mod held;

use super::config::assert_reading;
use super::errors::reason;
use super::native::{Code, EventKind, Handle, Kind, OFFSET_BEGINNING, Partitions, Queue};
use super::{Kafka, Shared};
use crate::kafka::membership::Membership;
use crate::kafka::reading::{Answer, delivered, edges, in_turn};
use held::{Held, Item};
use log::{ConsumerEvent, GroupProof, Isolation, Outcome, Position, Reader, Reason, Subscription, Tp};
use runtime::time;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

/// A reader. Dropped, it leaves no word: its group puts it out after the session timeout.
pub struct KafkaReader {
    kafka: Kafka,
    /// Unique per client, for the history.
    number: u64,
    isolation: Isolation,
    handle: Arc<Handle>,
    /// Rebalances and errors.
    news: Queue,
    wake: Arc<Notify>,
    held: BTreeMap<Tp, Held>,
    /// Whose turn it was: partitions are served in turn.
    last: Option<Tp>,
    events: VecDeque<ConsumerEvent>,
    /// What was looked up meanwhile.
    answers: mpsc::UnboundedReceiver<Answer>,
    answers_in: mpsc::UnboundedSender<Answer>,
    group: Option<Membership>,
    /// What the group reads.
    topics: Vec<String>,
    /// It was given nothing, and joins again then.
    joins_again_ms: Option<u64>,
    joined_again: bool,
}

/// Longest between two looks at the queues: they count as polls of the application.
const LOOK_MS: u64 = 500;
/// Between two tries of a seek that librdkafka is not ready for.
const SEEK_RETRY_MS: u64 = 3;
/// A partition that cannot be sought so long is assigned anew.
const SEEK_MS_MAX: u64 = 300;
/// Most records of a batch.
const BATCH_RECORDS_MAX: usize = 1_000;

impl Kafka {
    pub(super) fn open_reader(&self, subscription: Subscription, isolation: Isolation) -> Result<KafkaReader, Reason> {
        let shared = &self.shared;
        let group = match &subscription {
            Subscription::Group { group, instance_id, .. } => Some((group.as_str(), instance_id.as_deref())),
            Subscription::Assigned(_) => None,
        };
        let handle = Handle::new(Kind::Consumer, &shared.config.reading(isolation, group)).map_err(Reason::Ended)?;
        assert_reading(&handle, isolation);
        let wake = Arc::new(Notify::new());
        let news = Queue::consumer(&handle, &wake);
        let (answers_in, answers) = mpsc::unbounded_channel();
        let mut reader = KafkaReader {
            kafka: self.clone(),
            number: shared.number(),
            isolation,
            handle,
            news,
            wake,
            held: BTreeMap::new(),
            last: None,
            events: VecDeque::new(),
            answers,
            answers_in,
            group: None,
            topics: Vec::new(),
            joins_again_ms: None,
            joined_again: false,
        };
        match subscription {
            Subscription::Assigned(positions) => {
                for (tp, position) in positions {
                    let held = reader.hold(tp);
                    held.begin_at(position);
                }
                reader.assign_held().map_err(reason)?;
            }
            Subscription::Group { group, topics, instance_id } => {
                reader.handle.subscribe(&topics).map_err(reason)?;
                let observer = reader.shared().observer.clone();
                reader.group = Some(Membership::new(group, instance_id, observer));
                reader.topics = topics;
            }
        }
        Ok(reader)
    }
}

impl KafkaReader {
    fn shared(&self) -> &Shared {
        &self.kafka.shared
    }

    /// Takes a partition: its queue is apart from the others before it is assigned.
    fn hold(&mut self, tp: Tp) -> &mut Held {
        let name = self.shared().topics.name(tp);
        let queue = Queue::partition(&self.handle, &name, tp.partition, &self.wake);
        self.held.entry(tp).or_insert_with(|| Held::new(queue))
    }

    /// Assigns what is held: from its position, or to nowhere and paused before the first seek.
    fn assign_held(&mut self) -> Result<(), Code> {
        let (mut all, mut idle) = (Partitions::new(), Partitions::new());
        for (tp, held) in &mut self.held {
            let name = self.kafka.shared.topics.name(*tp);
            let partition = i32::try_from(tp.partition).expect("partitions are few");
            match held.reassigned() {
                Some(position) => all.add(&name, partition, position.next.0, position.epoch),
                None => {
                    // The start is always there; nothing is fetched from it.
                    all.add(&name, partition, OFFSET_BEGINNING, None);
                    idle.add(&name, partition, OFFSET_BEGINNING, None);
                }
            }
        }
        self.handle.assign(Some(&all))?;
        self.handle.pause(&idle);
        Ok(())
    }

    /// Everything that happened since the last look.
    fn look(&mut self) {
        while let Some(event) = self.news.poll() {
            match event.kind() {
                EventKind::Rebalance => self.rebalance(&event),
                EventKind::Error => self.trouble(&event),
                EventKind::Deliveries | EventKind::Commit | EventKind::Other => {}
            }
        }
        while let Ok(answer) = self.answers.try_recv() {
            answer.tell(self.group.as_mut(), |tp| self.held.get(&tp).is_some_and(Held::is_halted), &mut self.events);
        }
        self.revocation_overdue();
        self.join_again();
        self.seek_what_waits();
    }

    fn trouble(&mut self, event: &super::native::Event) {
        // Connections come and go; only what ends the handle is the application's business.
        if let Some((code, text)) = self.handle.fatal() {
            let _told_once = event.error();
            self.held.clear();
            let why = match reason(code) {
                Reason::Ended(name) => Reason::Ended(format!("{name}: {text}")),
                why => why,
            };
            self.events.push_back(ConsumerEvent::Fatal(why));
        }
    }

    /// Seeks of partitions that librdkafka was not ready for, or was not asked yet.
    fn seek_what_waits(&mut self) {
        let now_ms = time::monotonic_ms();
        let mut list = Partitions::new();
        let mut overdue = false;
        for (tp, held) in &self.held {
            if let Some((to, since_ms)) = held.waiting() {
                overdue |= now_ms > since_ms + SEEK_MS_MAX;
                let name = self.kafka.shared.topics.name(*tp);
                list.add(&name, i32::try_from(tp.partition).expect("partitions are few"), to.next.0, to.epoch);
            }
        }
        let asked = list.elements();
        if asked.is_empty() {
            return;
        }
        if overdue {
            // librdkafka has stopped the partition (its position was outside the log) and takes no seek: everything held is assigned anew, from where it is.
            if self.assign_held().is_ok() {
                self.held.values_mut().for_each(|held| held.seek_done());
            }
            return;
        }
        // The wait is for librdkafka's own thread, not for the network.
        drop(self.handle.seek(&list, 100));
        let mut resumed = Partitions::new();
        for element in list.elements().into_iter().filter(|element| element.error == Code::NONE) {
            let Some(tp) = self.kafka.shared.topics.find(&element.topic, element.partition) else { continue };
            if let Some(held) = self.held.get_mut(&tp) {
                held.seek_done();
                let name = self.kafka.shared.topics.name(tp);
                resumed.add(&name, i32::try_from(tp.partition).expect("partitions are few"), OFFSET_BEGINNING, None);
            }
        }
        self.handle.resume(&resumed);
    }

    /// The next thing of a partition: they are served in turn.
    fn take(&mut self) -> Option<ConsumerEvent> {
        for tp in in_turn(&self.held, self.last) {
            let held = self.held.get_mut(&tp).expect("listed");
            let Some(item) = held.take(BATCH_RECORDS_MAX) else { continue };
            self.last = Some(tp);
            match item {
                Item::Records { batch, restarted } => {
                    self.note_delivered(tp, &batch, restarted);
                    return Some(ConsumerEvent::Records { tp, batch });
                }
                Item::Progress(position) => return Some(ConsumerEvent::Progress { tp, position }),
                Item::Truncated { diverged_at } => return Some(ConsumerEvent::Truncated { tp, diverged_at }),
                Item::OutOfRange { wanted } => self.ask_edges(tp, wanted),
            }
        }
        None
    }

    fn note_delivered(&self, tp: Tp, batch: &log::Batch, restarted: bool) {
        self.shared().observer.observe_with(|| delivered(self.number, self.group.as_ref(), tp, self.isolation, batch, restarted));
    }

    /// Asks for the log's edges, now that the position is outside.
    fn ask_edges(&self, tp: Tp, wanted: Position) {
        let (kafka, answers, wake, isolation) = (self.kafka.clone(), self.answers_in.clone(), self.wake.clone(), self.isolation);
        runtime::task::spawn(async move {
            if let Some(answer) = edges(kafka, tp, wanted, isolation, || answers.is_closed()).await {
                // A reader that is gone asks no more.
                let _ = answers.send(answer);
                wake.notify_one();
            }
        });
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
            let now_ms = time::monotonic_ms();
            if now_ms >= until_ms {
                return ConsumerEvent::Nothing;
            }
            let look_ms = if self.held.values().any(|held| held.waiting().is_some()) { SEEK_RETRY_MS } else { LOOK_MS };
            let wake_ms = until_ms.min(now_ms + look_ms);
            runtime::select! {
                () = self.wake.notified() => {}
                () = time::sleep_until_ms(wake_ms) => {}
            }
        }
    }

    fn pause(&mut self, tp: Tp) {
        if let Some(held) = self.held.get_mut(&tp) {
            held.paused = true;
        }
    }

    fn unpause(&mut self, tp: Tp) {
        if let Some(held) = self.held.get_mut(&tp) {
            held.paused = false;
        }
    }

    fn seek(&mut self, tp: Tp, to: Position) {
        if let Some(held) = self.held.get_mut(&tp) {
            held.seek(to, time::monotonic_ms());
        }
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
