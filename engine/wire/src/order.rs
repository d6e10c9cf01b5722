//! `order_commands` (account, clock and operators → matching_engine) and `order_events` (matching_engine → gateway, wallet, recorder). Key: symbol.

use crate::ids::{AccountId, Asset, OrderId, Symbol};
use rkyv::{Archive, Deserialize, Serialize};

/// Which side of the book.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
#[repr(u8)]
pub enum Side {
    /// Bids: pays quote, receives base.
    Buy = 0,
    /// Asks: pays base, receives quote.
    Sell = 1,
}

impl Side {
    /// The other side.
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

/// How an order takes and rests.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
#[repr(u8)]
pub enum OrderType {
    /// Takes up to its price, may rest (see [`TimeInForce`]).
    Limit = 0,
    /// Takes at any price within its protection price and never rests.
    Market = 1,
    /// Post-only: rests or is rejected, never takes (Binance's `LIMIT_MAKER`).
    LimitMaker = 2,
}

/// What happens to the part that does not trade at once.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
#[repr(u8)]
pub enum TimeInForce {
    /// Good till cancelled: it rests.
    Gtc = 0,
    /// Immediate or cancel: it expires.
    Ioc = 1,
    /// Fill or kill: all or nothing.
    Fok = 2,
}

/// The rules of a symbol; written into the partitions that need it, so that replay knows it. All amounts are integer minor units.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolSpec {
    /// The symbol.
    pub symbol: Symbol,
    /// What is bought and sold.
    pub base: Asset,
    /// What it is paid with.
    pub quote: Asset,
    /// Minor units of base in one lot.
    pub base_per_lot: i64,
    /// Minor units of quote for one lot at a price of one tick.
    pub quote_per_tick_lot: i64,
    /// Highest price, in ticks; the lowest is 1.
    pub price_ticks_max: i64,
    /// Largest quantity of one order, in lots; the smallest is 1.
    pub quantity_lots_max: i64,
    /// Digits after the point of a price as users write it; one tick is the last digit times `tick_step`.
    pub price_decimals: u8,
    /// Price units (last digit) per tick.
    pub tick_step: u32,
    /// Digits after the point of a quantity as users write it; one lot is the last digit times `lot_step`.
    pub quantity_decimals: u8,
    /// Quantity units (last digit) per lot.
    pub lot_step: u32,
}

/// Input of the matching engine. One partition holds all commands of its symbols, in one order.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderCommand {
    /// A new order. `price_ticks` of a market order is its protection price.
    Place {
        order_id: OrderId,
        account: AccountId,
        symbol: Symbol,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
        price_ticks: i64,
        quantity_lots: i64,
    },
    /// Take what is left of an order out of the book.
    Cancel { order_id: OrderId, account: AccountId, symbol: Symbol },
    /// Make a resting order smaller by `lots`; keeps its place.
    Reduce { order_id: OrderId, account: AccountId, symbol: Symbol, lots: i64 },
    /// Another price and remaining quantity for a resting order; loses its place.
    Replace { order_id: OrderId, account: AccountId, symbol: Symbol, price_ticks: i64, quantity_lots: i64 },
    /// Opens a symbol; a second listing of the same symbol changes nothing.
    Listing(SymbolSpec),
    /// The time, from `clock_service`; one that is not later than the last is ignored.
    Tick { time_ms: u64 },
    /// From here on behaviour `version` applies.
    Rules { version: u32 },
}

/// Why the matching engine did not take an order. Closed: adding a reason is a new frame version.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
#[repr(u8)]
pub enum RejectReason {
    /// The symbol is not listed in this partition.
    UnknownSymbol = 1,
    /// An order of this origin with this or a higher number was seen before: a redelivery. The first verdict stands, and its lots stay held.
    DuplicateOrderId = 2,
    /// Price below 1 or above the symbol's highest.
    PriceOutOfRange = 3,
    /// Quantity below 1 or above the symbol's largest.
    QuantityOutOfRange = 4,
    /// Price times quantity does not fit.
    Overflow = 5,
    /// A post-only order would take.
    WouldTake = 6,
    /// A fill-or-kill order cannot be filled now.
    CannotFill = 7,
    /// The book has no room for another order or level.
    BookFull = 8,
    /// The symbol does not take new orders.
    Halted = 9,
}

/// Why a cancel, reduce or replace changed nothing.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
#[repr(u8)]
pub enum CancelReason {
    /// No such resting order, or of another account: the two are not told apart.
    UnknownOrder = 1,
    /// The new price or quantity is outside the symbol's rules, or the order would not become smaller but still be there.
    OutOfRange = 2,
    /// The book has no room for another level.
    BookFull = 3,
    /// A post-only order would take at its new price.
    WouldTake = 4,
}

/// How an order left the book.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
#[repr(u8)]
pub enum EndReason {
    /// Every lot traded.
    Filled = 1,
    /// Cancelled by its owner.
    Cancelled = 2,
    /// The rest of an IOC or market order.
    Expired = 3,
}

/// Output of the matching engine about single orders.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderEvent {
    /// A new owner of this partition: its first record. `claim` tells two claims of one epoch apart.
    Owned { epoch: u32, claim: u64 },
    /// The order was taken; it rests, or ended in the same step.
    Accepted { order_id: OrderId, account: AccountId, symbol: Symbol },
    /// The order was not taken; all `quantity_lots` are free again, unless the reason is `DuplicateOrderId`.
    Rejected { order_id: OrderId, account: AccountId, symbol: Symbol, quantity_lots: i64, reason: RejectReason },
    /// A resting order became smaller by `lots`.
    Reduced { order_id: OrderId, account: AccountId, symbol: Symbol, lots: i64 },
    /// A resting order was replaced; `released_lots` is by how much it became smaller (never negative: a replace cannot grow an order).
    Replaced { order_id: OrderId, account: AccountId, symbol: Symbol, price_ticks: i64, released_lots: i64 },
    /// The order left the book with `remaining_lots` unfilled (0 when filled).
    Ended { order_id: OrderId, account: AccountId, symbol: Symbol, reason: EndReason, remaining_lots: i64 },
    /// A cancel, reduce or replace changed nothing.
    CancelRejected { order_id: OrderId, account: AccountId, symbol: Symbol, reason: CancelReason },
}
