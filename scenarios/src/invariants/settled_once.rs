//! Each trade is settled exactly once for each of its two orders with its own amounts, and what ends unfilled is released exactly once (I-M6, I-M7).

use super::{Finding, Invariant, Notes};
use crate::evidence::Evidence;
use std::collections::BTreeMap;
use wire::{AccountEvent, Body, OrderEvent, OrderId, Side, SymbolSpec, Topic};

/// See the module.
pub struct SettledOnce;

impl Invariant for SettledOnce {
    fn name(&self) -> &'static str {
        "settled_once"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        let owed = owed_settlements(evidence);
        let mut settled: BTreeMap<(OrderId, u64), (i64, i64)> = BTreeMap::new();
        let mut released: BTreeMap<OrderId, i64> = BTreeMap::new();
        for (_, read) in evidence.topic(Topic::AccountEvents) {
            match &read.body {
                Body::AccountEvent(AccountEvent::Settled { order_id, trade_id, base_change, quote_change, .. }) => {
                    let before = settled.insert((*order_id, *trade_id), (*base_change, *quote_change));
                    finding.expect(before.is_none(), || format!("trade {trade_id} was settled twice for order {}", order_id.0));
                }
                Body::AccountEvent(AccountEvent::Released { order_id, lots, .. }) => *released.entry(*order_id).or_default() += lots,
                _ => {}
            }
        }
        for (key, amounts) in &settled {
            finding.expect(owed.get(key) == Some(amounts), || {
                format!("trade {} of order {} was settled with {amounts:?} (base, quote), it is {:?}", key.1, key.0.0, owed.get(key))
            });
        }
        let freed = freed_lots(evidence);
        for (order_id, lots) in &released {
            let most = freed.get(order_id).copied().unwrap_or(0);
            finding.expect(*lots <= most, || format!("order {} had {lots} lots released, {most} became free", order_id.0));
        }
        if evidence.settling.settled_ms.is_some() {
            for key in owed.keys() {
                finding.expect(settled.contains_key(key), || format!("trade {} was never settled for order {}", key.1, key.0.0));
            }
            for (order_id, lots) in freed.iter().filter(|(_, lots)| **lots > 0) {
                let done = released.get(order_id).copied().unwrap_or(0);
                finding.expect(done == *lots, || format!("{lots} lots of order {} became free and {done} were released", order_id.0));
            }
        }
        finding
    }
}

/// What each side of each trade must be booked with: (base, quote).
fn owed_settlements(evidence: &Evidence) -> BTreeMap<(OrderId, u64), (i64, i64)> {
    let mut owed = BTreeMap::new();
    for (_, read) in evidence.topic(Topic::TradeExecuted) {
        let Body::Trades(list) = &read.body else { continue };
        let Some(spec) = evidence.specs.iter().find(|spec| spec.symbol == list.symbol) else { continue };
        for trade in &list.trades {
            let taker = amounts(spec, list.taker_side, trade.price_ticks, trade.quantity_lots);
            let maker = amounts(spec, list.taker_side.opposite(), trade.price_ticks, trade.quantity_lots);
            owed.insert((list.taker_order_id, trade.trade_id), taker);
            owed.insert((trade.maker_order_id, trade.trade_id), maker);
        }
    }
    owed
}

fn amounts(spec: &SymbolSpec, side: Side, price_ticks: i64, lots: i64) -> (i64, i64) {
    let (base, quote) = (lots * spec.base_per_lot, lots * price_ticks * spec.quote_per_tick_lot);
    match side {
        Side::Buy => (base, -quote),
        Side::Sell => (-base, quote),
    }
}

/// Lots of each order that will never trade.
fn freed_lots(evidence: &Evidence) -> BTreeMap<OrderId, i64> {
    let mut freed: BTreeMap<OrderId, i64> = BTreeMap::new();
    for (_, read) in evidence.topic(Topic::OrderEvents) {
        let Body::OrderEvent(event) = &read.body else { continue };
        let (order_id, lots) = match event {
            OrderEvent::Rejected { order_id, quantity_lots, .. } => (order_id, quantity_lots),
            OrderEvent::Reduced { order_id, lots, .. } => (order_id, lots),
            OrderEvent::Replaced { order_id, released_lots, .. } => (order_id, released_lots),
            OrderEvent::Ended { order_id, remaining_lots, .. } => (order_id, remaining_lots),
            _ => continue,
        };
        *freed.entry(*order_id).or_default() += lots;
    }
    freed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::{a_day, remove};

    #[test]
    fn a_second_settlement_is_found() {
        let mut day = a_day();
        day.settle_again();
        let violation = SettledOnce.check(&day.evidence).violation.expect("the seller was paid twice");
        assert_eq!(violation.headline, "trade 1 was settled twice for order 1");
    }

    #[test]
    fn a_side_left_out_is_found_only_once_all_is_over() {
        let mut day = a_day();
        remove(&mut day.evidence, Topic::AccountEvents, |body| matches!(body, Body::AccountEvent(AccountEvent::Settled { order_id: OrderId(2), .. })));
        assert!(SettledOnce.check(&day.evidence).violation.is_some());
        day.evidence.settling.settled_ms = None;
        assert_eq!(SettledOnce.check(&day.evidence).violation, None);
    }
}
