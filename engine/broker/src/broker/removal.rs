//! Replicas that are none any more: their topic is deleted, or the partition has moved (KIP-455). Unlike a deleted topic's, a moved partition may come back
//! while its files still go, or after a crash in the middle; what is left of them must not be taken for its log then. (Kafka renames the directory.)
//!
//! 1. A mark is put beside the files, durably. Whoever finds it at a start removes the files.
//! 2. Everything else goes, and the side files are written without it.
//! 3. When that is done, and nothing that was asked for its files is under way, the mark goes too; only when it has may it be a replica again.

use super::checkpoints::SideFile;
use super::{Broker, DiskOp};
use crate::note::Note;
use crate::protocol::Tp;
use crate::replica::{epoch_file, removed_file, snapshot_file};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Replicas whose files are going.
#[derive(Default)]
pub(super) struct Removals(BTreeMap<Tp, Going>);

/// How far that has come.
enum Going {
    /// The mark, or what it marks: the log's files until it is durable.
    Marked(Vec<String>),
    /// Nothing else is left.
    Unmarked,
}

impl Removals {
    /// A replica with all its files but the mark, which is on its way or, at a start, found.
    pub fn begin(&mut self, tp: Tp, files: Vec<String>) {
        self.0.insert(tp, Going::Marked(files));
    }

    pub fn is_going(&self, tp: Tp) -> bool {
        self.0.contains_key(&tp)
    }
}

impl Broker {
    /// Whoever waits is told, and the files go.
    pub(super) fn remove_replicas(&mut self, is_removed: impl Fn(Tp) -> bool) {
        let removed: Vec<Tp> = self.replicas.keys().copied().filter(|&tp| is_removed(tp)).collect();
        removed.into_iter().for_each(|tp| self.remove_replica(tp));
    }

    pub(super) fn remove_replica(&mut self, tp: Tp) {
        self.stop_leading(tp);
        self.stop_following(tp);
        self.stop_cleaning(tp);
        self.forget_commit(tp);
        let replica = self.replicas.remove(&tp).expect("the caller found it");
        self.removals.begin(tp, replica.log.files().map(str::to_owned).collect());
        self.io.replace(&removed_file(tp), Bytes::new(), DiskOp::RemovalMarked { tp });
        self.io.note(Note::ReplicaRemoved { tp });
    }

    pub(super) fn removal_marked(&mut self, tp: Tp) {
        // Written first, as there may be none.
        for file in [epoch_file(tp), snapshot_file(tp)] {
            self.io.replace(&file, Bytes::new(), DiskOp::Emptied { tp, file: file.clone() });
        }
        self.remove_files(tp);
    }

    /// What a life before had marked.
    pub(super) fn go_on_removing(&mut self) {
        let found: Vec<Tp> = self.removals.0.keys().copied().collect();
        found.into_iter().for_each(|tp| self.remove_files(tp));
    }

    fn remove_files(&mut self, tp: Tp) {
        let Some(Going::Marked(files)) = self.removals.0.get_mut(&tp) else { unreachable!("it is marked before it goes") };
        for file in std::mem::take(files) {
            self.io.remove(&file, DiskOp::Removing { tp });
        }
        // What stands there of it would be believed of the next log under this name.
        SideFile::ALL.into_iter().for_each(|file| self.write_side_file(file, DiskOp::Removing { tp }));
    }

    /// An operation of a replica that is going has finished.
    pub(super) fn maybe_removed(&mut self, tp: Tp) {
        if !self.removals.is_going(tp) || self.io.is_under_way(|op| op.replica() == Some(tp)) {
            return;
        }
        if let Some(Going::Marked(_)) = self.removals.0.insert(tp, Going::Unmarked) {
            return self.io.remove(&removed_file(tp), DiskOp::Removing { tp });
        }
        self.removals.0.remove(&tp);
        // Before that the image may be one from before this life.
        if self.metadata.acting {
            self.take_partition_state(tp);
        }
    }
}
