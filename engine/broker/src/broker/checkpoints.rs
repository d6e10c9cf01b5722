//! The side files of a broker, each with its own lag (A4): high watermarks, recovery points. A timer runs only while there is something new.

use super::start::{CLEAN_SHUTDOWN, CLEANED, HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS};
use super::{Broker, DiskOp, Timer};
use crate::protocol::{TopicId, Tp};
use crate::replica::Replica;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Whether a write is on its way.
#[derive(Default)]
pub(super) struct Checkpoints {
    high_watermarks_due: bool,
    recovery_points_due: bool,
}

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

fn encode<'a>(replicas: impl Iterator<Item = &'a Replica>, offset: impl Fn(&Replica) -> i64) -> Bytes {
    Bytes::from(replicas.map(|replica| format!("{} {} {}\n", replica.tp.topic.0, replica.tp.partition, offset(replica))).collect::<String>())
}

impl Broker {
    /// A high watermark moved.
    pub(super) fn high_watermark_changed(&mut self) {
        if !self.checkpoints.high_watermarks_due {
            self.checkpoints.high_watermarks_due = true;
            self.io.set_timer_in(self.config.high_watermark_checkpoint_ms, Timer::HighWatermarks);
        }
    }

    pub(super) fn checkpoint_high_watermarks(&mut self) {
        self.checkpoints.high_watermarks_due = false;
        let bytes = encode(self.replicas.values(), |replica| replica.high_watermark);
        self.io.replace(HIGH_WATERMARKS, bytes, DiskOp::Applied);
    }

    /// Everything below `end` is durable.
    pub(super) fn rolled_synced(&mut self, tp: Tp, end: i64) {
        let Some(replica) = self.replicas.get_mut(&tp) else { return };
        replica.recovery_point = replica.recovery_point.max(end.min(replica.log.end()));
        if !self.checkpoints.recovery_points_due {
            self.checkpoints.recovery_points_due = true;
            self.io.set_timer_in(self.config.recovery_point_checkpoint_ms, Timer::RecoveryPoints);
        }
    }

    pub(super) fn checkpoint_recovery_points(&mut self) {
        self.checkpoints.recovery_points_due = false;
        let bytes = encode(self.replicas.values(), |replica| replica.recovery_point);
        self.io.replace(RECOVERY_POINTS, bytes, DiskOp::Applied);
    }

    /// A log start moved (A64).
    pub(super) fn log_start_changed(&mut self) {
        if !self.watches.log_starts {
            self.watches.log_starts = true;
            self.io.set_timer_in(self.config.log_start_checkpoint_ms, Timer::LogStarts);
        }
    }

    pub(super) fn checkpoint_log_starts(&mut self) {
        self.watches.log_starts = false;
        let bytes = encode(self.replicas.values(), |replica| replica.log.start());
        self.io.replace(LOG_STARTS, bytes, DiskOp::Applied);
    }

    /// A log was cleaned (A65).
    pub(super) fn cleaned_changed(&mut self) {
        if !self.watches.cleaned {
            self.watches.cleaned = true;
            self.io.set_timer_in(self.config.recovery_point_checkpoint_ms, Timer::Cleaned);
        }
    }

    pub(super) fn checkpoint_cleaned(&mut self) {
        self.watches.cleaned = false;
        let bytes = encode(self.replicas.values(), |replica| replica.cleaned_to);
        self.io.replace(CLEANED, bytes, DiskOp::Applied);
    }

    /// All logs are on the platter: write that down, the clean-shutdown marker last.
    pub(super) fn shutdown_synced(&mut self) {
        for replica in self.replicas.values_mut() {
            replica.recovery_point = replica.log.end();
        }
        self.checkpoint_high_watermarks();
        self.checkpoint_recovery_points();
        if self.watches.log_starts {
            self.checkpoint_log_starts();
        }
        if self.watches.cleaned {
            self.checkpoint_cleaned();
        }
        let epoch = self.broker_epoch.map_or(String::new(), |epoch| format!("{epoch}\n"));
        self.io.replace(CLEAN_SHUTDOWN, Bytes::from(epoch), DiskOp::CleanShutdown);
    }
}
