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
//! All little-endian. Version, length and checksum stand in the same place in every version to come, and the checksum covers the same: so a build knows a
//! frame of a newer one from a record that is no frame at all. The first it must not pass over; it refuses it, and whoever reads it stops there.

use crate::{AccountCommand, AccountEvent, Correlation, OrderCommand, OrderEvent, SystemTick, TradeList};
use bytes::Bytes;
use rkyv::rancor;
use rkyv::util::AlignedVec;

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
    /// No frame: no build of ours wrote this version so.
    #[error("version {version}: this build reads 1 to {VERSION}")]
    Version {
        /// What stands there.
        version: u16,
    },
    /// A whole frame, of a version younger than this build.
    #[error("a frame of version {version}, written by a newer build: this build reads versions 1 to {VERSION}")]
    Newer {
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
pub fn encode(stamp: &Stamp, body: &Body) -> Bytes {
    let archive = body.archive();
    let mut value = Vec::with_capacity(HEADER_LEN + archive.len());
    value.extend_from_slice(&VERSION.to_le_bytes());
    value.extend_from_slice(&body.kind().to_le_bytes());
    value.extend_from_slice(&u32::try_from(archive.len()).expect("a body is far below 4 GiB").to_le_bytes());
    value.extend_from_slice(&[0; 4]);
    value.extend_from_slice(&[stamp.source.service, stamp.source.input_topic]);
    value.extend_from_slice(&stamp.source.partition.to_le_bytes());
    value.extend_from_slice(&stamp.epoch.to_le_bytes());
    value.extend_from_slice(&stamp.index.to_le_bytes());
    value.extend_from_slice(&stamp.sequence.to_le_bytes());
    value.extend_from_slice(&stamp.cause.to_le_bytes());
    value.extend_from_slice(&stamp.correlation.0);
    value.extend_from_slice(&stamp.log_time_ms.to_le_bytes());
    assert_eq!(value.len(), HEADER_LEN, "the header's layout is fixed");
    value.extend_from_slice(&archive);
    let crc = checksum(&value);
    value[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    Bytes::from(value)
}

/// Checks version, kind, length, checksum and body, in this order, and copies the body out.
pub fn decode(value: &[u8]) -> Result<(Stamp, Body), FrameError> {
    let Some((header, archive)) = value.split_at_checked(HEADER_LEN) else {
        return Err(FrameError::Short { len: value.len() });
    };
    let version = u16::from_le_bytes(at(header, 0));
    if version != VERSION {
        let is_newer = version > VERSION && is_whole(header, archive.len(), value).is_ok();
        return Err(if is_newer { FrameError::Newer { version } } else { FrameError::Version { version } });
    }
    let kind = u16::from_le_bytes(at(header, 2));
    if !(1..=KIND_MAX).contains(&kind) {
        return Err(FrameError::Kind { kind });
    }
    is_whole(header, archive.len(), value)?;
    Ok((stamp_of(header), Body::from_archive(kind, archive)?))
}

/// Length and checksum, alike in every version.
fn is_whole(header: &[u8], actual: usize, value: &[u8]) -> Result<(), FrameError> {
    let len = u32::from_le_bytes(at(header, 4));
    if usize::try_from(len).ok() != Some(actual) {
        return Err(FrameError::Length { len, actual });
    }
    let (crc, actual) = (u32::from_le_bytes(at(header, CRC_AT)), checksum(value));
    if crc != actual {
        return Err(FrameError::Checksum { crc, actual });
    }
    Ok(())
}

/// Offset of the checksum in the header.
const CRC_AT: usize = 8;

/// Kinds are 1 to this.
const KIND_MAX: u16 = 6;

impl Body {
    /// The header's number of this body.
    pub fn kind(&self) -> u16 {
        match self {
            Body::AccountCommand(_) => 1,
            Body::AccountEvent(_) => 2,
            Body::OrderCommand(_) => 3,
            Body::OrderEvent(_) => 4,
            Body::Trades(_) => 5,
            Body::SystemTick(_) => 6,
        }
    }

    fn archive(&self) -> AlignedVec {
        match self {
            Body::AccountCommand(body) => rkyv::to_bytes::<rancor::Error>(body),
            Body::AccountEvent(body) => rkyv::to_bytes::<rancor::Error>(body),
            Body::OrderCommand(body) => rkyv::to_bytes::<rancor::Error>(body),
            Body::OrderEvent(body) => rkyv::to_bytes::<rancor::Error>(body),
            Body::Trades(body) => rkyv::to_bytes::<rancor::Error>(body),
            Body::SystemTick(body) => rkyv::to_bytes::<rancor::Error>(body),
        }
        .expect("writing into memory cannot fail, and no body has shared pointers")
    }

    fn from_archive(kind: u16, archive: &[u8]) -> Result<Body, FrameError> {
        // A record of the log starts at any address; an archive must not.
        let aligned: AlignedVec;
        let archive = if archive.as_ptr().addr().is_multiple_of(ALIGN) {
            archive
        } else {
            let mut copy = AlignedVec::with_capacity(archive.len());
            copy.extend_from_slice(archive);
            aligned = copy;
            &aligned
        };
        match kind {
            1 => rkyv::from_bytes::<AccountCommand, rancor::Error>(archive).map(Body::AccountCommand),
            2 => rkyv::from_bytes::<AccountEvent, rancor::Error>(archive).map(Body::AccountEvent),
            3 => rkyv::from_bytes::<OrderCommand, rancor::Error>(archive).map(Body::OrderCommand),
            4 => rkyv::from_bytes::<OrderEvent, rancor::Error>(archive).map(Body::OrderEvent),
            5 => rkyv::from_bytes::<TradeList, rancor::Error>(archive).map(Body::Trades),
            6 => rkyv::from_bytes::<SystemTick, rancor::Error>(archive).map(Body::SystemTick),
            _ => return Err(FrameError::Kind { kind }),
        }
        // Without debug text an rkyv error says nothing that the kind does not.
        .map_err(|_| FrameError::Body { kind })
    }
}

/// What `AlignedVec` gives and every archive needs at most.
const ALIGN: usize = 16;

fn stamp_of(header: &[u8]) -> Stamp {
    Stamp {
        source: Source { service: header[12], input_topic: header[13], partition: u16::from_le_bytes(at(header, 14)) },
        epoch: u32::from_le_bytes(at(header, 16)),
        index: u32::from_le_bytes(at(header, 20)),
        sequence: u64::from_le_bytes(at(header, 24)),
        cause: i64::from_le_bytes(at(header, 32)),
        correlation: Correlation(at(header, 40)),
        log_time_ms: u64::from_le_bytes(at(header, 56)),
    }
}

/// CRC-32C of a whole frame, its crc field taken as zero.
fn checksum(value: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&value[..CRC_AT]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &value[CRC_AT + 4..])
}

fn at<const N: usize>(header: &[u8], offset: usize) -> [u8; N] {
    header[offset..offset + N].try_into().expect("a header is 64 bytes and every field lies inside")
}
