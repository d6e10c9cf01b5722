//! Leader epoch cache (A12, KIP-101): where each epoch begins in this replica's log. Written to `leader-epoch-checkpoint` when it changes; what a
//! restart finds there beyond the log's end is dropped, what it lacks comes back from the batches (A4).

use bytes::Bytes;

/// (epoch, first offset), both rising.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct EpochCache {
    entries: Vec<(u32, i64)>,
}

impl EpochCache {
    /// From the checkpoint's text; lines that make no sense end it.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut cache = EpochCache::default();
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        for line in text.lines() {
            let Some((epoch, start)) = line.split_once(' ') else { break };
            let (Ok(epoch), Ok(start)) = (epoch.parse(), start.parse()) else { break };
            cache.assign(epoch, start);
        }
        cache
    }

    pub fn encode(&self) -> Bytes {
        Bytes::from(self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}\n")).collect::<String>())
    }

    /// An epoch begins, unless it has begun; true if the cache changed.
    pub fn assign(&mut self, epoch: u32, start: i64) -> bool {
        if self.entries.last().is_some_and(|&(last, _)| last >= epoch) {
            return false;
        }
        // Epochs that wrote nothing and would begin at or after this one never happened in this log.
        while self.entries.last().is_some_and(|&(_, last_start)| last_start > start) {
            self.entries.pop();
        }
        self.entries.push((epoch, start));
        true
    }

    /// Forgets epochs that begin at or after `end`; true if the cache changed.
    pub fn truncate(&mut self, end: i64) -> bool {
        let keep = self.entries.partition_point(|&(_, start)| start < end);
        let changed = keep < self.entries.len();
        self.entries.truncate(keep);
        changed
    }

    /// The largest epoch at or below `epoch` and where it ends in a log that ends at `log_end`. An epoch older than all: it ends where the first begins.
    pub fn end_of(&self, epoch: u32, log_end: i64) -> Option<(u32, i64)> {
        let after = self.entries.partition_point(|&(known, _)| known <= epoch);
        let end = self.entries.get(after).map_or(log_end, |&(_, start)| start);
        match after.checked_sub(1) {
            Some(at) => Some((self.entries[at].0, end)),
            None => self.entries.first().map(|&(_, start)| (epoch, start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let mut cache = EpochCache::default();
        cache.assign(2, 0);
        cache.assign(4, 10);
        assert_eq!(cache.end_of(1, 15), Some((1, 0)));
        assert_eq!(cache.end_of(2, 15), Some((2, 10)));
        assert_eq!(cache.end_of(3, 15), Some((2, 10)));
        assert_eq!(cache.end_of(9, 15), Some((4, 15)));
        assert_eq!(EpochCache::decode(&cache.encode()), cache);
        assert!(cache.truncate(10));
        assert_eq!(cache.end_of(9, 10), Some((2, 10)));
    }
}
