//! Rows of the bus contract (`requirements.md` B, 4.2) at the log port, over real cores. KeyShared is a group over partitions, Failover a group on one
//! partition, Exclusive and NonDurable are assigned reads, sticky ones assigned reads of declared partitions. What the exchange's own topics and frames have
//! to do with it is in `bus_orders`; JSON (B-11) is the edge's business: `services::client`.

mod support;

use broker::protocol::{ErrorCode, Isolation, TopicConfig, TopicSpec, Tp};
use bytes::Bytes;
use log::native::{ClientConfig, Native, NativeReader};
use log::{
    Anchor, ConsumerEvent, Lease, LogPort, Next, Outcome, Position, Producer, Reader, Reason, Record, StartPoint, Subscription, TopicInfo, Tx, TxEnd, TxSession,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Cluster, MemoryDisk, record, soon, text};

async fn cluster() -> (Cluster, Native) {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client();
    (cluster, log)
}

async fn send(log: &Native, tp: Tp, values: &[&str]) -> Vec<i64> {
    let mut producer = log.producer().await.expect("a producer");
    let mut offsets = Vec::new();
    for value in values {
        match producer.send(tp, record(value), soon(10_000)).outcome().await {
            Outcome::Done(acked) => offsets.push(acked.offset.expect("told")),
            other => panic!("{value}: {other:?}"),
        }
    }
    offsets
}

async fn assigned(log: &Native, tp: Tp, from: Position) -> NativeReader {
    log.read(Subscription::Assigned(vec![(tp, from)]), Isolation::ReadCommitted).await.expect("a reader")
}

async fn read(reader: &mut NativeReader, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    let by = soon(15_000);
    while values.len() < count {
        match reader.next(by).await {
            ConsumerEvent::Records { batch, .. } => values.extend(batch.records.iter().map(|record| text(&record.value))),
            ConsumerEvent::Progress { .. } => {}
            other => panic!("after {values:?}: {other:?}"),
        }
    }
    values
}

/// A member of a group that does what the port asks of it.
struct Member {
    reader: NativeReader,
    leases: BTreeMap<Tp, Lease>,
    values: Vec<(Tp, String)>,
    positions: BTreeMap<Tp, Position>,
    starts: Vec<(Tp, StartPoint)>,
}

impl Member {
    async fn join(log: &Native, group: &str, topic: &TopicInfo) -> Member {
        let subscription = Subscription::Group { group: group.to_owned(), topics: vec![topic.name.clone()], instance_id: None };
        let reader = log.read(subscription, Isolation::ReadCommitted).await.expect("a reader");
        Member { reader, leases: BTreeMap::new(), values: Vec::new(), positions: BTreeMap::new(), starts: Vec::new() }
    }

    async fn turn(&mut self, ms: u64) {
        match self.reader.next(soon(ms)).await {
            ConsumerEvent::Assigned { leases, from } => {
                for (tp, start) in &from {
                    match start {
                        StartPoint::Committed(position) => self.reader.seek(*tp, *position),
                        StartPoint::Nothing => self.reader.seek(*tp, Position::START),
                        StartPoint::Pending => panic!("nothing is pending here"),
                    }
                }
                self.starts.extend(from);
                self.leases.extend(leases.into_iter().map(|lease| (lease.tp, lease)));
            }
            ConsumerEvent::Revoking { tps, .. } => {
                let _ = self.commit().await;
                self.leases.retain(|tp, _| !tps.contains(tp));
                self.reader.revoked(&tps);
            }
            ConsumerEvent::Lost { tps } => {
                self.leases.retain(|tp, _| !tps.contains(tp));
                self.positions.clear();
            }
            ConsumerEvent::Records { tp, batch } => {
                assert!(self.leases.contains_key(&tp), "delivered without a lease");
                self.values.extend(batch.records.iter().map(|record| (tp, text(&record.value))));
                self.positions.insert(tp, batch.position);
            }
            ConsumerEvent::Progress { tp, position } => drop(self.positions.insert(tp, position)),
            ConsumerEvent::Nothing => {}
            other => panic!("{other:?}"),
        }
    }

