//! A cluster of the log under faults: plain producers, transactions, a group and a reader, while brokers, controller and clients are killed, paused
//! and cut off. Every invariant of the log holds, and every one was evaluated.
#![cfg(madsim)]

use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, FsyncPolicy};
use bytes::Bytes;
use log::history::Event;
use log::host::{self, HostConfig};
use log::native::{ClientConfig, Native};
use log::{
    ConsumerEvent, Isolation, Lease, LogPort, Outcome, Position, Producer, Reader, Record, StartPoint, Subscription, TopicInfo, TopicSpec, Tp, Tx, TxEnd,
    TxSession,
};
use runtime::net::RESPONSE;
use runtime::rng::Rng;
use runtime::time::{monotonic_ms, sleep};
use sim::{Ended, NodeCtx, RunOutcome, Settings, World, invariants, run};
use std::collections::BTreeMap;
use std::time::Duration;

const BROKERS: u32 = 3;
const TOPIC: &str = "numbers";
const FAULTY_MS: u64 = 60_000;

fn address(node: u32) -> String {
    if node == 0 { "controller:9092".to_string() } else { format!("broker-{node}:9092") }
}

fn soon(ms: u64) -> u64 {
    monotonic_ms() + ms
}

async fn serve(ctx: NodeCtx, node: u32) {
    let nodes: BTreeMap<u32, String> = (0..=BROKERS).map(|node| (node, address(node))).collect();
    let core: Box<dyn Core> =
        if node == 0 { Box::new(Controller::new(ControllerConfig::default())) } else { Box::new(Broker::new(BrokerConfig::new(node, &address(node)))) };
    let _ = host::run(HostConfig::new(address(node), nodes), vec![(node, core)], ctx.disk, ctx.observer, ctx.incarnation, ctx.stop).await;
}

/// Controller and broker in one process that syncs before it answers.
async fn serve_alone(ctx: NodeCtx) {
    let nodes = BTreeMap::from([(0, address(1)), (1, address(1))]);
    let broker = BrokerConfig { fsync: FsyncPolicy::Always, ..BrokerConfig::new(1, &address(1)) };
    let cores: Vec<(u32, Box<dyn Core>)> = vec![(0, Box::new(Controller::new(ControllerConfig::beside(1)))), (1, Box::new(Broker::new(broker)))];
    let _ = host::run(HostConfig::new(address(1), nodes), cores, ctx.disk, ctx.observer, ctx.incarnation, ctx.stop).await;
}

fn client(ctx: &NodeCtx, brokers: u32) -> Native {
    Native::new(ClientConfig::new(ctx.name.clone(), (1..=brokers).map(address)), ctx.observer.clone())
}

async fn topic(log: &Native, brokers: u32) -> TopicInfo {
    loop {
        let spec = TopicSpec { name: TOPIC.into(), partitions: 3, replication: brokers, min_isr: brokers.div_ceil(2), compacted: false };
        let _ = log.create_topics(vec![spec], soon(5_000)).await;
        if let Outcome::Done(mut topics) = log.topics(&[TOPIC], soon(5_000)).await {
            return topics.remove(0);
        }
    }
}

fn record(who: &str, n: u64) -> Record {
    let value = format!("{who} {n} {}", monotonic_ms());
    Record { key: None, value: Some(Bytes::from(value)), timestamp_ms: runtime::time::now_ms() }
}

