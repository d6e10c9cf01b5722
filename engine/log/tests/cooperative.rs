//! Cooperative rebalances over real cores (A54, A56): what stays with a member is read on without a break, and nobody has what another has not given up;
//! whether the group's leader divides, in two rounds, or the coordinator, member by member.

mod support;

use broker::protocol::{ErrorCode, Isolation, Tp};
use log::native::{Assignor, ClientConfig, Native, NativeReader};
use log::{Anchor, ConsumerEvent, Event, Lease, LogPort, Outcome, Position, Producer, Reader, Reason, Subscription, TopicInfo};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Cluster, MemoryDisk, record, seek_starts, soon, text};

struct Member {
    reader: NativeReader,
    leases: BTreeMap<Tp, Lease>,
    /// Leases that were renewed, as they were.
    superseded: Vec<Lease>,
    /// Partitions it was asked to give up.
    revoked: Vec<Tp>,
    lost: Vec<Tp>,
    values: Vec<String>,
    positions: BTreeMap<Tp, Position>,
}

impl Member {
    async fn join(log: &Native, topic: &TopicInfo) -> Member {
        let subscription = Subscription::Group { group: "workers".to_owned(), topics: vec![topic.name.clone()], instance_id: None };
        let reader = log.read(subscription, Isolation::ReadCommitted).await.expect("a reader");
        Member {
            reader,
            leases: BTreeMap::new(),
            superseded: Vec::new(),
            revoked: Vec::new(),
            lost: Vec::new(),
            values: Vec::new(),
            positions: BTreeMap::new(),
        }
    }

