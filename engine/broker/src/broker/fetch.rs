//! Fetches: at the leader, of followers up to the log's end; at the leader or a follower (KIP-392), of consumers up to the high watermark or the last stable
//! offset of that replica. A fetch that finds nothing is parked until something comes or its time ends.

use super::{Broker, Timer};
use crate::coordinator::ReplyTo;
use crate::protocol::{ErrorCode, FetchPartition, FetchedPartition, Isolation, NodeId, Response, Tp};
use crate::replica::{Replica, Role};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What is fetched, and by whom.
#[derive(Debug)]
pub(super) struct Wanted {
    pub replica: Option<(NodeId, u64)>,
    pub bytes_min: u32,
    pub bytes_max: u32,
    pub isolation: Isolation,
    pub partitions: Vec<FetchPartition>,
}

#[derive(Debug)]
struct ParkedFetch {
    to: ReplyTo,
    wanted: Wanted,
    expires_ms: u64,
    serial: u64,
}

#[derive(Default)]
pub(super) struct Parked {
    last: u64,
    /// One of each follower: a newer fetch ends the older.
    followers: BTreeMap<NodeId, ParkedFetch>,
    readers: BTreeMap<u64, ParkedFetch>,
}

/// An answer under construction.
#[derive(Default)]
struct Answer {
    partitions: Vec<FetchedPartition>,
    reads: Vec<(usize, String, u64, u32)>,
    bytes: u32,
    /// Something must be told at once.
    urgent: bool,
}

impl Broker {
    pub(super) fn fetch(&mut self, to: ReplyTo, wanted: Wanted, wait_ms_max: u32) {
        if let Some((node, broker_epoch)) = wanted.replica {
            self.end_parked_follower(node);
            wanted.partitions.iter().for_each(|partition| self.follower_fetches(node, broker_epoch, partition));
        }
        let answer = self.answer_fetch(&wanted);
        if wait_ms_max == 0 || answer.suffices(&wanted) {
            return self.send_fetched(to, &wanted, answer);
        }
        self.parked.last += 1;
        let serial = self.parked.last;
        let expires_ms = self.now_ms() + u64::from(wait_ms_max);
        let parked = ParkedFetch { to, wanted, expires_ms, serial };
        match parked.wanted.replica {
            Some((node, _)) => {
                self.io.set_timer(expires_ms, Timer::FollowerExpires(node, serial));
                self.parked.followers.insert(node, parked);
            }
            None => {
                self.io.set_timer(expires_ms, Timer::ReaderExpires(serial));
                for partition in &parked.wanted.partitions {
                    let replica = self.replicas.get_mut(&partition.tp);
                    replica.and_then(Replica::readers_mut).expect("an error would have been urgent").insert(serial);
                }
                self.parked.readers.insert(serial, parked);
            }
        }
    }

    fn leader_mut(&mut self, tp: Tp) -> Option<&mut crate::replica::leader::Leader> {
        self.replicas.get_mut(&tp).and_then(Replica::leader_mut)
    }

    /// A follower's position: it has everything below `offset`, unless its log leaves ours.
    fn follower_fetches(&mut self, node: NodeId, broker_epoch: u64, partition: &FetchPartition) {
        let now_ms = self.now_ms();
        let Ok(replica) = self.led_in(partition.tp, partition.current_leader_epoch) else { return };
        let end = replica.log.written();
        if diverging(replica, partition).is_some() || partition.offset > end {
            return;
        }
        let leader = self.leader_mut(partition.tp).expect("just seen");
        let Ok(news) = leader.fetched(node, broker_epoch, partition.offset, end, now_ms) else { return };
        // Also without news: it may have become eligible, or an earlier wish may have been refused.
        self.maybe_expand_isr(partition.tp, node);
        if news {
            self.advance_high_watermark(partition.tp);
        }
    }

