//! Who gets which partitions, sticky: everybody keeps what it has as far as that is fair. Pure; the leader of a classic group divides so on the client's
//! side (A54), the coordinator does for groups that it divides itself (A56).

use crate::protocol::Tp;
use std::collections::{BTreeMap, BTreeSet};

/// Divides every partition that somebody wants among those who want it.
///
/// `held`: who has what. What it has and still wants it keeps, unless another has two fewer and wants it too.
pub fn sticky<'a>(
    members: impl Iterator<Item = &'a str>,
    wanting: &BTreeMap<Tp, BTreeSet<&'a str>>,
    held: &BTreeMap<Tp, &'a str>,
) -> BTreeMap<&'a str, BTreeSet<Tp>> {
    let mut division = Division { wanting, given: members.map(|member| (member, BTreeSet::new())).collect() };
    division.keep(held);
    division.fill();
    division.level();
    division.given
}

struct Division<'a, 'w> {
    wanting: &'w BTreeMap<Tp, BTreeSet<&'a str>>,
    given: BTreeMap<&'a str, BTreeSet<Tp>>,
}

impl<'a> Division<'a, '_> {
    fn load(&self, member: &str) -> usize {
        self.given[member].len()
    }

    fn give(&mut self, tp: Tp, member: &'a str) {
        self.given.get_mut(member).expect("every member is listed").insert(tp);
    }

    fn poorest_for(&self, tp: Tp) -> &'a str {
        self.wanting[&tp].iter().copied().min_by_key(|member| (self.load(member), *member)).expect("somebody wants it")
    }

    /// Everybody keeps what it has and still wants.
    fn keep(&mut self, held: &BTreeMap<Tp, &'a str>) {
        for (&tp, &member) in held {
            if self.wanting.get(&tp).is_some_and(|wanting| wanting.contains(member)) {
                self.give(tp, member);
            }
        }
    }

    /// What nobody has goes to who has least.
    fn fill(&mut self) {
        let had: BTreeSet<Tp> = self.given.values().flatten().copied().collect();
        for &tp in self.wanting.keys().filter(|tp| !had.contains(tp)) {
            let poorest = self.poorest_for(tp);
            self.give(tp, poorest);
        }
    }

    /// Who has two more than another gives it one, if the other wants it: ends, since every step makes the loads more equal.
    fn level(&mut self) {
        while let Some((tp, from, to)) = self.unfair() {
            self.given.get_mut(from).expect("listed").remove(&tp);
            self.give(tp, to);
        }
    }

    fn unfair(&self) -> Option<(Tp, &'a str, &'a str)> {
        let mut rich: Vec<&str> = self.given.keys().copied().collect();
        rich.sort_by_key(|member| std::cmp::Reverse(self.load(member)));
        for from in rich {
            // From the end: the first partitions stay where they are.
            for &tp in self.given[from].iter().rev() {
                let to = self.poorest_for(tp);
                if self.load(to) + 2 <= self.load(from) {
                    return Some((tp, from, to));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::TopicId;

    #[test]
    fn as_few_move_as_fairness_asks_for() {
        let tps: Vec<Tp> = (0..6).map(|partition| Tp { topic: TopicId(1), partition }).collect();
        let wanting = tps.iter().map(|&tp| (tp, BTreeSet::from(["a", "b", "c"]))).collect();
        let held = tps.iter().map(|&tp| (tp, if tp.partition < 3 { "a" } else { "b" })).collect();
        let given = sticky(["a", "b", "c"].into_iter(), &wanting, &held);
        assert_eq!(given["a"], tps[..2].iter().copied().collect());
        assert_eq!(given["b"], tps[3..5].iter().copied().collect());
        assert_eq!(given["c"], BTreeSet::from([tps[2], tps[5]]), "one of each");
    }
}
