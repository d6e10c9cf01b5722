//! Values by where they stand and by who sent them. A value may be sent more than once, so both are counted.

use super::operations::{NONE, Operations, Outcome};
use super::versions::Versions;

/// One value of one partition.
#[derive(Debug)]
pub struct Value<'a> {
    /// Number of the partition.
    pub partition: u32,
    /// CRC-32C of the record's value.
    pub value: u32,
    /// Where it stands: offset, and may readers of committed records be given it?
    pub places: &'a [(u64, i64, bool)],
    /// Its sends.
    pub sends: &'a [(u64, u32)],
}

/// All values of a history.
#[derive(Debug, Default)]
pub struct Values {
    places: Vec<(u64, i64, bool)>,
    sends: Vec<(u64, u32)>,
}

fn key(partition: u32, value: u32) -> u64 {
    u64::from(partition) << 32 | u64::from(value)
}

impl Values {
    pub fn of(operations: &Operations<'_>, versions: &Versions) -> Values {
        let mut values = Values::default();
        for (number, partition) in versions.partitions() {
            let place = |(offset, version): (i64, &super::versions::Version)| (key(number, version.value), offset, version.is_committed(operations));
            values.places.extend(partition.iter().map(place));
        }
        values.sends.extend(operations.sends.iter().zip(0..).map(|(send, number)| (key(send.partition, send.value), number)));
        values.places.sort_unstable();
        values.sends.sort_unstable();
        values
    }

    /// Values that stand somewhere and were sent by somebody; one that nobody was seen to send came from a stranger.
    pub fn iter(&self) -> impl Iterator<Item = Value<'_>> {
        let mut sends = &self.sends[..];
        self.places.chunk_by(|a, b| a.0 == b.0).filter_map(move |places| {
            let key = places[0].0;
            let skipped = sends.iter().position(|(of, _)| *of >= key).unwrap_or(sends.len());
            sends = &sends[skipped..];
            let mine = sends.iter().position(|(of, _)| *of != key).unwrap_or(sends.len());
            let (mine, rest) = sends.split_at(mine);
            sends = rest;
            (!mine.is_empty()).then_some(Value { partition: (key >> 32) as u32, value: key as u32, places, sends: mine })
        })
    }

    /// Does this value stand anywhere?
    pub fn stands(&self, partition: u32, value: u32) -> bool {
        let key = key(partition, value);
        self.places.binary_search_by(|(of, ..)| of.cmp(&key)).is_ok()
    }
}

impl Value<'_> {
    /// Its sends that may have happened.
    pub fn live(&self, operations: &Operations<'_>) -> usize {
        self.sends.iter().filter(|(_, send)| operations.outcome(&operations.sends[*send as usize]) != Outcome::Fail).count()
    }

    /// Where readers of committed records may be given it.
    pub fn committed(&self) -> usize {
        self.places.iter().filter(|(.., committed)| *committed).count()
    }

    /// Its sends and who was given it, a few of each.
    pub fn facts(&self, operations: &Operations<'_>, versions: &Versions) -> Vec<String> {
        let sends = self.sends.iter().take(4).map(|(_, send)| operations.cite_send(&operations.sends[*send as usize]));
        let polls = self.places.iter().take(4).filter_map(|(_, offset, _)| {
            let version = versions.of_partition(self.partition).at(*offset)?;
            (version.first_poll != NONE).then(|| operations.cite_poll(version.first_poll, *offset))
        });
        sends.chain(polls).collect()
    }
}
