//! What the bodies have in common: topics, records, an application that does what the port asks of it.

use super::asked::{Request, Response, leader_of};
use super::{Bench, Client};
use ::log::{
    Anchor, ConsumerEvent, Delivered, Isolation, Lease, LogPort, Next, Outcome, Position, Producer, Reader, Record, StartPoint, Subscription, TopicInfo,
    TopicSpec, Tp, TxEnd,
};
use bytes::Bytes;
use runtime::time;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Long enough for anything that should happen, on a machine that does other things: a ceiling and no measure.
pub const PATIENCE_MS: u64 = 180_000;

/// Of the commit that a member makes of what is asked back: below what its group gives it ([`super::Bench::client`]).
const LAST_COMMIT_MS: u64 = 20_000;

/// A deadline.
pub fn soon(ms: u64) -> u64 {
    time::monotonic_ms() + ms
}

/// A record.
pub fn record(value: impl Into<String>) -> Record {
    Record { key: None, value: Some(Bytes::from(value.into())), timestamp_ms: time::now_ms() }
}

/// A value as text.
pub fn text(record: &Delivered) -> String {
    String::from_utf8(record.value.as_ref().expect("no tombstone").to_vec()).expect("text")
}

/// A new topic.
pub async fn topic<B: Bench>(bench: &B, log: &B::Log, partitions: u32) -> TopicInfo {
    let name = bench.fresh("topic");
    let (replication, min_isr) = bench.replication();
    let spec = TopicSpec { name: name.clone(), partitions, replication, min_isr, compacted: false };
    assert_eq!(log.create_topics(vec![spec], soon(PATIENCE_MS)).await, Outcome::Done(()));
    for broker in 1..=bench.brokers() {
        known_to(bench, broker, &name, partitions).await;
    }
    found(log, &name).await
}

/// Brokers hear of a topic one after the other, and on a busy machine seconds apart. A group whose first member divides it by what the last of them says
/// divides nothing, and librdkafka does not divide anew until its members change.
async fn known_to<B: Bench>(bench: &B, broker: u32, name: &str, partitions: u32) {
    let by_ms = soon(PATIENCE_MS);
    loop {
        let request = Request::Metadata { topics: Some(vec![name.to_owned()]) };
        if let Some(Response::Metadata { mut topics, .. }) = bench.ask(broker, request).await
            && let Some(topic) = topics.pop()
            && (0..partitions).all(|partition| leader_of(&topic, partition).is_some())
        {
            return;
        }
        assert!(time::monotonic_ms() < by_ms, "broker {broker} hears of {name}");
        time::sleep(Duration::from_millis(20)).await;
    }
}

/// A topic that is there.
pub async fn found<L: LogPort>(log: &L, name: &str) -> TopicInfo {
    match log.topics(&[name], soon(PATIENCE_MS)).await {
        Outcome::Done(topics) => topics[0].clone(),
        other => panic!("{name}: {other:?}"),
    }
}

/// An ordinary client and a new topic.
pub async fn began<B: Bench>(bench: &B, partitions: u32) -> (B::Log, TopicInfo) {
    let log = bench.client(Client::default());
    let topic = topic(bench, &log, partitions).await;
    (log, topic)
}

