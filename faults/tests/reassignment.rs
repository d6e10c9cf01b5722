//! Goal: `reassignment` moves a partition, and moves it on when it ends. Method: a controller, four brokers and a topic; one planned fault; then a look at
//! what the controller and the replicas say. Needs a simulated world: `cargo xtask test` runs it there.

use faults::model::{Director, Terrain};
use serde_json::{Value, json};
use sim::broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core, Note, Tp};
use sim::log::history::FaultPhase;
use sim::log::host::{self, HostConfig};
use sim::log::native::{ClientConfig, Native};
use sim::log::{Event, LogPort, Outcome, TopicSpec};
use sim::runtime::time::{monotonic_ms, sleep};
use sim::{Entry, NodeCtx, PlannedFault, Settings, Trigger, World};
use std::time::Duration;

const BROKERS: u32 = 4;

fn address(node: u32) -> String {
    if node == 0 { "controller:9093".to_owned() } else { format!("broker-{node}:9092") }
}

fn terrain() -> Terrain {
    Terrain {
        controllers: vec!["controller".to_owned()],
        brokers: (1..=BROKERS).map(|node| format!("broker-{node}")).collect(),
        groups: Vec::new(),
        services: Vec::new(),
        edges: Vec::new(),
        clients: Vec::new(),
        fsync_always: false,
        timers_ms: Vec::new(),
        span_ms: 20_000,
    }
}

async fn serve(ctx: NodeCtx, node: u32) {
    let nodes = (0..=BROKERS).map(|node| (node, address(node))).collect();
    let core: Box<dyn Core> =
        if node == 0 { Box::new(Controller::new(ControllerConfig::default())) } else { Box::new(Broker::new(BrokerConfig::new(node, &address(node)))) };
    let _ = host::run(HostConfig::new(address(node), nodes), vec![(node, core)], ctx.disk, ctx.observer, ctx.incarnation, ctx.stop).await;
}

async fn make_a_topic(ctx: NodeCtx) {
    let log = Native::new(ClientConfig::new(ctx.name.clone(), (1..=BROKERS).map(address)), ctx.observer.clone());
    let spec = TopicSpec { name: "numbers".to_owned(), partitions: 1, replication: 3, min_isr: 2, compacted: false };
    while !matches!(log.create_topics(vec![spec.clone()], monotonic_ms() + 1_000).await, Outcome::Done(())) {}
}

/// Runs one fault at 3 s, when there are topics; `None`: this build has no world.
fn run(args: Value) -> Option<Vec<Entry>> {
    if sim::world::NAME.is_empty() {
        println!("skipped: this build has no simulated world");
        return None;
    }
    let planned = PlannedFault { id: 7, kind: "reassignment".to_owned(), target: "broker-4".to_owned(), trigger: Trigger::at_ms(3_000), args };
    faults::of_kind("reassignment").expect("it is listed").check(&planned, &terrain()).expect("the arguments are sound");
    let outcome = sim::run(&Settings { warm_up: Duration::ZERO, ..Settings::of_seed(1) }, move |world: World| {
        let planned = planned.clone();
        Box::pin(async move {
            for node in 0..=BROKERS {
                let (name, _) = address(node).split_once(':').map(|(name, port)| (name.to_owned(), port.to_owned())).expect("with a port");
                world.node(&name, move |ctx| Box::pin(serve(ctx, node)));
            }
            world.node("operator", |ctx| Box::pin(make_a_topic(ctx)));
            let director = Director::start(&world, terrain(), &[planned]);
            sleep(Duration::from_secs(12)).await;
            director.heal().await;
        })
    });
    assert!(matches!(outcome.ended, sim::Ended::Finished(())), "{:?}", outcome.ended);
    Some(outcome.history)
}

/// What the controller said of moves, each with its partition.
fn moves(history: &[Entry]) -> Vec<(Tp, &'static str, Vec<u32>)> {
    let said = |entry: &Entry| match &entry.event {
        Event::Broker(Note::ReassignmentBegun { tp, replicas, .. }) => Some((*tp, "begun", replicas.clone())),
        Event::Broker(Note::ReassignmentCompleted { tp, replicas, .. }) => Some((*tp, "completed", replicas.clone())),
        Event::Broker(Note::ReassignmentCancelled { tp, replicas }) => Some((*tp, "cancelled", replicas.clone())),
        _ => None,
    };
    history.iter().filter_map(said).collect()
}

#[test]
fn a_partition_moves_and_moves_on() {
    // Number 8 is the topic's, on brokers 4, 1 and 2: the internal ones have four each.
    let args = json!({ "partition": 8, "others": ["broker-3"], "then": ["broker-1", "broker-3", "broker-2"], "lasts_ms": 2_000 });
    let Some(history) = run(args) else { return };
    let phases: Vec<FaultPhase> = history.iter().filter_map(|entry| if let Event::Fault { phase, .. } = entry.event { Some(phase) } else { None }).collect();
    assert_eq!(phases, [FaultPhase::Begin, FaultPhase::End]);
    let moves = moves(&history);
    let tp = moves.first().expect("it moves").0;
    let completed: Vec<&Vec<u32>> = moves.iter().filter(|(_, what, _)| *what == "completed").map(|(_, _, replicas)| replicas).collect();
    assert_eq!(completed, [&vec![4, 3], &vec![1, 3, 2]], "{moves:?}");
    assert!(moves.iter().all(|(of, ..)| *of == tp), "nothing else moves: {moves:?}");
    let leaders = history.iter().filter_map(|entry| match &entry.event {
        Event::Broker(Note::LeaderElected { tp: of, leader, .. }) if *of == tp => Some(*leader),
        _ => None,
    });
    let leaders: Vec<u32> = leaders.collect();
    assert!(leaders.contains(&4) && leaders.last() == Some(&1), "the preferred one leads, each time: {leaders:?}");
    let removed = |node: &str| history.iter().any(|entry| *entry.node == *node && matches!(entry.event, Event::Broker(Note::ReplicaRemoved { .. })));
    assert!(removed("broker-4"), "who lets it go keeps nothing");
}

#[test]
fn a_move_may_be_cancelled() {
    let args = json!({ "partition": 8, "others": ["broker-3"], "then": ["broker-1", "broker-3", "broker-2"], "cancel_ms": 0, "lasts_ms": 2_000 });
    let Some(history) = run(args) else { return };
    let moves = moves(&history);
    let words: Vec<&str> = moves.iter().map(|(_, what, _)| *what).collect();
    assert_eq!(words[..2], ["begun", "cancelled"], "{moves:?}");
    assert_eq!(moves.last().map(|(_, what, replicas)| (*what, replicas.clone())), Some(("completed", vec![1, 3, 2])), "{moves:?}");
}
