//! What a flow's player prints: the conditions, then the figures.

use super::FlowArgs;
use super::play::{Pace, Played};
use services::flow::player::Order;
use std::fmt::Write;

/// One screen.
pub fn text(args: &FlowArgs, orders: &[Order], played: &Played) -> String {
    let mut text = String::new();
    let recorded_ms = orders.last().map_or(0, |order| order.at_ms);
    let (speed, latency) = match args.speed {
        Pace::Times(times) => (format!("at {times} times the recorded speed"), "from when an order was due"),
        Pace::Unpaced => ("as fast as answers come".to_owned(), "from when an order was sent"),
    };
    let mut line = |arguments: std::fmt::Arguments<'_>| writeln!(text, "{arguments}").expect("a string takes everything");
    line(format_args!("flow {}", args.file.display()));
    line(format_args!("  {} orders, {} s recorded, as {} {speed}", orders.len(), seconds(recorded_ms * 1_000), args.symbol));
    line(format_args!("  {} accounts, one connection each, gateway {}; latency {latency} to its answer", args.accounts, args.gateway));
    line(format_args!(""));
    line(format_args!("  orders        {:>8}   refused {}", played.placed, played.refused.values().map(|(count, _)| count).sum::<u64>()));
    for (code, (count, msg)) in &played.refused {
        line(format_args!("                           {count} × {code} {msg}"));
    }
    line(format_args!("  cancels       {:>8}   too late {}", played.cancelled, played.cancelled_too_late));
    line(format_args!("  traded        {:>8}   lots bought {}, sold {}", played.executions.traded, played.executions.bought, played.executions.sold));
    line(format_args!("  unknown       {:>8}   never resolved {}", played.unknown, played.unresolved));
    let ack = |quantile: f64| millis(played.ack_us.value_at_quantile(quantile));
    line(format_args!("  order to ack  p50 {}   p99 {}   p99.9 {}   max {}   in ms", ack(0.5), ack(0.99), ack(0.999), millis(played.ack_us.max())));
    line(format_args!("  took          {:>8} s", seconds(played.took_us)));
    text
}

fn millis(us: u64) -> String {
    format!("{}.{}", us / 1_000, us % 1_000 / 100)
}

fn seconds(us: u64) -> String {
    format!("{}.{}", us / 1_000_000, us % 1_000_000 / 100_000)
}
