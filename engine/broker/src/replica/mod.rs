//! One replica of a partition: its log, what the log says of epochs and producers, and its role. Every fact is kept per replica, as Kafka keeps it.

pub(crate) mod cleaning;
pub(crate) mod epochs;
pub(crate) mod leader;
pub(crate) mod log;
pub(crate) mod producers;
pub(crate) mod recovery;

use crate::batch::Batch;
use crate::broker::{BrokerOutbox, DiskOp};
use crate::note::Note;
use crate::protocol::{NodeId, TopicConfig, Tp};
use epochs::EpochCache;
use leader::Leader;
use log::Log;
use producers::{Producers, Snapshot};
use std::collections::BTreeSet;

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
        /// Parked fetches of consumers that read here (A21).
        readers: BTreeSet<u64>,
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
    /// Of its topic, as far as this broker has heard.
    pub config: TopicConfig,
    pub compacted: bool,
    /// What retention and compaction took of the producers' batches.
    pub gone: Option<Snapshot>,
    /// Below it only the last record of each key is left (A65).
    pub cleaned_to: i64,
}

/// `3-0/producers.snapshot`. (Kafka has one for each segment.)
pub(crate) fn snapshot_file(tp: Tp) -> String {
    format!("{}-{}/producers.snapshot", tp.topic.0, tp.partition)
}

/// `3-0/leader-epoch-checkpoint`.
pub(crate) fn epoch_file(tp: Tp) -> String {
    format!("{}-{}/leader-epoch-checkpoint", tp.topic.0, tp.partition)
}

/// `3-0/removed`: there while the other files of a replica go that is none any more.
pub(crate) fn removed_file(tp: Tp) -> String {
    format!("{}-{}/removed", tp.topic.0, tp.partition)
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
            config: TopicConfig::default(),
            compacted: false,
            gone: None,
            cleaned_to: 0,
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

    /// Parked fetches of consumers.
    pub fn readers(&self) -> Option<&BTreeSet<u64>> {
        match &self.role {
            Role::Leader(leader) => Some(&leader.readers),
            Role::Follower { readers, .. } => Some(readers),
            Role::Idle => None,
        }
    }

    pub fn readers_mut(&mut self) -> Option<&mut BTreeSet<u64>> {
        match &mut self.role {
            Role::Leader(leader) => Some(&mut leader.readers),
            Role::Follower { readers, .. } => Some(readers),
            Role::Idle => None,
        }
    }

    pub fn last_stable_offset(&self) -> i64 {
        self.producers.last_stable_offset(self.high_watermark).max(self.log.start())
    }

    /// Remembers what the batches below `offset` say of producers: they will go.
    pub fn keep_producers_of(&mut self, offset: i64, io: &mut BrokerOutbox) {
        let snapshot = self.snapshot_at(offset);
        io.replace(&snapshot_file(self.tp), snapshot.encode(), DiskOp::Applied);
        self.gone = Some(snapshot);
    }

    /// Compaction may have gone further than that already: then as far as it went.
    fn snapshot_at(&self, offset: i64) -> Snapshot {
        let offset = self.gone.as_ref().map_or(offset, |gone| gone.offset.max(offset));
        let headers = self.log.entries().map(|entry| &entry.header).take_while(|header| header.base_offset < offset);
        Producers::rebuild(self.gone.as_ref(), headers, offset).snapshot(offset)
    }

    /// Rebuilt from the headers that are left.
    fn rebuild_producers(&mut self) {
        self.producers = Producers::rebuild(self.gone.as_ref(), self.log.entries().map(|entry| &entry.header), self.high_watermark);
    }

    /// Gives up the records below `start` (A64): those that reach the high watermark, or that a leader gave up. True if there was something.
    pub fn start_at(&mut self, start: i64, io: &mut BrokerOutbox) -> bool {
        if start <= self.log.start() {
            return false;
        }
        assert!(start <= self.high_watermark, "what is not committed is not given up");
        let kept_from = self.log.segments().iter().map(|segment| segment.base).take_while(|&base| base <= start).last().unwrap_or(start);
        let snapshot = self.snapshot_at(kept_from);
        let files = self.log.start_at(start);
        if !files.is_empty() {
            // First what they say of producers, and where the log goes on should nothing be left of it.
            io.replace(&snapshot_file(self.tp), snapshot.encode(), DiskOp::Retired { tp: self.tp, files });
            self.gone = Some(snapshot);
        }
        self.producers.forget_aborted_before(start);
        io.note(Note::LogStartMoved { tp: self.tp, log_start: start });
        true
    }

    /// The leader's log begins behind our end: what we have is gone there.
    pub fn restart_at(&mut self, start: i64, io: &mut BrokerOutbox) {
        for file in self.log.restart_at(start) {
            io.remove(&file, DiskOp::Applied);
        }
        self.epochs = EpochCache::default();
        self.checkpoint_epochs(io);
        self.producers = Producers::default();
        if self.gone.take().is_some() {
            io.remove(&snapshot_file(self.tp), DiskOp::Applied);
        }
        (self.high_watermark, self.recovery_point, self.cleaned_to) = (start, start, start);
        io.note(Note::LogStartMoved { tp: self.tp, log_start: start });
    }

    /// Appends a batch whose offset and epoch are set.
    pub fn append(&mut self, batch: &Batch, as_leader: bool, segment_bytes: u64, io: &mut BrokerOutbox) {
        let header = batch.header();
        if self.log.must_roll(header, self.config.segment_bytes.unwrap_or(segment_bytes), self.config.segment_ms)
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
        self.cleaned_to = self.cleaned_to.min(end);
        // Only an unclean election cuts so deep; of what was compacted there, nothing is known any more.
        if self.gone.as_ref().is_some_and(|gone| gone.offset > end) {
            self.gone = None;
            io.remove(&snapshot_file(self.tp), DiskOp::Applied);
        }
        if cut.removed > 0 {
            self.rebuild_producers();
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