    async fn commit(&mut self) -> Outcome<()> {
        let positions: Vec<(Tp, Position)> = std::mem::take(&mut self.positions).into_iter().filter(|(tp, _)| self.leases.contains_key(tp)).collect();
        match positions.first() {
            Some((tp, _)) => self.reader.commit(self.leases[tp].proof(), &positions, soon(5_000)).await,
            None => Outcome::Done(()),
        }
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Member) -> bool) {
        let by = soon(20_000);
        while !done(self) {
            assert!(soon(0) < by, "{what}: {:?} {:?}", self.leases.keys(), self.values);
            self.turn(50).await;
        }
    }
}

async fn share(members: &mut [Member], counts: &[usize]) {
    let by = soon(20_000);
    while members.iter().map(|member| member.leases.len()).ne(counts.iter().copied()) {
        assert!(soon(0) < by, "shared: {:?}", members.iter().map(|member| member.leases.len()).collect::<Vec<_>>());
        for member in members.iter_mut() {
            member.turn(20).await;
        }
    }
}

fn quick(config: &mut ClientConfig) {
    config.session_timeout_ms = 1_500;
    config.max_poll_interval_ms = 1_500;
}

#[tokio::test]
async fn b06_b07_inside_a_group_each_message_goes_to_one_member_and_to_every_group() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "trades", 3).await;
    let mut shared = [Member::join(&log, "x", &topic).await, Member::join(&log, "x", &topic).await];
    let by = soon(20_000);
    while shared.iter().map(|member| member.leases.len()).sum::<usize>() != 3 || shared.iter().any(|member| member.leases.is_empty()) {
        assert!(soon(0) < by, "shared");
        for member in &mut shared {
            member.turn(20).await;
        }
    }
    let owned: Vec<Tp> = shared.iter().flat_map(|member| member.leases.keys().copied()).collect();
    assert_eq!(owned.len(), 3, "no partition has two owners: {owned:?}");
    for partition in 0..3 {
        send(&log, topic.tp(partition), &["a", "b", "c"]).await;
    }
    let mut alone = Member::join(&log, "y", &topic).await;
    alone.until("all three partitions", |member| member.values.len() == 9).await;
    let by = soon(20_000);
    while shared.iter().map(|member| member.values.len()).sum::<usize>() < 9 {
        assert!(soon(0) < by, "x");
        for member in &mut shared {
            member.turn(20).await;
        }
    }
    let of_x: Vec<(Tp, String)> = shared.iter().flat_map(|member| member.values.clone()).collect();
    assert_eq!(of_x.len(), 9, "each once in the group: {of_x:?}");
    for partition in 0..3 {
        let in_order = |values: &[(Tp, String)]| values.iter().filter(|(tp, _)| *tp == topic.tp(partition)).map(|(_, value)| value.clone()).collect::<Vec<_>>();
        assert_eq!(in_order(&of_x), ["a", "b", "c"]);
        assert_eq!(in_order(&alone.values), ["a", "b", "c"]);
    }
}

async fn cluster_topic(log: &Native, name: &str, partitions: u32) -> TopicInfo {
    topic_of(log, TopicSpec { name: name.to_owned(), partitions, replication: 1, min_isr: 1, compacted: false }).await
}

async fn topic_of(log: &Native, spec: TopicSpec) -> TopicInfo {
    let name = spec.name.clone();
    assert_eq!(log.create_topics(vec![spec], soon(20_000)).await, Outcome::Done(()));
    match log.topics(&[&name], soon(20_000)).await {
        Outcome::Done(topics) => topics[0].clone(),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn b08_a_partition_that_stands_still_holds_no_other_back() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "trades", 2).await;
    for partition in 0..2 {
        send(&log, topic.tp(partition), &["a", "b"]).await;
    }
    let both = Subscription::Assigned(vec![(topic.tp(0), Position::START), (topic.tp(1), Position::START)]);
    let mut reader = log.read(both, Isolation::ReadCommitted).await.expect("a reader");
    reader.pause(topic.tp(0));
    assert_eq!(read(&mut reader, 2).await, ["a", "b"], "of the other partition");
    reader.unpause(topic.tp(0));
    assert_eq!(read(&mut reader, 2).await, ["a", "b"], "kept meanwhile");
}

