//! The screen of a broken invariant: one screen, chronological, in domain words, with lines to paste at its end.

use super::{Header, count, exit, line, time};
use crate::Violation;

/// What shrinking came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shrinking {
    /// Runs it took.
    pub runs: u64,
    /// Wall time.
    pub wall_ms: u64,
    /// Faults before and after.
    pub faults: (u64, u64),
    /// Units of work before and after, and their name.
    pub work: (u64, u64, String),
    /// The smallest run, told in a few lines.
    pub story: Vec<String>,
    /// Of so many runs under other scheduler seeds, how many failed: (failed, tried).
    pub stable: (u64, u64),
}

/// The whole screen. `rule`: the invariant's file; `said`: places in the source that reported what is cited.
pub fn failing(header: &Header, invariant: &str, rule: &str, violation: &Violation, said: &[String], shrinking: Option<&Shrinking>) -> String {
    let mut text = header.top();
    line(&mut text, format_args!("{}   stopped at sim {}, event {}\n", header.bar(), time(header.simulated_us), count(header.events)));
    line(&mut text, format_args!("VIOLATION  {invariant}\n  {}", violation.headline));
    for fact in &violation.facts {
        line(&mut text, format_args!("    {fact}"));
    }
    line(&mut text, format_args!("  rule   {rule}"));
    if !said.is_empty() {
        line(&mut text, format_args!("  said   {}", said.join(" · ")));
    }
    if let Some(shrinking) = shrinking {
        text.push_str(&shrunk(shrinking));
    }
    let Header { seed, scenario, .. } = header;
    line(&mut text, format_args!("\nreproduce   {}", header.reproduce()));
    if shrinking.is_some() {
        line(&mut text, format_args!("smallest    cargo xtask sim --plan {}/shrunk.json", header.folder()));
    }
    line(&mut text, format_args!("look        {}/history.jsonl", header.folder()));
    line(&mut text, format_args!("keep        cargo xtask sim keep {seed} --scenario {scenario}"));
    line(&mut text, format_args!("\nFAIL  seed {seed}  (exit {}: correctness)", exit::CORRECTNESS));
    text
}

fn shrunk(shrinking: &Shrinking) -> String {
    let mut text = String::new();
    let Shrinking { runs, wall_ms, faults, work, story, stable } = shrinking;
    let (before, after, unit) = work;
    let sizes = format!("{} faults -> {}      {} {unit} -> {}", faults.0, faults.1, count(*before), count(*after));
    line(&mut text, format_args!("\nshrinking ............ {runs} runs, {} s      {sizes}", wall_ms / 1_000));
    for told in story {
        line(&mut text, format_args!("  {told}"));
    }
    line(&mut text, format_args!("  still fails with the same invariant; fails in {} of {} runs under other task orders", stable.0, stable.1));
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::header;
    use super::*;

    #[test]
    fn the_screen_ends_in_lines_that_name_the_scenario() {
        let violation = Violation { headline: "order 1187 fill 0 was executed twice".into(), facts: vec!["exec 900131".into(), "exec 900164".into()] };
        let shrinking = Shrinking {
            runs: 38,
            wall_ms: 21_300,
            faults: (11, 2),
            work: (5_000, 3, "orders".into()),
            story: vec!["FAULT rebalance".into()],
            stable: (20, 20),
        };
        let screen = failing(&header(), "no_duplicate_execution", "scenarios/src/invariants/no_duplicate_execution.rs", &violation, &[], Some(&shrinking));
        let tail = "\
VIOLATION  no_duplicate_execution
  order 1187 fill 0 was executed twice
    exec 900131
    exec 900164
  rule   scenarios/src/invariants/no_duplicate_execution.rs

shrinking ............ 38 runs, 21 s      11 faults -> 2      5,000 orders -> 3
  FAULT rebalance
  still fails with the same invariant; fails in 20 of 20 runs under other task orders

reproduce   cargo xtask sim --scenario steady_flow --seed 42
smallest    cargo xtask sim --plan target/runs/steady_flow-42/shrunk.json
look        target/runs/steady_flow-42/history.jsonl
keep        cargo xtask sim keep 42 --scenario steady_flow

FAIL  seed 42  (exit 10: correctness)
";
        assert!(screen.ends_with(tail), "{screen}");
        assert!(screen.contains("stopped at sim 3m 12.480s, event 184,201"));
    }
}
