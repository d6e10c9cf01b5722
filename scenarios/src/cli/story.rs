//! A run told in a few lines: faults, what the cluster did about them, what the services said.

use log::history::{FaultPhase, Phase};
use log::{Event, TopicId, Tp};
use scenarios::judge::Judged;
use scenarios::operation::{Ask, Operation};
use scenarios::said::cited;
use sim::Entry;
use sim::report::time;
use std::collections::{BTreeMap, BTreeSet};

/// Every fault and every word of a service, in order of time.
pub fn say_all(history: &[Entry]) {
    for entry in history.iter().filter(|entry| matches!(entry.event, Event::Fault { .. } | Event::Service { .. })) {
        if let Some(what) = plain(&entry.event) {
            println!("{}", at(entry, &what));
        }
    }
}

/// Six lines: who wrote the records that the violation cites, and before them the last faults and what the cluster made of them, first of all where the cited
/// partitions are concerned.
pub fn six_lines(judged: &Judged) -> Vec<String> {
    let names = Names::of(&judged.history);
    let cited = names.cited(judged.report.facts.iter().map(String::as_str).chain([judged.report.headline.as_str()]));
    let ordinals = judged.report.facts.iter().filter_map(|fact| fact.strip_prefix('#')?.split_whitespace().next()?.parse::<u64>().ok());
    let mut writes: Vec<(u64, String)> = judged.history.iter().filter_map(|entry| Some((entry.ordinal, names.write(entry, &cited)?))).collect();
    let until = ordinals.chain(writes.iter().map(|(ordinal, _)| *ordinal)).max().unwrap_or(u64::MAX);
    let mut told = writes.split_off(writes.len().saturating_sub(STORY_LINES / 3));
    if let Some((_, last)) = told.last_mut() {
        last.push_str("   <- cited");
    }
    let tps: BTreeSet<Tp> = cited.iter().map(|(tp, _)| *tp).collect();
    let (mut faults, mut near, mut far) = (Vec::new(), Vec::new(), Vec::new());
    for entry in judged.history.iter().filter(|entry| entry.ordinal <= until && !matches!(entry.event, Event::Service { .. })) {
        let Some(line) = names.line(entry) else { continue };
        let bin = match &entry.event {
            Event::Fault { phase: FaultPhase::Begin, .. } => &mut faults,
            Event::Broker(broker::Note::LeaderElected { tp, .. } | broker::Note::Truncated { tp, .. }) if tps.contains(tp) => &mut near,
            Event::Assigned { tps: given, .. } if given.iter().any(|given| tps.iter().any(|tp| tp.partition == given.partition)) => &mut near,
            _ => &mut far,
        };
        bin.push((entry.ordinal, line));
    }
    told.extend(faults.split_off(faults.len().saturating_sub(STORY_LINES / 3)));
    for mut bin in [near, far] {
        told.extend(bin.split_off(bin.len().saturating_sub(STORY_LINES - told.len())));
    }
    told.sort();
    told.into_iter().map(|(_, line)| line).collect()
}

/// One screen has room for so many.
const STORY_LINES: usize = 6;

/// Topics by number, as the history tells them.
struct Names(BTreeMap<TopicId, String>);

impl Names {
    fn of(history: &[Entry]) -> Names {
        let created = history.iter().filter_map(|entry| match &entry.event {
            Event::Broker(broker::Note::TopicCreated { topic, name, .. }) => Some((*topic, name.clone())),
            _ => None,
        });
        Names(created.collect())
    }

    fn place(&self, tp: Tp) -> String {
        self.0.get(&tp.topic).map_or_else(|| format!("{}-{}", tp.topic.0, tp.partition), |name| format!("{name}-{}", tp.partition))
    }

    /// Every `topic-partition@offset` that the texts name.
    fn cited<'t>(&self, texts: impl Iterator<Item = &'t str>) -> BTreeSet<(Tp, i64)> {
        let places = texts.flat_map(cited).filter_map(|(name, partition, offset)| {
            let (topic, _) = self.0.iter().find(|(_, known)| *known == name)?;
            Some((Tp { topic: *topic, partition }, offset))
        });
        places.collect()
    }

    fn write(&self, entry: &Entry, cited: &BTreeSet<(Tp, i64)>) -> Option<String> {
        let Event::Send { tp, phase: Phase::Ok, offset: Some(offset), .. } = &entry.event else { return None };
        cited.contains(&(*tp, *offset)).then(|| at(entry, &format!("wrote {}@{offset}", self.place(*tp))))
    }

    fn line(&self, entry: &Entry) -> Option<String> {
        let what = match &entry.event {
            Event::Assigned { group, generation, tps, .. } => {
                let places: Vec<String> = tps.iter().map(|tp| self.place(*tp)).collect();
                format!("group {group} generation {generation} gives it {}", if places.is_empty() { "nothing".to_owned() } else { places.join(" ") })
            }
            Event::Broker(broker::Note::LeaderElected { tp, leader, leader_epoch, .. }) => {
                format!("broker-{leader} leads {} in epoch {leader_epoch}", self.place(*tp))
            }
            Event::Broker(broker::Note::Truncated { tp, end, removed: removed @ 1.. }) => {
                format!("cut {} to {end}, {removed} records gone", self.place(*tp))
            }
            event => plain(event)?,
        };
        Some(at(entry, &what))
    }
}

fn at(entry: &Entry, what: &str) -> String {
    format!("{:>12}  {:<20} {what}", time(entry.at_us), entry.node)
}

/// What needs no name of a topic.
fn plain(event: &Event) -> Option<String> {
    Some(match event {
        Event::Fault { what, phase: FaultPhase::Begin, .. } => format!("FAULT   {what}"),
        Event::Fault { what, phase: FaultPhase::End, .. } => format!("healed  {what}"),
        Event::Fault { what, phase: FaultPhase::Skipped, .. } => format!("skipped {what}"),
        Event::Client { phase, body, .. } => client(*phase, &Operation::decode(body))?,
        Event::Transaction { transactional_id, phase: Phase::Fail, fenced, .. } => format!("{transactional_id} {}", if *fenced { "fenced" } else { "aborted" }),
        Event::Transaction { transactional_id, phase: Phase::Unknown, .. } => format!("{transactional_id} in doubt"),
        Event::Broker(broker::Note::GenerationStarted { group, generation, members }) => {
            format!("group {group} generation {generation}: {} members", members.len())
        }
        Event::Broker(broker::Note::GroupDivided { group, epoch, members }) => format!("group {group} divided in epoch {epoch}: {} members", members.len()),
        Event::Service { name, up, why } => format!("{name} {} ({why})", if *up { "up" } else { "down" }),
        _ => return None,
    })
}

fn client(phase: Phase, operation: &Operation) -> Option<String> {
    match (&operation.ask, phase) {
        (Ask::Place { client_order_id, .. }, Phase::Invoke) => Some(format!("place {client_order_id} -> {}", operation.gateway)),
        (Ask::Place { client_order_id, .. }, Phase::Unknown) => Some(format!("place {client_order_id}: unknown")),
        _ => None,
    }
}
