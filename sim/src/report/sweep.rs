//! The screen of many seeds.

use super::{count, line};
use crate::Reached;

/// A seed that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedSeed {
    /// The seed.
    pub seed: u64,
    /// The scenario it drew or was given.
    pub scenario: String,
    /// The broken invariant, or what else.
    pub what: String,
}

/// What a sweep came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Seeds run.
    pub seeds: u64,
    /// Scenarios among them.
    pub scenarios: u64,
    /// Those that did not pass, in order of seed.
    pub failed: Vec<FailedSeed>,
    /// How many of them were stuck.
    pub stuck: u64,
    /// Marks.
    pub reached: Reached,
    /// Marks that a sweep must reach.
    pub wanted: Vec<String>,
    /// Totals by name, with their floor if there is one.
    pub totals: Vec<(String, u64, Option<u64>)>,
    /// Wall time.
    pub wall_ms: u64,
}

impl Sweep {
    /// Totals below their floor, by name.
    pub fn below_floor(&self) -> impl Iterator<Item = &(String, u64, Option<u64>)> {
        self.totals.iter().filter(|(_, total, floor)| floor.is_some_and(|floor| *total < floor))
    }
}

/// The whole screen.
pub fn sweep(sweep: &Sweep) -> String {
    let mut text = String::new();
    let Sweep { seeds, scenarios, failed, stuck, reached, wanted, totals, wall_ms } = sweep;
    let wall = format!("{}:{:02}", wall_ms / 60_000, wall_ms / 1_000 % 60);
    let failures = failed.len() as u64 - stuck;
    line(&mut text, format_args!("  {wall}   {} seeds · {scenarios} scenarios · {failures} failed · {stuck} stuck", count(*seeds)));
    for (name, total, floor) in totals {
        let verdict = match floor {
            Some(floor) if total < floor => format!("   <- below its floor of {}", count(*floor)),
            Some(floor) => format!("   (floor {})", count(*floor)),
            None => String::new(),
        };
        line(&mut text, format_args!("  {name:<44} {:>12}{verdict}", count(*total)));
    }
    let marks: Vec<String> = reached.totals().map(|(mark, hits)| format!("{mark} {}", count(hits))).collect();
    line(&mut text, format_args!("  reached  {}", marks.join(" · ")));
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    for mark in reached.missing(&wanted) {
        line(&mut text, format_args!("  reached  {mark} 0   <- never reached: add a scenario or a fault"));
    }
    for FailedSeed { seed, scenario, what } in failed {
        line(&mut text, format_args!("  FAIL     seed {seed}  {scenario}  {what}     cargo xtask sim --scenario {scenario} --seed {seed}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_failures_floors_and_marks_never_reached() {
        let mut data = Sweep { seeds: 1_412, scenarios: 3, wall_ms: 600_000, wanted: vec!["lease_lost".into()], ..Sweep::default() };
        data.failed.push(FailedSeed { seed: 9, scenario: "crash_mid_commit".into(), what: "no_lost_order".into() });
        data.totals = vec![("orders accepted".into(), 10, Some(100)), ("broker crashes".into(), 7, Some(3))];
        let screen = sweep(&data);
        assert!(screen.starts_with("  10:00   1,412 seeds · 3 scenarios · 1 failed · 0 stuck\n"), "{screen}");
        assert!(screen.contains("lease_lost 0   <- never reached") && screen.contains("<- below its floor of 100"), "{screen}");
        assert!(screen.contains("cargo xtask sim --scenario crash_mid_commit --seed 9\n"), "{screen}");
        assert_eq!(data.below_floor().count(), 1);
    }
}
