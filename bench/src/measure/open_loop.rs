//! Work that is due at its time, whether the work before it is done or not.

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// The lanes begin this much later, so that all of them stand.
const HEAD_START: Duration = Duration::from_millis(50);

/// When number `number` of `rate` a second is due.
pub fn due(begin: Instant, number: u64, rate: u64) -> Instant {
    begin + Duration::from_nanos(number * 1_000_000_000 / rate)
}

/// `total` pieces of work at `rate` a second, dealt to the lanes in turn, each lane on a thread of its own; in nanoseconds from when a piece was due until
/// it was done. A piece that is due while its lane is still busy is late, and its lateness counts (no coordinated omission).
pub fn open_loop<L: FnMut(u64) -> Result<()> + Send>(rate: u64, total: u64, lanes: &mut [L]) -> Result<Histogram<u64>> {
    let (count, begin) = (lanes.len(), Instant::now() + HEAD_START);
    let run = |first: usize, lane: &mut L| {
        let mut latencies = Histogram::<u64>::new(3)?;
        for number in (first as u64..total).step_by(count) {
            let due = due(begin, number, rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            lane(number)?;
            latencies.record(due.elapsed().as_nanos() as u64)?;
        }
        Ok(latencies)
    };
    let run = &run;
    let lanes: Vec<Result<Histogram<u64>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = lanes.iter_mut().enumerate().map(|(first, lane)| scope.spawn(move || run(first, lane))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a lane does not panic")).collect()
    });
    let mut all = Histogram::new(3)?;
    for lane in lanes {
        all.add(lane?)?;
    }
    ensure!(all.len() == total, "{} of {total} pieces were done", all.len());
    Ok(all)
}

/// The saturation knee: the highest rate that was sustained, all lower ones too. 0: none was.
pub fn knee(rates: &[u64], sustained: impl Fn(usize) -> bool) -> u64 {
    let held = (0..rates.len()).take_while(|at| sustained(*at)).count();
    if held == 0 { 0 } else { rates[held - 1] }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One stop of 60 ms: with coordinated omission one piece would be late, here every piece that was due meanwhile is.
    #[test]
    fn what_was_due_during_a_stop_is_late_too() {
        let mut stopped = false;
        let lane = |_| {
            if !std::mem::replace(&mut stopped, true) {
                std::thread::sleep(Duration::from_millis(60));
            }
            Ok(())
        };
        let latencies = open_loop(1_000, 50, &mut [lane]).expect("nothing fails");
        assert_eq!(latencies.len(), 50);
        assert!(latencies.value_at_quantile(0.5) > 10_000_000, "{} ns", latencies.value_at_quantile(0.5));
    }

    #[test]
    fn an_error_of_a_lane_is_the_error_of_all() {
        let lane = |number| if number == 3 { Err(anyhow::anyhow!("refused")) } else { Ok(()) };
        assert_eq!(open_loop(10_000, 5, &mut [lane]).expect_err("the third fails").to_string(), "refused");
    }

    #[test]
    fn the_knee_is_below_the_first_rate_that_was_not_sustained() {
        let held = [true, true, false, true];
        assert_eq!(knee(&[10, 20, 40, 80], |at| held[at]), 20);
        assert_eq!(knee(&[10, 20], |_| true), 20);
        assert_eq!(knee(&[10, 20], |_| false), 0);
    }
}
