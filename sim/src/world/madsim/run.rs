//! One run: a seed, a fresh OS thread, a body.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // one thread a seed, and a wall clock that watches it from outside

use super::World;
use crate::Reached;
use crate::world::{Crash, Ended, RunOutcome, Settings};
use runtime::BoxFuture;
use runtime::simulated::{self, Progress, Simulation};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once, mpsc};
use std::time::{Duration, Instant};

thread_local! {
    /// The first panic of this thread's run.
    static CRASH: RefCell<Option<Crash>> = const { RefCell::new(None) };
    /// Does a run go on in this thread?
    static RUNNING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `body` in a world of its own. The first run of a process is done twice (see [`Settings::warm_up`]), so `body` must be callable again.
pub fn run<T, B>(settings: &Settings, body: B) -> RunOutcome<T>
where
    T: Send + 'static,
    B: Fn(World) -> BoxFuture<'static, T> + Send + Sync + 'static,
{
    static WARM_UP: Once = Once::new();
    let body = Arc::new(body);
    record_panics();
    WARM_UP.call_once(|| {
        let warm_up = Settings { time_limit: settings.warm_up.min(settings.time_limit), ..settings.clone() };
        let _ = on_fresh_thread(&warm_up, body.clone());
    });
    on_fresh_thread(settings, body)
}

/// What the thread of a run tells the one that waits for it.
type SharedProgress = Arc<Mutex<Option<Arc<Progress>>>>;

fn on_fresh_thread<T, B>(settings: &Settings, body: Arc<B>) -> RunOutcome<T>
where
    T: Send + 'static,
    B: Fn(World) -> BoxFuture<'static, T> + Send + Sync + 'static,
{
    let (tell, told) = mpsc::channel();
    let progress = SharedProgress::default();
    let thread = {
        let (settings, progress) = (settings.clone(), progress.clone());
        std::thread::Builder::new().name(format!("seed-{}", settings.seed)).stack_size(8 << 20).spawn(move || {
            // The waiting side is gone only if it gave this run up.
            let _ = tell.send(in_this_thread(&settings, &*body, &progress));
        })
    };
    let thread = thread.expect("the machine has room for one more thread");
    let outcome = wait(settings, &told, &progress);
    if !matches!(outcome.ended, Ended::Stalled(_)) {
        thread.join().expect("a run's own panics are caught inside it");
    }
    outcome
}

/// Waits for a run, and watches its clock.
fn wait<T>(settings: &Settings, told: &mpsc::Receiver<RunOutcome<T>>, progress: &SharedProgress) -> RunOutcome<T> {
    let mut seen = (0, Instant::now());
    loop {
        match told.recv_timeout(Duration::from_millis(500)) {
            Ok(outcome) => return outcome,
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the thread of seed {} ended without a word", settings.seed),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        let Some(progress) = progress.lock().expect("nobody panics with it").clone() else { continue };
        let at_us = progress.at_us.load(Ordering::Relaxed);
        if at_us != seen.0 {
            seen = (at_us, Instant::now());
        } else if seen.1.elapsed() > settings.stall_limit {
            let node = format!("number {} (the last that did something)", progress.node.load(Ordering::Relaxed));
            let message = format!("the simulated clock stood still for {} s", settings.stall_limit.as_secs());
            return stalled(settings, Crash { node, place: String::new(), message, at_us });
        }
    }
}

fn stalled<T>(settings: &Settings, crash: Crash) -> RunOutcome<T> {
    let simulated_us = crash.at_us;
    let reached = Reached::default();
    RunOutcome { seed: settings.seed, ended: Ended::Stalled(crash), history: Vec::new(), digest: 0, reached, simulated_us, messages: 0 }
}

fn in_this_thread<T, B>(settings: &Settings, body: &B, progress: &SharedProgress) -> RunOutcome<T>
where
    T: Send + 'static,
    B: Fn(World) -> BoxFuture<'static, T>,
{
    RUNNING.set(true);
    let madsim = madsim::runtime::Runtime::with_seed_and_config(settings.scheduler_seed, madsim::Config::default());
    // Kept outside, so that a crash leaves them.
    let kept: RefCell<Option<World>> = RefCell::new(None);
    let result = catch_unwind(AssertUnwindSafe(|| {
        madsim.block_on(async {
            let simulation = Simulation::reseeded(settings.seed);
            *progress.lock().expect("nobody panics with it") = Some(simulation.progress());
            let world = World::new(simulation.clone());
            runtime::task::spawn(housekeeping(simulation));
            *kept.borrow_mut() = Some(world.clone());
            let result = runtime::time::timeout(settings.time_limit, body(world.clone())).await;
            let ended_us = world.now_us();
            world.wind_up().await;
            (result, ended_us)
        })
    }));
    let world = kept.into_inner().expect("made before the body was called");
    let crash = CRASH.with(|slot| slot.borrow_mut().take());
    let (ended, ended_us) = match result {
        Ok((Ok(value), ended_us)) => (Ended::Finished(value), ended_us),
        Ok((Err(_), ended_us)) => (Ended::TimeLimit, ended_us),
        Err(panic) => (Ended::Crashed(crash.unwrap_or_else(|| unrecorded(&*panic))), world.now_us()),
    };
    let outcome = world.outcome(settings, ended, ended_us);
    // What waits for a mark, and what starts a node, may hold the world itself.
    world.forget_triggers();
    let nodes = std::mem::take(&mut *world.table());
    drop((nodes, world));
    drain(&madsim);
    simulated::clear();
    drain(&madsim);
    // Tasks of a crashed run are dropped here. Their Drop code finds no world any more; whatever it panics about is of no interest.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(madsim)));
    RUNNING.set(false);
    outcome
}

/// Runs what is ready. What a drop wakes stands in madsim's queue, whose tasks keep the queue itself alive: left there, it would stay behind with
/// all that they hold (0.7 MB a seed were measured). A task that finds its world gone panics, which ends that task.
fn drain(madsim: &madsim::runtime::Runtime) {
    const TASKS_MAX: u32 = 10_000;
    for _ in 0..TASKS_MAX {
        if catch_unwind(AssertUnwindSafe(|| madsim.block_on(async {}))).is_ok() {
            return;
        }
    }
}

/// No timer of the engine is set for longer; what is set for longer stays behind as memory, not as an error.
const LONGEST_TIMER: Duration = Duration::from_secs(600);

impl World {
    /// Ends every life, and gives their tasks the time to be dropped: without it each run would leave some of its memory behind.
    async fn wind_up(&self) {
        self.inner.history.close();
        self.forget_triggers();
        for node in self.nodes() {
            self.kill(&node);
        }
        // A task that waits for a timer is dropped when it rings, and madsim takes none back: let the longest ring.
        runtime::time::sleep(LONGEST_TIMER).await;
    }

    fn outcome<T>(&self, settings: &Settings, ended: Ended<T>, simulated_us: u64) -> RunOutcome<T> {
        let history = self.history();
        RunOutcome {
            seed: settings.seed,
            ended,
            digest: history.digest().value(),
            simulated_us,
            reached: self.reached(),
            messages: self.inner.simulation.messages(),
            history: history.into_entries(),
        }
    }
}

/// madsim keeps a word on every task that a node ever started until it is asked how many there are; and the watch wants to see the clock move also
/// while every node sleeps.
async fn housekeeping(simulation: Arc<Simulation>) {
    loop {
        runtime::time::sleep(Duration::from_secs(10)).await;
        madsim::runtime::Handle::current().metrics().num_tasks();
        simulation.now_ns();
    }
}

/// A panic that came past the hook.
fn unrecorded(panic: &(dyn std::any::Any + Send)) -> Crash {
    let message = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
    Crash { node: "world".into(), place: String::new(), message: message.unwrap_or_else(|| "a panic without text".into()), at_us: 0 }
}

/// A panic in a run is that seed's verdict, not a message on the terminal; panics elsewhere are told as ever.
fn record_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !RUNNING.get() {
                return before(info);
            }
            let place = info.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
            let message = info.payload_as_str().unwrap_or("a panic without text").to_string();
            // Without one the run is over, and its verdict made.
            let Some(simulation) = simulated::try_current() else { return };
            let life = simulation.current_life();
            let crash = Crash { node: simulation.name_of(life.node), place, message, at_us: simulation.now_ns() / 1_000 };
            CRASH.with(|slot| {
                slot.borrow_mut().get_or_insert(crash);
            });
        }));
    });
}
