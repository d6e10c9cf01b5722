//! Draws the faults of a plan: how many of each kind, where, when.

use super::{Effect, Terrain, WHOEVER};
use sim::runtime::rng::Rng;
use sim::{PlannedFault, Trigger};
use std::ops::RangeInclusive;

/// How many faults of a kind a run of a scenario gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The kind.
    pub kind: &'static str,
    /// At least and at most; a swarm switches whole kinds off.
    pub count: RangeInclusive<u64>,
    /// In so many percent of the seeds there is none of this kind.
    pub off_percent: u64,
}

/// Draws a plan's faults. Each is drawn from its own stream, keyed by kind and number: taking one out leaves the others as they were. Half of them fire
/// on a mark.
pub fn draw(seed: u64, terrain: &Terrain, mix: &[Share]) -> Vec<PlannedFault> {
    let mut faults: Vec<PlannedFault> = Vec::new();
    for (at, share) in mix.iter().enumerate() {
        let fault = crate::of_kind(share.kind).unwrap_or_else(|| panic!("no fault is called {}", share.kind));
        let mut rng = Rng::keyed(seed, &["faults", share.kind]);
        if rng.below(100) < share.off_percent {
            continue;
        }
        let count = rng.range(*share.count.start()..*share.count.end() + 1);
        for number in 0..count {
            let mut rng = Rng::keyed(seed, &["faults", share.kind, &number.to_string()]);
            let Some(drawn) = fault.draw(&mut rng, terrain) else { break };
            let id = at as u32 * 100 + number as u32 + 1;
            let planned = PlannedFault { id, kind: share.kind.to_owned(), target: drawn.target, trigger: Trigger::at_ms(0), args: drawn.args };
            let planned = with_trigger(&mut rng, terrain, planned);
            if !clashes(&faults, &planned, terrain) {
                faults.push(planned);
            }
        }
    }
    faults
}

/// Most hits of a mark that a trigger waits for, spread so that late ones occur: the run may end before.
const NTH_MAX: u64 = 4_000;

fn with_trigger(rng: &mut Rng, terrain: &Terrain, planned: PlannedFault) -> PlannedFault {
    let fault = crate::of_kind(&planned.kind).expect("the caller found it");
    if rng.chance(1, 2) {
        return PlannedFault { trigger: Trigger::at_ms(rng.range(500..terrain.span_ms)), ..planned };
    }
    let mark = *rng.pick(fault.marks());
    let nth = nth_of(rng, mark);
    // Whoever appends or commits right now is worth more than a victim chosen beforehand, where the mark is made by its kind of node.
    let aimed = PlannedFault { target: WHOEVER.to_owned(), trigger: Trigger::on(mark, None, nth), ..planned.clone() };
    if makes_mark(mark, &planned.kind) && rng.chance(2, 3) && fault.check(&aimed, terrain).is_ok() {
        return aimed;
    }
    PlannedFault { trigger: Trigger::on(mark, None, nth), ..planned }
}

/// Is the node that hits this mark one that this kind may hit?
fn makes_mark(mark: &str, kind: &str) -> bool {
    let by_broker = matches!(mark, "appended_locally" | "became_follower" | "txn_prepared" | "first_marker_written");
    match kind {
        "broker_crash" => by_broker,
        "service_crash" => !by_broker && mark != "leader_elected",
        "process_pause" => true,
        _ => false,
    }
}

/// A hit somewhere in the run: rare marks early, frequent ones anywhere.
fn nth_of(rng: &mut Rng, mark: &str) -> u64 {
    match mark {
        "appended_locally" => 1 + rng.below(NTH_MAX),
        "position_committed" => 1 + rng.below(NTH_MAX / 4),
        "txn_prepared" | "first_marker_written" => 1 + rng.below(NTH_MAX / 4),
        "became_follower" | "leader_elected" => 1 + rng.below(40),
        _ => 1 + rng.below(8),
    }
}

/// A timed power loss and another timed broker fault must not overlap.
fn clashes(faults: &[PlannedFault], planned: &PlannedFault, terrain: &Terrain) -> bool {
    let effect = |planned: &PlannedFault| crate::of_kind(&planned.kind).expect("it was drawn").effect(planned, terrain);
    let touches = |planned: &PlannedFault| effect(planned) != Effect::None;
    let loses = |planned: &PlannedFault| matches!(effect(planned), Effect::LosesPower(_));
    if !touches(planned) {
        return false;
    }
    let span = |planned: &PlannedFault| match &planned.trigger {
        Trigger::At(at) => Some((at.at_ms, at.at_ms + crate::of_kind(&planned.kind).expect("it was drawn").lasts_ms(planned))),
        Trigger::On(_) => None,
    };
    let Some((begin, end)) = span(planned) else { return false };
    faults.iter().filter(|other| touches(other) && (loses(planned) || loses(other))).filter_map(span).any(|(from, to)| from <= end && begin <= to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::within_model;

    fn mix() -> Vec<Share> {
        crate::ALL.iter().map(|fault| Share { kind: fault.kind(), count: 0..=6, off_percent: 20 }).collect()
    }

    #[test]
    fn every_draw_is_within_the_model() {
        for terrain in [Terrain::small(), Terrain::single()] {
            for seed in 0..2_000 {
                within_model(&draw(seed, &terrain, &mix()), &terrain).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
        }
    }

    #[test]
    fn half_of_the_faults_wait_for_a_mark_and_every_kind_and_mark_is_drawn() {
        let all: Vec<PlannedFault> = (0..500).flat_map(|seed| draw(seed, &Terrain::small(), &mix())).collect();
        let on_mark = all.iter().filter(|planned| matches!(planned.trigger, Trigger::On(_))).count();
        assert!((45..55).contains(&(on_mark * 100 / all.len())), "{on_mark} of {}", all.len());
        for fault in crate::ALL {
            for mark in fault.marks() {
                let drawn = all.iter().any(|planned| planned.kind == fault.kind() && matches!(&planned.trigger, Trigger::On(on) if on.on == *mark));
                assert!(drawn, "{} never waits for {mark}", fault.kind());
            }
        }
    }

    #[test]
    fn one_kind_more_leaves_the_others_as_they_were() {
        let terrain = Terrain::small();
        let without: Vec<Share> =
            mix().into_iter().map(|share| if share.kind == "service_crash" { Share { off_percent: 100, ..share } } else { share }).collect();
        let rest: Vec<PlannedFault> = draw(5, &terrain, &mix()).into_iter().filter(|planned| planned.kind != "service_crash").collect();
        assert_eq!(draw(5, &terrain, &without), rest);
    }
}
