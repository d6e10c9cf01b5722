//! Followers: one long-poll fetch per leading broker for all partitions it leads (lane 1), and what its answer does to the logs (A12).

use super::checkpoints::SideFile;
use super::{Broker, Phase, Purpose, Timer};
use crate::batch::Batch;
use crate::config::FsyncPolicy;
use crate::io::RequestId;
use crate::protocol::{ErrorCode, FetchPartition, FetchedPartition, Isolation, NodeId, Request, Response, Tp};
use crate::replica::{Replica, Role};
use std::collections::{BTreeMap, BTreeSet};

/// A fetch as it was sent: (partition, leader epoch, offset), by partition.
type Sent = Vec<(Tp, u32, i64)>;

/// Fetching from one leader.
#[derive(Debug, Default)]
pub(super) struct Fetcher {
    partitions: BTreeSet<Tp>,
    /// In no fetch that is out: new, or pausing after an error.
    uncovered: BTreeSet<Tp>,
    /// Appended to, but not stored as the policy wants it; the next fetch must not claim it.
    unsettled: BTreeSet<Tp>,
    /// Usually one; a second overtakes a long poll that lacks a partition.
    in_flight: BTreeMap<RequestId, Sent>,
    /// After a broken connection.
    resume_at_ms: u64,
}

impl Fetcher {
    pub fn add(&mut self, tp: Tp) {
        self.partitions.insert(tp);
        self.uncovered.insert(tp);
    }

    /// True if the next fetch waited for this one alone.
    pub fn remove(&mut self, tp: Tp) -> bool {
        self.partitions.remove(&tp);
        self.uncovered.remove(&tp);
        self.unsettled.remove(&tp) && self.unsettled.is_empty()
    }
}

fn is_due(replica: &Replica, now_ms: u64) -> bool {
    matches!(replica.role, Role::Follower { fetch_at_ms, .. } if fetch_at_ms <= now_ms)
}

impl Broker {
    /// Sends the next fetch, if one is due and everything fetched so far is stored.
    pub(super) fn fetch_from(&mut self, leader: NodeId) {
        let now_ms = self.now_ms();
        let running = matches!(self.phase, Phase::Running | Phase::Leaving);
        let (Some(broker_epoch), Some(fetcher), true) = (self.broker_epoch, self.fetchers.get_mut(&leader), running) else { return };
        let idle = fetcher.in_flight.is_empty() || fetcher.uncovered.iter().any(|tp| is_due(&self.replicas[tp], now_ms));
        if !idle || fetcher.resume_at_ms > now_ms {
            return;
        }
        let fsync = self.config.fsync;
        fetcher.unsettled.extend(fetcher.uncovered.iter().filter(|tp| !is_settled(&self.replicas[tp], fsync)));
        if !fetcher.unsettled.is_empty() {
            return;
        }
        let due = fetcher.partitions.iter().filter(|tp| is_due(&self.replicas[tp], now_ms));
        let partitions: Vec<FetchPartition> = due.map(|tp| position(&self.replicas[tp], self.config.replica_fetch_bytes_max)).collect();
        if partitions.is_empty() {
            return;
        }
        let sent: Sent = partitions.iter().map(|p| (p.tp, p.current_leader_epoch.expect("a follower says its epoch"), p.offset)).collect();
        for (tp, ..) in &sent {
            fetcher.uncovered.remove(tp);
        }
        let request = Request::Fetch {
            replica: Some((self.config.node, broker_epoch)),
            wait_ms_max: self.config.replica_fetch_wait_ms,
            bytes_min: 1,
            bytes_max: self.config.replica_fetch_bytes_max.saturating_mul(8),
            isolation: Isolation::ReadUncommitted,
            partitions,
        };
        let id = self.ask(leader, 1, request, Purpose::Fetch(leader));
        self.fetchers.get_mut(&leader).expect("just seen").in_flight.insert(id, sent);
    }

    pub(super) fn fetched(&mut self, leader: NodeId, id: RequestId, response: Option<Response>) {
        let Some(sent) = self.fetchers.get_mut(&leader).and_then(|fetcher| fetcher.in_flight.remove(&id)) else { return };
        let Some(Response::Fetch { partitions }) = response else {
            let resume_at_ms = self.now_ms() + self.config.replica_fetch_backoff_ms;
            self.fetchers.get_mut(&leader).expect("just seen").resume_at_ms = resume_at_ms;
            return self.io.set_timer(resume_at_ms, Timer::Fetcher(leader));
        };
        for fetched in partitions {
            let Ok(at) = sent.binary_search_by_key(&fetched.tp, |&(tp, ..)| tp) else { continue };
            let (tp, leader_epoch, offset) = sent[at];
            if self.still_follows(tp, leader, leader_epoch, offset)
                && let Err(_error) = self.take_fetched(fetched)
            {
                self.pause_partition(tp, leader);
            }
        }
        self.fetch_from(leader);
    }

