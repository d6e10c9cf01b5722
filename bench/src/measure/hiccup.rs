//! What the machine itself adds: a thread that only sleeps, and how much too late it wakes.

use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Runs beside a measurement. A tail of the measured system that the meter shows too is the machine's.
pub struct HiccupMeter {
    /// Written by whoever stops it, read by the thread.
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Histogram<u64>>,
}

/// Length of one sleep.
const SLEEP: Duration = Duration::from_millis(1);

impl HiccupMeter {
    /// Starts it.
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut late_ns = Histogram::new(3).expect("three digits");
            while !told.load(Ordering::Relaxed) {
                let begin = Instant::now();
                std::thread::sleep(SLEEP);
                let late = begin.elapsed().saturating_sub(SLEEP);
                // A sleeper that was late missed as many looks: they count too.
                late_ns.record_correct(late.as_nanos() as u64, SLEEP.as_nanos() as u64).expect("it grows");
            }
            late_ns
        });
        HiccupMeter { stop, thread }
    }

    /// Ends it: lateness in nanoseconds.
    pub fn stop(self) -> Histogram<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the meter does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_about_every_millisecond() {
        let meter = HiccupMeter::start();
        std::thread::sleep(Duration::from_millis(50));
        assert!(!meter.stop().is_empty());
    }
}
