//! From the listing to a running broker: read checkpoints, then every replica's files one after the other (A3).

use super::checkpoints::{self, SideFile};
use super::{Broker, DiskOp, Phase};
use crate::config::FsyncPolicy;
use crate::protocol::Tp;
use crate::replica::Replica;
use crate::replica::epochs::EpochCache;
use crate::replica::producers::Snapshot;
use crate::replica::recovery::{Files, Place, Saved, place};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Present after a controlled shutdown: the log needs no check.
pub(super) const CLEAN_SHUTDOWN: &str = "clean-shutdown";

/// What is still to be read, in order.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    SideFile(SideFile),
    CleanShutdown,
    /// Of the replica whose segments come next.
    Epochs,
    Producers,
    Segment(Tp, i64),
    ReplicaRead(Tp),
}

/// A start that is under way.
#[derive(Default)]
pub(super) struct Recovery {
    clean: bool,
    /// The broker epoch of the life before, if it ended in good order.
    ended_in_order: Option<u64>,
    steps: VecDeque<(Step, String, u64)>,
    side_files: BTreeMap<SideFile, BTreeMap<Tp, i64>>,
    /// Of the replica that is being read.
    epochs: EpochCache,
    gone: Option<Snapshot>,
    /// Its log ended before its last file.
    cut: bool,
}

impl Recovery {
    /// Whether the life before ended in good order.
    pub fn clean(&self) -> bool {
        self.clean
    }

    /// Which life that was, by its broker epoch.
    pub fn ended_in_order(&self) -> Option<u64> {
        self.ended_in_order
    }

    /// What a side file says of a replica.
    fn saved(&self, file: SideFile, tp: Tp) -> i64 {
        self.side_files.get(&file).and_then(|offsets| offsets.get(&tp)).copied().unwrap_or(0)
    }
}

impl Broker {
    pub(super) fn start(&mut self, listing: &[(String, u64)], incarnation: u64) {
        assert!(self.phase == Phase::Recovering && self.recovery.steps.is_empty(), "a life starts once");
        self.incarnation = incarnation;
        let mut replicas: BTreeMap<Tp, Files> = BTreeMap::new();
        for (name, len) in listing {
            if let Some(file) = SideFile::named(name) {
                self.recovery.steps.push_back((Step::SideFile(file), name.clone(), *len));
                continue;
            }
            match (name.as_str(), place(name)) {
                (CLEAN_SHUTDOWN, _) => {
                    self.recovery.clean = true;
                    self.recovery.steps.push_back((Step::CleanShutdown, name.clone(), *len));
                }
                (_, Some(Place::Producers(tp))) => replicas.entry(tp).or_default().producers = Some((name.clone(), *len)),
                (_, Some(Place::Segment(tp, base))) => replicas.entry(tp).or_default().segments.push((base, name.clone(), *len)),
                (_, Some(Place::Removed(tp))) => replicas.entry(tp).or_default().removed = true,
                (_, Some(Place::Epochs(tp))) => replicas.entry(tp).or_default().epochs = Some((name.clone(), *len)),
                // Left behind by a Replace that a crash cut short, or not ours.
                _ => {}
            }
        }
        for (tp, mut files) in replicas {
            if files.removed {
                self.removals.begin(tp, files.names());
                continue;
            }
            files.segments.sort();
            let epochs = files.epochs.into_iter().map(|(name, len)| (Step::Epochs, name, len));
            let segments = files.segments.into_iter().map(|(base, name, len)| (Step::Segment(tp, base), name, len));
            let producers = files.producers.into_iter().map(|(name, len)| (Step::Producers, name, len));
            self.recovery.steps.extend(epochs.chain(producers).chain(segments).chain([(Step::ReplicaRead(tp), String::new(), 0)]));
        }
        self.recover_next();
    }

    /// Asks for the next file; ends recovery when there is none.
    fn recover_next(&mut self) {
        while let Some((step, name, len)) = self.recovery.steps.pop_front() {
            if let Step::ReplicaRead(tp) = step {
                self.replica_read(tp);
                continue;
            }
            return self.io.read(&name.clone(), 0, len, DiskOp::RecoveryRead { step, file: name });
        }
        if self.recovery.clean {
            self.io.remove(CLEAN_SHUTDOWN, DiskOp::Applied);
        }
        self.phase = Phase::Running;
        self.go_on_removing();
        if self.config.fsync == FsyncPolicy::Always {
            // What a kill left in the page cache counts only when it is on the platter.
            let stored: Vec<Tp> = self.replicas.values().filter(|replica| replica.log.end() > 0).map(|replica| replica.tp).collect();
            stored.into_iter().for_each(|tp| self.needs_sync(tp));
        }
        self.register();
    }

    /// A file was read.
    pub(super) fn recovery_read(&mut self, step: Step, file: &str, bytes: &Bytes) {
        match step {
            Step::SideFile(file) => drop(self.recovery.side_files.insert(file, checkpoints::decode(bytes))),
            Step::CleanShutdown => self.recovery.ended_in_order = std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok()),
            Step::Producers => self.recovery.gone = Snapshot::decode(bytes),
            Step::Epochs => self.recovery.epochs = EpochCache::decode(bytes),
            Step::Segment(tp, base) => self.segment_read(tp, base, file, bytes),
            Step::ReplicaRead(_) => unreachable!("is no file"),
        }
        self.recover_next();
    }

    fn segment_read(&mut self, tp: Tp, base: i64, file: &str, bytes: &Bytes) {
        if self.recovery.cut {
            return self.io.remove(file, DiskOp::Applied);
        }
        let recovery_point = self.recovery.saved(SideFile::RecoveryPoints, tp);
        let replica = self.replicas.entry(tp).or_insert_with(|| Replica { recovery_point, ..Replica::new(tp) });
        self.recovery.cut = !replica.recover_segment(base, file, bytes, self.recovery.clean, &mut self.io);
    }

    fn replica_read(&mut self, tp: Tp) {
        let saved = Saved {
            high_watermark: self.recovery.saved(SideFile::HighWatermarks, tp),
            log_start: self.recovery.saved(SideFile::LogStarts, tp),
            cleaned_to: self.recovery.saved(SideFile::Cleaned, tp),
            epochs: std::mem::take(&mut self.recovery.epochs),
            gone: self.recovery.gone.take(),
        };
        self.recovery.cut = false;
        let replica = self.replicas.entry(tp).or_insert_with(|| Replica::new(tp));
        replica.recovered(saved, self.recovery.clean, &mut self.io);
    }
}