#[tokio::test]
async fn b12_b26_what_was_not_committed_is_delivered_again_and_what_was_is_not() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "trades", 1).await;
    send(&log, topic.tp(0), &["a", "b"]).await;
    for round in 0..2 {
        let mut member = Member::join(&log, "manual", &topic).await;
        member.until("both", |member| member.values.len() == 2).await;
        if round == 1 {
            assert_eq!(member.commit().await, Outcome::Done(()));
        }
        member.reader.leave().await;
    }
    send(&log, topic.tp(0), &["c"]).await;
    let mut member = Member::join(&log, "manual", &topic).await;
    member.until("the last", |member| !member.values.is_empty()).await;
    assert_eq!(member.values, [(topic.tp(0), "c".to_owned())]);
}

#[tokio::test]
async fn b13_b27_a_new_group_starts_at_the_first_retained_message() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "trades", 1).await;
    send(&log, topic.tp(0), &["a", "b", "c"]).await;
    let mut member = Member::join(&log, "new", &topic).await;
    member.until("all", |member| member.values.len() == 3).await;
    assert_eq!(member.starts, [(topic.tp(0), StartPoint::Nothing)], "told so: there is no silent reset");
}

#[tokio::test]
async fn b14_a_message_that_failed_comes_again_before_those_behind_it() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "trades", 1).await;
    send(&log, topic.tp(0), &["poison", "later"]).await;
    let mut reader = assigned(&log, topic.tp(0), Position::START).await;
    for attempt in 0..3 {
        assert_eq!(read(&mut reader, 2).await, ["poison", "later"], "attempt {attempt}");
        // The handler failed at the first: nothing behind it counts.
        reader.seek(topic.tp(0), Position::START);
    }
}

#[tokio::test]
async fn b15_a_group_that_stands_still_delays_no_other() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "trades", 1).await;
    let mut wallet = Member::join(&log, "wallet", &topic).await;
    wallet.until("its lease", |member| member.leases.len() == 1).await;
    send(&log, topic.tp(0), &["a", "b"]).await;
    // `wallet` asks for nothing any more.
    let mut market = Member::join(&log, "market", &topic).await;
    market.until("all", |member| member.values.len() == 2).await;
    assert_eq!(market.commit().await, Outcome::Done(()));
    let position = |group: &str| log.offset_at(topic.tp(0), Anchor::Committed(group.to_owned()), soon(5_000));
    assert!(matches!(position("market").await, Outcome::Done(Some(Position { next: Next(2), .. }))));
    assert_eq!(position("wallet").await, Outcome::Done(None));
}

#[tokio::test]
async fn b17_b30_failover_only_the_active_member_receives_and_the_next_takes_over() {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client_with(quick);
    // One partition: the whole subscription has one owner.
    let topic = cluster_topic(&log, "alerts", 1).await;
    let mut active = Member::join(&log, "failover", &topic).await;
    active.until("active", |member| member.leases.len() == 1).await;
    let standby = Member::join(&log, "failover", &topic).await;
    let mut both = [active, standby];
    share_any(&mut both).await;
    send(&log, topic.tp(0), &["a"]).await;
    let by = soon(10_000);
    while both.iter().all(|member| member.values.is_empty()) {
        assert!(soon(0) < by, "delivered");
        for member in &mut both {
            member.turn(20).await;
        }
    }
    assert_eq!(both.iter().filter(|member| member.leases.len() == 1).count(), 1, "one is active");
    for member in &mut both {
        assert_eq!(member.commit().await, Outcome::Done(()));
    }
    let [first, second] = both;
    let (dead, mut heir) = if first.leases.is_empty() { (second, first) } else { (first, second) };
    drop(dead);
    heir.until("it takes over", |member| member.leases.len() == 1).await;
    send(&log, topic.tp(0), &["b"]).await;
    heir.until("the rest", |member| member.values.iter().any(|(_, value)| value == "b")).await;
    assert!(!heir.values.iter().any(|(_, value)| value == "a"), "what was committed is not delivered again");
}

