//! The line of a service that put out a record which a violation cites. Nothing of it is kept while a run goes on: a machine is its input, so a fresh one that
//! is fed the same partition up to the record's cause puts the same record out again, and is looked at while it does.

use crate::evidence::Evidence;
use crate::invariants::{BOOK_LEVELS_MAX, BOOK_ORDERS_MAX};
use services::account::AccountService;
use services::matching_engine::MatchingService;
use services::runner::Service;
use services::wallet::WalletService;
use sim::invariants::Violation;
use std::panic::Location;
use wire::{Body, Stamp, Topic};

/// Cited records that are looked up.
const RECORDS_MAX: usize = 4;

/// `file:line (record, record)` of what the violation cites, in the order in which it is cited. What an edge or the clock sent, and a claim, are nobody's output.
pub fn said(evidence: &Evidence, violation: &Violation) -> Vec<String> {
    let texts = std::iter::once(&violation.headline).chain(&violation.facts);
    let mut lines: Vec<(&Location, Vec<String>)> = Vec::new();
    for (topic, partition, offset) in texts.flat_map(|text| cited(text)).take(RECORDS_MAX) {
        let record = format!("{topic}-{partition}@{offset}");
        let Some(at) = Topic::ALL.into_iter().find(|known| known.name() == topic).and_then(|topic| line(evidence, topic, partition, offset)) else { continue };
        match lines.iter_mut().find(|(known, _)| *known == at) {
            Some((_, records)) if records.contains(&record) => {}
            Some((_, records)) => records.push(record),
            None => lines.push((at, vec![record])),
        }
    }
    lines.into_iter().map(|(at, records)| format!("{}:{} ({})", at.file(), at.line(), records.join(", "))).collect()
}

/// Every `topic-partition@offset` that a text names.
pub fn cited(text: &str) -> impl Iterator<Item = (&str, u32, i64)> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@'))).filter_map(|word| {
        let (place, offset) = word.split_once('@')?;
        let (topic, partition) = place.rsplit_once('-')?;
        Some((topic, partition.parse().ok()?, offset.parse().ok()?))
    })
}

fn line(evidence: &Evidence, topic: Topic, partition: u32, offset: i64) -> Option<&'static Location<'static>> {
    let records = evidence.raw.get(&(topic, partition))?;
    let record = records.iter().find(|record| record.offset == offset)?;
    let (stamp, body) = wire::frame::decode(record.value.as_deref()?).ok()?;
    if is_claim(&body) {
        return None;
    }
    match stamp.source.service {
        1 => emitted(&AccountService, evidence, &stamp),
        2 => emitted(&MatchingService::naive(BOOK_ORDERS_MAX, BOOK_LEVELS_MAX), evidence, &stamp),
        3 => emitted(&WalletService, evidence, &stamp),
        _ => None,
    }
}

fn is_claim(body: &Body) -> bool {
    matches!(body, Body::AccountEvent(wire::AccountEvent::Owned { .. }) | Body::OrderEvent(wire::OrderEvent::Owned { .. }))
}

/// Where a fresh machine puts out the output of this cause and index; `None` if it puts out another number of them, as a broken one may.
fn emitted<S: Service>(service: &S, evidence: &Evidence, stamp: &Stamp) -> Option<&'static Location<'static>> {
    let input = Topic::ALL.into_iter().find(|topic| *topic as u8 == stamp.source.input_topic)?;
    let place = (input, u32::from(stamp.source.partition));
    let mut machine = evidence.replayer(service, place);
    let records = evidence.raw.get(&place)?;
    let (before, rest) = records.split_at(records.partition_point(|record| record.offset < stamp.cause));
    machine.apply(before).ok()?;
    let outputs = machine.apply(rest.first().filter(|record| record.offset == stamp.cause).map(std::slice::from_ref)?).ok()?;
    outputs.get(usize::try_from(stamp.index).ok()?).map(|output| output.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Delivered;
    use wire::{AccountCommand, AccountId, ClientOrderId, Symbol};

    /// A log in which the account machine was asked for an order that it does not know, and said so.
    fn evidence() -> (Evidence, String) {
        let client_order_id = ClientOrderId::parse("c0-1").expect("a good id");
        let asked = AccountCommand::QueryOrder { account: AccountId(1), client_order_id, symbol: Symbol(*b"BTCUSD") };
        let value = wire::frame::encode(&Stamp { cause: -1, log_time_ms: 5, ..Stamp::default() }, &Body::AccountCommand(asked));
        let asked = Delivered { offset: 0, timestamp_ms: 5, key: None, value: Some(value) };
        let partitions_of = [(Topic::AccountEvents, 1), (Topic::OrderCommands, 1)].into();
        let mut evidence = Evidence { partitions_of, tick_ms: 100, ..Evidence::default() };
        let output = evidence.replayer(&AccountService, (Topic::AccountCommands, 0)).apply(std::slice::from_ref(&asked)).expect("no gap").remove(0);
        let told = Delivered { offset: 7, timestamp_ms: 5, key: None, value: output.record.value };
        evidence.raw.extend([((Topic::AccountCommands, 0), vec![asked]), ((Topic::AccountEvents, 0), vec![told])]);
        (evidence, format!("{}:{}", output.at.file(), output.at.line()))
    }

    #[test]
    fn the_line_that_put_a_cited_record_out_is_found_by_replay() {
        let (evidence, at) = evidence();
        let violation = Violation { headline: "told twice".into(), facts: vec!["account_events-0@7 epoch 1, account_events-0@7 again".into()] };
        assert_eq!(said(&evidence, &violation), [format!("{at} (account_events-0@7)")]);
        assert!(at.starts_with("engine/services/src/account/"), "{at}");
    }

    #[test]
    fn what_nobody_put_out_is_passed_over() {
        let (evidence, _) = evidence();
        let violation = Violation { headline: "account_commands-0@0, account_events-0@8 and some_topic-1@2".into(), facts: Vec::new() };
        assert_eq!(said(&evidence, &violation), Vec::<String>::new());
    }
}
