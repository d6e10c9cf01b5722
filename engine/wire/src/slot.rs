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
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A new order. `price_ticks` of a market order is its protection price.
    Place {
        symbol: Symbol,
        side: Side,
        order_type: OrderType,
        time_in_force: TimeInForce,
        order_id: OrderId,
        account: AccountId,
        price_ticks: i64,
        quantity_lots: i64,
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

/// A [`Command`] or a [`Report`] in one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Slot<T> {
    version: u16,
    len: u16,
    tag: u32,
    body: [u8; BODY_LEN],
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
    pub const EMPTY: Slot<T> = Slot { version: 0, len: 0, tag: 0, body: [0; BODY_LEN], of: PhantomData };

    /// The writer's number.
    pub fn tag(&self) -> u32 {
        self.tag
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T: Words> Slot<T> {
    /// Writes `value`; what stood there before is gone.
    #[inline(always)]
    pub fn put(&mut self, tag: u32, value: &T) {
        let mut body = [0; BODY_LEN];
        for (bytes, word) in body.as_chunks_mut().0.iter_mut().zip(value.to_words()) {
            *bytes = word.to_le_bytes();
        }
        *self = Slot { version: VERSION, len: T::LEN as u16, tag, body, of: PhantomData };
    }

    /// Copies an archive that came from elsewhere; a bad one leaves the slot as it was.
    pub fn put_archive(&mut self, tag: u32, archive: &[u8]) -> Result<(), SlotError> {
        if archive.len() != T::LEN {
            return Err(SlotError::Length { len: archive.len(), expected: T::LEN });
        }
        let mut slot = Slot { version: VERSION, len: T::LEN as u16, tag, ..Self::EMPTY };
        slot.body[..T::LEN].copy_from_slice(archive);
        slot.get()?;
        *self = slot;
        Ok(())
    }

    /// Reads the value; version, length and archive are checked, in this order.
    #[inline(always)]
    pub fn get(&self) -> Result<T, SlotError> {
        if self.version != VERSION {
            return Err(SlotError::Version { version: self.version });
        }
        if usize::from(self.len) != T::LEN {
            return Err(SlotError::Length { len: usize::from(self.len), expected: T::LEN });
        }
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(self.body.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        T::from_words(&words).ok_or(SlotError::Body)
    }

    /// The archived bytes.
    pub fn archive(&self) -> &[u8] {
        &self.body[..usize::from(self.len)]
    }
}

/// The cache line as words, little-endian. Bits 24 to 31 of the first are zero, because `len` is below 256.
impl<T> From<Slot<T>> for [u64; 8] {
    #[inline]
    fn from(slot: Slot<T>) -> Self {
        let mut words = [u64::from(slot.version) | u64::from(slot.len) << 16 | u64::from(slot.tag) << 32; 8];
        for (word, bytes) in words[1..].iter_mut().zip(slot.body.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    }
}

/// Any words: [`Slot::get`] says whether they are a slot.
impl<T> From<[u64; 8]> for Slot<T> {
    #[inline]
    fn from(words: [u64; 8]) -> Self {
        let [head, ..] = words;
        let mut body = [0; BODY_LEN];
        for (bytes, word) in body.as_chunks_mut().0.iter_mut().zip(&words[1..]) {
            *bytes = word.to_le_bytes();
        }
        Slot { version: head as u16, len: (head >> 16) as u16, tag: (head >> 32) as u32, body, of: PhantomData }
    }
}
