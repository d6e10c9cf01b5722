//! In one generation of a group a partition has one owner, and positions are taken from that owner only: no commit is accepted of a generation
//! after members of a later one were given their partitions (`kafka.md` A.6; C.1, I10).

use super::{Finding, Invariant, cite};
use crate::Entry;
use log::history::Phase;
use log::{Event, Tp};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
struct Owner {
    member: String,
    node: Arc<str>,
    cited: String,
}

/// See the module.
#[derive(Debug, Default)]
pub struct OneOwnerPerGeneration {
    owners: BTreeMap<(String, i32, Tp), Owner>,
    /// Highest generation in which a member was given partitions, and where that is said.
    newest: BTreeMap<String, (i32, String)>,
    /// Commits on their way: (node, op) and the newest generation when they began.
    open: BTreeMap<(Arc<str>, u64), Option<(i32, String)>>,
    finding: Finding,
}

impl Invariant for OneOwnerPerGeneration {
    fn name(&self) -> &'static str {
        "one_owner_per_generation"
    }

    fn observe(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Assigned { group, member, generation, tps } => self.assigned(entry, group, member, *generation, tps),
            Event::Commit { op, group, phase: Phase::Invoke, .. } => {
                self.open.insert((entry.node.clone(), *op), self.newest.get(group).cloned());
            }
            Event::Commit { op, group, generation, phase, offsets } => {
                let newest = self.open.remove(&(entry.node.clone(), *op)).flatten();
                // Generation −1 is a commit without a group's protocol.
                if *phase == Phase::Ok && *generation >= 0 {
                    self.committed(entry, group, *generation, offsets, newest);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self) -> Finding {
        std::mem::take(&mut self.finding)
    }
}

impl OneOwnerPerGeneration {
    fn assigned(&mut self, entry: &Entry, group: &str, member: &str, generation: i32, tps: &[Tp]) {
        let cited = cite(entry, format_args!("member {member} of {group} was given {} partition(s) in generation {generation}", tps.len()));
        for tp in tps {
            self.finding.checked += 1;
            let owner = Owner { member: member.to_string(), node: entry.node.clone(), cited: cited.clone() };
            let first = self.owners.entry((group.to_string(), generation, *tp)).or_insert(owner);
            if first.member != member {
                let headline = || format!("two owners of topic {} partition {} in generation {generation} of {group}", tp.topic.0, tp.partition);
                self.finding.violated(headline, || vec![first.cited.clone(), cited.clone()]);
            }
        }
        let newest = self.newest.entry(group.to_string()).or_insert((generation, cited.clone()));
        if newest.0 < generation {
            *newest = (generation, cited);
        }
    }

    fn committed(&mut self, entry: &Entry, group: &str, generation: i32, offsets: &[(Tp, i64)], newest: Option<(i32, String)>) {
        self.finding.checked += 1;
        let this = cite(entry, format_args!("committed in generation {generation} of {group}"));
        if let Some((later, cited)) = newest.filter(|(newest, _)| *newest > generation) {
            let headline = || format!("a commit of generation {generation} of {group} was accepted in generation {later}");
            return self.finding.violated(headline, || vec![cited.clone(), this.clone()]);
        }
        for (tp, _) in offsets {
            let Some(owner) = self.owners.get(&(group.to_string(), generation, *tp)).filter(|owner| owner.node != entry.node) else { continue };
            let headline = || format!("{} committed topic {} partition {} of {group}, which {} owns", entry.node, tp.topic.0, tp.partition, owner.node);
            self.finding.violated(headline, || vec![owner.cited.clone(), this.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    fn given(member: &str, generation: i32) -> Event {
        Event::Assigned { group: "matching".into(), member: member.into(), generation, tps: vec![TP] }
    }

    fn commit(op: u64, generation: i32, phase: Phase) -> Event {
        Event::Commit { op, group: "matching".into(), generation, phase, offsets: vec![(TP, 9)] }
    }

    #[test]
    fn rejects_two_owners_in_one_generation() {
        let facts = vec![("matching-1", given("a", 3)), ("matching-2", given("b", 3))];
        assert_eq!(rejects(OneOwnerPerGeneration::default(), facts), "two owners of topic 1 partition 0 in generation 3 of matching");
    }

    #[test]
    fn rejects_the_commit_of_a_former_owner() {
        let facts = vec![
            ("matching-1", given("a", 3)),
            ("matching-2", given("b", 4)),
            ("matching-1", commit(1, 3, Phase::Invoke)),
            ("matching-1", commit(1, 3, Phase::Ok)),
        ];
        assert_eq!(rejects(OneOwnerPerGeneration::default(), facts), "a commit of generation 3 of matching was accepted in generation 4");
        let stranger = vec![("matching-1", given("a", 3)), ("matching-2", commit(1, 3, Phase::Invoke)), ("matching-2", commit(1, 3, Phase::Ok))];
        assert!(rejects(OneOwnerPerGeneration::default(), stranger).contains("which matching-1 owns"));
    }

    #[test]
    fn accepts_a_commit_that_began_before_the_hand_over_and_one_that_was_refused() {
        let facts = vec![
            ("matching-1", given("a", 3)),
            ("matching-1", commit(1, 3, Phase::Invoke)),
            ("matching-2", given("b", 4)),
            ("matching-1", commit(1, 3, Phase::Ok)),
            ("matching-1", commit(2, 3, Phase::Invoke)),
            ("matching-1", commit(2, 3, Phase::Fail)),
            ("matching-1", commit(3, 3, Phase::Invoke)),
            ("matching-1", commit(3, 3, Phase::Unknown)),
        ];
        accepts(OneOwnerPerGeneration::default(), facts);
    }
}
