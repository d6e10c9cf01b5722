//! What finished disk operations mean, and the commit sync: under `FsyncPolicy::Always` one round at a time covers all that was appended meanwhile.
//! A round begins when nothing is on its way to the page cache: the partitions of one request, and the markers of one transaction, share it.

use super::offsets::Sought;
use super::start::Step;
use super::{Broker, Phase};
use crate::config::FsyncPolicy;
use crate::io::{DiskAnswer, DiskError, Output};
use crate::protocol::Tp;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// What an operation was for.
#[derive(Debug)]
pub(crate) enum DiskOp {
    Append {
        tp: Tp,
        ticket: u64,
    },
    /// Nothing waits for it; only its failure matters.
    Applied,
    /// A commit round (`FsyncPolicy::Always`).
    CommitSync,
    /// A rolled segment, in the background: below `end` all is durable.
    RolledSync {
        tp: Tp,
        end: i64,
    },
    /// Last of all.
    ShutdownSync,
    CleanShutdown,
    RecoveryRead {
        step: Step,
        file: String,
    },
    /// The next piece of a coordinator's partition.
    CoordinatorRead {
        tp: Tp,
        leader_epoch: u32,
    },
    /// The batch that should hold the first record at or after a time.
    TimestampRead {
        lookup: u64,
        part: usize,
        sought: Sought,
    },
    /// These segments are no longer part of a log, and what must be known of them is on the platter (A64).
    Retired {
        tp: Tp,
        files: Vec<String>,
    },
    /// A replica that is none any more is marked as such on the platter.
    RemovalMarked {
        tp: Tp,
    },
    /// A file of it is there for sure, and can go.
    Emptied {
        tp: Tp,
        file: String,
    },
    /// A file of it is gone, or a side file says nothing of it.
    Removing {
        tp: Tp,
    },
    /// A segment that is being cleaned.
    CleanerRead {
        id: u64,
    },
    /// The cleaned version is on the platter.
    CleanerReplaced {
        id: u64,
    },
}

impl DiskOp {
    /// The replica whose files it is about, whether they are to stay or to go.
    pub fn replica(&self) -> Option<Tp> {
        match self {
            DiskOp::Append { tp, .. }
            | DiskOp::RolledSync { tp, .. }
            | DiskOp::Retired { tp, .. }
            | DiskOp::RemovalMarked { tp }
            | DiskOp::Emptied { tp, .. }
            | DiskOp::Removing { tp }
            | DiskOp::CoordinatorRead { tp, .. } => Some(*tp),
            _ => None,
        }
    }
}

/// Commit syncs.
#[derive(Default)]
pub(super) struct Commit {
    /// Written since the last round began.
    dirty: BTreeSet<Tp>,
    /// The round in flight: how far it covers each log.
    round: Option<BTreeMap<Tp, i64>>,
}

impl Broker {
    pub(super) fn disk_done(&mut self, meaning: DiskOp, result: Result<DiskAnswer, DiskError>) {
        let bytes = match result {
            Ok(DiskAnswer::Done) => Bytes::new(),
            Ok(DiskAnswer::Bytes(bytes)) => bytes,
            Err(DiskError) => return self.stop_now(),
        };
        let replica = meaning.replica();
        match meaning {
            DiskOp::Applied | DiskOp::Removing { .. } => {}
            DiskOp::Append { tp, ticket } => self.wrote(tp, ticket),
            DiskOp::CommitSync => self.commit_synced(),
            DiskOp::RolledSync { tp, end } => self.rolled_synced(tp, end),
            DiskOp::ShutdownSync => self.shutdown_synced(),
            DiskOp::CleanShutdown => self.stop_now(),
            DiskOp::RecoveryRead { step, file } => self.recovery_read(step, &file, &bytes),
            DiskOp::CoordinatorRead { tp, leader_epoch } => self.coordinator_read(tp, leader_epoch, &bytes),
            DiskOp::Retired { files, .. } => files.iter().for_each(|file| self.io.remove(file, DiskOp::Applied)),
            DiskOp::RemovalMarked { tp } => self.removal_marked(tp),
            DiskOp::Emptied { tp, file } => self.io.remove(&file, DiskOp::Removing { tp }),
            DiskOp::CleanerRead { id } => self.cleaner_read(id, &bytes),
            DiskOp::CleanerReplaced { id } => self.cleaner_replaced(id),
            DiskOp::TimestampRead { lookup, part, sought } => self.timestamp_read(lookup, part, sought, &bytes),
        }
        if let Some(tp) = replica {
            self.maybe_removed(tp);
        }
    }

    /// The directory is offline, or all is done: nothing more is said.
    pub(super) fn stop_now(&mut self) {
        self.phase = Phase::Stopped;
        self.io.out.push(Output::Stopped);
    }

    fn wrote(&mut self, tp: Tp, ticket: u64) {
        let Some(replica) = self.replicas.get_mut(&tp) else { return };
        let before = replica.log.written();
        replica.log.wrote(ticket);
        if replica.log.written() == before {
            return;
        }
        match self.config.fsync {
            FsyncPolicy::Never => self.log_grew(tp),
            FsyncPolicy::Always => self.needs_sync(tp),
        }
    }

    /// A log is written beyond what is synced.
    pub(super) fn needs_sync(&mut self, tp: Tp) {
        self.commit.dirty.insert(tp);
    }

    /// At the end of a step.
    pub(super) fn begin_commit_round(&mut self) {
        if self.commit.round.is_some() || self.commit.dirty.is_empty() || self.io.is_appending() {
            return;
        }
        let mut files = Vec::new();
        let mut round = BTreeMap::new();
        for tp in std::mem::take(&mut self.commit.dirty) {
            let log = &self.replicas[&tp].log;
            files.extend(log.files_from(log.synced()));
            round.insert(tp, log.written());
        }
        self.commit.round = Some(round);
        self.io.sync(files, DiskOp::CommitSync);
    }

    fn commit_synced(&mut self) {
        let round = self.commit.round.take().expect("a round was in flight");
        for (&tp, &end) in &round {
            // Its topic may be no more.
            let Some(replica) = self.replicas.get_mut(&tp) else { continue };
            replica.log.set_synced(end);
            self.rolled_synced(tp, end);
        }
        round.into_keys().for_each(|tp| self.log_grew(tp));
    }

    /// A log is no more.
    pub(super) fn forget_commit(&mut self, tp: Tp) {
        self.commit.dirty.remove(&tp);
        if let Some(round) = self.commit.round.as_mut() {
            round.remove(&tp);
        }
    }

    /// A log was cut: a round in flight covers no more than what is left, whatever is appended before it ends.
    pub(super) fn clamp_commit_round(&mut self, tp: Tp) {
        let end = self.replicas[&tp].log.end();
        if let Some(covered) = self.commit.round.as_mut().and_then(|round| round.get_mut(&tp)) {
            *covered = end.min(*covered);
        }
    }
}
