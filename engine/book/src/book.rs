//! What a book does, whoever implements it.

use crate::Reports;
use wire::ids::{AccountId, OrderId};
use wire::order::{OrderType, Side, SymbolSpec, TimeInForce};
use wire::slot::Command;

/// The bounds of one book. All are reached by rejects, never by growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookConfig {
    /// Highest price, in ticks; the lowest is 1.
    pub price_ticks_max: i64,
    /// Largest quantity of one order, in lots; the smallest is 1.
    pub quantity_lots_max: i64,
    /// Most resting orders.
    pub orders_max: usize,
    /// Most price levels, both sides together.
    pub levels_max: usize,
    /// Most origins of orders ([`OrderId::origin`]): what was seen of each is remembered for ever.
    pub origins_max: usize,
}

/// Account partitions that an exchange may have.
const ORIGINS_MAX: usize = 1_024;

impl BookConfig {
    /// The symbol's price and quantity bounds with the given room, and room for 1,024 origins.
    pub fn of(spec: &SymbolSpec, orders_max: usize, levels_max: usize) -> Self {
        let SymbolSpec { price_ticks_max, quantity_lots_max, .. } = *spec;
        BookConfig { price_ticks_max, quantity_lots_max, orders_max, levels_max, origins_max: ORIGINS_MAX }
    }
}

/// A new order as a book sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewOrder {
    /// Unique in the exchange; numbers of one origin rise.
    pub order_id: OrderId,
    /// Who may cancel it.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, post-only.
    pub order_type: OrderType,
    /// What happens to the part that does not trade at once; a post-only order has none, it rests.
    pub time_in_force: TimeInForce,
    /// Limit, or the protection price of a market order: nothing trades at a worse one.
    pub price_ticks: i64,
    /// Ordered lots.
    pub quantity_lots: i64,
}

impl NewOrder {
    /// Whether what does not trade at once stays in the book.
    pub fn may_rest(&self) -> bool {
        match self.order_type {
            OrderType::Limit => self.time_in_force == TimeInForce::Gtc,
            OrderType::LimitMaker => true,
            OrderType::Market => false,
        }
    }

    /// Whether it trades in full at once or not at all.
    pub fn is_all_or_nothing(&self) -> bool {
        self.order_type != OrderType::LimitMaker && self.time_in_force == TimeInForce::Fok
    }
}

/// All orders at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The price.
    pub price_ticks: i64,
    /// Sum of the remaining lots of its orders.
    pub lots: i64,
    /// How many orders, at least one.
    pub orders: u32,
}

/// The resting orders of one symbol. Every command appends what happened to `out`, in order, and takes effect before the next.
///
/// **Priority**: better price first, at one price the earlier accepted (or replaced) first. **Trades** happen at the resting order's price.
/// **Reports** of a taken order: `Accepted` (or `Replaced`), then per fill `Traded` and, when the resting order is used up, its `Ended`, then the
/// order's own `Ended` unless it rests.
pub trait Book {
    /// Takes, then rests or ends. Refused, in this order of reasons:
    ///
    /// * `DuplicateOrderId`: an order of this origin with this or a higher number was seen before, whatever became of it;
    /// * `BookFull`: it would be the first of its origin, and there is no room for another; it is not seen then;
    /// * `PriceOutOfRange`, `QuantityOutOfRange`: outside 1 to the maximum, for market orders too;
    /// * `Overflow`: price × lots, or the lots of its level, exceed an i64;
    /// * `WouldTake`: post-only, and the other side has an order at its price or better;
    /// * `CannotFill`: fill-or-kill, and there is less than its quantity within its price;
    /// * `BookFull`: it would rest without taking anything (what takes and then rests has freed an order and a level), and there is no room.
    fn place(&mut self, order: &NewOrder, out: &mut impl Reports);

    /// Takes the order out: `Ended` with `Cancelled`. `UnknownOrder` unless it rests and is the account's.
    fn cancel(&mut self, order_id: OrderId, account: AccountId, out: &mut impl Reports);

    /// Makes the order smaller by `lots` in its place. `UnknownOrder`; `OutOfRange` unless 1 ≤ `lots` < remaining.
    fn reduce(&mut self, order_id: OrderId, account: AccountId, lots: i64, out: &mut impl Reports);

    /// Takes the order out and enters it again, behind all others, with another price and remaining quantity; it takes like a new one.
    /// `UnknownOrder`; `OutOfRange` unless the price is in range, 1 ≤ `quantity_lots` ≤ remaining and nothing overflows; `WouldTake` if it was
    /// post-only and would; `BookFull` if it would rest without taking, needs a level, and there is none. Then the order stays as it was.
    fn replace(&mut self, order_id: OrderId, account: AccountId, price_ticks: i64, quantity_lots: i64, out: &mut impl Reports);

    /// Appends the best `levels` levels of a side, best first.
    fn depth(&self, side: Side, levels: usize, out: &mut Vec<Level>);

    /// A hash of all that later reports depend on, equal for equal histories in every implementation (see [`crate::StateHash`]).
    fn state_hash(&self) -> u64;

    /// Asks for the memory that `apply` of this command will want first; changes nothing. For a caller who knows what comes, and whose books do
    /// not fit into the cache: some commands later [`Book::prefetch_further`], some later `apply`.
    fn prefetch(&self, _command: &Command) {}

    /// Asks for what can only be known from what [`Book::prefetch`] asked for.
    fn prefetch_further(&self, _command: &Command) {}

    /// About how many bytes its commands touch again and again; 0 from a book that has nothing to prefetch.
    fn working_set_bytes(&self) -> usize {
        0
    }

    /// Does what a command of this book's symbol says.
    #[inline(always)]
    fn apply(&mut self, command: &Command, out: &mut impl Reports) {
        match *command {
            Command::Place { symbol: _, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots } => {
                self.place(&NewOrder { order_id, account, side, order_type, time_in_force, price_ticks, quantity_lots }, out);
            }
            Command::Cancel { symbol: _, order_id, account } => self.cancel(order_id, account, out),
            Command::Reduce { symbol: _, order_id, account, lots } => self.reduce(order_id, account, lots, out),
            Command::Replace { symbol: _, order_id, account, price_ticks, quantity_lots } => self.replace(order_id, account, price_ticks, quantity_lots, out),
        }
    }
}
