//! One operation in the journal.
//!
//! ```text
//! crc u32 | length u32 | lsn u64 | durable u64 | file u64 | number u64 | kind u8, 7 zero | payload, filled up to 8 bytes
//! ```
//! Little-endian. `crc` (CRC-32C) covers everything behind it but the filling; `length` is the payload's. `lsn` is where the record stands in the endless journal:
//! a record left over from an earlier use of the same bytes has another one. `durable`: what was known to be on the platter when this was written,
//! so that recovery can tell a torn tail (nobody was promised anything) from damage to what was acknowledged.

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 48;

/// Number of a file, never used twice in a directory.
pub type FileId = u64;

/// What is done to the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op<'a> {
    /// A new, empty file of this name.
    Create { file: FileId, name: &'a str },
    /// Bytes at the file's end, which is `offset`.
    Append { file: FileId, offset: u64, bytes: &'a [u8] },
    /// The file is cut to `len`.
    Truncate { file: FileId, len: u64 },
    /// A file gets another name; whoever had it is gone.
    Rename { from: &'a str, to: &'a str },
    /// A file is gone.
    Remove { name: &'a str },
}

/// A record as read.
#[derive(Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub op: Op<'a>,
    pub lsn: u64,
    pub durable: u64,
    /// All of it, filling included.
    pub bytes: usize,
}

/// Bytes of a record with such a payload.
pub fn bytes_of(payload: usize) -> usize {
    HEADER_BYTES + payload.next_multiple_of(8)
}

/// Writes a record at the end of `out`.
pub fn encode(op: Op<'_>, lsn: u64, durable: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let (kind, file, number, parts): (u8, FileId, u64, [&[u8]; 2]) = match op {
        Op::Create { file, name } => (1, file, 0, [name.as_bytes(), &[]]),
        Op::Append { file, offset, bytes } => (2, file, offset, [bytes, &[]]),
        Op::Truncate { file, len } => (3, file, len, [&[], &[]]),
        Op::Rename { from, to } => (4, 0, from.len() as u64, [from.as_bytes(), to.as_bytes()]),
        Op::Remove { name } => (5, 0, 0, [name.as_bytes(), &[]]),
    };
    let len = parts[0].len() + parts[1].len();
    out.extend([0; 4]);
    out.extend(u32::try_from(len).expect("no append is 4 GiB long").to_le_bytes());
    for number in [lsn, durable, file, number] {
        out.extend(number.to_le_bytes());
    }
    out.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(parts[0]);
    out.extend(parts[1]);
    let crc = crc32c::crc32c(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    out.resize(start + bytes_of(len), 0);
}

/// The record at the head of `bytes`; `None`: there is none, or it is torn.
pub fn decode(bytes: &[u8]) -> Option<Record<'_>> {
    let header = bytes.get(..HEADER_BYTES)?;
    let len = u32_at(header, 4) as usize;
    let payload = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(len)?)?;
    if crc32c::crc32c_append(crc32c::crc32c(&header[4..]), payload) != u32_at(header, 0) {
        return None;
    }
    let (file, number) = (u64_at(header, 24), u64_at(header, 32));
    let op = match header[40] {
        1 => Op::Create { file, name: text(payload)? },
        2 => Op::Append { file, offset: number, bytes: payload },
        3 => Op::Truncate { file, len: number },
        4 => {
            let (from, to) = payload.split_at_checked(usize::try_from(number).ok()?)?;
            Op::Rename { from: text(from)?, to: text(to)? }
        }
        5 => Op::Remove { name: text(payload)? },
        _ => return None,
    };
    Some(Record { op, lsn: u64_at(header, 8), durable: u64_at(header, 16), bytes: bytes_of(len) })
}

/// The position a record at the head of `bytes` claims, whether it is whole or not.
pub fn claimed_lsn(bytes: &[u8]) -> Option<u64> {
    Some(u64_at(bytes.get(..HEADER_BYTES)?, 8))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPS: [Op<'static>; 5] = [
        Op::Create { file: 7, name: "3-0/00000000000000000042.log" },
        Op::Append { file: 7, offset: 4_096, bytes: b"batch" },
        Op::Truncate { file: 7, len: 3 },
        Op::Rename { from: "a.tmp", to: "a" },
        Op::Remove { name: "a" },
    ];

    #[test]
    fn records_come_back() {
        for op in OPS {
            let mut bytes = b"before".to_vec();
            encode(op, 48, 16, &mut bytes);
            let whole = bytes.len() - 6;
            bytes.extend(b"behind");
            assert_eq!(decode(&bytes[6..]), Some(Record { op, lsn: 48, durable: 16, bytes: whole }));
            assert_eq!(whole % 8, 0);
        }
    }

    #[test]
    fn a_torn_or_flipped_record_is_none() {
        for op in OPS {
            let mut bytes = Vec::new();
            encode(op, 48, 16, &mut bytes);
            let len = HEADER_BYTES + u32_at(&bytes, 4) as usize;
            for cut in 0..len {
                assert_eq!(decode(&bytes[..cut]), None, "{op:?} cut at {cut}");
            }
            for at in 0..len {
                bytes[at] ^= 4;
                assert_eq!(decode(&bytes), None, "{op:?} flipped at {at}");
                bytes[at] ^= 4;
            }
        }
    }
}
