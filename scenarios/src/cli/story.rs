//! A run told in a few lines: faults, what the cluster did about them, what the services said.

use log::Event;
use log::history::{FaultPhase, Phase};
use scenarios::judge::Judged;
use scenarios::operation::{Ask, Operation};
use sim::Entry;
use sim::report::time;

/// Every fault and every word of a service, in order of time.
pub fn say_all(history: &[Entry]) {
    for entry in history.iter().filter(|entry| matches!(entry.event, Event::Fault { .. } | Event::Service { .. })) {
        if let Some(line) = line(entry) {
            println!("{line}");
        }
    }
}

/// The last six lines that matter up to the last fact that the violation cites: faults, what clients were left in doubt about, what was cut, fenced or
/// aborted, who led and who owned.
pub fn six_lines(judged: &Judged) -> Vec<String> {
    let cited = judged.report.facts.iter().filter_map(|fact| fact.strip_prefix('#')?.split_whitespace().next()?.parse::<u64>().ok()).max();
    let until = cited.unwrap_or(u64::MAX);
    let told = judged.history.iter().filter(|entry| entry.ordinal <= until && !matches!(entry.event, Event::Service { .. }));
    let (mut faults, mut rest) = (Vec::new(), Vec::new());
    for entry in told {
        let Some(line) = line(entry) else { continue };
        let is_begin = matches!(entry.event, Event::Fault { phase: FaultPhase::Begin, .. });
        if is_begin { faults.push((entry.ordinal, line)) } else { rest.push((entry.ordinal, line)) }
    }
    let mut story = faults.split_off(faults.len().saturating_sub(STORY_LINES / 2));
    story.extend(rest.split_off(rest.len().saturating_sub(STORY_LINES - story.len())));
    story.sort();
    story.into_iter().map(|(_, line)| line).collect()
}

/// One screen has room for so many.
const STORY_LINES: usize = 6;

fn line(entry: &Entry) -> Option<String> {
    let what = match &entry.event {
        Event::Fault { what, phase: FaultPhase::Begin, .. } => format!("FAULT   {what}"),
        Event::Fault { what, phase: FaultPhase::End, .. } => format!("healed  {what}"),
        Event::Fault { what, phase: FaultPhase::Skipped, .. } => format!("skipped {what}"),
        Event::Client { phase, body, .. } => client(*phase, &Operation::decode(body))?,
        Event::Transaction { transactional_id, phase: Phase::Fail, fenced, .. } => format!("{transactional_id} {}", if *fenced { "fenced" } else { "aborted" }),
        Event::Transaction { transactional_id, phase: Phase::Unknown, .. } => format!("{transactional_id} in doubt"),
        Event::Broker(broker::Note::LeaderElected { tp, leader, leader_epoch, .. }) => {
            format!("broker-{leader} leads {}-{} in epoch {leader_epoch}", tp.topic.0, tp.partition)
        }
        Event::Broker(broker::Note::GenerationStarted { group, generation, members }) => {
            format!("group {group} generation {generation}: {} members", members.len())
        }
        Event::Broker(broker::Note::Truncated { tp, end, removed: removed @ 1.. }) => {
            format!("cut {}-{} to {end}, {removed} records gone", tp.topic.0, tp.partition)
        }
        Event::Service { name, up, why } => format!("{name} {} ({why})", if *up { "up" } else { "down" }),
        _ => return None,
    };
    Some(format!("{:>12}  {:<20} {what}", time(entry.at_us), entry.node))
}

fn client(phase: Phase, operation: &Operation) -> Option<String> {
    match (&operation.ask, phase) {
        (Ask::Place { client_order_id, .. }, Phase::Invoke) => Some(format!("place {client_order_id} -> {}", operation.gateway)),
        (Ask::Place { client_order_id, .. }, Phase::Unknown) => Some(format!("place {client_order_id}: unknown")),
        _ => None,
    }
}
