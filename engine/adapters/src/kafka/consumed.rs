//! The positions that a transaction commits.

use log::{Lease, Position, Tp};
use std::collections::BTreeMap;

/// Who commits: group, generation, member, instance.
pub type Owner = (String, i32, String, Option<String>);

/// What was consumed, by who commits it; of each partition the last word counts.
#[derive(Default)]
pub struct Consumed(BTreeMap<Owner, BTreeMap<Tp, Position>>);

impl Consumed {
    /// The lease's own generation and member go with it, whatever they are by the time of the commit.
    pub fn add(&mut self, lease: &Lease, at: &[(Tp, Position)]) {
        let owner = (lease.group.clone(), lease.generation, lease.member_id.clone(), lease.instance_id.clone());
        self.0.entry(owner).or_default().extend(at.iter().copied());
    }

    /// One commit each.
    pub fn by_owner(&self) -> &BTreeMap<Owner, BTreeMap<Tp, Position>> {
        &self.0
    }
}
