//! Groups over real cores: ownership moves with join, leave and silence; a former owner commits nothing.

mod support;

use broker::protocol::{ErrorCode, Isolation, Tp};
use log::native::{Native, NativeReader};
use log::{Anchor, ConsumerEvent, Event, Lease, LogPort, Next, Outcome, Position, Producer, Reader, Reason, Subscription, TopicInfo};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Cluster, MemoryDisk, record, seek_starts, soon, text};

/// An application that does what the port asks of it: seeks, keeps what it got, gives up when told.
struct Worker {
    reader: NativeReader,
    leases: BTreeMap<Tp, Lease>,
    values: Vec<String>,
    positions: BTreeMap<Tp, Position>,
    lost: Vec<Tp>,
}

impl Worker {
    async fn join(log: &Native, topic: &TopicInfo) -> Worker {
        let subscription = Subscription::Group { group: "workers".to_owned(), topics: vec![topic.name.clone()], instance_id: None };
        let reader = log.read(subscription, Isolation::ReadCommitted).await.expect("a reader");
        Worker { reader, leases: BTreeMap::new(), values: Vec::new(), positions: BTreeMap::new(), lost: Vec::new() }
    }

    async fn turn(&mut self, ms: u64) {
        match self.reader.next(soon(ms)).await {
            ConsumerEvent::Assigned { leases, from } => {
                seek_starts(&mut self.reader, from);
                self.leases.extend(leases.into_iter().map(|lease| (lease.tp, lease)));
            }
            ConsumerEvent::Revoking { tps, .. } => {
                // One that hears of it late may have been put out already: then this is refused.
                let _ = self.try_commit().await;
                self.leases.retain(|tp, _| !tps.contains(tp));
                self.positions.clear();
                self.reader.revoked(&tps);
            }
            ConsumerEvent::Lost { tps } => {
                self.leases.retain(|tp, _| !tps.contains(tp));
                self.positions.clear();
                self.lost.extend(tps);
            }
            ConsumerEvent::Records { tp, batch } => {
                assert!(self.leases.contains_key(&tp), "delivered without a lease");
                self.values.extend(batch.records.iter().map(|record| text(&record.value)));
                self.positions.insert(tp, batch.position);
            }
            ConsumerEvent::Progress { tp, position } => drop(self.positions.insert(tp, position)),
            ConsumerEvent::Nothing => {}
            other => panic!("{other:?}"),
        }
    }

    async fn try_commit(&mut self) -> Outcome<()> {
        let positions: Vec<(Tp, Position)> = std::mem::take(&mut self.positions).into_iter().collect();
        match positions.first() {
            Some((tp, _)) => self.reader.commit(self.leases[tp].proof(), &positions, soon(5_000)).await,
            None => Outcome::Done(()),
        }
    }

    async fn commit(&mut self) {
        assert_eq!(self.try_commit().await, Outcome::Done(()), "of a live member");
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Worker) -> bool) {
        let by = soon(20_000);
        while !done(self) {
            assert!(soon(0) < by, "{what}: leases {:?}, values {:?}", self.leases.keys(), self.values);
            self.turn(100).await;
        }
    }
}

async fn fill(log: &Native, topic: &TopicInfo, from: usize, count: usize) {
    let mut producer = log.producer().await.expect("a producer");
    for n in from..from + count {
        let partition = (n % topic.partitions as usize) as u32;
        let ticket = producer.send(topic.tp(partition), record(&format!("value {n}")), soon(10_000));
        assert!(matches!(ticket.outcome().await, Outcome::Done(_)));
    }
}

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}

