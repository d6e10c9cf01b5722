//! Goal: each fault bites, and heals. Method: nodes that do nothing but state every 50 ms that they are alive, and answer a framed request; one planned
//! fault; then a look at who was silent, when, and who was answered. Needs a simulated world: `cargo xtask test` runs it there.

use faults::model::{Director, Group, Terrain};
use serde_json::{Value, json};
use sim::log::Event;
use sim::log::history::FaultPhase;
use sim::runtime::net::{Frame, Listener, RESPONSE, connect, framed};
use sim::runtime::task::spawn;
use sim::runtime::time::{monotonic_ms, sleep, timeout};
use sim::{NodeCtx, PlannedFault, Settings, Trigger, World};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When each node stated that it is alive, ms; and its lives.
type Beats = Arc<Mutex<BTreeMap<String, Vec<(u64, u64)>>>>;

const KIND: u16 = 26;
const FROM_MS: u64 = 1_000;

fn terrain() -> Terrain {
    let names = |of: &str, count: u32| (1..=count).map(|n| format!("{of}-{n}")).collect::<Vec<_>>();
    Terrain {
        controllers: vec!["controller".to_owned()],
        brokers: names("broker", 3),
        groups: vec![Group { name: "account".to_owned(), members: names("account", 2), spares: vec!["account-3".to_owned()] }],
        services: names("account", 2),
        edges: vec!["account-1".to_owned()],
        clients: Vec::new(),
        fsync_always: true,
        timers_ms: vec![("session".to_owned(), 6_000)],
        span_ms: 20_000,
    }
}

