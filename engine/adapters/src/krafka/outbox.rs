//! Sends of one producer, and the krafka client that has them: [`Sending`] says what becomes of them when it fails.
//!
//! krafka's `enqueue` may wait (for metadata, under TV1 for the transaction's coordinator), and the port's `send` does not: a task hands records over, in
//! their order, and hears of them.

use super::Shared;
use super::connect::{connect, plain};
use super::errors::{reason, verdict};
use crate::kafka::patience::{RETRY_MS, persist};
use crate::kafka::sending::{Pending, Sending};
use ::krafka::producer::{DeliveryHandle, Producer as Client, RecordMetadata, TransactionState, TransactionalProducer};
use ::krafka::{CloseOptions, KrafkaError};
use log::{Outcome, Producer, Reason, Record, SendTicket, Tp};
use runtime::time;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Longest that the first connection may take.
const CONNECT_MS: u64 = 10_000;

/// Plain, idempotent sends. Dropped, it sends nothing more; what was not decided stays unknown.
pub struct KafkaProducer {
    outbox: Outbox,
}

impl KafkaProducer {
    pub(super) async fn new(shared: Arc<Shared>) -> Result<KafkaProducer, Reason> {
        let until_ms = time::monotonic_ms() + CONNECT_MS;
        let client = persist(until_ms, || begin(&shared)).await?;
        let outbox = Outbox { sending: Sending::new(shared.observer.clone(), false), shared, handing: Arc::default(), transactional: false };
        outbox.serve(Some(Link::Plain(Box::new(client))));
        Ok(KafkaProducer { outbox })
    }
}

impl Producer for KafkaProducer {
    fn send(&mut self, tp: Tp, record: Record, deadline_ms: u64) -> SendTicket {
        self.outbox.send(tp, record, deadline_ms)
    }

    fn resume(&mut self, tp: Tp) {
        self.outbox.sending.resume(tp);
    }
}

/// A plain producer with a new producer id.
async fn begin(shared: &Shared) -> Result<Client, Reason> {
    let begin = async {
        let kafka = connect(&shared.config, shared.config.request_timeout_ms).await?;
        plain(&kafka, &shared.config).build().await
    };
    begin.await.map_err(|error: KrafkaError| reason(&error))
}

/// What records are given to.
enum Link {
    Plain(Box<Client>),
    Transactional(Arc<TransactionalProducer>),
}

impl Link {
    /// An error: it is not queued, and never will be.
    async fn enqueue(&self, record: ::krafka::Record) -> Result<DeliveryHandle, KrafkaError> {
        match self {
            Link::Plain(client) => client.enqueue(record).await,
            Link::Transactional(client) => {
                // Not before there is something in it: an empty one cannot be aborted.
                if client.state() == TransactionState::Ready {
                    client.begin()?;
                }
                client.enqueue(record).await
            }
        }
    }
}

/// A ticket's number with its record.
type Parcel = (u64, Tp, Record);

/// The way to a client's task; when it is dropped the task ends.
#[derive(Clone)]
pub struct Way {
    number: u64,
    parcels: mpsc::UnboundedSender<Parcel>,
}

/// The outbox.
pub struct Outbox {
    shared: Arc<Shared>,
    pub sending: Arc<Sending<Way>>,
    /// Held while a record is handed over: under TV1 the coordinator is told of its partition, and may not be told so after it was told of the end.
    pub handing: Arc<tokio::sync::Mutex<()>>,
    transactional: bool,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.sending.end();
    }
}

impl Outbox {
    /// Of a transactional id's client, which is never replaced.
    pub fn transactional(shared: Arc<Shared>, client: Arc<TransactionalProducer>) -> Outbox {
        let outbox = Outbox { sending: Sending::new(shared.observer.clone(), true), shared, handing: Arc::default(), transactional: true };
        outbox.serve(Some(Link::Transactional(client)));
        outbox
    }

    /// A task for a client; without one it makes one.
    fn serve(&self, link: Option<Link>) {
        let (parcels_in, parcels) = mpsc::unbounded_channel();
        let way = Way { number: self.shared.number(), parcels: parcels_in };
        let wake = Arc::new(Notify::new());
        let mut state = self.sending.lock();
        let number = way.number;
        state.handle = Some(way);
        state.wake = wake.clone();
        drop(state);
        let serving = Serving {
            shared: self.shared.clone(),
            sending: self.sending.clone(),
            handing: self.handing.clone(),
            number,
            wake,
            link: link.map_or_else(OnceLock::new, OnceLock::from),
            delivering: Mutex::default(),
        };
        runtime::task::spawn(serving.run(parcels));
    }

    /// Queues a record.
    pub fn send(&mut self, tp: Tp, record: Record, deadline_ms: u64) -> SendTicket {
        let (pending, ticket) = self.sending.ticket(self.shared.number(), tp, &record, deadline_ms);
        if let Err((pending, why)) = self.enqueue(pending, record) {
            self.sending.refuse(pending, why);
        }
        ticket
    }

