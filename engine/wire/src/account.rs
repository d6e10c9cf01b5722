//! `account_commands` (gateway, wallet, clock, operators → account) and `account_events` (account → gateway, wallet). Key: account.

use crate::ids::{AccountId, Asset, ClientOrderId, OrderId, Symbol};
use crate::order::{EndReason, OrderType, RejectReason, Side, SymbolSpec, TimeInForce};
use rkyv::{Archive, Deserialize, Serialize};

/// Input of the account machine: one partition holds all commands of its accounts, in one order.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub enum AccountCommand {
    /// Money comes in; `deposit_id` is applied once per account.
    Deposit { account: AccountId, deposit_id: u64, asset: Asset, amount: i64 },
    /// A new order. `stamp_ms` is the edge's time; older than the dedup window is refused. `price_ticks` of a market order is 0.
    Place {
        account: AccountId,
        client_order_id: ClientOrderId,
        symbol: Symbol,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
        price_ticks: i64,
        quantity_lots: i64,
        stamp_ms: u64,
    },
    /// Cancel by client order id.
    Cancel { account: AccountId, client_order_id: ClientOrderId, symbol: Symbol },
    /// Ask for an order's state.
    QueryOrder { account: AccountId, client_order_id: ClientOrderId, symbol: Symbol },
    /// Ask for the balances of an account.
    QueryAccount { account: AccountId },
    /// From the wallet: `lots` of an order traded at `price_ticks`.
    Settle { account: AccountId, order_id: OrderId, trade_id: u64, symbol: Symbol, side: Side, price_ticks: i64, lots: i64 },
    /// From the wallet: `lots` of an order will never trade. `rejected` says why the matching engine refused it, `end` how it ended (one of the two, or neither for a reduce).
    Release { account: AccountId, order_id: OrderId, symbol: Symbol, lots: i64, rejected: Option<RejectReason>, end: Option<EndReason> },
    /// Opens a symbol for orders; a second listing changes nothing.
    Listing(SymbolSpec),
    /// The time, from `clock_service`.
    Tick { time_ms: u64 },
    /// From here on behaviour `version` applies.
    Rules { version: u32 },
}

/// Why the account machine refused a command.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
#[repr(u8)]
pub enum RefusalReason {
    /// Free balance is too small for the hold.
    InsufficientBalance = 1,
    /// The symbol is not listed.
    UnknownSymbol = 2,
    /// Price below 1 tick or above the symbol's highest.
    PriceOutOfRange = 3,
    /// Quantity below 1 lot or above the symbol's largest.
    QuantityOutOfRange = 4,
    /// Price times quantity, or a balance, does not fit.
    Overflow = 5,
    /// No order of that client order id, or it ended.
    UnknownOrder = 6,
    /// Stamped before the dedup window of 24 h.
    TooOld = 7,
    /// Amount is not positive.
    AmountOutOfRange = 8,
}

/// Binance's order states, as far as they occur.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
#[repr(u8)]
pub enum OrderStatus {
    /// Held and sent on; nothing settled.
    New = 0,
    /// Some lots settled, the order is not closed.
    PartiallyFilled = 1,
    /// Every lot settled.
    Filled = 2,
    /// Closed by a cancel.
    Canceled = 3,
    /// Refused by the matching engine.
    Rejected = 4,
    /// The rest of an IOC or market order.
    Expired = 5,
}

impl OrderStatus {
    /// No later state follows.
    pub fn is_terminal(self) -> bool {
        !matches!(self, OrderStatus::New | OrderStatus::PartiallyFilled)
    }
}

/// An order as its account knows it.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct OrderState {
    /// Assigned by the account machine.
    pub order_id: OrderId,
    /// Chosen by the client.
    pub client_order_id: ClientOrderId,
    /// The symbol.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, post-only.
    pub order_type: OrderType,
    /// GTC, IOC, FOK.
    pub time_in_force: TimeInForce,
    /// Limit price, or the protection price of a market order.
    pub price_ticks: i64,
    /// Ordered.
    pub quantity_lots: i64,
    /// Settled so far.
    pub settled_lots: i64,
    /// Released so far. Closed when settled + released = ordered.
    pub released_lots: i64,
    /// Quote minor units settled so far.
    pub settled_quote: i64,
    /// State for the client.
    pub status: OrderStatus,
    /// Log time of acceptance, ms.
    pub accepted_ms: u64,
}

/// One balance of one account; locked is the sum of its open holds.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// The asset.
    pub asset: Asset,
    /// Minor units that may be spent.
    pub free: i64,
    /// Minor units held for open orders.
    pub locked: i64,
}

/// Output of the account machine: its journal. The frame's correlation is the command's, so that an edge finds its answer.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub enum AccountEvent {
    /// A new owner of this partition: its first record. `claim` tells two claims of one epoch apart.
    Owned { epoch: u32, claim: u64 },
    /// A deposit was credited. `duplicate`: it had been before, nothing moved.
    Deposited { account: AccountId, deposit_id: u64, asset: Asset, amount: i64, duplicate: bool },
    /// An order was held and sent on. `duplicate`: answered with the first order's state, nothing moved.
    Placed { account: AccountId, order: OrderState, duplicate: bool },
    /// A cancel was sent on; the order's state when it was.
    CancelSent { account: AccountId, order: OrderState },
    /// The answer to a query.
    OrderIs { account: AccountId, order: OrderState },
    /// The answer to a query: every non-zero balance, by asset.
    AccountIs { account: AccountId, balances: Vec<Balance> },
    /// A command was refused and changed nothing.
    Refused { account: AccountId, client_order_id: Option<ClientOrderId>, reason: RefusalReason },
    /// Lots were paid for. Amounts are signed changes of (base, quote) free+locked of this account.
    Settled { account: AccountId, order_id: OrderId, trade_id: u64, base_change: i64, quote_change: i64, closed: bool },
    /// Lots were given free.
    Released { account: AccountId, order_id: OrderId, lots: i64, closed: bool },
}