async fn live(ctx: NodeCtx, beats: Beats) {
    let mut listener = Listener::bind(&format!("{}:1", ctx.name)).await.expect("the port is free");
    spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn(async move {
                let (mut reader, mut writer) = framed(stream);
                while let Ok(Some(frame)) = reader.next().await {
                    let answer = Frame { kind: frame.kind | RESPONSE, ..frame };
                    if writer.send(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    while !ctx.stop.is_requested() {
        beats.lock().expect("nobody panics with it").entry(ctx.name.clone()).or_default().push((monotonic_ms(), ctx.incarnation));
        sleep(Duration::from_millis(50)).await;
    }
}

/// Runs one fault at 1 s for at most 10 s; gives the beats and how the fault stood, in order. `None`: this build has no world.
fn bite(kind: &str, target: &str, args: Value) -> Option<(BTreeMap<String, Vec<(u64, u64)>>, Vec<FaultPhase>)> {
    if sim::world::NAME.is_empty() {
        println!("skipped: this build has no simulated world");
        return None;
    }
    let beats = Beats::default();
    let planned = PlannedFault { id: 1, kind: kind.to_owned(), target: target.to_owned(), trigger: Trigger::at_ms(FROM_MS), args };
    let of_kind = faults::of_kind(kind).expect("there is such a fault");
    of_kind.check(&planned, &terrain()).expect("the arguments are sound");
    let inner = beats.clone();
    let outcome = sim::run(&Settings { warm_up: Duration::ZERO, ..Settings::of_seed(1) }, move |world: World| {
        let (beats, planned) = (inner.clone(), planned.clone());
        beats.lock().expect("nobody panics with it").clear();
        Box::pin(async move {
            for node in terrain().everybody() {
                let beats = beats.clone();
                world.node(&node, move |ctx| Box::pin(live(ctx, beats.clone())));
            }
            let late = beats.clone();
            world.add("account-3", move |ctx| Box::pin(live(ctx, late.clone())));
            let director = Director::start(&world, terrain(), &[planned]);
            sleep(Duration::from_millis(10_000)).await;
            director.heal().await;
            sleep(Duration::from_millis(500)).await;
        })
    });
    assert!(matches!(outcome.ended, sim::Ended::Finished(())), "{:?}", outcome.ended);
    let phases = outcome.history.iter().filter_map(|entry| if let Event::Fault { phase, .. } = entry.event { Some(phase) } else { None }).collect();
    let beats = beats.lock().expect("nobody panics with it").clone();
    Some((beats, phases))
}

/// The longest silence of a node, ms, and how many lives it had.
fn silence(beats: &BTreeMap<String, Vec<(u64, u64)>>, node: &str) -> (u64, u64) {
    let beats = &beats[node];
    let longest = beats.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or(0);
    (longest, beats.last().expect("it beat").1)
}

fn stands_still(kind: &str, target: &str, node: &str, args: Value, lives: u64) {
    let Some((beats, phases)) = bite(kind, target, args) else { return };
    assert_eq!(phases, [FaultPhase::Begin, FaultPhase::End]);
    let (longest, had) = silence(&beats, node);
    assert!((2_000..2_500).contains(&longest), "{node} was silent for {longest} ms");
    assert_eq!(had, lives, "lives of {node}");
    assert!(silence(&beats, "broker-3").0 < 100, "nobody else was hit");
}

#[test]
fn broker_crash_ends_a_life_and_another_begins() {
    stands_still("broker_crash", "broker-1", "broker-1", json!({ "how": "kill", "outage_ms": 2_000 }), 2);
    stands_still("broker_crash", "broker-1", "broker-1", json!({ "how": "power_loss", "outage_ms": 2_000 }), 2);
}

#[test]
fn controller_crash_hits_the_controller() {
    stands_still("controller_crash", "controller", "controller", json!({ "how": "kill", "outage_ms": 2_000 }), 2);
}

#[test]
fn service_crash_may_come_again() {
    stands_still("service_crash", "account-1", "account-1", json!({ "how": "kill", "outage_ms": 2_000, "again": 2 }), 4);
}

#[test]
fn process_pause_stops_a_life_and_lets_it_go_on() {
    stands_still("process_pause", "account-2", "account-2", json!({ "pause_ms": 2_000 }), 1);
}

#[test]
fn rebalance_moves_members() {
    stands_still("rebalance", "account", "account-1", json!({ "how": "leave", "member": "account-1", "outage_ms": 2_000 }), 2);
    stands_still("rebalance", "account", "account-1", json!({ "how": "pause", "member": "account-1", "outage_ms": 2_000 }), 1);
    let Some((beats, _)) = bite("rebalance", "account", json!({ "how": "join", "member": "account-3", "outage_ms": 2_000 })) else { return };
    let beats = &beats["account-3"];
    let lasted = beats.last().expect("it joined").0 - beats[0].0;
    assert!((1_900..2_200).contains(&lasted), "it stayed for {lasted} ms");
}

/// Sends a request each 50 ms, each over a connection of its own; how many got no answer within 200 ms.
fn unanswered(kind: &str, target: &str, args: Value, from: &'static str, to: &'static str) -> Option<usize> {
    if sim::world::NAME.is_empty() {
        println!("skipped: this build has no simulated world");
        return None;
    }
    let planned = PlannedFault { id: 1, kind: kind.to_owned(), target: target.to_owned(), trigger: Trigger::at_ms(FROM_MS), args };
    let misses = Arc::new(Mutex::new(0));
    let told = misses.clone();
    let outcome = sim::run(&Settings { warm_up: Duration::ZERO, ..Settings::of_seed(1) }, move |world: World| {
        let (planned, misses) = (planned.clone(), told.clone());
        *misses.lock().expect("nobody panics with it") = 0;
        Box::pin(async move {
            world.node(to, |ctx| Box::pin(live(ctx, Beats::default())));
            world.node(from, move |_ctx| {
                let misses = misses.clone();
                Box::pin(async move {
                    loop {
                        if timeout(Duration::from_millis(200), ask(to)).await != Ok(true) {
                            *misses.lock().expect("nobody panics with it") += 1;
                        }
                        sleep(Duration::from_millis(50)).await;
                    }
                })
            });
            let mut narrow = terrain();
            (narrow.controllers, narrow.brokers, narrow.services, narrow.groups) =
                (vec![to.to_owned()], vec![to.to_owned()], vec![from.to_owned()], Vec::new());
            let director = Director::start(&world, narrow, &[planned]);
            sleep(Duration::from_millis(8_000)).await;
            director.heal().await;
        })
    });
    assert!(matches!(outcome.ended, sim::Ended::Finished(())), "{:?}", outcome.ended);
    let count = *misses.lock().expect("nobody panics with it");
    Some(count)
}

async fn ask(to: &str) -> bool {
    let Ok(stream) = connect(&format!("{to}:1")).await else { return false };
    let (mut reader, mut writer) = framed(stream);
    let request = Frame { kind: KIND, correlation: 1, body: Default::default() };
    writer.send(request).await.is_ok() && matches!(reader.next().await, Ok(Some(_)))
}

#[test]
fn partition_holds_what_is_sent_until_it_is_healed() {
    let links = [["account-1", "broker-1"], ["broker-1", "account-1"]];
    for (how, links) in [("symmetric", &links[..]), ("one_way", &links[1..]), ("client_only", &links[..])] {
        let args = json!({ "how": how, "links": links, "outage_ms": 2_000 });
        let Some(count) = unanswered("partition", "broker-1", args, "account-1", "broker-1") else { return };
        assert!((7..=11).contains(&count), "{how}: two seconds are some eight tries of 250 ms, not {count}");
    }
}

#[test]
fn request_delayed_holds_one_request_back() {
    let args = |delay_ms: u64| json!({ "from": "account-1", "to": "broker-1", "request": KIND, "nth": 3, "delay_ms": delay_ms });
    let Some(count) = unanswered("request_delayed", "account-1", args(1_000), "account-1", "broker-1") else { return };
    assert_eq!(count, 1);
    assert_eq!(unanswered("request_delayed", "account-1", args(50), "account-1", "broker-1"), Some(0), "late, and not given up");
}

#[test]
fn response_lost_loses_one_answer() {
    let args = json!({ "from": "broker-1", "to": "account-1", "request": KIND, "nth": 3 });
    let Some(count) = unanswered("response_lost", "broker-1", args, "account-1", "broker-1") else { return };
    assert_eq!(count, 1);
    let args = json!({ "from": "broker-1", "to": "account-1", "request": KIND + 1, "nth": 1 });
    assert_eq!(unanswered("response_lost", "broker-1", args, "account-1", "broker-1"), Some(0), "no request of that kind was answered");
}

/// A node that does nothing but append to its disk and sync it: how many syncs it had done after each 1,000 ms.
#[test]
fn slow_disk_holds_syncs_back_until_it_is_healed() {
    if sim::world::NAME.is_empty() {
        println!("skipped: this build has no simulated world");
        return;
    }
    let args = json!({ "sync_ms": 400, "lasts_ms": 4_000 });
    let planned = PlannedFault { id: 1, kind: "slow_disk".to_owned(), target: "broker-1".to_owned(), trigger: Trigger::at_ms(FROM_MS), args };
    let syncs = Arc::new(Mutex::new(Vec::new()));
    let told = syncs.clone();
    let outcome = sim::run(&Settings { warm_up: Duration::ZERO, ..Settings::of_seed(1) }, move |world: World| {
        let (planned, syncs) = (planned.clone(), told.clone());
        syncs.lock().expect("nobody panics with it").clear();
        Box::pin(async move {
            let noted = syncs.clone();
            world.node("broker-1", move |ctx| {
                let syncs = noted.clone();
                Box::pin(async move {
                    loop {
                        ctx.disk.append("log", b"x").expect("the disk is only slow");
                        ctx.disk.sync(&["log".to_owned()]).await.expect("the disk is only slow");
                        syncs.lock().expect("nobody panics with it").push(monotonic_ms());
                    }
                })
            });
            let mut narrow = terrain();
            (narrow.controllers, narrow.brokers, narrow.services, narrow.groups) =
                (vec!["broker-1".to_owned()], vec!["broker-1".to_owned()], Vec::new(), Vec::new());
            let director = Director::start(&world, narrow, &[planned]);
            sleep(Duration::from_millis(8_000)).await;
            director.heal().await;
        })
    });
    assert!(matches!(outcome.ended, sim::Ended::Finished(())), "{:?}", outcome.ended);
    let syncs = syncs.lock().expect("nobody panics with it");
    let within = |from_ms: u64, to_ms: u64| syncs.iter().filter(|ms| (from_ms..to_ms).contains(*ms)).count();
    assert!(within(0, 900) > 100, "{} syncs before", within(0, 900));
    assert!((8..=10).contains(&within(1_100, 4_900)), "{} syncs of 400 ms in 3,800 ms", within(1_100, 4_900));
    assert!(within(5_500, 7_500) > 300, "{} syncs afterwards", within(5_500, 7_500));
}