    async fn turn(&mut self, ms: u64) {
        match self.reader.next(soon(ms)).await {
            ConsumerEvent::Assigned { leases, from } => {
                seek_starts(&mut self.reader, from);
                for lease in leases {
                    self.superseded.extend(self.leases.insert(lease.tp, lease));
                }
            }
            ConsumerEvent::Revoking { tps, .. } => {
                let at: Vec<(Tp, Position)> = tps.iter().filter_map(|tp| Some((*tp, self.positions.remove(tp)?))).collect();
                if let Some((tp, _)) = at.first() {
                    assert_eq!(self.reader.commit(self.leases[tp].proof(), &at, soon(5_000)).await, Outcome::Done(()), "its last commit");
                }
                self.leases.retain(|tp, _| !tps.contains(tp));
                self.reader.revoked(&tps);
                self.revoked.extend(tps);
            }
            ConsumerEvent::Lost { tps } => {
                self.leases.retain(|tp, _| !tps.contains(tp));
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

    fn held(&self) -> Vec<u32> {
        self.leases.keys().map(|tp| tp.partition).collect()
    }
}

async fn cooperative() -> (Cluster, Native, TopicInfo) {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client_with(cooperatively);
    let topic = cluster.topic(&log, "work", 4).await;
    (cluster, log, topic)
}

fn cooperatively(config: &mut ClientConfig) {
    config.assignor = Assignor::CooperativeSticky;
}

async fn until(members: &mut [&mut Member], what: &str, done: impl Fn(&[&mut Member]) -> bool) {
    let by = soon(20_000);
    while !done(members) {
        assert!(soon(0) < by, "{what}: {:?}", members.iter().map(|member| (member.held(), member.values.len())).collect::<Vec<_>>());
        for member in members.iter_mut() {
            member.turn(20).await;
        }
    }
}

async fn fill(log: &Native, topic: &TopicInfo, values: std::ops::Range<u32>) {
    let mut producer = log.producer().await.expect("a producer");
    for n in values {
        let sent = producer.send(topic.tp(n % topic.partitions), record(&format!("value {n}")), soon(10_000));
        assert!(matches!(sent.outcome().await, Outcome::Done(_)));
    }
}

#[tokio::test]
async fn a54_who_joins_is_given_its_share_in_a_second_round_and_what_stays_is_never_taken() {
    let (cluster, log, topic) = cooperative().await;
    let mut first = Member::join(&log, &topic).await;
    fill(&log, &topic, 0..8).await;
    until(&mut [&mut first], "alone", |members| members[0].held().len() == 4 && members[0].values.len() == 8).await;
    let mut second = Member::join(&log, &topic).await;
    until(&mut [&mut first, &mut second], "shared", |members| members[0].held().len() == 2 && members[1].held().len() == 2).await;
    assert_eq!((first.held(), second.held()), (vec![0, 1], vec![2, 3]));
    let revoked: Vec<u32> = first.revoked.iter().map(|tp| tp.partition).collect();
    assert_eq!((revoked, &first.lost), (vec![2, 3], &Vec::new()), "only what changes hands was taken");
    fill(&log, &topic, 8..16).await;
    until(&mut [&mut first, &mut second], "their shares", |members| members[0].values.len() == 12 && members[1].values.len() == 4).await;
    // Who was told that it has which partitions, in each generation.
    let mut told: BTreeMap<(i32, u32), Vec<String>> = BTreeMap::new();
    for event in cluster.notebook.events() {
        if let Event::Assigned { generation, member, tps, .. } = event {
            tps.iter().for_each(|tp| told.entry((generation, tp.partition)).or_default().push(member.clone()));
        }
    }
    let last = told.keys().map(|(generation, _)| *generation).max().expect("assigned");
    let owner = |generation: i32, partition: u32| told.get(&(generation, partition)).map(|owners| (owners.len(), owners[0].clone()));
    let (stays, heir) = (owner(last, 0), owner(last, 2));
    assert_ne!(stays, heir);
    for partition in 0..2 {
        assert_eq!((owner(last - 1, partition), owner(last, partition)), (stays.clone(), stays.clone()), "{partition} stays");
    }
    for partition in 2..4 {
        assert_eq!((owner(last - 1, partition), owner(last, partition)), (stays.clone(), heir.clone()), "{partition} is handed over in the second round");
    }
}

#[tokio::test]
async fn a54_a_renewed_lease_commits_and_the_one_before_does_not() {
    let (_cluster, log, topic) = cooperative().await;
    let mut first = Member::join(&log, &topic).await;
    fill(&log, &topic, 0..4).await;
    until(&mut [&mut first], "alone", |members| members[0].values.len() == 4).await;
    let at = [(topic.tp(0), first.positions[&topic.tp(0)])];
    let mut second = Member::join(&log, &topic).await;
    until(&mut [&mut first, &mut second], "shared, and all leases are of one generation", |members| {
        let newest = members.iter().flat_map(|member| member.leases.values()).map(|lease| lease.generation).max();
        members.iter().all(|member| member.held().len() == 2 && member.leases.values().all(|lease| Some(lease.generation) == newest))
    })
    .await;
    let old = first.superseded.iter().find(|lease| lease.tp == topic.tp(0)).expect("renewed");
    let late = first.reader.commit(old.proof(), &at, soon(5_000)).await;
    assert_eq!(late, Outcome::NotDone(Reason::Answered(ErrorCode::IllegalGeneration)));
    assert_eq!(first.reader.commit(first.leases[&topic.tp(0)].proof(), &at, soon(5_000)).await, Outcome::Done(()));
    let committed = log.offset_at(topic.tp(0), Anchor::Committed("workers".to_owned()), soon(5_000)).await;
    assert_eq!(committed, Outcome::Done(Some(at[0].1)));
}

#[tokio::test]
async fn a54_who_dies_is_inherited_from_and_the_others_keep_what_they_had() {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client_with(|config| {
        cooperatively(config);
        config.session_timeout_ms = 1_500;
    });
    let topic = cluster.topic(&log, "work", 6).await;
    let (mut a, mut b, mut c) = (Member::join(&log, &topic).await, Member::join(&log, &topic).await, Member::join(&log, &topic).await);
    until(&mut [&mut a, &mut b, &mut c], "shared", |members| members.iter().all(|member| member.held().len() == 2)).await;
    let (before_a, before_b) = (a.held(), b.held());
    (a.revoked, b.revoked) = (Vec::new(), Vec::new());
    drop(c);
    until(&mut [&mut a, &mut b], "its heirs", |members| members.iter().all(|member| member.held().len() == 3)).await;
    assert!(before_a.iter().all(|partition| a.held().contains(partition)) && before_b.iter().all(|partition| b.held().contains(partition)));
    assert_eq!((&a.revoked, &b.revoked, &a.lost, &b.lost), (&vec![], &vec![], &vec![], &vec![]), "nothing was taken from who lives");
}

#[tokio::test]
async fn a54_an_eager_member_is_not_let_into_a_cooperative_group() {
    let (cluster, log, topic) = cooperative().await;
    let mut first = Member::join(&log, &topic).await;
    until(&mut [&mut first], "alone", |members| members[0].held().len() == 4).await;
    let mut eager = cluster
        .client()
        .read(Subscription::Group { group: "workers".to_owned(), topics: vec![topic.name.clone()], instance_id: None }, Isolation::ReadCommitted)
        .await
        .expect("a reader");
    let told = eager.next(soon(5_000)).await;
    assert!(matches!(told, ConsumerEvent::Fatal(Reason::Answered(ErrorCode::InconsistentGroupProtocol))), "{told:?}");
}

fn by_the_coordinator(config: &mut ClientConfig) {
    config.assignor = Assignor::Coordinator;
}

#[tokio::test]
async fn a56_partitions_move_one_member_at_a_time_with_their_positions_and_what_stays_is_never_taken() {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client_with(by_the_coordinator);
    let topic = cluster.topic(&log, "work", 4).await;
    fill(&log, &topic, 0..8).await;
    let mut first = Member::join(&log, &topic).await;
    until(&mut [&mut first], "alone", |members| members[0].held().len() == 4 && members[0].values.len() == 8).await;
    let mut second = Member::join(&log, &topic).await;
    until(&mut [&mut first, &mut second], "shared", |members| members.iter().all(|member| member.held().len() == 2)).await;
    assert_eq!((first.held(), second.held()), (vec![0, 1], vec![2, 3]));
    let revoked: Vec<u32> = first.revoked.iter().map(|tp| tp.partition).collect();
    assert_eq!((revoked, &first.lost), (vec![2, 3], &Vec::new()), "only what changes hands was taken");
    fill(&log, &topic, 8..16).await;
    until(&mut [&mut first, &mut second], "their shares", |members| members[0].values.len() == 12 && members[1].values.len() == 4).await;
    let at: Vec<(Tp, Position)> = second.positions.iter().map(|(tp, position)| (*tp, *position)).collect();
    assert_eq!(second.reader.commit(second.leases[&at[0].0].proof(), &at, soon(5_000)).await, Outcome::Done(()));
    second.reader.leave().await;
    until(&mut [&mut first], "alone again", |members| members[0].held().len() == 4).await;
    fill(&log, &topic, 16..20).await;
    until(&mut [&mut first], "all that is left", |members| members[0].values.len() == 16).await;
    assert_eq!(first.lost, [], "nothing was taken without a word");
}

#[tokio::test]
async fn a56_a_lease_of_an_earlier_member_epoch_is_stale_and_its_renewal_commits() {
    let cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client_with(by_the_coordinator);
    let topic = cluster.topic(&log, "work", 4).await;
    let mut first = Member::join(&log, &topic).await;
    fill(&log, &topic, 0..4).await;
    until(&mut [&mut first], "alone", |members| members[0].values.len() == 4).await;
    let at = [(topic.tp(0), first.positions[&topic.tp(0)])];
    let mut second = Member::join(&log, &topic).await;
    until(&mut [&mut first, &mut second], "shared and told", |members| {
        members.iter().all(|member| member.held().len() == 2) && members[0].superseded.iter().any(|lease| lease.tp.partition == 0)
    })
    .await;
    let old = first.superseded.iter().find(|lease| lease.tp == topic.tp(0)).expect("renewed");
    assert_eq!(first.reader.commit(old.proof(), &at, soon(5_000)).await, Outcome::NotDone(Reason::Answered(ErrorCode::StaleMemberEpoch)));
    assert_eq!(first.reader.commit(first.leases[&topic.tp(0)].proof(), &at, soon(5_000)).await, Outcome::Done(()));
}

#[tokio::test]
async fn a56_a_group_goes_on_after_its_coordinator_was_killed_and_who_stalls_loses_its_partitions() {
    let mut cluster = Cluster::embedded(Arc::new(MemoryDisk::default())).await;
    let log = cluster.client_with(|config| {
        by_the_coordinator(config);
        config.session_timeout_ms = 1_500;
        config.max_poll_interval_ms = 1_500;
    });
    let topic = cluster.topic(&log, "work", 2).await;
    let (mut first, mut second) = (Member::join(&log, &topic).await, Member::join(&log, &topic).await);
    until(&mut [&mut first, &mut second], "shared", |members| members.iter().all(|member| member.held().len() == 1)).await;
    let before = first.held();
    (first.revoked, second.revoked) = (Vec::new(), Vec::new());
    cluster.kill(0).await;
    cluster.restart(0);
    fill(&log, &topic, 0..4).await;
    until(&mut [&mut first, &mut second], "both go on", |members| members.iter().all(|member| member.values.len() == 2)).await;
    assert_eq!((first.held(), &first.lost, &first.revoked), (before, &vec![], &vec![]), "the division was in the log");
    // The second asks for nothing any more: it leaves by itself.
    until(&mut [&mut first], "the heir", |members| members[0].held().len() == 2).await;
    second.turn(1_000).await;
    assert_eq!(second.lost.len(), 1, "told of its loss first of all");
}
