//! The simulated cluster: a controller and three brokers, each a node. Every contract is a run of its own, from a seed of its own, and its history is
//! judged by the invariants of the log as well.

use broker::{Broker, BrokerConfig, Controller, ControllerConfig, Core};
use log::Durability;
use log::history::SharedObserver;
use log::host::{self, HostConfig};
use log::link::{Link, LinkConfig};
use log::native::{ClientConfig, Native};
use runtime::BoxFuture;
use runtime::net::RESPONSE;
use runtime::time::sleep;
use sim::conformance::log::asked::{Request, Response};
use sim::conformance::log::{Bench, Client, Contract, Load, all};
use sim::conformance::proxy::Trip;
use sim::{Ended, NodeCtx, Settings, World, invariants, run};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

const BROKERS: u32 = 3;
const CLIENT: &str = "client";

/// What a contract asks of the world; a node holds no world of its own.
enum Verb {
    Kill(u32),
    Restart(u32),
    Pause(u32),
    Resume(u32),
    Trip(u16, Trip),
    Swallow,
    Pass,
    /// The contract held.
    End,
}

struct Simulated {
    observer: SharedObserver,
    verbs: mpsc::UnboundedSender<(Verb, oneshot::Sender<()>)>,
    numbers: AtomicU64,
}

impl Simulated {
    fn tell(&self, verb: Verb) -> BoxFuture<'_, ()> {
        let (done, answered) = oneshot::channel();
        self.verbs.send((verb, done)).expect("the world outlives its nodes");
        Box::pin(async move { answered.await.expect("the world answers") })
    }
}

fn address(node: u32) -> String {
    if node == 0 { "controller:9092".to_owned() } else { format!("{}:9092", name(node)) }
}

fn name(broker: u32) -> String {
    format!("broker-{broker}")
}

impl Bench for Simulated {
    type Log = Native;

    fn client(&self, client: Client) -> Native {
        let defaults = ClientConfig::default();
        let config = ClientConfig {
            durable: Durability::Replicated(2),
            session_timeout_ms: client.session_timeout_ms.unwrap_or(defaults.session_timeout_ms),
            max_poll_interval_ms: client.session_timeout_ms.unwrap_or(defaults.max_poll_interval_ms),
            buffer_bytes_max: client.buffer_bytes_max.unwrap_or(defaults.buffer_bytes_max),
            ..ClientConfig::new(CLIENT, (1..=BROKERS).map(address))
        };
        Native::new(config, self.observer.clone())
    }

    fn brokers(&self) -> u32 {
        BROKERS
    }

    fn replication(&self) -> (u32, u32) {
        (3, 2)
    }

    /// Three seeds.
    fn load(&self) -> Load {
        Load { rounds: crate::rounds(1), ahead: 12, pause_ms: 200, outage_ms: 2_500 }
    }

    fn recorded(&self) -> Option<&'static str> {
        (!crate::is_recording()).then_some(include_str!("../../../engine/log/src/differences/sim.txt"))
    }

    fn fresh(&self, word: &str) -> String {
        format!("{word}-{}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    fn swallow_answers(&self) -> BoxFuture<'_, ()> {
        self.tell(Verb::Swallow)
    }

    fn pass_answers(&self) -> BoxFuture<'_, ()> {
        self.tell(Verb::Pass)
    }

    fn trip(&self, kind: u16, trip: Trip) -> BoxFuture<'_, ()> {
        self.tell(Verb::Trip(kind, trip))
    }

    fn ask(&self, broker: u32, request: Request) -> BoxFuture<'_, Option<Response>> {
        let config = LinkConfig { connect_timeout_ms: 1_000, request_timeout_ms: 5_000, backoff_ms_min: 10, backoff_ms_max: 100 };
        let link = Link::open(address(broker), config);
        Box::pin(async move { link.call(&request, 0).await.ok() })
    }

    fn pause(&self, broker: u32) -> BoxFuture<'_, ()> {
        self.tell(Verb::Pause(broker))
    }

    fn resume(&self, broker: u32) -> BoxFuture<'_, ()> {
        self.tell(Verb::Resume(broker))
    }

    fn kill(&self, broker: u32) -> BoxFuture<'_, ()> {
        self.tell(Verb::Kill(broker))
    }

    fn restart(&self, broker: u32) -> BoxFuture<'_, ()> {
        self.tell(Verb::Restart(broker))
    }
}

