//! The declared fault model, and how the cluster stands in it (`design.md` 4).
//!
//! Three brokers without fsync survive any kills, pauses, cuts and rebalances; the power loss of one broker only while every partition is at full ISR and
//! with no other broker fault until full ISR returns. One synced node, the controller, services and stores survive any kill and any power loss.

use super::Terrain;
use sim::broker::Note;
use sim::broker::protocol::{TopicId, Tp};
use sim::log::Event;
use sim::plan::AtMs;
use sim::{Entry, PlannedFault, Trigger};
use std::collections::{BTreeMap, BTreeSet};

/// What a fault does to brokers, as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that a broker's log could notice.
    None,
    /// Kill, pause or cut of brokers.
    Disturbs(Vec<String>),
    /// Power loss of one broker of several that do not sync.
    LosesPower(String),
}

/// How the cluster stands: from the controller's facts and the faults that act.
#[derive(Debug, Default)]
pub struct Standing {
    seen: u64,
    replication: BTreeMap<TopicId, usize>,
    isr: BTreeMap<Tp, usize>,
    acting: BTreeMap<u32, Effect>,
    /// A broker lost its power and full ISR has not returned.
    recovering: Option<String>,
}

impl Standing {
    /// Takes in what was stated since the last look.
    pub fn look(&mut self, entries: &[Entry]) {
        self.seen += entries.len() as u64;
        for entry in entries {
            let Event::Broker(note) = &entry.event else { continue };
            match note {
                Note::TopicCreated { topic, replication, .. } => {
                    self.replication.insert(*topic, *replication as usize);
                }
                Note::LeaderElected { tp, isr, .. } | Note::IsrChanged { tp, isr, .. } => {
                    self.isr.insert(*tp, isr.len());
                }
                _ => {}
            }
        }
    }

    /// The first entry not taken in.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Does every partition have all its replicas in sync?
    pub fn is_full(&self) -> bool {
        !self.isr.is_empty() && self.isr.iter().all(|(tp, isr)| self.replication.get(&tp.topic).is_none_or(|replication| isr >= replication))
    }

    /// Would this effect stay within the model now? The error says which rule it would break.
    pub fn permits(&mut self, effect: &Effect) -> Result<(), String> {
        if self.recovering.is_some() && self.is_full() && !self.loses_power() {
            self.recovering = None;
        }
        match (effect, &self.recovering) {
            (Effect::None, _) => Ok(()),
            (_, Some(broker)) => Err(format!("{broker} lost its power and not every partition is at full ISR again")),
            (Effect::Disturbs(_), None) => Ok(()),
            (Effect::LosesPower(broker), None) => {
                if let Some(other) = self.acting.values().find(|effect| **effect != Effect::None) {
                    Err(format!("{broker} must not lose its power while {other:?} lasts"))
                } else if !self.is_full() {
                    Err(format!("{broker} must not lose its power while a partition lacks a replica"))
                } else {
                    Ok(())
                }
            }
        }
    }

    fn loses_power(&self) -> bool {
        self.acting.values().any(|effect| matches!(effect, Effect::LosesPower(_)))
    }

    /// A fault begins.
    pub fn begins(&mut self, id: u32, effect: Effect) {
        if let Effect::LosesPower(broker) = &effect {
            self.recovering = Some(broker.clone());
            // What the controller said so far is older than the loss.
            self.isr.values_mut().for_each(|isr| *isr = isr.saturating_sub(1));
        }
        self.acting.insert(id, effect);
    }

    /// It was healed.
    pub fn ends(&mut self, id: u32) {
        self.acting.remove(&id);
    }
}

/// Is a whole plan within the model, as far as it can be known before the run? What depends on the cluster's state is checked again when a fault fires.
pub fn within_model(faults: &[PlannedFault], terrain: &Terrain) -> Result<(), String> {
    let mut timed: Vec<(u64, u64, u32, Effect)> = Vec::new();
    let mut ids = BTreeSet::new();
    for planned in faults {
        let fault = crate::of_kind(&planned.kind).ok_or_else(|| format!("faults[{}].kind: no fault is called `{}`", planned.id, planned.kind))?;
        fault.check(planned, terrain).map_err(|rule| format!("faults[{}].{rule}", planned.id))?;
        if !ids.insert(planned.id) {
            return Err(format!("faults[{}].id: used twice", planned.id));
        }
        if let Trigger::At(AtMs { at_ms }) = planned.trigger {
            timed.push((at_ms, at_ms + fault.lasts_ms(planned), planned.id, fault.effect(planned, terrain)));
        }
    }
    for (from, until, id, effect) in &timed {
        let Effect::LosesPower(broker) = effect else { continue };
        let other = timed.iter().find(|(begin, end, other, effect)| other != id && *effect != Effect::None && begin <= until && from <= end);
        if let Some((_, _, other, _)) = other {
            return Err(format!("faults[{id}]: {broker} would be without power during faults[{other}]"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Standing {
        let mut standing = Standing::default();
        let tp = Tp { topic: TopicId(1), partition: 0 };
        let note = |ordinal, note| Entry { ordinal, at_us: 0, node: "controller".into(), event: Event::Broker(note) };
        standing.look(&[
            note(0, Note::TopicCreated { topic: TopicId(1), name: "orders".to_owned(), partitions: 1, replication: 3, min_isr: 2 }),
            note(1, Note::LeaderElected { tp, leader: 1, leader_epoch: 0, isr: vec![1, 2, 3], unclean: false }),
        ]);
        standing
    }

    fn isr_of(standing: &mut Standing, isr: Vec<u32>) {
        let (tp, ordinal) = (Tp { topic: TopicId(1), partition: 0 }, standing.seen());
        standing.look(&[Entry { ordinal, at_us: 0, node: "controller".into(), event: Event::Broker(Note::IsrChanged { tp, leader_epoch: 0, isr }) }]);
    }

    #[test]
    fn a_power_loss_needs_full_isr_and_no_other_broker_fault() {
        let power = Effect::LosesPower("broker-1".to_owned());
        assert!(Standing::default().permits(&power).is_err(), "nothing is known yet");
        let mut standing = full();
        assert_eq!(standing.permits(&power), Ok(()));
        standing.begins(1, Effect::Disturbs(vec!["broker-2".to_owned()]));
        assert!(standing.permits(&power).is_err(), "a kill acts");
        standing.ends(1);
        isr_of(&mut standing, vec![1, 3]);
        assert!(standing.permits(&power).is_err(), "a replica lags");
    }

    #[test]
    fn after_a_power_loss_nothing_touches_a_broker_until_full_isr() {
        let mut standing = full();
        let kill = Effect::Disturbs(vec!["broker-2".to_owned()]);
        standing.begins(1, Effect::LosesPower("broker-1".to_owned()));
        assert!(standing.permits(&kill).is_err());
        assert_eq!(standing.permits(&Effect::None), Ok(()));
        isr_of(&mut standing, vec![2, 3]);
        standing.ends(1);
        assert!(standing.permits(&kill).is_err(), "it is back and not in sync");
        isr_of(&mut standing, vec![1, 2, 3]);
        assert_eq!(standing.permits(&kill), Ok(()));
    }
}