/// Sends these to one partition, one after the other; every one must be acknowledged.
pub async fn send_all<L: LogPort>(log: &L, tp: Tp, values: impl IntoIterator<Item = String>) {
    let mut producer = log.producer().await.expect("a producer");
    let tickets: Vec<_> = values.into_iter().map(|value| producer.send(tp, record(value), soon(PATIENCE_MS))).collect();
    for ticket in tickets {
        let outcome = ticket.outcome().await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
}

/// The end of a partition.
pub async fn end<L: LogPort>(log: &L, tp: Tp, isolation: Isolation) -> Next {
    match log.offset_at(tp, Anchor::End(isolation), soon(PATIENCE_MS)).await {
        Outcome::Done(Some(position)) => position.next,
        other => panic!("{other:?}"),
    }
}

/// What a group has committed.
pub async fn committed<L: LogPort>(log: &L, tp: Tp, group: &str) -> Option<Next> {
    match log.offset_at(tp, Anchor::Committed(group.to_owned()), soon(PATIENCE_MS)).await {
        Outcome::Done(position) => position.map(|position| position.next),
        other => panic!("{other:?}"),
    }
}

/// Everything of a partition, up to its end.
pub async fn read_all<L: LogPort>(log: &L, tp: Tp, isolation: Isolation) -> Vec<Delivered> {
    let end = end(log, tp, isolation).await;
    let mut reader = log.read(Subscription::Assigned(vec![(tp, Position::START)]), isolation).await.expect("a reader");
    let mut all: Vec<Delivered> = Vec::new();
    let mut at = Next(0);
    let until_ms = soon(PATIENCE_MS);
    while at < end {
        match reader.next(until_ms).await {
            ConsumerEvent::Records { batch, .. } => {
                assert!(batch.records.windows(2).all(|pair| pair[0].offset < pair[1].offset), "offsets rise");
                assert!(all.last().is_none_or(|last| last.offset < batch.records[0].offset), "offsets rise from batch to batch");
                at = batch.position.next;
                all.extend(batch.records);
            }
            ConsumerEvent::Progress { position, .. } => at = position.next,
            other => panic!("reading {tp:?} at {at:?} of {end:?}: {other:?}"),
        }
    }
    all
}

/// What was committed, once every transaction that was ended is visible: an end is durable before it is visible. Nothing may be open.
pub async fn settled<L: LogPort>(log: &L, tp: Tp) -> Vec<String> {
    let by_ms = soon(PATIENCE_MS);
    while end(log, tp, Isolation::ReadCommitted).await != end(log, tp, Isolation::ReadUncommitted).await {
        assert!(time::monotonic_ms() < by_ms, "a transaction stays open in {tp:?}");
        time::sleep(Duration::from_millis(20)).await;
    }
    texts(log, tp, Isolation::ReadCommitted).await
}

/// Everything of a partition, as text.
pub async fn texts<L: LogPort>(log: &L, tp: Tp, isolation: Isolation) -> Vec<String> {
    read_all(log, tp, isolation).await.iter().map(text).collect()
}

/// In words; for messages of failures.
pub fn ended<S>(end: &TxEnd<S>) -> String {
    match end {
        TxEnd::Committed(_) => "committed".to_owned(),
        TxEnd::Aborted(_, why) => format!("aborted: {why}"),
        TxEnd::Fenced(why) => format!("fenced: {why}"),
        TxEnd::InDoubt(why) => format!("in doubt: {why}"),
    }
}

/// An application in a group that does what the port asks of it: seeks, keeps what it got, gives up when told.
pub struct Worker<L: LogPort> {
    pub reader: L::Reader,
    pub leases: BTreeMap<Tp, Lease>,
    /// Where its partitions began, at the last assignment.
    pub from: Vec<(Tp, StartPoint)>,
    pub values: Vec<String>,
    /// Read and not committed.
    pub positions: BTreeMap<Tp, Position>,
    pub lost: BTreeSet<Tp>,
    pub revoked: BTreeSet<Tp>,
    pub fatal: Option<::log::Reason>,
    pub assignments: u32,
    /// Longest for the commit of what is asked back.
    pub last_commit_ms: u64,
}

impl<L: LogPort> Worker<L> {
    pub async fn join(log: &L, group: &str, topic: &TopicInfo, instance_id: Option<&str>) -> Worker<L> {
        let subscription = Subscription::Group { group: group.to_owned(), topics: vec![topic.name.clone()], instance_id: instance_id.map(str::to_owned) };
        let reader = log.read(subscription, Isolation::ReadCommitted).await.expect("a reader");
        Worker {
            reader,
            leases: BTreeMap::new(),
            from: Vec::new(),
            values: Vec::new(),
            positions: BTreeMap::new(),
            lost: BTreeSet::new(),
            revoked: BTreeSet::new(),
            fatal: None,
            assignments: 0,
            last_commit_ms: LAST_COMMIT_MS,
        }
    }

    /// One event.
    pub async fn turn(&mut self, wait_ms: u64) {
        match self.reader.next(soon(wait_ms)).await {
            ConsumerEvent::Assigned { leases, from } => self.assigned(leases, from),
            ConsumerEvent::Revoking { tps, .. } => {
                // One that hears of it late may have been put out already: then this is refused.
                let _ = self.try_commit(self.last_commit_ms).await;
                self.drop_all(&tps);
                self.revoked.extend(&tps);
                self.reader.revoked(&tps);
            }
            ConsumerEvent::Lost { tps } => {
                self.drop_all(&tps);
                self.lost.extend(tps);
            }
            ConsumerEvent::Records { tp, batch } => {
                assert!(self.leases.contains_key(&tp), "delivered without a lease");
                self.values.extend(batch.records.iter().map(text));
                self.positions.insert(tp, batch.position);
            }
            ConsumerEvent::Progress { tp, position } => {
                assert!(self.leases.contains_key(&tp), "told of a partition without a lease");
                self.positions.insert(tp, position);
            }
            ConsumerEvent::Nothing => {}
            ConsumerEvent::Fatal(why) => self.fatal = Some(why),
            other => panic!("{other:?}"),
        }
    }

    fn assigned(&mut self, leases: Vec<Lease>, from: Vec<(Tp, StartPoint)>) {
        self.assignments += 1;
        for (tp, start) in &from {
            match start {
                StartPoint::Committed(position) => self.reader.seek(*tp, *position),
                StartPoint::Nothing => self.reader.seek(*tp, Position::START),
                StartPoint::Pending => panic!("nothing is pending in this group"),
            }
        }
        self.from = from;
        self.leases.extend(leases.into_iter().map(|lease| (lease.tp, lease)));
    }

    fn drop_all(&mut self, tps: &[Tp]) {
        self.leases.retain(|tp, _| !tps.contains(tp));
        self.positions.retain(|tp, _| !tps.contains(tp));
    }

    /// Commits what was read.
    pub async fn try_commit(&mut self, wait_ms: u64) -> Outcome<()> {
        let positions: Vec<(Tp, Position)> = std::mem::take(&mut self.positions).into_iter().collect();
        match positions.first() {
            Some((tp, _)) => self.reader.commit(self.leases[tp].proof(), &positions, soon(wait_ms)).await,
            None => Outcome::Done(()),
        }
    }

    /// Goes on until it is so.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Worker<L>) -> bool) {
        let by_ms = soon(PATIENCE_MS);
        while !done(self) {
            assert!(soon(0) < by_ms, "{what}: leases {:?}, values {:?}", self.leases.keys(), self.values);
            self.turn(100).await;
        }
    }
}

/// Sorted, for comparing what several got.
pub fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}
