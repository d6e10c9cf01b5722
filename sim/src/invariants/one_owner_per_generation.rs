//! In one generation of a group a partition has one owner, and positions are taken from that owner only: no commit is accepted of a generation
//! after members of a later one were given their partitions (`kafka.md` A.6; C.1, I10).
//!
//! A group that its coordinator divides (A56) has no generation that all members share: each is in an epoch of its own, and a partition changes hands alone.
//! There a partition has one owner at any time: nobody is given it before the one that has it has given it up, or was put out of the group; and no commit is
//! accepted of a node after another was given the partition.

use super::{Finding, Invariant, cite};
use crate::Entry;
use broker::Note;
use log::history::Phase;
use log::{Event, Tp};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Commits on their way, by (node, op).
    open: BTreeMap<(Arc<str>, u64), Begun>,
    /// Groups that their coordinator divides.
    divided: BTreeMap<String, Divided>,
    finding: Finding,
}

/// How a group stood when a commit began.
#[derive(Debug)]
struct Begun {
    /// The newest generation.
    newest: Option<(i32, String)>,
    /// One of the partitions, and where it is said that another node has it.
    foreign: Option<(Tp, String)>,
}

/// Who has what in a group that its coordinator divides.
#[derive(Debug, Default)]
struct Divided {
    owners: BTreeMap<Tp, Owner>,
    /// Members that the coordinator put out. They may not have heard of it, and still hear what they were told before.
    put_out: BTreeSet<String>,
}

