//! The side files of a broker, each with its own lag (A4): an offset of every replica. A timer runs only while there is something new.

use super::start::CLEAN_SHUTDOWN;
use super::{Broker, DiskOp, Timer};
use crate::config::BrokerConfig;
use crate::protocol::{TopicId, Tp};
use crate::replica::Replica;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SideFile {
    HighWatermarks,
    RecoveryPoints,
    LogStarts,
    /// How far logs are clean.
    Cleaned,
}

impl SideFile {
    /// All there are.
    pub const ALL: [SideFile; 4] = [SideFile::HighWatermarks, SideFile::RecoveryPoints, SideFile::LogStarts, SideFile::Cleaned];

    /// By its name: Kafka's.
    pub fn named(name: &str) -> Option<Self> {
        SideFile::ALL.into_iter().find(|file| file.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            SideFile::HighWatermarks => "replication-offset-checkpoint",
            SideFile::RecoveryPoints => "recovery-point-offset-checkpoint",
            SideFile::LogStarts => "log-start-offset-checkpoint",
            SideFile::Cleaned => "cleaner-offset-checkpoint",
        }
    }

    fn offset_of(self, replica: &Replica) -> i64 {
        match self {
            SideFile::HighWatermarks => replica.high_watermark,
            SideFile::RecoveryPoints => replica.recovery_point,
            SideFile::LogStarts => replica.log.start(),
            SideFile::Cleaned => replica.cleaned_to,
        }
    }

    fn lag_ms(self, config: &BrokerConfig) -> u64 {
        match self {
            SideFile::HighWatermarks => config.high_watermark_checkpoint_ms,
            SideFile::RecoveryPoints | SideFile::Cleaned => config.recovery_point_checkpoint_ms,
            SideFile::LogStarts => config.log_start_checkpoint_ms,
        }
    }
}

/// Files whose write is on its way.
#[derive(Default)]
pub(super) struct Checkpoints(BTreeSet<SideFile>);

/// `topic partition offset`, one a line; a line that makes no sense is skipped (Kafka's format without its two leading lines).
pub(super) fn decode(bytes: &[u8]) -> BTreeMap<Tp, i64> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let parse = |line: &str| {
        let mut fields = line.split(' ');
        let tp = Tp { topic: TopicId(fields.next()?.parse().ok()?), partition: fields.next()?.parse().ok()? };
        Some((tp, fields.next()?.parse().ok()?))
    };
    text.lines().filter_map(parse).collect()
}

impl Broker {
    /// An offset moved that stands in a side file.
    pub(super) fn checkpoint_soon(&mut self, file: SideFile) {
        if self.checkpoints.0.insert(file) {
            self.io.set_timer_in(file.lag_ms(&self.config), Timer::Checkpoint(file));
        }
    }

    pub(super) fn checkpoint(&mut self, file: SideFile) {
        self.checkpoints.0.remove(&file);
        self.write_side_file(file, DiskOp::Applied);
    }

    pub(super) fn write_side_file(&mut self, file: SideFile, meaning: DiskOp) {
        let line = |replica: &Replica| format!("{} {} {}\n", replica.tp.topic.0, replica.tp.partition, file.offset_of(replica));
        let text: String = self.replicas.values().map(line).collect();
        self.io.replace(file.name(), Bytes::from(text), meaning);
    }

    /// Everything below `end` is durable.
    pub(super) fn rolled_synced(&mut self, tp: Tp, end: i64) {
        let Some(replica) = self.replicas.get_mut(&tp) else { return };
        replica.recovery_point = replica.recovery_point.max(end.min(replica.log.end()));
        self.checkpoint_soon(SideFile::RecoveryPoints);
    }

    /// All logs are on the platter: write that down, the clean-shutdown marker last.
    pub(super) fn shutdown_synced(&mut self) {
        for replica in self.replicas.values_mut() {
            replica.recovery_point = replica.log.end();
        }
        self.checkpoints.0.extend([SideFile::HighWatermarks, SideFile::RecoveryPoints]);
        for file in self.checkpoints.0.clone() {
            self.checkpoint(file);
        }
        let epoch = self.broker_epoch.map_or(String::new(), |epoch| format!("{epoch}\n"));
        self.io.replace(CLEAN_SHUTDOWN, Bytes::from(epoch), DiskOp::CleanShutdown);
    }
}