/// Sends a few records at a time; after a failure with a new producer.
async fn produce(ctx: NodeCtx, brokers: u32) {
    let log = client(&ctx, brokers);
    let topic = topic(&log, brokers).await;
    let mut n = 0;
    while !ctx.stop.is_requested() {
        let Ok(mut producer) = log.producer().await else { continue };
        'session: while !ctx.stop.is_requested() {
            let mut tickets = Vec::new();
            for partition in [0, 1, 2, 0, 1] {
                n += 1;
                tickets.push(producer.send(topic.tp(partition), record(&ctx.name, n), soon(10_000)));
            }
            for ticket in tickets {
                if !matches!(ticket.outcome().await, Outcome::Done(_)) {
                    break 'session;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Transactions of a few records; one in eight is given up.
async fn transact(ctx: NodeCtx, brokers: u32) {
    let log = client(&ctx, brokers);
    let topic = topic(&log, brokers).await;
    let mut rng = Rng::of_node("transact");
    let mut n = 0;
    while !ctx.stop.is_requested() {
        let Ok(mut session) = log.tx_session("numbers", 5_000, soon(10_000)).await else { continue };
        while !ctx.stop.is_requested() {
            let mut tx = session.begin();
            for partition in [0, 2] {
                n += 1;
                let _resolved_at_the_end = tx.send(topic.tp(partition), record(&ctx.name, n));
            }
            let end = if rng.chance(1, 8) { tx.abort(soon(10_000)).await } else { tx.commit(soon(10_000)).await };
            session = match end {
                TxEnd::Committed(session) | TxEnd::Aborted(session, _) => session,
                TxEnd::Fenced(_) | TxEnd::InDoubt(_) => break,
            };
            sleep(Duration::from_millis(30)).await;
        }
    }
}

/// A member of the group: reads, and commits what it has read.
async fn work(ctx: NodeCtx, brokers: u32) {
    let log = client(&ctx, brokers);
    topic(&log, brokers).await;
    while !ctx.stop.is_requested() {
        let subscription = Subscription::Group { group: "workers".into(), topics: vec![TOPIC.into()], instance_id: None };
        let Ok(reader) = log.read(subscription, Isolation::ReadCommitted).await else { continue };
        work_as_member(&ctx, reader).await;
    }
}

async fn work_as_member(ctx: &NodeCtx, mut reader: impl Reader) {
    let mut leases: BTreeMap<Tp, Lease> = BTreeMap::new();
    while !ctx.stop.is_requested() {
        match reader.next(soon(200)).await {
            ConsumerEvent::Assigned { leases: given, from } => {
                for (tp, start) in from {
                    reader.seek(tp, if let StartPoint::Committed(position) = start { position } else { Position::START });
                }
                leases.extend(given.into_iter().map(|lease| (lease.tp, lease)));
            }
            ConsumerEvent::Revoking { tps, .. } => {
                leases.retain(|tp, _| !tps.contains(tp));
                reader.revoked(&tps);
            }
            ConsumerEvent::Lost { tps } => leases.retain(|tp, _| !tps.contains(tp)),
            ConsumerEvent::Records { tp, batch } => {
                if let Some(lease) = leases.get(&tp) {
                    let _ = reader.commit(lease.proof(), &[(tp, batch.position)], soon(5_000)).await;
                }
            }
            ConsumerEvent::Progress { .. } | ConsumerEvent::Nothing => {}
            ConsumerEvent::OutOfRange { .. } | ConsumerEvent::Truncated { .. } | ConsumerEvent::Fatal(_) => return,
        }
    }
    reader.leave().await;
}

/// Reads everything from the start, without a group.
async fn read(ctx: NodeCtx, brokers: u32) {
    let log = client(&ctx, brokers);
    let topic = topic(&log, brokers).await;
    while !ctx.stop.is_requested() {
        let start = (0..topic.partitions).map(|partition| (topic.tp(partition), Position::START)).collect();
        let Ok(mut reader) = log.read(Subscription::Assigned(start), Isolation::ReadCommitted).await else { continue };
        while !ctx.stop.is_requested() {
            if matches!(reader.next(soon(200)).await, ConsumerEvent::Fatal(_) | ConsumerEvent::OutOfRange { .. } | ConsumerEvent::Truncated { .. }) {
                break;
            }
        }
    }
}

const CLIENTS: [&str; 6] = ["producer-1", "producer-2", "transactor-1", "transactor-2", "worker-1", "worker-2"];

fn start(world: &World, brokers: u32) {
    if brokers == 1 {
        world.node("broker-1", |ctx| Box::pin(serve_alone(ctx)));
    } else {
        for node in 0..=brokers {
            let name = address(node).replace(":9092", "");
            world.node(&name, move |ctx| Box::pin(serve(ctx, node)));
        }
    }
    for name in CLIENTS {
        match name.split('-').next() {
            Some("producer") => world.node(name, move |ctx| Box::pin(produce(ctx, brokers))),
            Some("transactor") => world.node(name, move |ctx| Box::pin(transact(ctx, brokers))),
            _ => world.node(name, move |ctx| Box::pin(work(ctx, brokers))),
        }
    }
    world.node("reader", move |ctx| Box::pin(read(ctx, brokers)));
}

/// One fault at a time from each of these, for its time.
async fn trouble(world: World, mut rng: Rng, victims: Vec<String>) {
    let everyone = world.nodes();
    while monotonic_ms() < FAULTY_MS {
        sleep(Duration::from_millis(rng.range(500..6_000))).await;
        let victim = rng.pick(&victims).clone();
        let other = rng.pick(&everyone).clone();
        let outage = Duration::from_millis(*rng.pick(&[50, 300, 900, 2_700, 3_300, 6_600, 9_500]));
        match rng.below(5) {
            0 | 1 => {
                world.kill(&victim);
                sleep(outage).await;
                world.join(&victim);
            }
            2 => {
                world.pause(&victim);
                sleep(outage).await;
                world.resume(&victim);
            }
            3 => {
                let both = rng.chance(2, 3);
                world.cut(&victim, &other);
                if both {
                    world.cut(&other, &victim);
                }
                sleep(outage).await;
                world.heal(&victim, &other);
                if both {
                    world.heal(&other, &victim);
                }
            }
            _ => {
                let kind = *rng.pick(&[0, 1, 8, 11, 14, 22, 26, 28]);
                let _ = world.lose(&victim, &other, Some(kind | RESPONSE), 1);
                let _ = world.delay(&other, &victim, Some(kind), 1, rng.range(10..4_000));
            }
        }
    }
}

/// Power losses of one broker at a time, with long enough between them for every ISR to be full again.
async fn darkness(world: World, mut rng: Rng, victims: Vec<String>, between_ms: std::ops::Range<u64>) {
    while monotonic_ms() < FAULTY_MS {
        sleep(Duration::from_millis(rng.range(between_ms.clone()))).await;
        let victim = rng.pick(&victims).clone();
        world.power_loss(&victim);
        sleep(Duration::from_millis(rng.range(50..3_000))).await;
        world.join(&victim);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    /// Three brokers, everything but power losses.
    Crashes,
    /// Three brokers, one power loss at a time.
    OnePowerLoss,
    /// One node that syncs before it answers, power losses at any moment.
    Alone,
}

impl Model {
    fn brokers(self) -> u32 {
        if self == Model::Alone { 1 } else { BROKERS }
    }

    async fn faults(self, world: &World) {
        let rng = |name: &str| Rng::keyed(world.seed(), &["trouble", name]);
        let brokers: Vec<String> = (1..=self.brokers()).map(|node| format!("broker-{node}")).collect();
        let clients = CLIENTS.map(str::to_string).to_vec();
        match self {
            Model::Crashes => {
                let controller = vec!["controller".to_string()];
                let tasks = [("brokers", brokers), ("controller", controller), ("clients", clients)];
                let tasks = tasks.map(|(name, victims)| runtime::task::spawn(trouble(world.clone(), rng(name), victims)));
                for task in tasks {
                    task.await.expect("trouble does not panic");
                }
            }
            Model::OnePowerLoss => darkness(world.clone(), rng("brokers"), brokers, 15_000..20_000).await,
            Model::Alone => {
                let clients = runtime::task::spawn(trouble(world.clone(), rng("clients"), clients));
                darkness(world.clone(), rng("brokers"), brokers, 100..6_000).await;
                clients.await.expect("trouble does not panic");
            }
        }
    }
}

async fn scenario(world: World, model: Model) {
    let brokers = model.brokers();
    start(&world, brokers);
    model.faults(&world).await;
    world.heal_all();
    for node in world.nodes() {
        world.join(&node);
    }
    sleep(Duration::from_millis(15_000)).await;
    for node in CLIENTS {
        world.leave(node);
    }
    sleep(Duration::from_millis(15_000)).await;
    // A last reader has everything from the start.
    world.node("last_reader", move |ctx| Box::pin(read(ctx, brokers)));
    sleep(Duration::from_millis(10_000)).await;
}

fn run_seed(seed: u64, model: Model) -> RunOutcome<()> {
    let settings = Settings { time_limit: Duration::from_secs(600), ..Settings::of_seed(seed) };
    run(&settings, move |world| Box::pin(scenario(world, model)))
}

/// Runs and judges; what it did, in a line.
fn judge(seed: u64, model: Model) -> Result<String, String> {
    let outcome = run_seed(seed, model);
    if outcome.ended != Ended::Finished(()) {
        return Err(format!("{model:?} seed {seed}: {:?}", outcome.ended));
    }
    let mut checked = Vec::new();
    for (name, finding) in invariants::check(&outcome.history, invariants::all()) {
        if let Some(violation) = finding.violation {
            return Err(format!("{model:?} seed {seed}: {name}: {}\n  {}", violation.headline, violation.facts.join("\n  ")));
        }
        if finding.checked == 0 {
            return Err(format!("{model:?} seed {seed}: {name} was never evaluated"));
        }
        checked.push(finding.checked);
    }
    let sends = outcome.history.iter().filter(|entry| matches!(&entry.event, Event::Send { phase: log::history::Phase::Ok, .. })).count();
    let marks: Vec<String> = outcome.reached.totals().map(|(mark, hits)| format!("{mark} {hits}")).collect();
    Ok(format!(
        "{model:?} seed {seed}: {sends} sends, {} events, {} messages, checked {checked:?}, {}",
        outcome.history.len(),
        outcome.messages,
        marks.join(" · ")
    ))
}

/// `SEEDS=A..B` chooses others.
fn seeds() -> std::ops::Range<u64> {
    let text = std::env::var("SEEDS").unwrap_or_else(|_| "0..4".to_string());
    let (from, to) = text.split_once("..").expect("SEEDS is A..B");
    from.parse().expect("a number")..to.parse().expect("a number")
}

fn all_hold(model: Model) {
    let mut failed = Vec::new();
    for seed in seeds() {
        match judge(seed, model) {
            Ok(line) => println!("{line}"),
            Err(told) => {
                println!("{told}");
                failed.push(told);
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_log_keeps_its_promises_under_crashes_and_cuts() {
    all_hold(Model::Crashes);
}

#[test]
fn the_log_keeps_its_promises_when_one_broker_loses_its_power() {
    all_hold(Model::OnePowerLoss);
}

#[test]
fn a_node_that_syncs_keeps_its_promises_at_any_power_loss() {
    all_hold(Model::Alone);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let (a, b) = (run_seed(1, Model::Crashes), run_seed(1, Model::Crashes));
    let parted = a.history.iter().zip(&b.history).find(|(a, b)| a != b);
    assert_eq!(parted, None);
    assert_eq!((a.digest, a.simulated_us), (b.digest, b.simulated_us));
}