    fn enqueue(&self, pending: Pending, record: Record) -> Result<(), (Pending, Reason)> {
        let mut state = self.sending.lock();
        // Under one lock with what follows: a client that is given up in between would hear of nothing more.
        let way = loop {
            match state.handle.clone() {
                Some(way) => break way,
                None if self.transactional => return Err((pending, Reason::Ended("this transactional producer has ended".to_owned()))),
                None => {
                    drop(state);
                    self.serve(None);
                    state = self.sending.lock();
                }
            }
        };
        let tp = pending.tp;
        if state.is_behind(tp) {
            return Err((pending, Reason::Behind));
        }
        if state.bytes_with(&pending) > self.shared.config.buffer_bytes_max {
            return Err((pending, Reason::Full));
        }
        let id = state.next_id();
        state.admit(id, pending);
        // Its task lives as long as it is this handle's.
        let _ = way.parcels.send((id, tp, record));
        Ok(())
    }
}

/// The task of one client.
struct Serving {
    shared: Arc<Shared>,
    sending: Arc<Sending<Way>>,
    handing: Arc<tokio::sync::Mutex<()>>,
    number: u64,
    wake: Arc<Notify>,
    link: OnceLock<Link>,
    /// Records that krafka has, in the order of their partitions: so they are decided.
    delivering: Mutex<BTreeMap<Tp, VecDeque<(u64, DeliveryHandle)>>>,
}

impl Serving {
    async fn run(mut self, parcels: mpsc::UnboundedReceiver<Parcel>) {
        runtime::select! {
            () = self.watch() => {}
            () = self.hand_over(parcels) => {}
        }
        // Dropped, it would go on sending what it has.
        if let Some(Link::Plain(client)) = self.link.take() {
            // A timeout is what it is told to have.
            let _timed_out = client.close_with(CloseOptions::new().timeout(Duration::ZERO)).await;
        }
    }

    async fn hand_over(&self, mut parcels: mpsc::UnboundedReceiver<Parcel>) {
        while let Some((id, tp, record)) = parcels.recv().await {
            let link = self.linked().await;
            let _handing = self.handing.lock().await;
            if !self.sending.lock().leave(id) {
                continue;
            }
            match link.enqueue(self.translated(tp, record)).await {
                Ok(handle) => {
                    self.delivering.lock().expect("no panic under the lock").entry(tp).or_default().push_back((id, handle));
                    self.wake.notify_one();
                }
                Err(error) => self.sending.decide(id, Outcome::NotDone(reason(&error))),
            }
        }
        // Nothing comes any more; what left is still to be heard of.
        std::future::pending().await
    }

    async fn linked(&self) -> &Link {
        loop {
            if let Some(link) = self.link.get() {
                return link;
            }
            match begin(&self.shared).await {
                Ok(client) => drop(self.link.set(Link::Plain(Box::new(client)))),
                // The records that wait have deadlines.
                Err(_) => time::sleep(Duration::from_millis(RETRY_MS)).await,
            }
        }
    }

    fn translated(&self, tp: Tp, record: Record) -> ::krafka::Record {
        let (topic, partition) = self.shared.named(tp);
        let mut translated = ::krafka::Record::new(topic, bytes::Bytes::new()).partition(partition);
        (translated.key, translated.value) = (record.key, record.value);
        translated.timestamp(i64::try_from(record.timestamp_ms).unwrap_or(i64::MAX))
    }

    /// Verdicts and deadlines, until this client is given up.
    async fn watch(&self) {
        loop {
            let due_ms = self.sending.watch(time::monotonic_ms(), None);
            if !self.is_served() {
                return;
            }
            runtime::select! {
                (id, delivered) = self.delivered() => self.sending.decide(id, verdict(&delivered)),
                () = self.wake.notified() => {}
                () = time::sleep_until_ms(due_ms.unwrap_or(u64::MAX)), if due_ms.is_some() => {}
            }
        }
    }

    fn is_served(&self) -> bool {
        self.sending.lock().handle.as_ref().is_some_and(|way| way.number == self.number)
    }

    /// The next that is decided.
    async fn delivered(&self) -> (u64, Result<RecordMetadata, KrafkaError>) {
        poll_fn(|context| {
            let mut delivering = self.delivering.lock().expect("no panic under the lock");
            for lane in delivering.values_mut() {
                let Some((id, handle)) = lane.front_mut() else { continue };
                if let Poll::Ready(delivered) = Pin::new(handle).poll(context) {
                    let id = *id;
                    lane.pop_front();
                    return Poll::Ready((id, delivered));
                }
            }
            Poll::Pending
        })
        .await
    }
}
