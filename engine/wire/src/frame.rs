//! The value of a log record: a 64-byte header, then the archived body, 16-aligned.
//!
//! | offset | field | type | |
//! |---|---|---|---|
//! | 0 | version | u16 | [`VERSION`] |
//! | 2 | kind | u16 | which body |
//! | 4 | len | u32 | bytes of the body |
//! | 8 | crc | u32 | CRC-32C of header (this field zero) and body |
//! | 12 | source | u32 | service u8, input topic u8, partition u16 |
//! | 16 | epoch | u32 | ownership epoch of the source; 0 for a policy or an edge |
//! | 20 | index | u32 | n-th output of its cause |
//! | 24 | sequence | u64 | per (source, destination partition), from 1 without a gap; 0 for a policy or an edge |
//! | 32 | cause | i64 | input offset; −1 for an edge |
//! | 40 | correlation | 16 bytes | |
//! | 56 | log time | u64 | ms, time of the machine |
//!
//! All little-endian.

use crate::{AccountCommand, AccountEvent, Correlation, OrderCommand, OrderEvent, SystemTick, TradeList};
use bytes::Bytes;

/// The version this build writes.
pub const VERSION: u16 = 1;

/// Bytes of the header.
pub const HEADER_LEN: usize = 64;

/// Who wrote a record, as a machine sees it: a (service, input topic, partition) that hands over between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Source {
    /// 0 edge or clock, 1 account, 2 matching_engine, 3 wallet.
    pub service: u8,
    /// Number of the input topic ([`crate::Topic`]), 0 for an edge.
    pub input_topic: u8,
    /// Input partition.
    pub partition: u16,
}

/// All of a header that its writer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Who wrote it.
    pub source: Source,
    /// Ownership epoch.
    pub epoch: u32,
    /// n-th output of its cause, from 0.
    pub index: u32,
    /// Per (source, destination partition), from 1.
    pub sequence: u64,
    /// Offset of the input that caused it; −1 for an edge.
    pub cause: i64,
    /// Request that it answers.
    pub correlation: Correlation,
    /// Milliseconds.
    pub log_time_ms: u64,
}

/// A decoded body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// kind 1
    AccountCommand(AccountCommand),
    /// kind 2
    AccountEvent(AccountEvent),
    /// kind 3
    OrderCommand(OrderCommand),
    /// kind 4
    OrderEvent(OrderEvent),
    /// kind 5
    Trades(TradeList),
    /// kind 6
    SystemTick(SystemTick),
}

/// Why a record is not a frame of ours: names the field and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header.
    #[error("frame of {len} bytes: a header is {HEADER_LEN}")]
    Short {
        /// Bytes there are.
        len: usize,
    },
    /// Version is not ours (an older one is upcast, a newer one refused).
    #[error("version {version}: this build reads {VERSION}")]
    Version {
        /// What stands there.
        version: u16,
    },
    /// Kind is unknown.
    #[error("kind {kind}: known are 1 to 6")]
    Kind {
        /// What stands there.
        kind: u16,
    },
    /// The body has another length than the header says.
    #[error("len {len}: the record has {actual} bytes of body")]
    Length {
        /// What stands there.
        len: u32,
        /// What there is.
        actual: usize,
    },
    /// The checksum differs.
    #[error("crc {crc:08x}: the bytes have {actual:08x}")]
    Checksum {
        /// What stands there.
        crc: u32,
        /// What there is.
        actual: u32,
    },
    /// The body is not a valid archive of its kind.
    #[error("body of kind {kind} is not a valid archive")]
    Body {
        /// The kind.
        kind: u16,
    },
}

/// Header and archived body as one record value.
pub fn encode(_stamp: &Stamp, _body: &Body) -> Bytes {
    todo!("foundation: written next")
}

/// Checks header, checksum and body, in this order, and copies the body out.
pub fn decode(_value: &[u8]) -> Result<(Stamp, Body), FrameError> {
    todo!("foundation: written next")
}