impl Invariant for OneOwnerPerGeneration {
    fn name(&self) -> &'static str {
        "one_owner_per_generation"
    }

    fn observe(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Broker(Note::GroupDivided { group, .. }) => drop(self.divided.entry(group.clone()).or_default()),
            Event::Broker(Note::MemberExpired { group, member_id }) => self.put_out(group, member_id),
            Event::Assigned { group, member, generation, tps } if self.divided.contains_key(group) => self.handed_over(entry, group, member, *generation, tps),
            Event::Assigned { group, member, generation, tps } => self.assigned(entry, group, member, *generation, tps),
            Event::Revoked { group, member, tps, .. } => self.given_up(group, member, tps),
            Event::Commit { op, group, phase: Phase::Invoke, offsets, .. } => {
                let begun = Begun { newest: self.newest.get(group).cloned(), foreign: self.foreign(entry, group, offsets) };
                self.open.insert((entry.node.clone(), *op), begun);
            }
            Event::Commit { op, group, generation, phase, offsets } => {
                let begun = self.open.remove(&(entry.node.clone(), *op));
                // Generation −1 is a commit without a group's protocol.
                if *phase == Phase::Ok && *generation >= 0 {
                    match self.divided.contains_key(group) {
                        true => self.committed_by_owner(entry, group, *generation, begun.and_then(|begun| begun.foreign)),
                        false => self.committed(entry, group, *generation, offsets, begun.and_then(|begun| begun.newest)),
                    }
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

/// Groups that their coordinator divides.
impl OneOwnerPerGeneration {
    fn handed_over(&mut self, entry: &Entry, group: &str, member: &str, epoch: i32, tps: &[Tp]) {
        let divided = self.divided.get_mut(group).expect("the caller looked");
        if divided.put_out.contains(member) {
            return;
        }
        let cited = cite(entry, format_args!("member {member} of {group} was given {} partition(s) in its epoch {epoch}", tps.len()));
        for tp in tps {
            self.finding.checked += 1;
            let owner = Owner { member: member.to_owned(), node: entry.node.clone(), cited: cited.clone() };
            if let Some(former) = divided.owners.insert(*tp, owner).filter(|former| former.member != member) {
                let headline =
                    || format!("topic {} partition {} of {group} was given to {} before {} gave it up", tp.topic.0, tp.partition, entry.node, former.node);
                self.finding.violated(headline, || vec![former.cited.clone(), cited.clone()]);
            }
        }
    }

    fn given_up(&mut self, group: &str, member: &str, tps: &[Tp]) {
        if let Some(divided) = self.divided.get_mut(group) {
            divided.owners.retain(|tp, owner| owner.member != member || !tps.contains(tp));
        }
    }

    fn put_out(&mut self, group: &str, member: &str) {
        if let Some(divided) = self.divided.get_mut(group) {
            divided.owners.retain(|_, owner| owner.member != member);
            divided.put_out.insert(member.to_owned());
        }
    }

    fn foreign(&self, entry: &Entry, group: &str, offsets: &[(Tp, i64)]) -> Option<(Tp, String)> {
        let owners = &self.divided.get(group)?.owners;
        offsets.iter().find_map(|(tp, _)| owners.get(tp).filter(|owner| owner.node != entry.node).map(|owner| (*tp, owner.cited.clone())))
    }

    fn committed_by_owner(&mut self, entry: &Entry, group: &str, epoch: i32, foreign: Option<(Tp, String)>) {
        self.finding.checked += 1;
        let Some((tp, cited)) = foreign else { return };
        let headline = || format!("a commit of {} to topic {} partition {} of {group} was accepted, which another owned", entry.node, tp.topic.0, tp.partition);
        self.finding.violated(headline, || vec![cited, cite(entry, format_args!("committed in its epoch {epoch}"))]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::hand_made::*;
    use super::*;

    fn divided(epoch: i32) -> (&'static str, Event) {
        ("broker-1", Event::Broker(Note::GroupDivided { group: "matching".into(), epoch, members: vec!["a".into(), "b".into()] }))
    }

    fn gave_up(member: &str) -> Event {
        Event::Revoked { group: "matching".into(), member: member.into(), generation: 1, tps: vec![TP], lost: false }
    }

    fn expired(member: &str) -> (&'static str, Event) {
        ("broker-1", Event::Broker(Note::MemberExpired { group: "matching".into(), member_id: member.into() }))
    }

    #[test]
    fn a56_rejects_a_partition_that_was_given_before_it_was_given_up() {
        let facts = vec![divided(1), ("matching-1", given("a", 1)), divided(2), ("matching-2", given("b", 2)), ("matching-1", gave_up("a"))];
        let headline = "topic 1 partition 0 of matching was given to matching-2 before matching-1 gave it up";
        assert_eq!(rejects(OneOwnerPerGeneration::default(), facts), headline);
    }

    #[test]
    fn a56_rejects_the_commit_of_a_former_owner() {
        let facts = vec![
            divided(1),
            ("matching-1", given("a", 1)),
            expired("a"),
            ("matching-2", given("b", 2)),
            ("matching-1", commit(1, 1, Phase::Invoke)),
            ("matching-1", commit(1, 1, Phase::Ok)),
        ];
        let headline = "a commit of matching-1 to topic 1 partition 0 of matching was accepted, which another owned";
        assert_eq!(rejects(OneOwnerPerGeneration::default(), facts), headline);
    }

    #[test]
    fn a56_accepts_epochs_that_differ_and_what_a_member_that_was_put_out_still_hears() {
        let facts = vec![
            divided(1),
            ("matching-1", given("a", 1)),
            // A renewed lease, then a hand-over between members of different epochs: b is ahead.
            ("matching-1", given("a", 2)),
            ("matching-1", commit(1, 2, Phase::Invoke)),
            ("matching-1", commit(1, 2, Phase::Ok)),
            ("matching-1", gave_up("a")),
            ("matching-2", given("b", 3)),
            ("matching-2", commit(1, 3, Phase::Invoke)),
            expired("b"),
            ("matching-1", given("a", 4)),
            // Begun while it was the owner.
            ("matching-2", commit(1, 3, Phase::Ok)),
            // An answer from before it was put out.
            ("matching-2", given("b", 3)),
            ("matching-1", commit(2, 4, Phase::Invoke)),
            ("matching-1", commit(2, 4, Phase::Ok)),
        ];
        accepts(OneOwnerPerGeneration::default(), facts);
    }

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
