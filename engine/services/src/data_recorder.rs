//! `data_recorder`: the projection of `trade_executed` and `order_events` into rows of a store. A pure function of each record; [`crate::runner::project`]
//! commits rows and position together.

use crate::ports::store::{OrderEndRow, Row, TradeRow};
use crate::runner::project::Projection;
use wire::{Body, OrderEvent, RejectReason, Side, Topic, TradeList};

/// The service; see the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct DataRecorder;

impl Projection for DataRecorder {
    fn name(&self) -> &'static str {
        "data_recorder"
    }

    fn group(&self) -> &'static str {
        "recorder"
    }

    fn inputs(&self) -> Vec<Topic> {
        vec![Topic::TradeExecuted, Topic::OrderEvents]
    }

    fn rows(&self, body: &Body) -> Vec<Row> {
        match body {
            Body::Trades(list) => trades(list),
            Body::OrderEvent(event) => order_end(event).map(Row::OrderEnd).into_iter().collect(),
            // Anything else in these topics is a foreign writer's mistake.
            _ => Vec::new(),
        }
    }
}

fn trades(list: &TradeList) -> Vec<Row> {
    let rows = list.trades.iter().map(|trade| {
        Row::Trade(TradeRow {
            symbol: list.symbol,
            trade_id: trade.trade_id,
            taker_order_id: list.taker_order_id.0,
            taker_account: list.taker_account.0,
            taker_buys: list.taker_side == Side::Buy,
            maker_order_id: trade.maker_order_id.0,
            maker_account: trade.maker_account.0,
            price_ticks: trade.price_ticks,
            quantity_lots: trade.quantity_lots,
        })
    });
    rows.collect()
}

fn order_end(event: &OrderEvent) -> Option<OrderEndRow> {
    match *event {
        // No end of the order that has this id.
        OrderEvent::Rejected { reason: RejectReason::DuplicateOrderId, .. } => None,
        OrderEvent::Rejected { order_id, account, symbol, quantity_lots, reason } => {
            Some(OrderEndRow::rejected(order_id, account, symbol, reason, quantity_lots))
        }
        OrderEvent::Ended { order_id, account, symbol, reason, remaining_lots } => Some(OrderEndRow::ended(order_id, account, symbol, reason, remaining_lots)),
        OrderEvent::Owned { .. }
        | OrderEvent::Accepted { .. }
        | OrderEvent::Reduced { .. }
        | OrderEvent::Replaced { .. }
        | OrderEvent::CancelRejected { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{AccountId, EndReason, OrderId, Symbol, Trade};

    const SYMBOL: Symbol = Symbol(*b"BTCUSD");

    #[test]
    fn a_list_becomes_a_row_per_trade() {
        let trade = Trade { trade_id: 3, maker_order_id: OrderId(4), maker_account: AccountId(20), price_ticks: 100, quantity_lots: 6 };
        let list = TradeList {
            symbol: SYMBOL,
            taker_order_id: OrderId(7),
            taker_account: AccountId(1),
            taker_side: Side::Sell,
            part: 1,
            trades: vec![trade, Trade { trade_id: 4, price_ticks: 99, ..trade }],
        };
        let row = TradeRow {
            symbol: SYMBOL,
            trade_id: 3,
            taker_order_id: 7,
            taker_account: 1,
            taker_buys: false,
            maker_order_id: 4,
            maker_account: 20,
            price_ticks: 100,
            quantity_lots: 6,
        };
        assert_eq!(DataRecorder.rows(&Body::Trades(list)), [Row::Trade(row), Row::Trade(TradeRow { trade_id: 4, price_ticks: 99, ..row })]);
    }

    #[test]
    fn each_order_ends_in_one_row() {
        let (order_id, account, symbol) = (OrderId(7), AccountId(1), SYMBOL);
        let row = |how, remaining_lots| vec![Row::OrderEnd(OrderEndRow { order_id: 7, account: 1, symbol, how, remaining_lots })];
        let table = [
            (OrderEvent::Accepted { order_id, account, symbol }, vec![]),
            (OrderEvent::Ended { order_id, account, symbol, reason: EndReason::Filled, remaining_lots: 0 }, row(1, 0)),
            (OrderEvent::Ended { order_id, account, symbol, reason: EndReason::Expired, remaining_lots: 4 }, row(3, 4)),
            (OrderEvent::Rejected { order_id, account, symbol, quantity_lots: 9, reason: RejectReason::BookFull }, row(108, 9)),
            (OrderEvent::Rejected { order_id, account, symbol, quantity_lots: 9, reason: RejectReason::DuplicateOrderId }, vec![]),
            (OrderEvent::Reduced { order_id, account, symbol, lots: 1 }, vec![]),
            (OrderEvent::Owned { epoch: 1, claim: 1 }, vec![]),
        ];
        for (event, expected) in table {
            assert_eq!(DataRecorder.rows(&Body::OrderEvent(event)), expected, "{event:?}");
        }
    }
}
