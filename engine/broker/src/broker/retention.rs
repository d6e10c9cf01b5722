//! Retention (A64): whole segments go by age or size, records by request; and time-outs of the check. A timer runs only while a topic asks for it.

use super::checkpoints::SideFile;
use super::{Broker, Timer};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, Response, Tp};
use crate::replica::Replica;

impl Broker {
    /// A topic may have got a retention.
    pub(super) fn watch_retention(&mut self) {
        let asks = |replica: &Replica| !replica.compacted && (replica.config.retention_ms.is_some() || replica.config.retention_bytes.is_some());
        if !self.watches.retention && self.replicas.values().any(asks) {
            self.watches.retention = true;
            self.io.set_timer_in(self.config.retention_check_ms, Timer::Retention);
        }
    }

    /// Each replica by itself, and by this broker's clock.
    pub(super) fn check_retention(&mut self) {
        self.watches.retention = false;
        let now_ms = self.wall_ms();
        let due = |replica: &Replica| Some((replica.tp, retained_from(replica, now_ms)?));
        let due: Vec<(Tp, i64)> = self.replicas.values().filter(|replica| !replica.compacted).filter_map(due).collect();
        for (tp, start) in due {
            // All of the active segment is too old: what comes next goes to a new one.
            if self.replicas[&tp].log.segments().last().is_some_and(|active| active.base < start) {
                self.roll(tp);
            }
            self.move_log_start(tp, start);
        }
        self.watch_retention();
    }

    fn roll(&mut self, tp: Tp) {
        let replica = self.replicas.get_mut(&tp).expect("just seen");
        if let Some((file, end)) = replica.log.roll() {
            self.io.sync(vec![file], super::DiskOp::RolledSync { tp, end });
            // A segment has a file, whatever comes next.
            let active = replica.log.active_file().expect("just rolled");
            self.io.append(active, bytes::Bytes::new(), super::DiskOp::Applied);
        }
    }

    /// The log starts there now; readers before it are out of range.
    pub(super) fn move_log_start(&mut self, tp: Tp, start: i64) {
        let Some(replica) = self.replicas.get_mut(&tp) else { return };
        if replica.start_at(start, &mut self.io) {
            self.stop_cleaning(tp);
            self.checkpoint_soon(SideFile::LogStarts);
            self.wake_readers(tp);
            self.wake_followers(tp);
        }
    }

    /// DeleteRecords, at the leader.
    pub(super) fn delete_records(&mut self, to: ReplyTo, partitions: &[(Tp, i64)]) {
        let delete = |&(tp, before): &(Tp, i64)| (tp, self.delete_records_of(tp, before));
        let partitions = partitions.iter().map(delete).collect();
        self.reply(to, Response::DeleteRecords { partitions });
    }

    /// `InvalidTopic`: it is compacted (Kafka: POLICY_VIOLATION).
    fn delete_records_of(&mut self, tp: Tp, before: i64) -> Result<i64, ErrorCode> {
        let replica = self.leading(tp)?;
        if replica.compacted {
            return Err(ErrorCode::InvalidTopic);
        }
        let before = if before == -1 { replica.high_watermark } else { before };
        if before < 0 || before > replica.high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        self.move_log_start(tp, before);
        Ok(self.replicas[&tp].log.start())
    }
}

/// Where the log should start: behind the last of the oldest segments that are too old, or too much.
fn retained_from(replica: &Replica, now_ms: i64) -> Option<i64> {
    let segments = replica.log.segments();
    let mut bytes = segments.iter().map(|segment| segment.len).sum::<u64>();
    let mut start = None;
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1).map_or(replica.log.end(), |next| next.base);
        let newest_ms = segment.entries.iter().map(|entry| entry.header.newest_timestamp_ms).max();
        let age_ms = newest_ms.and_then(|newest_ms| u64::try_from(now_ms.saturating_sub(newest_ms)).ok());
        let too_old = replica.config.retention_ms.zip(age_ms).is_some_and(|(retention_ms, age_ms)| age_ms > retention_ms);
        // By size never the active one.
        let too_much = at + 1 < segments.len() && replica.config.retention_bytes.is_some_and(|max| bytes - segment.len >= max);
        if next > replica.high_watermark || !(too_old || too_much) {
            break;
        }
        bytes -= segment.len;
        start = Some(next);
    }
    start.filter(|&start| start > replica.log.start())
}
