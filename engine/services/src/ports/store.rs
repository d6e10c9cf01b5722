//! The store behind a projection: rows and the position that they come from change in one transaction, the position by compare-and-set, so that
//! a zombie's commit fails.

use crate::runner::drop_rule::DropRule;
use std::future::Future;
use wire::{AccountId, EndReason, OrderId, RejectReason, Side, Symbol, Topic};

/// One execution. Unique: (symbol, trade_id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TradeRow {
    /// The symbol's six characters.
    #[serde(with = "symbol_text")]
    pub symbol: Symbol,
    /// Per symbol, from 1, without a gap.
    pub trade_id: u64,
    /// Who took.
    pub taker_order_id: u64,
    /// His account.
    pub taker_account: u64,
    /// Did the taker buy?
    pub taker_buys: bool,
    /// Who rested.
    pub maker_order_id: u64,
    /// His account.
    pub maker_account: u64,
    /// The resting order's price.
    pub price_ticks: i64,
    /// How much.
    pub quantity_lots: i64,
}

/// The end of an order. Unique: order_id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OrderEndRow {
    /// The order.
    pub order_id: u64,
    /// Its account.
    pub account: u64,
    /// Its symbol.
    #[serde(with = "symbol_text")]
    pub symbol: Symbol,
    /// 1 filled, 2 cancelled, 3 expired ([`EndReason`]); 100 + reason: rejected ([`RejectReason`]).
    pub how: u8,
    /// Lots that never traded.
    pub remaining_lots: i64,
}

/// A row of the recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Row {
    /// An execution.
    Trade(TradeRow),
    /// An order's end.
    OrderEnd(OrderEndRow),
}

impl OrderEndRow {
    /// An order that left the book.
    pub fn ended(order_id: OrderId, account: AccountId, symbol: Symbol, reason: EndReason, remaining_lots: i64) -> Self {
        OrderEndRow { order_id: order_id.0, account: account.0, symbol, how: reason as u8, remaining_lots }
    }

    /// An order that never got in.
    pub fn rejected(order_id: OrderId, account: AccountId, symbol: Symbol, reason: RejectReason, quantity_lots: i64) -> Self {
        OrderEndRow { order_id: order_id.0, account: account.0, symbol, how: 100 + reason as u8, remaining_lots: quantity_lots }
    }
}

impl TradeRow {
    /// The taker's side.
    pub fn taker_side(&self) -> Side {
        if self.taker_buys { Side::Buy } else { Side::Sell }
    }
}

/// How far a projection has come in one input partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StoredPosition {
    /// Next offset to read.
    pub next: i64,
    /// What counts as seen up to there.
    pub seen: DropRule,
}

/// One input partition of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputPartition {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
}

/// The verdict on a commit.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreVerdict {
    /// Rows and position are durable.
    Committed,
    /// The position was not the expected one: somebody else is at work. Nothing was written.
    Moved,
    /// Nothing was written; the text says what to do.
    NotDone(String),
    /// It may have been written: read the position.
    Unknown(String),
}

/// The store could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store: {0}")]
pub struct StoreError(pub String);

/// A store of rows.
pub trait Store: Send + Sync + 'static {
    /// How far `input` has come; `None` before its first commit.
    fn position(&self, input: InputPartition) -> impl Future<Output = Result<Option<StoredPosition>, StoreError>> + Send;
    /// In one transaction: if the position of `input` is `expected` (its `next`, 0 before the first commit), write rows and the new position.
    /// A row whose unique key exists already with the same content is left alone; with another content the commit is `NotDone`.
    fn commit(&self, input: InputPartition, expected: i64, rows: &[Row], new: &StoredPosition) -> impl Future<Output = StoreVerdict> + Send;
    /// Every row: trades by (symbol, trade id), then order ends by order id. For checks and queries.
    fn rows(&self) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;
}

mod symbol_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use wire::Symbol;

    pub fn serialize<S: Serializer>(symbol: &Symbol, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(symbol.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Symbol, D::Error> {
        let text = String::deserialize(deserializer)?;
        Symbol::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What every store must do; called by each implementation's tests with an empty store.
pub mod conformance {
    use super::*;

    const INPUT: InputPartition = InputPartition { topic: Topic::TradeExecuted, partition: 0 };

    fn trade(trade_id: u64, lots: i64) -> Row {
        Row::Trade(TradeRow {
            symbol: Symbol(*b"BTCUSD"),
            trade_id,
            taker_order_id: 7,
            taker_account: 1,
            taker_buys: true,
            maker_order_id: 6,
            maker_account: 2,
            price_ticks: 100,
            quantity_lots: lots,
        })
    }

    fn at(next: i64) -> StoredPosition {
        StoredPosition { next, ..StoredPosition::default() }
    }

    /// Rows and position come together.
    pub async fn commits_rows_and_position<S: Store>(store: &S) {
        assert_eq!(store.position(INPUT).await, Ok(None), "an empty store has no position");
        assert_eq!(store.commit(INPUT, 0, &[trade(2, 5), trade(1, 5)], &at(4)).await, StoreVerdict::Committed);
        assert_eq!(store.position(INPUT).await, Ok(Some(at(4))));
        assert_eq!(store.rows().await, Ok(vec![trade(1, 5), trade(2, 5)]), "by trade id");
    }

    /// A zombie that does not know how far the store is writes nothing.
    pub async fn refuses_a_position_that_moved<S: Store>(store: &S) {
        assert_eq!(store.commit(INPUT, 0, &[trade(1, 5)], &at(4)).await, StoreVerdict::Committed);
        assert_eq!(store.commit(INPUT, 0, &[trade(9, 5)], &at(6)).await, StoreVerdict::Moved);
        assert_eq!(store.rows().await, Ok(vec![trade(1, 5)]));
        assert_eq!(store.position(INPUT).await, Ok(Some(at(4))));
    }

    /// The same row again is no second row; another content under the same key is refused whole.
    pub async fn keeps_unique_keys<S: Store>(store: &S) {
        assert_eq!(store.commit(INPUT, 0, &[trade(1, 5)], &at(1)).await, StoreVerdict::Committed);
        assert_eq!(store.commit(INPUT, 1, &[trade(1, 5), trade(2, 5)], &at(2)).await, StoreVerdict::Committed);
        assert!(matches!(store.commit(INPUT, 2, &[trade(3, 5), trade(1, 8)], &at(3)).await, StoreVerdict::NotDone(_)));
        assert_eq!(store.rows().await, Ok(vec![trade(1, 5), trade(2, 5)]));
        assert_eq!(store.position(INPUT).await, Ok(Some(at(2))));
    }

    /// Inputs do not disturb each other.
    pub async fn keeps_inputs_apart<S: Store>(store: &S) {
        let other = InputPartition { topic: Topic::OrderEvents, partition: 3 };
        let end = Row::OrderEnd(OrderEndRow::ended(OrderId(4), AccountId(1), Symbol(*b"BTCUSD"), EndReason::Cancelled, 2));
        assert_eq!(store.commit(INPUT, 0, &[trade(1, 5)], &at(9)).await, StoreVerdict::Committed);
        assert_eq!(store.commit(other, 0, &[end], &at(2)).await, StoreVerdict::Committed);
        assert_eq!(store.position(INPUT).await, Ok(Some(at(9))));
        assert_eq!(store.position(other).await, Ok(Some(at(2))));
        assert_eq!(store.rows().await, Ok(vec![trade(1, 5), end]), "trades, then order ends");
    }
}