    /// An answer counts only if the replica stands where it stood when it asked.
    fn still_follows(&self, tp: Tp, from: NodeId, leader_epoch: u32, offset: i64) -> bool {
        let Some(replica) = self.replicas.get(&tp) else { return false };
        matches!(replica.role, Role::Follower { leader, .. } if leader == from) && replica.leader_epoch == Some(leader_epoch) && replica.log.end() == offset
    }

    fn take_fetched(&mut self, fetched: FetchedPartition) -> Result<(), ErrorCode> {
        let tp = fetched.tp;
        if let Some(error) = fetched.error {
            if error != ErrorCode::OffsetOutOfRange || fetched.log_start <= self.replicas[&tp].log.end() {
                return Err(error);
            }
            self.restart_log(tp, fetched.log_start);
            return Ok(());
        }
        if let Some((epoch, end)) = fetched.diverging {
            self.truncate_to_leader(tp, epoch, end);
            return Ok(());
        }
        let segment_bytes = self.config.segment_bytes;
        let batches = Batch::split(fetched.records)?;
        let replica = self.replicas.get_mut(&tp).expect("it follows");
        for batch in &batches {
            if batch.header().base_offset < replica.log.end() {
                return Err(ErrorCode::CorruptMessage);
            }
            replica.append(batch, false, segment_bytes, &mut self.io);
        }
        let Role::Follower { leader, leader_high_watermark, .. } = &mut replica.role else { unreachable!("it follows") };
        *leader_high_watermark = fetched.high_watermark;
        let leader = *leader;
        if !batches.is_empty() {
            self.fetchers.get_mut(&leader).expect("a follower has a fetcher").unsettled.insert(tp);
        }
        self.follower_caught_high_watermark(tp);
        let high_watermark = self.replicas[&tp].high_watermark;
        self.move_log_start(tp, fetched.log_start.min(high_watermark));
        self.watch_cleaner(tp);
        Ok(())
    }

    /// What comes after our end is gone at the leader.
    fn restart_log(&mut self, tp: Tp, log_start: i64) {
        self.stop_cleaning(tp);
        self.replicas.get_mut(&tp).expect("it follows").restart_at(log_start, &mut self.io);
        self.checkpoint_soon(SideFile::LogStarts);
    }

    /// The leader's log leaves ours at its end of `epoch` (A12). If we do not know that epoch, we go back to the end of the one before and ask again.
    fn truncate_to_leader(&mut self, tp: Tp, epoch: u32, end: i64) {
        self.stop_cleaning(tp);
        let replica = self.replicas.get_mut(&tp).expect("it follows");
        let own_end = replica.log.end();
        let to = match replica.epochs.end_of(epoch, own_end) {
            Some((own, own_epoch_end)) if own == epoch => own_epoch_end.min(end),
            Some((_, own_epoch_end)) => own_epoch_end,
            None => end,
        };
        replica.truncate(to.min(own_end), &mut self.io);
        self.clamp_commit_round(tp);
    }

    fn pause_partition(&mut self, tp: Tp, leader: NodeId) {
        let at_ms = self.now_ms() + self.config.replica_fetch_backoff_ms;
        if let Role::Follower { fetch_at_ms, .. } = &mut self.replicas.get_mut(&tp).expect("it follows").role {
            *fetch_at_ms = at_ms;
        }
        self.fetchers.get_mut(&leader).expect("a follower has a fetcher").uncovered.insert(tp);
        self.io.set_timer(at_ms, Timer::Fetcher(leader));
    }

    /// The high watermark reaches a follower one fetch later, and only as far as its own log (A11).
    pub(super) fn follower_caught_high_watermark(&mut self, tp: Tp) {
        let replica = self.replicas.get_mut(&tp).expect("it follows");
        let Role::Follower { leader_high_watermark, .. } = replica.role else { return };
        if replica.advance_high_watermark(leader_high_watermark.min(replica.log.written())) {
            self.checkpoint_soon(SideFile::HighWatermarks);
            self.wake_readers(tp);
        }
    }

    /// What was fetched is stored.
    pub(super) fn follower_wrote(&mut self, tp: Tp, leader: NodeId) {
        if !is_settled(&self.replicas[&tp], self.config.fsync) {
            return;
        }
        let fetcher = self.fetchers.get_mut(&leader).expect("a follower has a fetcher");
        if fetcher.unsettled.remove(&tp) && fetcher.unsettled.is_empty() {
            self.fetch_from(leader);
        }
    }
}

/// Everything it has counts.
fn is_settled(replica: &Replica, fsync: FsyncPolicy) -> bool {
    replica.log.durable(fsync) == replica.log.end()
}

fn position(replica: &Replica, bytes_max: u32) -> FetchPartition {
    FetchPartition {
        tp: replica.tp,
        offset: replica.log.end(),
        current_leader_epoch: replica.leader_epoch,
        last_fetched_epoch: replica.log.last_epoch(),
        bytes_max,
    }
}
