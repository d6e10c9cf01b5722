//! Goal: the harness as a whole. Method: a seed of `smoke` passes with every invariant evaluated and gives the same history twice; every regression that
//! was kept still passes; a run that loses what it had acknowledged is caught. Needs a simulated world: `cargo xtask test` runs it there.

use scenarios::judge::{Judged, judge};
use scenarios::scenarios::{by_name, plan};
use scenarios::verdict::Class;
use serde_json::json;
use sim::{Plan, PlannedFault, Trigger};
use std::path::Path;

fn has_world() -> bool {
    if sim::world::NAME.is_empty() {
        println!("skipped: this build has no simulated world");
    }
    !sim::world::NAME.is_empty()
}

fn smoke(seed: u64) -> Plan {
    plan(by_name("smoke").expect("it is listed"), seed, "test")
}

fn told(judged: &Judged) -> String {
    let report = &judged.report;
    format!("{:?} {}: {} {:?}", report.class, report.what, report.headline, report.facts)
}

#[test]
fn a_seed_passes_and_gives_the_same_history_twice() {
    if !has_world() {
        return;
    }
    let runs = [judge(&smoke(42)), judge(&smoke(42))].map(|judged| judged.expect("a drawn plan is sound"));
    assert_eq!(runs[0].report.class, Class::Pass, "{}", told(&runs[0]));
    assert!(runs[0].scores.iter().all(|(_, finding)| finding.checked > 0));
    assert_eq!(runs[0].report.digest, runs[1].report.digest);
    assert_eq!(runs[0].report.ack_us, runs[1].report.ack_us);
    assert_ne!(runs[0].report.digest, judge(&smoke(43)).expect("a drawn plan is sound").report.digest);
}

#[test]
fn the_same_orders_written_out_give_the_same_history() {
    if !has_world() {
        return;
    }
    let drawn = smoke(5);
    let listed = scenarios::judge::written_out(&drawn).expect("a drawn plan is sound");
    let digest = |plan: &Plan| judge(plan).expect("a drawn plan is sound").report.digest;
    assert_eq!(digest(&drawn), digest(&listed));
}

/// Two machines without power at once could come back without what they had acknowledged.
#[test]
fn a_loss_beyond_the_model_is_refused_in_a_plan() {
    let mut plan = smoke(1);
    let power_loss = |id: u32, at_ms| {
        let args = json!({ "how": "power_loss", "outage_ms": 5_000 });
        PlannedFault { id, kind: "broker_crash".to_owned(), target: format!("broker-{id}"), trigger: Trigger::at_ms(at_ms), args }
    };
    plan.faults = vec![power_loss(1, 1_000), power_loss(2, 1_200)];
    let Err(refused) = scenarios::judge::read(&plan) else { panic!("two machines without power are beyond the model") };
    assert_eq!(refused, "field faults[1]: broker-1 would be without power during faults[2]");
}

#[test]
#[allow(clippy::disallowed_methods)] // the regressions are files of this crate
fn every_regression_still_passes() {
    if !has_world() {
        return;
    }
    let Ok(folder) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")) else { return };
    let mut paths: Vec<_> =
        folder.map(|entry| entry.expect("the folder can be read").path()).filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a regression can be read");
        let plan = Plan::from_text(&path.display().to_string(), &text).expect("a regression is a plan");
        let judged = judge(&plan).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(judged.report.class, Class::Pass, "{}: {}", path.display(), told(&judged));
    }
}
