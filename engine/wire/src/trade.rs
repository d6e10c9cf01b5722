//! `trade_executed` (matching_engine → wallet, recorder): the list of trades of one matching step (row D-07). Key: symbol.

use crate::ids::{AccountId, OrderId, Symbol};
use crate::order::Side;
use rkyv::{Archive, Deserialize, Serialize};

/// One execution, at the resting order's price.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// Per symbol, from 1, without a gap.
    pub trade_id: u64,
    /// The order that rested.
    pub maker_order_id: OrderId,
    /// Its account.
    pub maker_account: AccountId,
    /// The resting order's price.
    pub price_ticks: i64,
    /// How much.
    pub quantity_lots: i64,
}

/// All trades of one taker step, in execution order. Longer steps are split into parts of [`TradeList::MAX`].
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct TradeList {
    /// The symbol.
    pub symbol: Symbol,
    /// The order that took.
    pub taker_order_id: OrderId,
    /// Its account.
    pub taker_account: AccountId,
    /// The taker's side.
    pub taker_side: Side,
    /// Part number of this step, from 0.
    pub part: u32,
    /// 1 to [`TradeList::MAX`] trades.
    pub trades: Vec<Trade>,
}

impl TradeList {
    /// Most trades in one message.
    pub const MAX: usize = 512;
}
