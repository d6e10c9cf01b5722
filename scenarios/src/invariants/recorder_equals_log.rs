//! The recorder's rows are exactly the fold of the log: one row per trade, one per end of an order, nothing else (I6).

use super::{Finding, Invariant, Notes};
use crate::evidence::Evidence;
use services::ports::store::{OrderEndRow, Row, TradeRow};
use std::collections::BTreeMap;
use wire::{Body, OrderEvent, Side, Topic};

/// See the module.
pub struct RecorderEqualsLog;

impl Invariant for RecorderEqualsLog {
    fn name(&self) -> &'static str {
        "recorder_equals_log"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        let expected = fold(evidence);
        let mut stored = BTreeMap::new();
        for row in &evidence.rows {
            let key = key(row);
            finding.expect(stored.insert(key.clone(), *row).is_none(), || format!("the store has {key} twice"));
            match expected.get(&key) {
                Some(want) if want == row => {}
                Some(want) => {
                    finding.violated(format!("the store has another {key} than the log"), vec![format!("log    {want:?}"), format!("store  {row:?}")])
                }
                None => finding.violated(format!("the store has {key}, the log does not"), vec![format!("{row:?}")]),
            }
        }
        if evidence.settling.settled_ms.is_some() {
            for key in expected.keys() {
                finding.expect(stored.contains_key(key), || format!("the log has {key}, the store does not"));
            }
        }
        finding
    }
}

/// Every row that the log calls for.
fn fold(evidence: &Evidence) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    let mut put = |row: Row| rows.insert(key(&row), row);
    for (_, read) in evidence.topic(Topic::TradeExecuted) {
        let Body::Trades(list) = &read.body else { continue };
        for trade in &list.trades {
            put(Row::Trade(TradeRow {
                symbol: list.symbol,
                trade_id: trade.trade_id,
                taker_order_id: list.taker_order_id.0,
                taker_account: list.taker_account.0,
                taker_buys: list.taker_side == Side::Buy,
                maker_order_id: trade.maker_order_id.0,
                maker_account: trade.maker_account.0,
                price_ticks: trade.price_ticks,
                quantity_lots: trade.quantity_lots,
            }));
        }
    }
    for (_, read) in evidence.topic(Topic::OrderEvents) {
        match read.body {
            Body::OrderEvent(OrderEvent::Ended { order_id, account, symbol, reason, remaining_lots }) => {
                put(Row::OrderEnd(OrderEndRow::ended(order_id, account, symbol, reason, remaining_lots)));
            }
            Body::OrderEvent(OrderEvent::Rejected { order_id, account, symbol, quantity_lots, reason }) => {
                put(Row::OrderEnd(OrderEndRow::rejected(order_id, account, symbol, reason, quantity_lots)));
            }
            _ => {}
        }
    }
    rows
}

fn key(row: &Row) -> String {
    match row {
        Row::Trade(row) => format!("trade {} of {}", row.trade_id, row.symbol),
        Row::OrderEnd(row) => format!("the end of order {}", row.order_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::a_day;

    #[test]
    fn a_row_too_few_and_a_row_too_many_are_found() {
        let mut day = a_day();
        let row = day.evidence.rows.pop().expect("the day has rows");
        assert_eq!(
            RecorderEqualsLog.check(&day.evidence).violation.expect("one end is missing").headline,
            "the log has the end of order 2, the store does not"
        );
        day.evidence.rows.extend([row, row]);
        assert_eq!(RecorderEqualsLog.check(&day.evidence).violation.expect("it stands there twice").headline, "the store has the end of order 2 twice");
    }

    #[test]
    fn a_store_that_is_behind_is_legal_until_all_is_over() {
        let mut day = a_day();
        day.evidence.rows.clear();
        day.evidence.settling.settled_ms = None;
        assert_eq!(RecorderEqualsLog.check(&day.evidence).violation, None);
    }
}
