//! No command has its effect twice: a client order id makes one order, an order goes to the matcher once, a fill is executed once and no order is filled
//! beyond what it ordered (I2, I-O8, I-O9).

use super::{Finding, Invariant, Notes};
use crate::evidence::{Evidence, Read};
use std::collections::{BTreeMap, BTreeSet};
use wire::{AccountEvent, AccountId, Body, ClientOrderId, OrderCommand, OrderId, Symbol, Topic};

/// See the module.
pub struct NoDuplicateExecution;

impl Invariant for NoDuplicateExecution {
    fn name(&self) -> &'static str {
        "no_duplicate_execution"
    }

    fn check(&self, evidence: &Evidence) -> Finding {
        let mut finding = Finding::default();
        let ordered = orders(evidence, &mut finding);
        commands(evidence, &mut finding);
        fills(evidence, &ordered, &mut finding);
        causes(evidence, &mut finding);
        finding
    }
}

fn place(topic: Topic, partition: u32, read: &Read) -> String {
    format!("{}-{partition}@{} epoch {} cause {}.{}", topic.name(), read.offset, read.stamp.epoch, read.stamp.cause, read.stamp.index)
}

/// One order per client order id; gives the ordered lots.
fn orders(evidence: &Evidence, finding: &mut Finding) -> BTreeMap<OrderId, i64> {
    let mut first: BTreeMap<(AccountId, ClientOrderId), (OrderId, String)> = BTreeMap::new();
    let mut ordered = BTreeMap::new();
    for (partition, read) in evidence.topic(Topic::AccountEvents) {
        let Body::AccountEvent(AccountEvent::Placed { account, order, duplicate: false }) = &read.body else { continue };
        finding.count();
        let here = place(Topic::AccountEvents, partition, read);
        ordered.insert(order.order_id, order.quantity_lots);
        if let Some((other, there)) = first.insert((*account, order.client_order_id.clone()), (order.order_id, here.clone())) {
            let headline =
                format!("client order id {} of account {} made two orders: {} and {}", order.client_order_id.0, account.0, other.0, order.order_id.0);
            finding.violated(headline, vec![there, here]);
        }
    }
    ordered
}

/// One Place command per order.
fn commands(evidence: &Evidence, finding: &mut Finding) {
    let mut first: BTreeMap<OrderId, String> = BTreeMap::new();
    for (partition, read) in evidence.topic(Topic::OrderCommands) {
        let Body::OrderCommand(OrderCommand::Place { order_id, .. }) = &read.body else { continue };
        finding.count();
        let here = place(Topic::OrderCommands, partition, read);
        if let Some(there) = first.insert(*order_id, here.clone()) {
            finding.violated(format!("order {} was sent to the matching engine twice", order_id.0), vec![there, here]);
        }
    }
}

/// One execution per trade id; no fill beyond the order.
fn fills(evidence: &Evidence, ordered: &BTreeMap<OrderId, i64>, finding: &mut Finding) {
    let mut first: BTreeMap<(Symbol, u64), String> = BTreeMap::new();
    let mut filled: BTreeMap<OrderId, (i64, Vec<String>)> = BTreeMap::new();
    for (partition, read) in evidence.topic(Topic::TradeExecuted) {
        let Body::Trades(list) = &read.body else { continue };
        let here = place(Topic::TradeExecuted, partition, read);
        for trade in &list.trades {
            finding.count();
            if let Some(there) = first.insert((list.symbol, trade.trade_id), here.clone()) {
                finding.violated(format!("trade {} of {} was executed twice", trade.trade_id, list.symbol), vec![there, here.clone()]);
            }
            for order_id in [list.taker_order_id, trade.maker_order_id] {
                let (lots, places) = filled.entry(order_id).or_default();
                *lots += trade.quantity_lots;
                places.push(here.clone());
            }
        }
    }
    for (order_id, (lots, places)) in filled {
        finding.count();
        let most = ordered.get(&order_id).copied().unwrap_or(0);
        if lots > most {
            finding.violated(format!("order {} of {most} lots was filled with {lots}", order_id.0), places);
        }
    }
}

/// Nobody acts on a record that does not count: a repeat of what came before, or what a former owner sent too late (I14).
fn causes(evidence: &Evidence, finding: &mut Finding) {
    let dropped: BTreeSet<(u8, u32, i64)> = evidence.dropped.iter().map(|dropped| (dropped.place.0 as u8, dropped.place.1, dropped.offset)).collect();
    for ((topic, partition), log) in &evidence.logs {
        let is_claim = |read: &Read| read.stamp.epoch > 0 && read.stamp.sequence == 0;
        for read in log.iter().filter(|read| read.stamp.cause >= 0 && !is_claim(read)) {
            let source = read.stamp.source;
            let counts = !dropped.contains(&(source.input_topic, u32::from(source.partition), read.stamp.cause));
            finding.expect(counts, || format!("{} acts on a record that does not count", place(*topic, *partition, read)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_made::a_day;

    #[test]
    fn a_second_order_of_one_client_order_id_is_found() {
        let mut day = a_day();
        day.place_again_under_another_id();
        let violation = NoDuplicateExecution.check(&day.evidence).violation.expect("two orders of one client order id");
        assert_eq!(violation.headline, "client order id s-1 of account 2 made two orders: 1 and 9");
    }

    #[test]
    fn a_fill_beyond_the_order_is_found() {
        let mut day = a_day();
        day.trade_again();
        let violation = NoDuplicateExecution.check(&day.evidence).violation.expect("the seller had five lots");
        assert_eq!(violation.headline, "order 1 of 5 lots was filled with 6");
    }

    #[test]
    fn whoever_acts_on_a_dropped_record_is_found() {
        let mut day = a_day();
        let taken = day.evidence.logs[&(Topic::OrderEvents, 0)].last().expect("the day has events").stamp;
        let place = (Topic::OrderCommands, 0);
        day.evidence.dropped.push(crate::evidence::Dropped { place, offset: taken.cause, stamp: taken, fate: crate::sieve::Fate::Repeated });
        let violation = NoDuplicateExecution.check(&day.evidence).violation.expect("the cancel was a repeat");
        assert!(violation.headline.ends_with("acts on a record that does not count"), "{}", violation.headline);
    }

    #[test]
    fn a_second_use_answered_with_the_first_order_is_no_order() {
        let mut day = a_day();
        day.answer_again();
        assert_eq!(NoDuplicateExecution.check(&day.evidence).violation, None);
    }
}
