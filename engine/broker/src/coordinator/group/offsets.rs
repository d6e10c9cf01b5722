//! Committed offsets of a group, and those of transactions that are not decided yet (A46).

use crate::batch::ControlKind;
use crate::protocol::{CommittedOffset, ProducerId, Tp};
use std::collections::BTreeMap;

/// A commit with the place of its record in the log: the later record wins, however late its marker comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) committed: CommittedOffset,
    pub(super) record_offset: i64,
}

/// Offsets of one group.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    in_force: BTreeMap<Tp, Stored>,
    /// Durable, and without a marker so far.
    pending: BTreeMap<ProducerId, BTreeMap<Tp, Stored>>,
    /// Transactional commits on their way to the log: how many per partition. They may turn out durable, so they count as unstable.
    on_the_way: BTreeMap<Tp, u32>,
}

impl Offsets {
    /// A plain commit is durable: last writer wins, also when it moves backwards (A57).
    pub(super) fn put(&mut self, tp: Tp, stored: Stored) {
        if self.in_force.get(&tp).is_none_or(|older| older.record_offset < stored.record_offset) {
            self.in_force.insert(tp, stored);
        }
    }

    /// A transactional commit is durable.
    pub(super) fn put_pending(&mut self, producer_id: ProducerId, tp: Tp, stored: Stored) {
        self.pending.entry(producer_id).or_default().insert(tp, stored);
    }

    /// A marker: pending offsets of the producer take force or vanish. Returns those now in force.
    pub(super) fn end(&mut self, producer_id: ProducerId, kind: ControlKind) -> Vec<(Tp, i64)> {
        let Some(pending) = self.pending.remove(&producer_id) else { return Vec::new() };
        if kind == ControlKind::Abort {
            return Vec::new();
        }
        for (&tp, &stored) in &pending {
            self.put(tp, stored);
        }
        pending.into_iter().filter(|(tp, stored)| self.in_force.get(tp) == Some(stored)).map(|(tp, stored)| (tp, stored.committed.offset)).collect()
    }

    pub(super) fn send(&mut self, offsets: &[(Tp, CommittedOffset)]) {
        for (tp, _) in offsets {
            *self.on_the_way.entry(*tp).or_default() += 1;
        }
    }

    pub(super) fn arrive(&mut self, offsets: &[(Tp, CommittedOffset)]) {
        for (tp, _) in offsets {
            let count = self.on_the_way.get_mut(tp).expect("what arrives was sent");
            *count -= 1;
            if *count == 0 {
                self.on_the_way.remove(tp);
            }
        }
    }

    /// What is in force.
    pub(super) fn get(&self, tp: Tp) -> Option<CommittedOffset> {
        self.in_force.get(&tp).map(|stored| stored.committed)
    }

    /// Whether a transaction that is not decided yet may move this offset.
    pub(super) fn is_unstable(&self, tp: Tp) -> bool {
        self.on_the_way.contains_key(&tp) || self.pending.values().any(|pending| pending.contains_key(&tp))
    }

    /// Whether nothing is in force or under way.
    pub(super) fn is_empty(&self) -> bool {
        self.in_force.is_empty() && self.pending.is_empty() && self.on_the_way.is_empty()
    }

    /// Whether no transaction is undecided.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.on_the_way.is_empty()
    }

    /// A tombstone: what was committed before it is gone.
    pub(super) fn remove(&mut self, tp: Tp, record_offset: i64) {
        if self.in_force.get(&tp).is_some_and(|stored| stored.record_offset < record_offset) {
            self.in_force.remove(&tp);
        }
    }

    /// What is in force, by partition.
    pub(super) fn in_force(&self) -> impl Iterator<Item = (Tp, CommittedOffset)> + '_ {
        self.in_force.iter().map(|(&tp, stored)| (tp, stored.committed))
    }
}
