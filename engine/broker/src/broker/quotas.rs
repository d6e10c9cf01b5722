//! Quotas (A69, KIP-13, KIP-219): a client that writes or reads faster than it may is answered at once, and not listened to until its rate is back within
//! the bound. Whatever else comes over that connection waits as well.
//!
//! Kafka keeps one rate for each user or client id, over eleven windows of a second; here every connection of a client has a bucket for each direction that
//! holds as many seconds' bytes as Kafka has whole windows: the same mean rate, the same bursts, the same silence. Brokers among themselves have no quota.

use super::{Broker, LOCAL};
use crate::coordinator::ReplyTo;
use crate::io::Output;
use crate::note::Note;
use std::collections::BTreeMap;

/// Which of a connection's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Written,
    Read,
}

/// Until when each bucket's bytes are paid for at the bound, µs; a bucket that is not here is full.
#[derive(Default)]
pub(super) struct Quotas(BTreeMap<(u64, Direction), u64>);

impl Quotas {
    /// That connection is gone.
    pub fn forget(&mut self, connection: u64) {
        self.0.remove(&(connection, Direction::Written));
        self.0.remove(&(connection, Direction::Read));
    }
}

impl Broker {
    /// A client wrote so much; it is done, and he is heard again when it is paid for.
    pub(super) fn charge_written(&mut self, to: ReplyTo, bytes: usize) {
        self.charge(to, Direction::Written, bytes as u64);
    }

    /// May a client be given so much now? If not he gets nothing, is not charged, and is heard again when he may. A full bucket gives more than it holds:
    /// else a batch larger than the bucket could never be read.
    pub(super) fn may_read(&mut self, to: ReplyTo, bytes: u32) -> bool {
        self.charge(to, Direction::Read, u64::from(bytes))
    }

    /// What is written was written; what would be read can still be refused.
    fn charge(&mut self, to: ReplyTo, direction: Direction, bytes: u64) -> bool {
        let Some(bytes_per_s) = self.config.client_bytes_per_s.filter(|_| to.connection & LOCAL == 0) else { return true };
        // Counted from a full bucket before the clock's beginning.
        let (of, full_us) = ((to.connection, direction), self.now_ms() * 1_000);
        let now_us = full_us + self.config.quota_window_s * 1_000_000;
        let paid_us = self.quotas.0.get(&of).map_or(full_us, |&paid_us| paid_us.max(full_us));
        let (is_full, paid_us) = (paid_us == full_us, paid_us + bytes * 1_000_000 / bytes_per_s);
        let over_ms = paid_us.saturating_sub(now_us).div_ceil(1_000);
        let granted = over_ms == 0 || direction == Direction::Written || is_full;
        if granted {
            self.quotas.0.insert(of, paid_us);
        }
        if over_ms > 0 {
            self.io.note(Note::Throttled { mute_ms: over_ms });
            self.io.out.push(Output::Mute { connection: to.connection, mute_ms: over_ms });
        }
        granted
    }
}
