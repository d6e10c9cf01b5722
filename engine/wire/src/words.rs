//! Archives of a slot as words: the bytes that rkyv lays out, written and read as seven registers.
//!
//! rkyv writes an archive field by field into its own memory and copies that as a block, and reads it field by field through its validator. Both wait for
//! stores that cannot be forwarded to loads of another width: 31 to 57 ns a command through a slot. A test holds these words to rkyv's bytes and
//! verdicts, for any value and any bytes.
//!
//! Word 0 holds the variant's number in byte 0 and, in `Command`, the symbol in bytes 1 to 6, in `Report` the reason or side in byte 1. Behind that every
//! field is a word, in the order of the type; the last of `Place` has side, order type and time in force in its low bytes.

use crate::ids::{AccountId, OrderId, Symbol};
use crate::order::{CancelReason, EndReason, OrderType, RejectReason, Side, TimeInForce};
use crate::slot::{Command, Report};

/// Words of a body.
pub const WORDS: usize = 7;

/// What a slot can hold.
pub trait Words: Copy {
    /// Bytes of its archive.
    const LEN: usize;

    /// The archive, and zeros behind it.
    fn to_words(&self) -> [u64; WORDS];

    /// The value of a valid archive, whatever stands between and behind its fields.
    fn from_words(words: &[u64; WORDS]) -> Option<Self>;
}

impl Words for Command {
    const LEN: usize = size_of::<crate::slot::ArchivedCommand>();

    #[inline(always)]
    fn to_words(&self) -> [u64; WORDS] {
        match *self {
            Command::Place { symbol, side, order_type, time_in_force, order_id, account, price_ticks, quantity_lots } => {
                let kind = u64::from(side as u8) | u64::from(order_type as u8) << 8 | u64::from(time_in_force as u8) << 16;
                let (price, lots) = (price_ticks.cast_unsigned(), quantity_lots.cast_unsigned());
                [symbol.word() << 8, order_id.0, account.0, price, lots, kind, 0]
            }
            Command::Cancel { symbol, order_id, account } => [1 | symbol.word() << 8, order_id.0, account.0, 0, 0, 0, 0],
            Command::Reduce { symbol, order_id, account, lots } => [2 | symbol.word() << 8, order_id.0, account.0, lots.cast_unsigned(), 0, 0, 0],
            Command::Replace { symbol, order_id, account, price_ticks, quantity_lots } => {
                let (price, lots) = (price_ticks.cast_unsigned(), quantity_lots.cast_unsigned());
                [3 | symbol.word() << 8, order_id.0, account.0, price, lots, 0, 0]
            }
        }
    }

    #[inline(always)]
    fn from_words(words: &[u64; WORDS]) -> Option<Self> {
        let [head, a, b, c, d, e, _] = *words;
        let symbol = Symbol::of_word(head >> 8)?;
        Some(match head as u8 {
            0 => Command::Place {
                symbol,
                order_id: OrderId(a),
                account: AccountId(b),
                price_ticks: c.cast_signed(),
                quantity_lots: d.cast_signed(),
                side: side(e as u8)?,
                order_type: order_type((e >> 8) as u8)?,
                time_in_force: time_in_force((e >> 16) as u8)?,
            },
            1 => Command::Cancel { symbol, order_id: OrderId(a), account: AccountId(b) },
            2 => Command::Reduce { symbol, order_id: OrderId(a), account: AccountId(b), lots: c.cast_signed() },
            3 => Command::Replace { symbol, order_id: OrderId(a), account: AccountId(b), price_ticks: c.cast_signed(), quantity_lots: d.cast_signed() },
            _ => return None,
        })
    }
}

impl Words for Report {
    const LEN: usize = size_of::<crate::slot::ArchivedReport>();

    #[inline(always)]
    fn to_words(&self) -> [u64; WORDS] {
        match *self {
            Report::Accepted { order_id, account } => [0, order_id.0, account.0, 0, 0, 0, 0],
            Report::Rejected { reason, order_id, account, quantity_lots } => {
                [1 | u64::from(reason as u8) << 8, order_id.0, account.0, quantity_lots.cast_unsigned(), 0, 0, 0]
            }
            Report::Traded { trade_id, maker_order_id, maker_account, price_ticks, quantity_lots } => {
                [2, trade_id, maker_order_id.0, maker_account.0, price_ticks.cast_unsigned(), quantity_lots.cast_unsigned(), 0]
            }
            Report::Ended { reason, order_id, account, remaining_lots } => {
                [3 | u64::from(reason as u8) << 8, order_id.0, account.0, remaining_lots.cast_unsigned(), 0, 0, 0]
            }
            Report::Reduced { order_id, account, lots } => [4, order_id.0, account.0, lots.cast_unsigned(), 0, 0, 0],
            Report::Replaced { side, order_id, account, price_ticks, released_lots } => {
                [5 | u64::from(side as u8) << 8, order_id.0, account.0, price_ticks.cast_unsigned(), released_lots.cast_unsigned(), 0, 0]
            }
            Report::CancelRejected { reason, order_id, account } => [6 | u64::from(reason as u8) << 8, order_id.0, account.0, 0, 0, 0, 0],
        }
    }

    #[inline(always)]
    fn from_words(words: &[u64; WORDS]) -> Option<Self> {
        let [head, a, b, c, d, e, _] = *words;
        let (order_id, account, second) = (OrderId(a), AccountId(b), (head >> 8) as u8);
        Some(match head as u8 {
            0 => Report::Accepted { order_id, account },
            1 => Report::Rejected { reason: reject_reason(second)?, order_id, account, quantity_lots: c.cast_signed() },
            2 => Report::Traded {
                trade_id: a,
                maker_order_id: OrderId(b),
                maker_account: AccountId(c),
                price_ticks: d.cast_signed(),
                quantity_lots: e.cast_signed(),
            },
            3 => Report::Ended { reason: end_reason(second)?, order_id, account, remaining_lots: c.cast_signed() },
            4 => Report::Reduced { order_id, account, lots: c.cast_signed() },
            5 => Report::Replaced { side: side(second)?, order_id, account, price_ticks: c.cast_signed(), released_lots: d.cast_signed() },
            6 => Report::CancelRejected { reason: cancel_reason(second)?, order_id, account },
            _ => return None,
        })
    }
}

/// An enum's value of its number.
macro_rules! of_number {
    ($function:ident, $enum:ident, $($variant:ident),+) => {
        #[inline(always)]
        fn $function(number: u8) -> Option<$enum> {
            match number {
                $(n if n == $enum::$variant as u8 => Some($enum::$variant),)+
                _ => None,
            }
        }
    };
}

of_number!(side, Side, Buy, Sell);
of_number!(order_type, OrderType, Limit, Market, LimitMaker);
of_number!(time_in_force, TimeInForce, Gtc, Ioc, Fok);
of_number!(end_reason, EndReason, Filled, Cancelled, Expired);
of_number!(cancel_reason, CancelReason, UnknownOrder, OutOfRange, BookFull, WouldTake);
of_number!(
    reject_reason,
    RejectReason,
    UnknownSymbol,
    DuplicateOrderId,
    PriceOutOfRange,
    QuantityOutOfRange,
    Overflow,
    WouldTake,
    CannotFill,
    BookFull,
    Halted
);
