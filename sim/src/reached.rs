//! Marks that a run, or a sweep of many, has reached. A mark that is never reached is a fault that never bit.

use std::collections::BTreeMap;

/// How often each mark was hit, per mark and node.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reached {
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Reached {
    /// Counts hits of a node.
    pub fn add(&mut self, mark: &str, node: &str, hits: u64) {
        *self.counts.entry(mark.to_string()).or_default().entry(node.to_string()).or_default() += hits;
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Reached) {
        for (mark, nodes) in &other.counts {
            for (node, hits) in nodes {
                self.add(mark, node, *hits);
            }
        }
    }

    /// Hits of a mark on all nodes.
    pub fn total(&self, mark: &str) -> u64 {
        self.counts.get(mark).map_or(0, |nodes| nodes.values().sum())
    }

    /// Hits of a mark on one node.
    pub fn on(&self, mark: &str, node: &str) -> u64 {
        self.counts.get(mark).and_then(|nodes| nodes.get(node)).copied().unwrap_or(0)
    }

    /// Every mark and its total, by name.
    pub fn totals(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(mark, nodes)| (mark.as_str(), nodes.values().sum()))
    }

    /// Those of `wanted` that nothing has hit.
    pub fn missing<'a>(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        wanted.iter().copied().filter(|mark| self.total(mark) == 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_add_up_and_a_mark_that_nobody_hit_is_named() {
        let mut sweep = Reached::default();
        for _ in 0..2 {
            let mut run = Reached::default();
            run.add("leader_elected", "controller", 2);
            run.add("leader_elected", "broker-1", 1);
            sweep.merge(&run);
        }
        assert_eq!((sweep.total("leader_elected"), sweep.on("leader_elected", "broker-1")), (6, 2));
        assert_eq!(sweep.missing(&["leader_elected", "zombie_fenced"]), ["zombie_fenced"]);
    }
}