#[tokio::test]
async fn partitions_move_to_who_joins_and_back_from_who_leaves_with_their_positions() {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client();
    let topic = cluster.topic(&log, "work", 4).await;
    fill(&log, &topic, 0, 8).await;
    let mut first = Worker::join(&log, &topic).await;
    first.until("alone", |worker| worker.leases.len() == 4 && worker.values.len() == 8).await;
    let mut second = Worker::join(&log, &topic).await;
    let by = soon(20_000);
    while (first.leases.len(), second.leases.len()) != (2, 2) {
        assert!(soon(0) < by, "shared: {:?} {:?}", first.leases.keys(), second.leases.keys());
        first.turn(20).await;
        second.turn(20).await;
    }
    assert_eq!((first.values.len(), second.values.len()), (8, 0), "what was committed is not read again");
    fill(&log, &topic, 8, 4).await;
    first.until("its half", |worker| worker.values.len() == 10).await;
    second.until("its half", |worker| worker.values.len() == 2).await;
    second.commit().await;
    second.reader.leave().await;
    first.until("alone again", |worker| worker.leases.len() == 4).await;
    fill(&log, &topic, 12, 4).await;
    first.until("all of it", |worker| worker.values.len() == 14).await;
    let all = sorted([first.values.clone(), second.values].concat());
    assert_eq!(all, sorted((0..16).map(|n| format!("value {n}")).collect()));
    assert_eq!(first.lost, [], "nothing was taken without a word");
    let assigned = cluster.notebook.events().into_iter().filter(|event| matches!(event, Event::Assigned { .. })).count();
    assert!(assigned >= 4, "{assigned} assignments in the history");
}

#[tokio::test]
async fn a_member_whose_application_stalls_loses_its_partitions_and_commits_nothing_more() {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let quick = |config: &mut log::native::ClientConfig| {
        config.session_timeout_ms = 1_500;
        config.max_poll_interval_ms = 1_500;
    };
    let log = cluster.client_with(quick);
    let topic = cluster.topic(&log, "work", 2).await;
    fill(&log, &topic, 0, 2).await;
    let mut silent = Worker::join(&log, &topic).await;
    silent.until("alone", |worker| worker.leases.len() == 2 && worker.positions.len() == 2).await;
    // It asks for nothing any more: it leaves by itself (A52).
    runtime::time::sleep(std::time::Duration::from_millis(2_500)).await;
    let mut heir = Worker::join(&log, &topic).await;
    heir.until("heir of all", |worker| worker.leases.len() == 2 && worker.values.len() == 2).await;
    let (tp, position) = silent.positions.pop_first().expect("it read something");
    let late = silent.reader.commit(silent.leases[&tp].proof(), &[(tp, position)], soon(5_000)).await;
    assert!(matches!(late, Outcome::NotDone(Reason::Answered(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration))), "a former owner's commit: {late:?}");
    heir.commit().await;
    silent.turn(1_000).await;
    assert_eq!(silent.lost.len(), 2, "told of its loss first of all");
    assert_eq!(log.offset_at(tp, Anchor::Committed("workers".to_owned()), soon(5_000)).await, Outcome::Done(Some(position)));
}

#[tokio::test]
async fn a_group_goes_on_after_its_coordinator_was_killed() {
    let mut cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client();
    let topic = cluster.topic(&log, "work", 1).await;
    fill(&log, &topic, 0, 5).await;
    let mut worker = Worker::join(&log, &topic).await;
    worker.until("first half", |worker| worker.values.len() == 5).await;
    worker.commit().await;
    cluster.kill(0).await;
    cluster.restart(0);
    fill(&log, &topic, 5, 5).await;
    worker.until("second half", |worker| worker.values.len() == 10).await;
    worker.commit().await;
    let committed = log.offset_at(topic.tp(0), Anchor::Committed("workers".to_owned()), soon(5_000)).await;
    let Outcome::Done(Some(position)) = committed else { panic!("{committed:?}") };
    assert_eq!(position.next, Next(10));
}

#[tokio::test]
async fn three_brokers_keep_a_group_going_while_each_is_killed_in_turn() {
    let mut cluster = Cluster::three_brokers().await;
    let log = cluster.client();
    let topic = cluster.topic(&log, "work", 2).await;
    let mut worker = Worker::join(&log, &topic).await;
    for round in 0..3 {
        cluster.kill(round + 1).await;
        fill(&log, &topic, round * 4, 4).await;
        worker.until("its records", |worker| worker.values.len() >= (round + 1) * 4).await;
        cluster.restart(round + 1);
        // Back in the ISR before the next one goes.
        for _ in 0..40 {
            worker.turn(100).await;
        }
    }
    let mut values = worker.values.clone();
    values.sort();
    values.dedup();
    assert_eq!(values.len(), 12, "{values:?}");
}
