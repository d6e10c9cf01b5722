//! What the log's files must be, to the last byte: whole batches with the right checksums, in the order of their offsets. The journal leaves no torn tail
//! behind, so that whatever else is found has been damaged since: `dump` shows where, and a start refuses, because the broker, as Kafka does, would
//! cut the log there and go on without what follows.

use anyhow::{Context, Result, bail};
use broker::{Batch, BatchHeader};
use bytes::Bytes;
use runtime::disk::Disk;

/// What a file of the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Batches of one partition, from this offset on.
    Segment(i64),
    /// The controller's entries.
    Metadata,
}

/// By its name: `node-1/3-0/00000000000000000042.log`. `None`: something else.
pub fn kind(file: &str) -> Option<Kind> {
    let base = file.rsplit_once('/')?.1.strip_suffix(".log")?.parse().ok()?;
    Some(if file.starts_with("node-0/") { Kind::Metadata } else { Kind::Segment(base) })
}

/// Gives every batch with its position. Where one is not whole or does not follow, it ends: the position, if that is before the end.
pub fn batches(bytes: &Bytes, base: i64, mut each: impl FnMut(u64, Batch) -> Result<()>) -> Result<Option<u64>> {
    let (mut at, mut next, mut epoch) = (0, base, 0);
    while at < bytes.len() {
        let whole = BatchHeader::read(&bytes[at..]).and_then(|header| bytes.get(at..at.checked_add(header.len as usize)?));
        let batch = whole.and_then(|whole| Batch::check(bytes.slice_ref(whole)).ok());
        let Some(batch) = batch.filter(|batch| batch.header().base_offset >= next && batch.header().leader_epoch >= epoch) else {
            return Ok(Some(at as u64));
        };
        let position = at as u64;
        at += batch.header().len as usize;
        (next, epoch) = (batch.header().next_offset(), batch.header().leader_epoch);
        each(position, batch)?;
    }
    Ok(None)
}

/// The position of the first entry that is not whole, if there is one: length u32, CRC-32C u32, body.
pub fn metadata(bytes: &[u8]) -> Option<u64> {
    let mut rest = bytes;
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let [len, crc] = [&head[..4], &head[4..]].map(|number| u32::from_le_bytes(number.try_into().expect("four bytes")));
        match behind.split_at_checked(len as usize) {
            Some((body, behind)) if crc32c::crc32c(body) == crc => rest = behind,
            _ => break,
        }
    }
    (!rest.is_empty()).then(|| (bytes.len() - rest.len()) as u64)
}

/// Reads every file of the log.
///
/// # Errors
/// A file is damaged, or cannot be read: its name, and where.
pub fn check(disk: &dyn Disk) -> Result<()> {
    for (file, len) in disk.list("")? {
        let Some(kind) = kind(&file) else { continue };
        let bytes = disk.read(&file, 0, usize::try_from(len).context("a file larger than memory can be")?)?;
        let damage = match kind {
            Kind::Segment(base) => batches(&bytes, base, |_, _| Ok(()))?,
            Kind::Metadata => metadata(&bytes),
        };
        if let Some(position) = damage {
            let lost = len - position;
            bail!(
                "its file {file} is damaged at byte {position}: {lost} bytes of acknowledged records cannot be read. \
                 Restore it from a copy (`exchange dump` shows what can be read); no record was changed"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker::Record;
    use broker::batch::Producer;

    fn batch(offset: i64) -> Bytes {
        let record = Record { offset: 0, timestamp_ms: 7, key: None, value: Some(Bytes::from_static(b"value")) };
        Batch::build(&[record], Producer::NONE, false).assign(offset, 1).bytes().clone()
    }

    #[test]
    fn a_segment_is_sound_to_its_end_or_says_where_not() {
        let whole = Bytes::from([batch(5), batch(6), batch(9)].concat());
        let one = batch(5).len();
        let mut seen = Vec::new();
        let damage = batches(&whole, 5, |at, batch| {
            seen.push((at, batch.header().base_offset));
            Ok(())
        });
        assert_eq!((damage.expect("reads"), seen), (None, vec![(0, 5), (one as u64, 6), (2 * one as u64, 9)]));
        let found = |bytes: Vec<u8>, base| batches(&bytes.into(), base, |_, _| Ok(())).expect("reads");
        assert_eq!(found(whole.to_vec(), 6), Some(0), "it begins before its file");
        assert_eq!(found(whole[..2 * one + 70].to_vec(), 5), Some(2 * one as u64));
        // Of a header all but the offset and the epoch are below the checksum, and a lower one does not follow.
        for at in [0, 8, 16, 20, 40, 64, one - 1] {
            let mut bytes = whole.to_vec();
            bytes[one + at] ^= 6;
            assert_eq!(found(bytes, 5), Some(one as u64), "byte {at} of the second");
        }
    }

    #[test]
    fn an_entry_that_is_not_whole_is_found() {
        let entry = |body: &[u8]| [&(body.len() as u32).to_le_bytes()[..], &crc32c::crc32c(body).to_le_bytes(), body].concat();
        let whole = [entry(b"one"), entry(b"another")].concat();
        assert_eq!(metadata(&whole), None);
        assert_eq!(metadata(&[]), None);
        for at in 11..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(metadata(&bytes), Some(11), "byte {at}");
            if at > 11 {
                assert_eq!(metadata(&whole[..at]), Some(11), "cut at {at}");
            }
        }
    }

    #[test]
    fn files_are_known_by_their_names() {
        assert_eq!(kind("node-1/3-0/00000000000000000042.log"), Some(Kind::Segment(42)));
        assert_eq!(kind("node-0/__cluster_metadata/00000000000000000000.log"), Some(Kind::Metadata));
        assert_eq!(kind("node-1/3-0/leader-epoch-checkpoint"), None);
        assert_eq!(kind("node-1/3-0/00000000000000000042.log.tmp"), None);
    }
}
