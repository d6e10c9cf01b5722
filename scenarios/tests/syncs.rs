//! Goal: what an order costs on the node that a person runs, in the one unit that matters there: syncs of the disk, one after another. Method: orders that
//! are alone, on a disk whose syncs take long; everything else is small beside that. Needs a simulated world: `cargo xtask test` runs it there.

use scenarios::composition::Timers;
use scenarios::judge::judge;
use scenarios::scenarios::{by_name, plan};
use scenarios::verdict::Class;
use serde_json::json;
use sim::{Plan, PlannedFault, Trigger, Workload};

const SYNC_MS: u64 = 100;
const ORDERS: u64 = 20;
const APART_MS: u64 = 10_000;

/// One of everything, and a client that waits.
fn alone(one_process: bool, transactions: bool) -> Plan {
    let scenario = if one_process { "one_process_power_loss" } else { "single_node_power_loss" };
    let mut plan = plan(by_name(scenario).expect("it is listed"), 1, "test");
    let span_ms = ORDERS * APART_MS;
    let small = json!({
        "brokers": 1, "gateways": 1, "instances": 1, "spares": 0, "clients": 1, "lanes": 1, "account_partitions": 1, "symbol_partitions": 1,
        "symbols": 1, "transactions": transactions, "transaction_version": 1, "span_ms": span_ms, "latency_us": 10,
    });
    plan.shape.as_object_mut().expect("a shape is an object").extend(small.as_object().expect("it is one").clone());
    let order = |nth: u64| {
        json!({ "id": nth, "client": 0, "at_ms": 6_200 + nth * APART_MS, "symbol": "BTCUSD", "buy": true, "kind": "limit", "price_ticks": 1,
            "quantity_lots": 1, "cancel_after_ms": null, "query_after_ms": null })
    };
    // As `exchange up` has them.
    plan.timers = Timers { tick_ms: 5_000, ..Timers::BASE }.to_map();
    plan.workload = Workload::List((0..ORDERS).map(order).collect());
    let args = json!({ "sync_ms": SYNC_MS, "lasts_ms": span_ms });
    plan.faults = vec![PlannedFault { id: 1, kind: "slow_disk".to_owned(), target: "broker-1".to_owned(), trigger: Trigger::at_ms(1), args }];
    plan
}

/// The median order's.
fn syncs_in_sequence(one_process: bool, transactions: bool) -> Option<u64> {
    if sim::world::NAME.is_empty() {
        println!("skipped: this build has no simulated world");
        return None;
    }
    let report = judge(&alone(one_process, transactions)).expect("the plan is sound").report;
    assert_eq!(report.class, Class::Pass, "{}: {}", report.what, report.headline);
    let [p50_us, ..] = report.ack_us;
    println!("one process {one_process}, transactions {transactions}: the median order waits {p50_us} µs: {:?}", report.acks);
    Some((p50_us + SYNC_MS * 500) / (SYNC_MS * 1_000))
}

#[test]
fn in_one_process_an_order_waits_for_one_sync() {
    assert!(syncs_in_sequence(true, true).is_none_or(|syncs| syncs == 1));
    assert!(syncs_in_sequence(true, false).is_none_or(|syncs| syncs == 1));
}

#[test]
fn in_processes_of_their_own_services_wait_for_each_other() {
    assert!(syncs_in_sequence(false, true).is_none_or(|syncs| syncs == 7));
    assert!(syncs_in_sequence(false, false).is_none_or(|syncs| syncs == 2));
}