async fn share_any(members: &mut [Member; 2]) {
    let by = soon(20_000);
    while members.iter().map(|member| member.leases.len()).sum::<usize>() != 1 {
        assert!(soon(0) < by, "one of them owns it");
        for member in members.iter_mut() {
            member.turn(20).await;
        }
    }
}

#[tokio::test]
async fn b17_b18_an_exclusive_non_durable_reader_has_everything_to_itself_and_leaves_nothing_behind() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "switches", 1).await;
    send(&log, topic.tp(0), &["on", "off"]).await;
    for _ in 0..2 {
        // Each instance has its own: nobody takes a message from another.
        let mut one = assigned(&log, topic.tp(0), Position::START).await;
        let mut other = assigned(&log, topic.tp(0), Position::START).await;
        assert_eq!(read(&mut one, 2).await, ["on", "off"]);
        assert_eq!(read(&mut other, 2).await, ["on", "off"]);
    }
    let committed = log.offset_at(topic.tp(0), Anchor::Committed("test".to_owned()), soon(5_000)).await;
    assert_eq!(committed, Outcome::Done(None), "no cursor stays");
}

#[tokio::test]
async fn b17_b28_keys_go_to_who_joins_and_to_who_is_left_when_one_dies_and_never_have_two_owners() {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client_with(quick);
    let topic = cluster_topic(&log, "commands", 4).await;
    let mut members = vec![Member::join(&log, "processor", &topic).await];
    share(&mut members, &[4]).await;
    members.push(Member::join(&log, "processor", &topic).await);
    share(&mut members, &[2, 2]).await;
    let mut owned: Vec<Tp> = members.iter().flat_map(|member| member.leases.keys().copied()).collect();
    owned.sort();
    owned.dedup();
    assert_eq!(owned.len(), 4, "every key has one owner");
    drop(members.pop());
    share(&mut members, &[4]).await;
}

#[tokio::test]
async fn b19_b21_a_compacted_reader_sees_the_last_message_of_each_key_in_log_order() {
    let (_cluster, log) = cluster().await;
    let topic = topic_of(&log, TopicSpec { name: "switch-events".to_owned(), partitions: 2, replication: 1, min_isr: 1, compacted: true }).await;
    let config = TopicConfig { segment_bytes: Some(400), dirty_percent_min: 1, ..TopicConfig::default() };
    assert_eq!(log.configure("switch-events", config, soon(10_000)).await, Outcome::Done(()));
    let mut producer = log.producer().await.expect("a producer");
    // All in one partition, whatever their message keys: routing and compaction are two things (B-21).
    let keyed = |key: &str, value: String| Record { key: Some(Bytes::copy_from_slice(key.as_bytes())), value: Some(Bytes::from(value)), timestamp_ms: 1 };
    for round in 0..12 {
        for key in ["btc", "eth"] {
            let sent = producer.send(topic.tp(1), keyed(key, format!("{key} {round}")), soon(10_000)).outcome().await;
            assert!(matches!(sent, Outcome::Done(_)), "{sent:?}");
        }
    }
    for nth in 0..6 {
        let _ = producer.send(topic.tp(1), keyed("last", format!("last {nth}")), soon(10_000)).outcome().await;
    }
    let by = soon(20_000);
    loop {
        let mut reader = assigned(&log, topic.tp(1), Position::START).await;
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != "last 5") {
            seen.extend(read(&mut reader, 1).await);
        }
        let of = |key: &str| seen.iter().filter(|value| value.starts_with(key)).cloned().collect::<Vec<_>>();
        assert_eq!(of("eth").last().map(String::as_str), Some("eth 11"), "the last value is always there");
        if of("btc") == ["btc 11"] && of("eth") == ["eth 11"] {
            break;
        }
        assert!(soon(0) < by, "never compacted: {seen:?}");
        runtime::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let keyless = producer.send(topic.tp(1), record("no key"), soon(5_000)).outcome().await;
    assert_eq!(keyless, Outcome::NotDone(Reason::Answered(ErrorCode::InvalidRecord)), "could never be compacted");
}

