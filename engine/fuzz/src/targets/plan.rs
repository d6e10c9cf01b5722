//! A saved plan: its text, and what its values mean.

use crate::Target;
use scenarios::{judge, scenarios as list};
use sim::Plan;

pub const TARGET: Target = Target { name: "plan", about: "a saved plan, JSON", seeds, run };

fn seeds() -> Vec<Vec<u8>> {
    let plan = |scenario: &&_| {
        let mut plan = list::plan(scenario, 1, "fuzz");
        plan.faults.truncate(1);
        plan.to_text().into_bytes()
    };
    list::ALL.iter().map(plan).take(2).collect()
}

fn run(input: &[u8]) -> String {
    let plan = match Plan::from_text("plan", &String::from_utf8_lossy(input)) {
        Ok(plan) => plan,
        Err(error) => return error,
    };
    assert_eq!(Plan::from_text("again", &plan.to_text()).as_ref(), Ok(&plan), "read, written and read again");
    match judge::read(&plan) {
        Ok((_, actions)) => format!("{} actions", ["no", "one", "more"][actions.len().min(2)]),
        Err(error) => error,
    }
}
