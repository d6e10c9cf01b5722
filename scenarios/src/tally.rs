//! What a run, or a sweep of many, did: counts taken from the history, and the floors below which a sweep has shown nothing.

use broker::Note;
use log::Event;
use log::history::{FaultPhase, Phase};
use serde::{Deserialize, Serialize};
use sim::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally(pub BTreeMap<String, u64>);

/// A count and the least that 1,000 seeds must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// The count's name.
    pub name: &'static str,
    /// Per 1,000 seeds.
    pub per_thousand: u64,
}

/// What 1,000 seeds owe.
pub const FLOORS: &[Floor] = &[
    Floor { name: "orders accepted", per_thousand: 1_000_000 },
    Floor { name: "broker crashes with orders in flight", per_thousand: 3_000 },
    Floor { name: "broker power losses", per_thousand: 300 },
    Floor { name: "generation changes", per_thousand: 3_000 },
    Floor { name: "cuts", per_thousand: 2_000 },
    Floor { name: "one-way cuts", per_thousand: 500 },
    Floor { name: "former owner refused", per_thousand: 200 },
    Floor { name: "transactions aborted", per_thousand: 1_000 },
    Floor { name: "transactions in doubt", per_thousand: 200 },
    Floor { name: "truncations that removed a record", per_thousand: 50 },
    Floor { name: "client unknowns", per_thousand: 500 },
];

/// Shares of the accepted orders, in percent: at least, or (rejected) at most.
pub const SHARES: &[(&str, Share)] =
    &[("orders traded", Share::AtLeast(40)), ("orders cancelled while resting", Share::AtLeast(30)), ("orders rejected", Share::AtMost(10))];

/// A share of the accepted orders, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Share {
    AtLeast(u64),
    AtMost(u64),
}

impl Tally {
    /// Adds `more` to a count.
    pub fn add(&mut self, name: &str, more: u64) {
        *self.0.entry(name.to_owned()).or_default() += more;
    }

    /// A count.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Tally) {
        for (name, count) in &other.0 {
            self.add(name, *count);
        }
    }

    /// What `seeds` seeds owe and did not reach, in words. Below 200 seeds chance decides: nothing is owed.
    pub fn below_floor(&self, seeds: u64) -> Vec<String> {
        if seeds < 200 {
            return Vec::new();
        }
        let mut below = Vec::new();
        for floor in FLOORS {
            let least = floor.per_thousand * seeds / 1_000;
            if self.of(floor.name) < least {
                below.push(format!("{} {}, at least {least}", self.of(floor.name), floor.name));
            }
        }
        let accepted = self.of("orders accepted");
        for (name, share) in SHARES {
            let count = self.of(name);
            match share {
                Share::AtLeast(percent) if count * 100 < accepted * percent => below.push(format!("{count} {name}, at least {percent} % of {accepted}")),
                Share::AtMost(percent) if count * 100 > accepted * percent => below.push(format!("{count} {name}, at most {percent} % of {accepted}")),
                _ => {}
            }
        }
        if self.of("client unknowns resolved") < self.of("client unknowns") {
            below.push(format!("{} of {} client unknowns resolved", self.of("client unknowns resolved"), self.of("client unknowns")));
        }
        below
    }

    /// Counts what stands in a history; `started_us`: when trading began (what happens before is start-up).
    pub fn of_history(history: &[Entry], started_us: u64) -> Tally {
        let mut tally = Tally::default();
        let mut pending: BTreeSet<(&str, u64)> = BTreeSet::new();
        // A generation is said again by each coordinator that loads it.
        let mut generations: BTreeSet<(&str, i32)> = BTreeSet::new();
        for entry in history {
            match &entry.event {
                Event::Client { op, phase, .. } => {
                    match phase {
                        Phase::Invoke => pending.insert((&entry.node, *op)),
                        _ => pending.remove(&(&entry.node, *op)),
                    };
                    if *phase == Phase::Unknown {
                        tally.add("client unknowns", 1);
                    }
                }
                Event::Fault { what, phase: FaultPhase::Begin, .. } => tally.fault(what, !pending.is_empty()),
                Event::Fault { phase: FaultPhase::Skipped, .. } => tally.add("faults skipped", 1),
                Event::Transaction { phase: Phase::Unknown, .. } => tally.add("transactions in doubt", 1),
                Event::Transaction { phase: Phase::Fail, .. } => tally.add("transactions aborted", 1),
                Event::Broker(Note::GenerationStarted { group, generation, .. } | Note::GroupDivided { group, epoch: generation, .. })
                    if !generations.insert((group, *generation)) => {}
                Event::Broker(note) => tally.note(note, entry.at_us >= started_us),
                _ => {}
            }
        }
        tally
    }

    /// `what` begins with the fault's kind: `broker_crash power_loss broker-2`.
    fn fault(&mut self, what: &str, in_flight: bool) {
        self.add("faults", 1);
        let words: Vec<&str> = what.split_whitespace().collect();
        match words.as_slice() {
            ["broker_crash", how, ..] => {
                self.add("broker crashes", 1);
                if in_flight {
                    self.add("broker crashes with orders in flight", 1);
                }
                if *how == "power_loss" {
                    self.add("broker power losses", 1);
                }
            }
            ["partition", how, ..] => {
                self.add("cuts", 1);
                if *how == "one_way" {
                    self.add("one-way cuts", 1);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, note: &Note, is_trading: bool) {
        match note {
            Note::GenerationStarted { .. } | Note::GroupDivided { .. } if is_trading => self.add("generation changes", 1),
            Note::ProducerRefused { .. } | Note::CommitRefused { .. } | Note::ProducerFenced { .. } => self.add("former owner refused", 1),
            Note::Truncated { removed: 1.., .. } => self.add("truncations that removed a record", 1),
            Note::DuplicateBatch { .. } => self.add("duplicate batches", 1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ordinal: u64, event: Event) -> Entry {
        Entry { ordinal, at_us: ordinal, node: "client-1".into(), event }
    }

    #[test]
    fn a_crash_counts_as_in_flight_only_while_a_client_waits() {
        let client = |phase| Event::Client { op: 1, phase, body: Default::default() };
        let crash = || Event::Fault { id: 1, what: "broker_crash power_loss broker-2".to_owned(), phase: FaultPhase::Begin };
        let history = [entry(0, client(Phase::Invoke)), entry(1, crash()), entry(2, client(Phase::Unknown)), entry(3, crash())];
        let tally = Tally::of_history(&history, 0);
        assert_eq!(tally.of("broker crashes"), 2);
        assert_eq!(tally.of("broker crashes with orders in flight"), 1);
        assert_eq!(tally.of("broker power losses"), 2);
        assert_eq!(tally.of("client unknowns"), 1);
    }

    #[test]
    fn floors_scale_and_few_seeds_owe_nothing() {
        let mut tally = Tally::default();
        for floor in FLOORS {
            tally.add(floor.name, floor.per_thousand / 2);
        }
        tally.add("orders traded", 200_000);
        tally.add("orders cancelled while resting", 150_000);
        tally.add("client unknowns resolved", 250);
        assert_eq!(tally.below_floor(500), Vec::<String>::new());
        assert_eq!(tally.below_floor(520).len(), FLOORS.len());
        assert_eq!(tally.below_floor(199), Vec::<String>::new());
        tally.add("orders rejected", 50_001);
        assert_eq!(tally.below_floor(500), ["50001 orders rejected, at most 10 % of 500000"]);
    }
}
