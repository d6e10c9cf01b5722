//! A smaller plan that breaks the same invariant: faults first, then workload, then time. A plan that breaks another invariant, or none, is no
//! smaller plan of this failure.

use crate::plan::{Plan, Trigger, Workload};
use runtime::rng::Rng;

/// How many other task orders a shrunk plan is tried under.
pub const RERUNS: u64 = 20;

/// What shrinking came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The smallest plan found.
    pub plan: Plan,
    /// Runs it took, without the reruns.
    pub runs: u64,
    /// Of [`RERUNS`] other scheduler seeds, how many break the same invariant.
    pub stable: u64,
}

/// Shrinks a plan that breaks `invariant`, with at most `runs_max` runs. `run` gives the broken invariant's name.
pub fn shrink(plan: &Plan, invariant: &str, runs_max: u64, mut run: impl FnMut(&Plan) -> Option<String>) -> Shrunk {
    let mut search = Search { invariant, runs: 0, runs_max, run: &mut run };
    let mut smallest = plan.clone();
    // A smaller workload may make a fault needless, and the other way round.
    loop {
        let before = smallest.clone();
        search.fewer_faults(&mut smallest);
        search.less_work(&mut smallest);
        search.earlier(&mut smallest);
        if smallest == before || search.runs >= search.runs_max {
            break;
        }
    }
    let runs = search.runs;
    let mut seeds = Rng::keyed(smallest.scheduler_seed, &["shrink", "reruns"]);
    let stable = (0..RERUNS).filter(|_| run(&Plan { scheduler_seed: seeds.next_u64(), ..smallest.clone() }).as_deref() == Some(invariant)).count();
    Shrunk { plan: smallest, runs, stable: stable as u64 }
}

struct Search<'a> {
    invariant: &'a str,
    runs: u64,
    runs_max: u64,
    run: &'a mut dyn FnMut(&Plan) -> Option<String>,
}

impl Search<'_> {
    /// Takes the candidate if it breaks the same invariant.
    fn try_plan(&mut self, smallest: &mut Plan, candidate: Plan) -> bool {
        if self.runs >= self.runs_max || candidate == *smallest {
            return false;
        }
        self.runs += 1;
        let same = (self.run)(&candidate).as_deref() == Some(self.invariant);
        if same {
            *smallest = candidate;
        }
        same
    }

    fn fewer_faults(&mut self, smallest: &mut Plan) {
        self.fewer(smallest, |plan| plan.faults.len(), |plan, from, to| drop(plan.faults.drain(from..to)));
    }

    fn less_work(&mut self, smallest: &mut Plan) {
        let len = |plan: &Plan| if let Workload::List(list) = &plan.workload { list.len() } else { 0 };
        let remove = |plan: &mut Plan, from: usize, to: usize| {
            if let Workload::List(list) = &mut plan.workload {
                list.drain(from..to);
            }
        };
        self.fewer(smallest, len, remove);
    }

    /// Removes runs of items, large ones first (Zeller's ddmin on complements).
    fn fewer(&mut self, smallest: &mut Plan, len: impl Fn(&Plan) -> usize, remove: impl Fn(&mut Plan, usize, usize)) {
        let mut width = len(smallest);
        while width > 0 {
            let mut from = 0;
            while from < len(smallest) {
                let mut candidate = smallest.clone();
                remove(&mut candidate, from, (from + width).min(len(smallest)));
                // What moved up into this place is tried next.
                if !self.try_plan(smallest, candidate) {
                    from += width;
                }
            }
            width /= 2;
        }
    }

    /// Halves the times at which faults fire, while it still fails.
    fn earlier(&mut self, smallest: &mut Plan) {
        for at in 0..smallest.faults.len() {
            loop {
                let mut candidate = smallest.clone();
                match &mut candidate.faults[at].trigger {
                    Trigger::At(at) => at.at_ms /= 2,
                    Trigger::On(on) => on.nth = (on.nth / 2).max(1),
                }
                if !self.try_plan(smallest, candidate) {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{FORMAT, PlannedFault};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn plan() -> Plan {
        let fault =
            |id| PlannedFault { id, kind: "broker_crash".into(), target: "broker-1".into(), trigger: Trigger::at_ms(u64::from(id) * 1_000), args: Value::Null };
        Plan {
            format: FORMAT,
            commit: "x".into(),
            scenario: "smoke".into(),
            seed: 1,
            scheduler_seed: 2,
            shape: Value::Null,
            timers: BTreeMap::new(),
            workload: Workload::List((0..100).map(|order| json!(order)).collect()),
            faults: (1..=11).map(fault).collect(),
        }
    }

    fn has(plan: &Plan, id: u32) -> Option<u64> {
        plan.faults.iter().find(|fault| fault.id == id).map(|fault| if let Trigger::At(at) = &fault.trigger { at.at_ms } else { 0 })
    }

    fn orders(plan: &Plan) -> Vec<u64> {
        if let Workload::List(list) = &plan.workload { list.iter().filter_map(Value::as_u64).collect() } else { Vec::new() }
    }

    /// Broken by faults 3 and 8 (not before 1 s) and order 42; without fault 8 another invariant is broken.
    fn run(plan: &Plan) -> Option<String> {
        let broken = has(plan, 3).is_some() && orders(plan).contains(&42);
        match (broken, has(plan, 8)) {
            (true, Some(at_ms)) if at_ms >= 1_000 => Some("conservation".into()),
            (true, _) => Some("gapless_sequence".into()),
            _ => None,
        }
    }

    #[test]
    fn finds_the_two_faults_and_the_one_order() {
        let shrunk = shrink(&plan(), "conservation", 1_000, run);
        let ids: Vec<u32> = shrunk.plan.faults.iter().map(|fault| fault.id).collect();
        assert_eq!((ids, orders(&shrunk.plan)), (vec![3, 8], vec![42]));
        assert_eq!((has(&shrunk.plan, 3), has(&shrunk.plan, 8)), (Some(0), Some(1_000)));
        assert_eq!(shrunk.stable, RERUNS);
        assert!(shrunk.runs < 120, "{} runs", shrunk.runs);
        assert_eq!(run(&shrunk.plan).as_deref(), Some("conservation"));
    }

    #[test]
    fn stops_at_the_limit_with_what_it_has() {
        let shrunk = shrink(&plan(), "conservation", 5, run);
        assert_eq!(shrunk.runs, 5);
        assert_eq!(run(&shrunk.plan).as_deref(), Some("conservation"));
    }

    #[test]
    fn counts_the_task_orders_under_which_it_fails() {
        let shrunk = shrink(&plan(), "conservation", 200, |plan| run(plan).filter(|_| plan.scheduler_seed == 2));
        assert_eq!(shrunk.stable, 0);
    }
}