    /// The replica that this broker leads in the epoch the caller believes in (A13).
    pub(super) fn led_in(&self, tp: Tp, epoch: Option<u32>) -> Result<&Replica, ErrorCode> {
        let replica = self.replicas.get(&tp);
        if let (Some(asked), Some(own)) = (epoch, replica.and_then(|replica| replica.leader_epoch)) {
            if asked < own {
                return Err(ErrorCode::FencedLeaderEpoch);
            }
            if asked > own {
                return Err(ErrorCode::UnknownLeaderEpoch);
            }
        }
        match replica {
            Some(replica) if replica.leader().is_some() => Ok(replica),
            _ => self.leading(tp),
        }
    }

    /// Who fetches this: a follower from the leader only, a consumer from a follower too, whose high watermark is behind (A21).
    fn read_in(&self, wanted: &Wanted, partition: &FetchPartition) -> Result<&Replica, ErrorCode> {
        match (self.led_in(partition.tp, partition.current_leader_epoch), self.replicas.get(&partition.tp)) {
            (Err(ErrorCode::NotLeaderOrFollower), Some(replica)) if wanted.replica.is_none() && matches!(replica.role, Role::Follower { .. }) => Ok(replica),
            (led, _) => led,
        }
    }

    fn answer_fetch(&self, wanted: &Wanted) -> Answer {
        let mut answer = Answer::default();
        for partition in &wanted.partitions {
            self.answer_partition(wanted, partition, &mut answer).unwrap_or_else(|error| answer.refuse(partition.tp, error, self.log_start(partition.tp)));
        }
        answer
    }

    fn answer_partition(&self, wanted: &Wanted, partition: &FetchPartition, answer: &mut Answer) -> Result<(), ErrorCode> {
        let replica = self.read_in(wanted, partition)?;
        let mut fetched = FetchedPartition {
            tp: partition.tp,
            error: None,
            high_watermark: replica.high_watermark,
            last_stable_offset: replica.last_stable_offset(),
            log_start: replica.log.start(),
            diverging: diverging(replica, partition),
            aborted: Vec::new(),
            records: Bytes::new(),
        };
        if fetched.diverging.is_some() {
            answer.urgent = true;
            answer.partitions.push(fetched);
            return Ok(());
        }
        if partition.offset < replica.log.start() || partition.offset > replica.log.end() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let bound = match (wanted.replica, wanted.isolation) {
            (Some(_), _) => replica.log.written(),
            (None, Isolation::ReadUncommitted) => fetched.high_watermark,
            (None, Isolation::ReadCommitted) => fetched.last_stable_offset,
        };
        let room = wanted.bytes_max.saturating_sub(answer.bytes);
        let slice = if partition.offset < bound && (room > 0 || answer.bytes == 0) {
            replica.log.slice(partition.offset, bound, partition.bytes_max.min(room))
        } else {
            None
        };
        if let Some(slice) = slice {
            if wanted.isolation == Isolation::ReadCommitted {
                fetched.aborted = replica.producers.aborted_in(partition.offset, slice.next_offset);
            }
            answer.bytes += slice.len;
            answer.reads.push((answer.partitions.len(), slice.file, slice.position, slice.len));
        } else if let Some((node, _)) = wanted.replica
            && told(replica, node) == (fetched.high_watermark, fetched.log_start)
        {
            // Nothing new for this follower.
            return Ok(());
        }
        answer.partitions.push(fetched);
        Ok(())
    }

    fn log_start(&self, tp: Tp) -> i64 {
        self.replicas.get(&tp).map_or(-1, |replica| replica.log.start())
    }

    fn send_fetched(&mut self, to: ReplyTo, wanted: &Wanted, mut answer: Answer) {
        if wanted.replica.is_none() && !self.may_read(to, answer.bytes) {
            // As if nothing had come.
            answer.reads.clear();
            answer.partitions.iter_mut().for_each(|fetched| fetched.aborted.clear());
        }
        if let Some((node, _)) = wanted.replica {
            for fetched in &answer.partitions {
                if let Some(follower) = self.leader_mut(fetched.tp).and_then(|leader| leader.follower_mut(node)) {
                    follower.told = (fetched.high_watermark, fetched.log_start);
                }
            }
        }
        self.reply_reading(to, Response::Fetch { partitions: answer.partitions }, answer.reads);
    }