async fn serve(ctx: NodeCtx, node: u32) {
    let nodes: BTreeMap<u32, String> = (0..=BROKERS).map(|node| (node, address(node))).collect();
    let core: Box<dyn Core> =
        if node == 0 { Box::new(Controller::new(ControllerConfig::default())) } else { Box::new(Broker::new(BrokerConfig::new(node, &address(node)))) };
    // An error says that its disk failed; nobody breaks disks here.
    host::run(HostConfig::new(address(node), nodes), vec![(node, core)], ctx.disk, ctx.observer, ctx.incarnation, ctx.stop).await.expect("a host that runs");
}

/// The cluster, and a node that holds it to the contract.
async fn scene(world: World, contract: &'static Contract<Simulated>) {
    world.node("controller", |ctx| Box::pin(serve(ctx, 0)));
    for broker in 1..=BROKERS {
        world.node(&name(broker), move |ctx| Box::pin(serve(ctx, broker)));
    }
    let (verbs, mut asked) = mpsc::unbounded_channel();
    world.node(CLIENT, move |ctx| {
        let bench = Arc::new(Simulated { observer: ctx.observer.clone(), verbs: verbs.clone(), numbers: AtomicU64::new(0) });
        Box::pin(async move {
            contract.begin(bench.clone()).await;
            bench.tell(Verb::End).await;
        })
    });
    while let Some((verb, done)) = asked.recv().await {
        match verb {
            Verb::Kill(broker) => world.kill(&name(broker)),
            Verb::Restart(broker) => {
                world.restart(&name(broker));
                // Until it is back in every ISR.
                sleep(Duration::from_secs(10)).await;
            }
            Verb::Pause(broker) => world.pause(&name(broker)),
            Verb::Resume(broker) => world.resume(&name(broker)),
            // Of whichever broker answers first: one that has no such answer keeps it for later, and `pass` takes it back.
            Verb::Trip(kind, trip) => {
                for broker in 1..=BROKERS {
                    let (from, kind) = (name(broker), Some(kind | RESPONSE));
                    let _touched = match trip {
                        Trip::Lose => world.lose(&from, CLIENT, kind, 1),
                        Trip::Delay(ms) => world.delay(&from, CLIENT, kind, 1, ms),
                    };
                }
            }
            Verb::Swallow => (1..=BROKERS).for_each(|broker| world.cut(&name(broker), CLIENT)),
            Verb::Pass => world.heal_all(),
            Verb::End => return,
        }
        // Who asked may have been given up.
        let _ = done.send(());
    }
}

/// What broke, if anything did.
fn judge_one(seed: u64, contract: &'static Contract<Simulated>) -> Result<u64, String> {
    let outcome = run(&Settings::of_seed(seed), move |world| Box::pin(scene(world, contract)));
    if outcome.ended != Ended::Finished(()) {
        return Err(format!("{:?}", outcome.ended));
    }
    for (name, finding) in invariants::check(&outcome.history, invariants::all()) {
        if let Some(violation) = finding.violation {
            return Err(format!("{name}: {}\n  {}", violation.headline, violation.facts.join("\n  ")));
        }
    }
    Ok(outcome.simulated_us / 1_000)
}

/// Every contract under a few seeds; how many held, and how many did not.
pub fn judge(only: &str) -> (usize, usize) {
    const SEEDS: std::ops::Range<u64> = 0..3;
    println!("log sim: a controller and three brokers, replication 3, min ISR 2; {} seeds each, in simulated time", SEEDS.end);
    let contracts: &'static [Contract<Simulated>] = Box::leak(all().into_boxed_slice());
    let (mut held, mut broken) = (0, 0);
    for contract in contracts.iter().filter(|contract| contract.name.contains(only)) {
        let mut took_ms = 0;
        let verdict =
            SEEDS.map(|seed| judge_one(seed, contract).map_err(|what| format!("seed {seed}: {what}"))).try_for_each(|one| one.map(|ms| took_ms += ms));
        let word = if verdict.is_ok() { "ok" } else { "BROKEN" };
        if verdict.is_ok() {
            held += 1
        } else {
            broken += 1
        }
        println!("{word:<7} {:<72} {took_ms:>6} ms  {}", contract.name, contract.provokes);
        if let Err(what) = verdict {
            println!("  {what}");
        }
    }
    (held, broken)
}
