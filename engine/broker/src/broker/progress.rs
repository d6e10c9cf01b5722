//! What follows when a log grows or a follower catches up: answers, woken readers, the high watermark (A7, A8, A11).

use super::Broker;
use super::checkpoints::SideFile;
use crate::note::Note;
use crate::protocol::{ErrorCode, Tp};
use crate::replica::Role;
use crate::replica::leader::Waiting;

impl Broker {
    /// What counts of a log has grown: written, or synced under `FsyncPolicy::Always`.
    pub(super) fn log_grew(&mut self, tp: Tp) {
        let fsync = self.config.fsync;
        let Some(replica) = self.replicas.get_mut(&tp) else { return };
        let durable = replica.log.durable(fsync);
        match &mut replica.role {
            Role::Leader(leader) => {
                let done = take_up_to(&mut leader.stored, durable);
                done.into_iter().for_each(|(id, part)| self.finish_part(id, part, None));
                self.advance_high_watermark(tp);
                self.wake_followers(tp);
                self.watch_cleaner(tp);
            }
            Role::Follower { leader, .. } => {
                let leader = *leader;
                self.follower_caught_high_watermark(tp);
                self.follower_wrote(tp, leader);
            }
            Role::Idle => {}
        }
    }

    /// Leader: moves the high watermark as far as the in-sync replicas allow.
    pub(super) fn advance_high_watermark(&mut self, tp: Tp) {
        let (now_ms, lag_ms_max, fsync) = (self.now_ms(), self.config.replica_lag_ms_max, self.config.fsync);
        let Some(replica) = self.replicas.get_mut(&tp) else { return };
        let own_end = replica.log.durable(fsync);
        let written = replica.log.written();
        let Some(least) = replica.leader().and_then(|leader| leader.least_end(own_end, written, &self.image, now_ms, lag_ms_max)) else { return };
        if !replica.advance_high_watermark(least) {
            return;
        }
        let high_watermark = replica.high_watermark;
        let leader = replica.leader_mut().expect("just seen");
        let done = take_up_to(&mut leader.replicated, high_watermark);
        self.io.note(Note::HighWatermark { tp, high_watermark });
        self.checkpoint_soon(SideFile::HighWatermarks);
        // A coordinator first: what it says of a marker must hold before the marker's sender is answered.
        self.advance_coordinator(tp);
        done.into_iter().for_each(|(id, part)| self.finish_part(id, part, None));
        self.wake_readers(tp);
    }

    /// The ISR, or who may join it, has changed.
    pub(super) fn isr_changed(&mut self, tp: Tp) {
        let Some(leader) = self.replicas.get_mut(&tp).and_then(|replica| replica.leader_mut()) else { return };
        if leader.isr.len() < leader.min_isr {
            let waiting = std::mem::take(&mut leader.replicated);
            waiting.into_iter().for_each(|(_, id, part)| self.finish_part(id, part, Some(ErrorCode::NotEnoughReplicasAfterAppend)));
        }
        self.advance_high_watermark(tp);
    }
}

/// Takes those that wait for offsets up to `end`.
fn take_up_to(waiting: &mut Waiting, end: i64) -> Vec<(u64, u32)> {
    let mut done = Vec::new();
    while let Some(&(required, id, part)) = waiting.first() {
        if required > end {
            break;
        }
        waiting.pop_first();
        done.push((id, part));
    }
    done
}