#[tokio::test]
async fn b22_sends_and_the_acknowledgement_are_one_and_a_crash_between_is_an_abort() {
    let (_cluster, log) = cluster().await;
    let input = cluster_topic(&log, "in", 1).await;
    let output = cluster_topic(&log, "out", 1).await;
    send(&log, input.tp(0), &["order"]).await;
    let mut member = Member::join(&log, "machine", &input).await;
    member.until("the order", |member| member.values.len() == 1).await;
    let at = [(input.tp(0), member.positions[&input.tp(0)])];
    let session = log.tx_session("machine-0", 5_000, soon(10_000)).await.expect("a session");
    let mut tx = session.begin();
    let sent = tx.send(output.tp(0), record("half")).outcome().await;
    assert!(matches!(sent, Outcome::Done(_)), "{sent:?}");
    tx.consumed(member.leases[&input.tp(0)].proof(), &at);
    // It crashes here. The next session of its id ends what it left open.
    drop(tx);
    let session = log.tx_session("machine-0", 5_000, soon(10_000)).await.expect("a session");
    let committed = || log.offset_at(input.tp(0), Anchor::Committed("machine".to_owned()), soon(5_000));
    assert_eq!(committed().await, Outcome::Done(None), "the order will be delivered again");
    let mut tx = session.begin();
    let _ = tx.send(output.tp(0), record("whole"));
    tx.consumed(member.leases[&input.tp(0)].proof(), &at);
    assert!(matches!(tx.commit(soon(10_000)).await, TxEnd::Committed(_)));
    assert_eq!(read(&mut assigned(&log, output.tp(0), Position::START).await, 1).await, ["whole"], "the half is visible to nobody");
    assert!(matches!(committed().await, Outcome::Done(Some(Position { next: Next(1), .. }))));
}

#[tokio::test]
async fn b25_rewind_by_a_private_reader_begins_behind_the_given_message_and_moves_no_cursor() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "trades", 1).await;
    let end = || log.offset_at(topic.tp(0), Anchor::End(Isolation::ReadCommitted), soon(5_000));
    assert!(matches!(end().await, Outcome::Done(Some(Position { next: Next(0), .. }))), "no last message on an empty topic");
    let ids = send(&log, topic.tp(0), &["a", "b", "c"]).await;
    assert!(matches!(end().await, Outcome::Done(Some(Position { next: Next(next), .. })) if next == ids[2] + 1), "the last message's id and one");
    let mut member = Member::join(&log, "shared", &topic).await;
    member.until("all", |member| member.values.len() == 3).await;
    assert_eq!(member.commit().await, Outcome::Done(()));
    // A position is the next to read: rewinding to a message's id plus one excludes it.
    let behind_first = Position { next: Next(ids[0] + 1), epoch: None };
    assert_eq!(read(&mut assigned(&log, topic.tp(0), behind_first).await, 2).await, ["b", "c"]);
    let committed = log.offset_at(topic.tp(0), Anchor::Committed("shared".to_owned()), soon(5_000)).await;
    assert!(matches!(committed, Outcome::Done(Some(Position { next: Next(3), .. }))));
}

#[tokio::test]
async fn b29_a_topic_of_one_partition_grows_online_and_each_partition_keeps_its_order() {
    let (_cluster, log) = cluster().await;
    let topic = cluster_topic(&log, "trading-alerts", 1).await;
    let mut member = Member::join(&log, "ws", &topic).await;
    send(&log, topic.tp(0), &["a", "b"]).await;
    member.until("before", |member| member.values.len() == 2).await;
    assert_eq!(log.grow("trading-alerts", 4, soon(10_000)).await, Outcome::Done(()));
    let Outcome::Done(grown) = log.topics(&["trading-alerts"], soon(10_000)).await else { panic!("known") };
    assert_eq!((grown[0].id, grown[0].partitions), (topic.id, 4), "the same topic");
    send(&log, topic.tp(0), &["c"]).await;
    send(&log, grown[0].tp(3), &["x", "y"]).await;
    member.until("its old partition", |member| member.values.len() >= 3).await;
    assert_eq!(read(&mut assigned(&log, grown[0].tp(3), Position::START).await, 2).await, ["x", "y"]);
    let shrunk = log.grow("trading-alerts", 2, soon(10_000)).await;
    assert_eq!(shrunk, Outcome::NotDone(Reason::Answered(ErrorCode::InvalidRecord)));
}
