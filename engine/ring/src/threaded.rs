//! Production's driver: one thread per stage; idle threads spin, then yield, then sleep.
#![allow(clippy::disallowed_methods, reason = "the production half: the only place of this crate with threads")]

use crate::{Fault, Stage, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an idle thread does what. Never let more threads spin than there are cores: a spinning pair stalls by up to a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// First it looks again so often.
    pub spins: u32,
    /// Then it looks again so often, and yields between.
    pub yields: u32,
    /// Then it sleeps so long between looks.
    pub park: Duration,
}

impl Default for Patience {
    /// Kind to a laptop: about a microsecond of spinning.
    fn default() -> Self {
        Patience { spins: 100, yields: 100, park: Duration::from_micros(50) }
    }
}

/// How a stage ended that did not read its ring to the end.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// It could not do an event.
    #[error("stage {name}: {fault}")]
    Failed {
        /// The stage.
        name: &'static str,
        /// What it said.
        fault: Fault,
    },
    /// It panicked (in a build that unwinds).
    #[error("stage {name} panicked")]
    Panicked {
        /// The stage.
        name: &'static str,
    },
}

/// Running stages. One that fails or panics ends the others too: they would wait for it for ever.
pub struct Threads {
    stop: Arc<AtomicBool>,
    handles: Vec<(&'static str, JoinHandle<Result<(), Fault>>)>,
}

impl Threads {
    /// Starts a thread per stage.
    pub fn start(stages: Vec<(&'static str, Box<dyn Stage>)>, patience: Patience) -> std::io::Result<Self> {
        let mut threads = Threads { stop: Arc::new(AtomicBool::new(false)), handles: Vec::new() };
        for (name, stage) in stages {
            let stop = StopOthers(Arc::clone(&threads.stop));
            let handle = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(stage, patience, &stop))?;
            threads.handles.push((name, handle));
        }
        Ok(threads)
    }

    /// Whether a stage ended early, or [`Threads::stop`] was called: the rings move no further.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends every stage after its present batch, whatever is left in the rings.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until every stage ended. Close the rings first, by dropping their producers, or call [`Threads::stop`].
    pub fn join(mut self) -> Result<(), Vec<Ended>> {
        let mut ended = Vec::new();
        for (name, handle) in self.handles.drain(..) {
            match handle.join() {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => ended.push(Ended::Failed { name, fault }),
                Err(_) => ended.push(Ended::Panicked { name }),
            }
        }
        if ended.is_empty() { Ok(()) } else { Err(ended) }
    }
}

impl Drop for Threads {
    /// Threads that nobody can end would outlive their owner.
    fn drop(&mut self) {
        if !self.handles.is_empty() {
            self.stop();
        }
    }
}

/// Stops the others when its own thread panics.
struct StopOthers(Arc<AtomicBool>);

impl Drop for StopOthers {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

fn run(mut stage: Box<dyn Stage>, patience: Patience, stop: &StopOthers) -> Result<(), Fault> {
    let mut idle: u32 = 0;
    while !stop.0.load(Ordering::Relaxed) {
        match stage.step(u64::MAX) {
            Step::Did(_) => idle = 0,
            Step::Done => return Ok(()),
            Step::Failed(fault) => {
                stop.0.store(true, Ordering::Relaxed);
                return Err(fault);
            }
            Step::Idle => {
                wait(idle, patience);
                idle = idle.saturating_add(1);
            }
        }
    }
    Ok(())
}

fn wait(idle: u32, patience: Patience) {
    if idle < patience.spins {
        std::hint::spin_loop();
    } else if idle - patience.spins < patience.yields {
        std::thread::yield_now();
    } else {
        std::thread::park_timeout(patience.park);
    }
}
