//! The 64-byte message of a ring: 8 bytes of header and a 56-byte archive, one cache line, never stored.
//!
//! | offset | field | type | |
//! |---|---|---|---|
//! | 0 | version | u16 | [`VERSION`]; 0 in a slot that nobody wrote |
//! | 2 | len | u16 | bytes of the archive |
//! | 4 | tag | u32 | the writer's: n-th command of its batch; a report repeats its command's |
//! | 8 | archive | 56 bytes | rkyv's, zero behind `len` ([`crate::words`]) |

use crate::ids::{AccountId, OrderId, Symbol};
use crate::order::{CancelReason, EndReason, OrderType, RejectReason, Side, TimeInForce};
use crate::words::{WORDS, Words};
use rkyv::{Archive, Deserialize, Serialize};
use std::marker::PhantomData;

/// The version this build writes and reads.
pub const VERSION: u16 = 1;

/// Bytes of the archive's place.
pub const BODY_LEN: usize = 56;

/// What of [`crate::OrderCommand`] goes to a book: everything about orders, nothing about symbols and time.
///
/// In memory as in its archive: symbol, id, account, price lie at the same place in every command that has them, so that they are read without asking
/// for its kind.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    /// A new order. `price_ticks` of a market order is its protection price.
    Place {
        symbol: Symbol,
        order_id: OrderId,
        account: AccountId,
        price_ticks: i64,
        quantity_lots: i64,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
    },
    /// Take what is left of an order out of the book.
    Cancel { symbol: Symbol, order_id: OrderId, account: AccountId },
    /// Make a resting order smaller by `lots`; keeps its place.
    Reduce { symbol: Symbol, order_id: OrderId, account: AccountId, lots: i64 },
    /// Another price and remaining quantity for a resting order; loses its place.
    Replace { symbol: Symbol, order_id: OrderId, account: AccountId, price_ticks: i64, quantity_lots: i64 },
}

/// What a book says about one step, in the order in which it happened. The symbol is the command's.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The order was taken; it rests, or ended in the same step.
    Accepted { order_id: OrderId, account: AccountId },
    /// The order was not taken and nothing else happened.
    Rejected { reason: RejectReason, order_id: OrderId, account: AccountId, quantity_lots: i64 },
    /// One execution at the resting order's price; the taker is the command's order.
    Traded { trade_id: u64, maker_order_id: OrderId, maker_account: AccountId, price_ticks: i64, quantity_lots: i64 },
    /// The order left the book with `remaining_lots` unfilled (0 when filled).
    Ended { reason: EndReason, order_id: OrderId, account: AccountId, remaining_lots: i64 },
    /// A resting order became smaller by `lots`.
    Reduced { order_id: OrderId, account: AccountId, lots: i64 },
    /// A resting order of `side` was replaced and became smaller by `released_lots` (≥ 0).
    Replaced { side: Side, order_id: OrderId, account: AccountId, price_ticks: i64, released_lots: i64 },
    /// A cancel, reduce or replace changed nothing.
    CancelRejected { reason: CancelReason, order_id: OrderId, account: AccountId },
}

/// A [`Command`] or a [`Report`] in one cache line. It is eight words and moves as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Slot<T> {
    /// Version, length, tag, from the low bits on: one comparison says whether the first two are right.
    head: u64,
    body: [u64; WORDS],
    of: PhantomData<T>,
}

/// Why a slot does not hold what it should: names the field and the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// Nobody wrote it, or another build did.
    #[error("slot version {version}: this build reads {VERSION}")]
    Version {
        /// What stands there.
        version: u16,
    },
    /// The archive has another length than its type.
    #[error("slot len {len}: the archive of this type has {expected} bytes")]
    Length {
        /// What stands there, or what was given.
        len: usize,
        /// Of the type.
        expected: usize,
    },
    /// The bytes are not a valid archive of the type.
    #[error("slot body is not a valid archive")]
    Body,
}

const _: () = assert!(size_of::<Slot<Command>>() == 64 && align_of::<Slot<Command>>() == 64);
const _: () = assert!(std::mem::offset_of!(Slot<Command>, body) == 8, "archives of ids and prices are 8-aligned");
const _: () = assert!(size_of::<ArchivedCommand>() <= BODY_LEN && align_of::<ArchivedCommand>() <= 8);
const _: () = assert!(size_of::<ArchivedReport>() <= BODY_LEN && align_of::<ArchivedReport>() <= 8);

impl<T> Slot<T> {
    /// A slot that nobody wrote: [`Slot::get`] refuses it.
    pub const EMPTY: Slot<T> = Slot { head: 0, body: [0; WORDS], of: PhantomData };

    /// The writer's number.
    #[inline]
    pub fn tag(&self) -> u32 {
        (self.head >> 32) as u32
    }

    fn version(&self) -> u16 {
        self.head as u16
    }

    fn archive_len(&self) -> usize {
        usize::from((self.head >> 16) as u16)
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T: Words> Slot<T> {
    /// The low half of the head of every slot of this type and version.
    const KIND: u32 = VERSION as u32 | (T::LEN as u32) << 16;

    #[inline(always)]
    fn head(tag: u32) -> u64 {
        u64::from(Self::KIND) | u64::from(tag) << 32
    }

    /// A slot with `value`. Where the value's variant is known it is a few stores: nothing is asked.
    #[inline(always)]
    pub fn new(tag: u32, value: &T) -> Self {
        Slot { head: Self::head(tag), body: value.to_words(), of: PhantomData }
    }

    /// Writes `value`; what stood there before is gone.
    #[inline(always)]
    pub fn put(&mut self, tag: u32, value: &T) {
        *self = Self::new(tag, value);
    }

    /// Copies an archive that came from elsewhere; a bad one leaves the slot as it was.
    pub fn put_archive(&mut self, tag: u32, archive: &[u8]) -> Result<(), SlotError> {
        if archive.len() != T::LEN {
            return Err(SlotError::Length { len: archive.len(), expected: T::LEN });
        }
        let mut bytes = [0; BODY_LEN];
        bytes[..T::LEN].copy_from_slice(archive);
        let mut slot = Slot { head: Self::head(tag), ..Self::EMPTY };
        slot.body.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
        slot.get()?;
        *self = slot;
        Ok(())
    }

    /// Reads the value; version, length and archive are checked, in this order.
    #[inline(always)]
    pub fn get(&self) -> Result<T, SlotError> {
        if self.head as u32 != Self::KIND {
            return Err(self.foreign());
        }
        T::from_words(&self.body).ok_or(SlotError::Body)
    }

    /// What is wrong with a slot that is not of this type and version.
    #[cold]
    fn foreign(&self) -> SlotError {
        if self.version() == VERSION { SlotError::Length { len: self.archive_len(), expected: T::LEN } } else { SlotError::Version { version: self.version() } }
    }

    /// A copy of the archived bytes.
    pub fn archive(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.body.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(self.archive_len());
        bytes
    }
}

/// The cache line as words. Bits 24 to 31 of the first are zero, because `len` is below 256.
impl<T> From<Slot<T>> for [u64; 8] {
    #[inline]
    fn from(slot: Slot<T>) -> Self {
        let [a, b, c, d, e, f, g] = slot.body;
        [slot.head, a, b, c, d, e, f, g]
    }
}

/// Any words: [`Slot::get`] says whether they are a slot.
impl<T> From<[u64; 8]> for Slot<T> {
    #[inline]
    fn from([head, a, b, c, d, e, f, g]: [u64; 8]) -> Self {
        Slot { head, body: [a, b, c, d, e, f, g], of: PhantomData }
    }
}
