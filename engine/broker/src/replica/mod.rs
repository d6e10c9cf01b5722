//! One replica of a partition: its log, what the log says of epochs and producers, and its role. Every fact is kept per replica, as Kafka keeps it.

pub(crate) mod epochs;
pub(crate) mod leader;
pub(crate) mod log;
pub(crate) mod producers;
pub(crate) mod recovery;

use crate::batch::Batch;
use crate::broker::{BrokerOutbox, DiskOp};
use crate::note::Note;
use crate::protocol::{NodeId, Tp};
use epochs::EpochCache;
use leader::Leader;
use log::Log;
use producers::Producers;

/// What the metadata makes of a replica.
#[derive(Debug)]
pub(crate) enum Role {
    /// No leader is known.
    Idle,
    Leader(Box<Leader>),
    Follower {
        leader: NodeId,
        /// Not fetched before (an error's backoff).
        fetch_at_ms: u64,
        /// As last told; ours follows as far as our log goes.
        leader_high_watermark: i64,
    },
}

#[derive(Debug)]
pub(crate) struct Replica {
    pub tp: Tp,
    pub log: Log,
    pub epochs: EpochCache,
    pub producers: Producers,
    pub high_watermark: i64,
    /// Everything below is durable (A3).
    pub recovery_point: i64,
    pub role: Role,
    /// Of the role; `None` before the first.
    pub leader_epoch: Option<u32>,
    pub partition_epoch: u32,
}

/// `3-0/leader-epoch-checkpoint`.
pub(crate) fn epoch_file(tp: Tp) -> String {
    format!("{}-{}/leader-epoch-checkpoint", tp.topic.0, tp.partition)
}

impl Replica {
    pub fn new(tp: Tp) -> Self {
        Replica {
            tp,
            log: Log::new(tp),
            epochs: EpochCache::default(),
            producers: Producers::default(),
            high_watermark: 0,
            recovery_point: 0,
            role: Role::Idle,
            leader_epoch: None,
            partition_epoch: 0,
        }
    }

    pub fn leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    pub fn leader_mut(&mut self) -> Option<&mut Leader> {
        match &mut self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    pub fn last_stable_offset(&self) -> i64 {
        self.producers.last_stable_offset(self.high_watermark)
    }

    /// Appends a batch whose offset and epoch are set.
    pub fn append(&mut self, batch: &Batch, as_leader: bool, segment_bytes: u64, io: &mut BrokerOutbox) {
        let header = batch.header();
        if self.log.must_roll(u64::from(header.len), segment_bytes)
            && let Some((file, end)) = self.log.roll()
        {
            io.sync(vec![file], DiskOp::RolledSync { tp: self.tp, end });
        }
        let ticket = self.log.append(batch);
        let file = self.log.active_file().expect("rolled before the first append");
        io.append(file, batch.bytes().clone(), DiskOp::Append { tp: self.tp, ticket });
        if self.epochs.assign(header.leader_epoch, header.base_offset) {
            self.checkpoint_epochs(io);
        }
        self.producers.learn(header);
        io.note(Note::Appended {
            tp: self.tp,
            leader_epoch: header.leader_epoch,
            first: header.base_offset,
            last: header.last_offset(),
            crc: header.crc,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            first_sequence: header.first_sequence,
            transactional: header.transactional,
            control: header.control,
            as_leader,
        });
    }

    pub fn checkpoint_epochs(&self, io: &mut BrokerOutbox) {
        io.replace(&epoch_file(self.tp), self.epochs.encode(), DiskOp::Applied);
    }

    /// Cuts the log because a leader's epochs say so (A12): producers and epochs are rolled back with it (A32).
    pub fn truncate(&mut self, to: i64, io: &mut BrokerOutbox) {
        let cut = self.log.truncate(to);
        for file in &cut.remove {
            io.remove(file, DiskOp::Applied);
        }
        if let Some((file, len)) = &cut.truncate {
            io.truncate(file, *len, DiskOp::Applied);
        }
        let end = self.log.end();
        assert!(end <= to, "a truncation to {to} leaves nothing behind it, not {end}");
        self.high_watermark = self.high_watermark.min(end);
        self.recovery_point = self.recovery_point.min(end);
        if self.epochs.truncate(end) {
            self.checkpoint_epochs(io);
        }
        if cut.removed > 0 {
            self.producers = Producers::rebuild(self.log.entries().map(|entry| &entry.header), self.high_watermark);
        }
        io.note(Note::Truncated { tp: self.tp, end, removed: cut.removed });
    }

    /// Moves the high watermark forward; what a transaction's end held back may go.
    pub fn advance_high_watermark(&mut self, to: i64) -> bool {
        assert!(to <= self.log.written(), "the high watermark {to} of {:?} is in the log, which ends at {}", self.tp, self.log.written());
        if to <= self.high_watermark {
            return false;
        }
        self.high_watermark = to;
        self.producers.replicated(to);
        true
    }
}
