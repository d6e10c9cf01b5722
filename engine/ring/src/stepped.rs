//! Simulation's driver: one thread, and a source of chance that decides which stage steps next and how far.

use crate::{Fault, Stage, Step};

/// Most events of one step.
const LIMIT_MAX: u64 = 8;

/// A stage that could not go on.
#[derive(Debug, thiserror::Error)]
#[error("stage {stage}: {fault}")]
pub struct StageFault {
    /// Its place in the list.
    pub stage: usize,
    /// What it said.
    pub fault: Fault,
}

/// Steps stages in an order, and by lengths, that `random` decides, until none has anything to do; says how many events were read.
/// Stops at the first fault; the stages may be stepped on after it.
pub fn settle(stages: &mut [&mut dyn Stage], random: &mut dyn FnMut() -> u64) -> Result<u64, StageFault> {
    let (mut read, mut idle) = (0, 0);
    // Idle stages are passed over in turn, so that a poor source of chance ends too.
    let mut at = 0;
    while idle < stages.len() {
        at = if idle == 0 { below(random, stages.len() as u64) as usize } else { (at + 1) % stages.len() };
        match stages[at].step(1 + below(random, LIMIT_MAX)) {
            Step::Did(count) => {
                read += count;
                idle = 0;
            }
            Step::Idle | Step::Done => idle += 1,
            Step::Failed(fault) => return Err(StageFault { stage: at, fault }),
        }
    }
    Ok(read)
}

/// A number below `bound`, from the high bits: low bits of simple generators are poor.
pub(crate) fn below(random: &mut dyn FnMut() -> u64, bound: u64) -> u64 {
    ((u128::from(random()) * u128::from(bound)) >> 64) as u64
}