    /// There may be more to read in a partition now, or less.
    pub(super) fn wake_readers(&mut self, tp: Tp) {
        let readers: Vec<u64> = self.replicas.get(&tp).and_then(Replica::readers).map_or(Vec::new(), |readers| readers.iter().copied().collect());
        readers.into_iter().for_each(|id| self.wake_reader(id));
    }

    /// A parked consumer's fetch may have something to tell now.
    pub(super) fn wake_reader(&mut self, id: u64) {
        let Some(parked) = self.parked.readers.get(&id) else { return };
        let answer = self.answer_fetch(&parked.wanted);
        if answer.suffices(&parked.wanted) {
            self.end_reader(id, answer);
        }
    }

    pub(super) fn reader_expired(&mut self, id: u64) {
        let Some(parked) = self.parked.readers.get(&id) else { return };
        let answer = self.answer_fetch(&parked.wanted);
        self.end_reader(id, answer);
    }

    fn end_reader(&mut self, id: u64, answer: Answer) {
        let parked = self.parked.readers.remove(&id).expect("it is parked");
        self.io.cancel_timer(parked.expires_ms, Timer::ReaderExpires(id));
        for partition in &parked.wanted.partitions {
            if let Some(readers) = self.replicas.get_mut(&partition.tp).and_then(Replica::readers_mut) {
                readers.remove(&id);
            }
        }
        self.send_fetched(parked.to, &parked.wanted, answer);
    }

    /// A log has grown.
    pub(super) fn wake_followers(&mut self, tp: Tp) {
        let Some(leader) = self.replicas.get(&tp).and_then(Replica::leader) else { return };
        for index in 0..leader.followers.len() {
            let Some(leader) = self.replicas[&tp].leader() else { return };
            let node = leader.followers[index].node;
            self.wake_follower(node);
        }
    }

    pub(super) fn wake_follower(&mut self, node: NodeId) {
        let Some(parked) = self.parked.followers.get(&node) else { return };
        let answer = self.answer_fetch(&parked.wanted);
        if answer.suffices(&parked.wanted) {
            self.end_follower_fetch(node, answer);
        }
    }

    pub(super) fn follower_fetch_expired(&mut self, node: NodeId, serial: u64) {
        if self.parked.followers.get(&node).is_some_and(|parked| parked.serial == serial) {
            self.end_parked_follower(node);
        }
    }

    fn end_parked_follower(&mut self, node: NodeId) {
        if let Some(parked) = self.parked.followers.get(&node) {
            let answer = self.answer_fetch(&parked.wanted);
            self.end_follower_fetch(node, answer);
        }
    }

    fn end_follower_fetch(&mut self, node: NodeId, answer: Answer) {
        let parked = self.parked.followers.remove(&node).expect("it is parked");
        self.io.cancel_timer(parked.expires_ms, Timer::FollowerExpires(node, parked.serial));
        self.send_fetched(parked.to, &parked.wanted, answer);
    }
}

impl Answer {
    fn suffices(&self, wanted: &Wanted) -> bool {
        self.urgent || self.bytes >= wanted.bytes_min.max(1) || wanted.partitions.is_empty()
    }

    fn refuse(&mut self, tp: Tp, error: ErrorCode, log_start: i64) {
        let (aborted, records) = (Vec::new(), Bytes::new());
        self.urgent = true;
        self.partitions.push(FetchedPartition {
            tp,
            error: Some(error),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start: if error == ErrorCode::OffsetOutOfRange { log_start } else { -1 },
            diverging: None,
            aborted,
            records,
        });
    }
}

fn told(replica: &Replica, node: NodeId) -> (i64, i64) {
    let follower = replica.leader().and_then(|leader| leader.followers.iter().find(|follower| follower.node == node));
    follower.map_or((-1, -1), |follower| follower.told)
}

/// Where the caller's log leaves ours (KIP-595): our end of the largest epoch at or below its last one, if that contradicts its position.
fn diverging(replica: &Replica, partition: &FetchPartition) -> Option<(u32, i64)> {
    let asked = partition.last_fetched_epoch?;
    let (epoch, end) = replica.epochs.end_of(asked, replica.log.end())?;
    (epoch < asked || end < partition.offset).then_some((epoch, end))
}
